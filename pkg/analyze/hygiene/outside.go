package hygiene

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// misplaced looks at the keys of objects outside of spec: those that are written
// otherwise than Kubernetes reads them, those of Istio's objects that belong
// within, and those of metadata that lost their indentation.
func misplaced(p *analyze.Pass) {
	metadata := metadataNames()
	for _, o := range append(slices.Clone(p.Objects), halfObjects(p)...) {
		var fields map[string]json.RawMessage
		if o.Decode(&fields) != nil {
			continue
		}
		if string(fields["metadata"]) == "null" && (fields["name"] != nil || fields["namespace"] != nil) {
			p.ReportCode("MSH0317", o, []string{"metadata"}, "metadata is empty and its keys stand beside it: the indentation got lost. Indent them")
			continue
		}
		metadataFields(p, o, fields["metadata"], metadata)
		var stray []string
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if !slices.Contains(headKeys(), key) && !strings.Contains(key, nbsp) && !misspeltKey(p, o, fields, key) {
				stray = append(stray, key)
			}
		}
		if isIstio(o) {
			beside(p, o, fields, stray)
		}
	}
}

func halfObjects(p *analyze.Pass) []*mesh.Object {
	var all []*mesh.Object
	for _, h := range p.Halves {
		all = append(all, h.Object)
	}
	return all
}

// headKeys are those of all objects.
func headKeys() []string { return []string{"apiVersion", "kind", "metadata", "spec", "status"} }

// misspeltKey reports a key that is meant as one of all objects: in other
// letters, or, of objects that have no keys of their own, with a slip.
func misspeltKey(p *analyze.Pass, o *mesh.Object, fields map[string]json.RawMessage, key string) bool {
	meant := mesh.Nearest(key, headKeys())
	if meant == "" || !strings.EqualFold(meant, key) && (!isIstio(o) || fields[meant] != nil) {
		return false
	}
	r := p.ReportCode("MSH0301", o, []string{key}, "unknown field %q; did you mean %q?", key, meant)
	if fields[meant] == nil {
		r.RenameKey([]string{key}, meant)
	}
	return true
}

// beside reports the keys of an object of Istio's that belong into spec.
func beside(p *analyze.Pass, o *mesh.Object, fields map[string]json.RawMessage, stray []string) {
	if len(stray) > 0 && string(fields["spec"]) == "null" {
		p.ReportCode("MSH0317", o, stray[:1], "spec is empty and its keys stand beside it: the indentation got lost. Indent them")
		return
	}
	for _, key := range stray {
		p.ReportCode("MSH0307", o, []string{key}, "%s stands beside spec, and nobody reads it there: put it into spec", key)
	}
}
