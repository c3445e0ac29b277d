package hygiene

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// The marks of templates. Those of which parts may stand in a text by chance
// need one that is written as people write placeholders.
var (
	braced      = regexp.MustCompile(`\{\{|\$\{[A-Za-z_][\w.:-]*\}|%\([A-Za-z_]\w*\)[sd]`)
	dollar      = regexp.MustCompile(`(?:^|[/.:@-])(\$[A-Z][A-Z0-9_]+)(?:$|[/.:@-])`)
	placeholder = regexp.MustCompile(`^<[A-Za-z][\w .-]*>$|(?:^|[^?P\w])(<[A-Z][A-Z0-9_-]+>)`)
)

// residues finds what a template left in documents that can be read all the
// same. Texts that programs read for themselves may have such marks.
func residues(p *analyze.Pass) {
	for _, o := range p.Objects {
		if !marked(o.Text()) {
			continue
		}
		walkTexts(o, func(text string, path []string) {
			if mark := residueIn(text); mark != "" {
				p.ReportCode("MSH0306", o, path, "%s is of a template that nobody rendered: %s", mark, wayOut(mark))
			}
		})
	}
}

// walkTexts looks at the texts of an object that nobody but Kubernetes and the
// mesh reads.
func walkTexts(o *mesh.Object, look func(text string, path []string)) {
	var tree map[string]any
	if o.Decode(&tree) != nil {
		return
	}
	w := textWalk{look: look, excepted: exceptions(o)}
	for _, key := range lookedAt(o) {
		w.walk(tree[key], []string{key})
	}
	path, ok := template(o)
	if !ok {
		return
	}
	if path == nil {
		path = []string{"spec"} // a Pod
	}
	w.walk(descend(tree, path), path)
	if selector := []string{"spec", "selector"}; len(path) > 1 {
		w.walk(descend(tree, selector), selector)
	}
}

// marked tells of the text of an object, quick, whether to look closer: JSON
// writes < in another way.
func marked(text []byte) bool {
	for _, mark := range []string{"{{", "$", `\u003c`, "<", "%("} {
		if bytes.Contains(text, []byte(mark)) {
			return true
		}
	}
	return false
}

// lookedAt are the keys of an object under which no text has the marks of
// templates by right.
func lookedAt(o *mesh.Object) []string {
	group := analyze.Group(o)
	_, own := builtinKinds()[group]
	switch _, runs := template(o); {
	case runs, slices.Contains([]string{"ConfigMap", "Secret", "CustomResourceDefinition"}, o.Kind):
		return []string{"metadata"}
	case isIstio(o) && group != "install.istio.io" && o.Kind != "EnvoyFilter" && o.Kind != "WasmPlugin":
		return []string{"metadata", "spec"}
	case own:
		return []string{"metadata", "spec", "subjects", "roleRef"}
	}
	return []string{"metadata"}
}

// exceptions are the keys whose values are a program's: of containers, what runs
// in them; of routes, what they answer, compare and write into headers.
func exceptions(o *mesh.Object) []string {
	all := []string{"annotations", "regex", "body", "expression", "set", "add"}
	if _, runs := template(o); runs {
		all = append(all, "command", "args", "env", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "subPathExpr")
	}
	return all
}

// textWalk looks at the texts of an object.
type textWalk struct {
	look     func(text string, path []string)
	excepted []string // keys whose values it leaves out
}

func (w textWalk) walk(tree any, path []string) {
	switch node := tree.(type) {
	case string:
		w.look(node, path)
	case []any:
		for i, item := range node {
			w.walk(item, append(path[:len(path):len(path)], strconv.Itoa(i)))
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if !slices.Contains(w.excepted, key) {
				w.walk(node[key], append(path[:len(path):len(path)], key))
			}
		}
	}
}

// residueIn is the mark of a template in a text; "" for none.
func residueIn(text string) string {
	if mark := braced.FindString(text); mark != "" {
		return mark
	}
	if m := dollar.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return strings.TrimLeft(placeholder.FindString(text), `/.:@-="' `)
}

func wayOut(mark string) string {
	switch mark[0] {
	case '{':
		return "render it first, as helm template does"
	case '<':
		return "write what it stands for"
	}
	return "put the value in first, as envsubst does"
}

// descend is the value that map keys lead to; nil if there is none.
func descend(tree any, path []string) any {
	for _, key := range path {
		fields, _ := tree.(map[string]any)
		tree = fields[key]
	}
	return tree
}

// template is the way to an object's pod template; false if it has none.
func template(o *mesh.Object) (path []string, ok bool) {
	for _, t := range slices.Concat(mesh.BuiltinPodTemplates(), mesh.KnownPodTemplates()) {
		if t.Group == analyze.Group(o) && t.Kind == o.Kind {
			return t.Path, true
		}
	}
	return nil, false
}
