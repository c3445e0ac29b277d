package hygiene

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// residues finds what a template left in documents that can be read all the
// same: in names and labels, in images, and in the specs of Istio's kinds. Other
// texts may have braces that are meant.
func residues(p *analyze.Pass) {
	for _, o := range p.Objects {
		if !bytes.Contains(o.Text(), []byte("{{")) {
			continue
		}
		if path := residueOf(o); path != nil {
			p.ReportCode("MSH0306", o, path, "this is a template that nobody rendered: render it first, as helm template does")
		}
	}
}

// residueOf is the way to the first text of an object that a template left; nil
// for none.
func residueOf(o *mesh.Object) []string {
	var tree map[string]any
	if o.Decode(&tree) != nil {
		return nil
	}
	if metadata, ok := tree["metadata"].(map[string]any); ok {
		delete(metadata, "annotations")
		if path := braces(metadata, []string{"metadata"}); path != nil {
			return path
		}
	}
	if isIstio(o) && o.Kind != "EnvoyFilter" && o.Kind != "WasmPlugin" {
		return braces(tree["spec"], []string{"spec"})
	}
	path, ok := template(o)
	if !ok {
		return nil
	}
	path = slices.Concat(path, []string{"spec", "containers"})
	containers, _ := descend(tree, path).([]any)
	for i := range containers {
		if at := slices.Concat(path, []string{strconv.Itoa(i), "image"}); braces(descend(containers[i], []string{"image"}), at) != nil {
			return at
		}
	}
	return nil
}

// descend is the value that map keys lead to; nil if there is none.
func descend(tree any, path []string) any {
	for _, key := range path {
		fields, _ := tree.(map[string]any)
		tree = fields[key]
	}
	return tree
}

// braces is the way to the first text with the braces of a template.
func braces(tree any, path []string) []string {
	switch node := tree.(type) {
	case string:
		if strings.Contains(node, "{{") {
			return path
		}
	case []any:
		for i, item := range node {
			if found := braces(item, slices.Concat(path, []string{strconv.Itoa(i)})); found != nil {
				return found
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if found := braces(node[key], slices.Concat(path, []string{key})); found != nil {
				return found
			}
		}
	}
	return nil
}

// template is the way to an object's pod template; false if it has none.
func template(o *mesh.Object) (path []string, ok bool) {
	for _, t := range mesh.BuiltinPodTemplates() {
		if t.Group == analyze.Group(o) && t.Kind == o.Kind {
			return t.Path, true
		}
	}
	return nil, false
}
