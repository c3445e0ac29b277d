package hygiene

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// metadataFields reports the fields that no metadata has: a namespace with a
// slip is none, and the object goes to another one.
func metadataFields(p *analyze.Pass, o *mesh.Object, text json.RawMessage, known []string) {
	var fields map[string]json.RawMessage
	if len(text) == 0 || json.Unmarshal(text, &fields) != nil {
		return // told by whoever reads it
	}
	var strange []string
	for key := range fields {
		if !slices.Contains(known, key) {
			strange = append(strange, key)
		}
	}
	slices.Sort(strange)
	for _, key := range strange {
		at := []string{"metadata", key}
		if slices.Contains([]string{"spec", "status", "data"}, key) {
			p.ReportCode("MSH0317", o, at, "%s stands within metadata, and nobody reads it there: it belongs beside it. Indent it less", key)
			continue
		}
		near := mesh.Nearest(key, known)
		if near == "" {
			p.ReportCode("MSH0301", o, at, "unknown field %q: no object has it", strings.Join(at, "."))
			continue
		}
		r := p.ReportCode("MSH0301", o, at, "unknown field %q: no object has it; did you mean %q?", strings.Join(at, "."), near)
		if fields[near] == nil && slices.Contains([]string{"name", "namespace", "labels", "annotations"}, near) {
			r.RenameKey(at, near)
		}
	}
}

// metadataNames are the fields of all metadata.
func metadataNames() []string { return fieldsAt(reflect.TypeFor[meta.ObjectMeta](), nil) }

// names reports names that no cluster takes.
func names(p *analyze.Pass, o *mesh.Object) {
	if o.Name == "" {
		return
	}
	var problems []string
	switch analyze.Group(o) {
	case "rbac.authorization.k8s.io":
		problems = content.IsPathSegmentName(o.Name)
	default:
		if _, ours := builtinKinds()[analyze.Group(o)]; ours || isIstio(o) {
			problems = validation.IsDNS1123Subdomain(o.Name)
		}
	}
	if len(problems) > 0 {
		p.ReportCode("MSH0318", o, []string{"metadata", "name"}, "%q is no name that a cluster takes: expected letters in lower case, digits, dashes and dots, with a letter or digit at both ends", o.Name)
	}
	if problems := validation.IsDNS1123Label(o.Namespace); o.Namespace != "" && !o.Implied && len(problems) > 0 {
		p.ReportCode("MSH0318", o, []string{"metadata", "namespace"}, "%q is no namespace: expected letters in lower case, digits and dashes, with a letter or digit at both ends", o.Namespace)
	}
}
