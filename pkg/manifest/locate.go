package manifest

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/report"
)

// Locate is the place of the value at path: map keys, and the numbers of list
// items. A path that leaves out the numbers, as JSON errors do, leads to the
// first match. Where the path ends early, so does the answer.
func (d *Document) Locate(path ...string) report.Location {
	at, _ := d.Find(path...)
	return at
}

// Places is Locate for many paths: the text is read once, when the first is
// asked for. Goroutines may share it.
func (d *Document) Places() func(path ...string) report.Location {
	root := sync.OnceValue(d.node)
	return func(path ...string) report.Location {
		at, _ := d.find(root, path)
		return at
	}
}

// Find is Locate, and tells whether the path led to its end.
func (d *Document) Find(path ...string) (at report.Location, found bool) { return d.find(d.node, path) }

func (d *Document) find(root func() *yaml.Node, path []string) (at report.Location, found bool) {
	if len(path) == 0 {
		return d.Location(d.FirstLine(), 1), true
	}
	node := root()
	if node == nil {
		return d.Location(1, 0), false
	}
	for len(path) > 0 {
		next, rest := descend(node, path)
		if next == nil {
			break
		}
		node, path = next, rest
	}
	return d.Location(node.Line, node.Column), len(path) == 0
}

// node is the document's root, nil if it is no YAML.
func (d *Document) node() *yaml.Node {
	var root yaml.Node
	if yaml.Unmarshal(d.Text, &root) != nil || len(root.Content) == 0 {
		return nil
	}
	return root.Content[0]
}

// FirstLine is the first line of the text that says something, from 1.
func (d *Document) FirstLine() int {
	for n, line := range strings.Split(string(d.Text), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && !strings.HasPrefix(line, "---") {
			return n + 1
		}
	}
	return 1
}

// descend goes one step along path, and more where it skips list items.
func descend(node *yaml.Node, path []string) (*yaml.Node, []string) {
	switch node.Kind {
	case yaml.AliasNode:
		return descend(node.Alias, path)
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], path[1:]
		}
		for _, item := range node.Content {
			if next, rest := descend(item, path); next != nil {
				return next, rest
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == path[0] {
				return node.Content[i+1], path[1:]
			}
		}
	}
	return nil, nil
}

// yamlLine finds the line that a YAML error names.
var yamlLine = regexp.MustCompile(`yaml: (?:unmarshal errors:\n\s+)?line (\d+):`)

// Explain places an error of reading the document: where it stops to be YAML,
// else at what YAML names, or at the document's first line.
func (d *Document) Explain(err error) error {
	f, found := placeWords(d.Text, err.Error())
	if !found {
		f, found = placeSyntax(d.Text)
	}
	if !found {
		f, found = placeJSON(d.Text)
	}
	if !found {
		f = syntaxFault{line: d.FirstLine(), column: 1, problem: readerWords(err), hint: "mend the YAML there"}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			f.line, _ = strconv.Atoi(m[1])
		}
	}
	return &report.InputError{Location: d.Location(f.line, f.column), Err: &SyntaxError{err, f.problem, f.hint}, Hint: f.problem + ": " + f.hint}
}

// readerWords are those of an error of reading YAML, without the names of
// functions and the line, which is told by its place.
func readerWords(err error) string {
	words := err.Error()
	if i := strings.LastIndex(words, "yaml: "); i >= 0 {
		words = words[i+len("yaml: "):]
	}
	if _, rest, ok := strings.Cut(words, ": "); ok && strings.HasPrefix(words, "line ") {
		words = rest
	}
	return "no YAML: " + words
}

// ExplainAt places an error of the object that path leads to. Errors of JSON
// decoding are placed at the field that they name.
func (d *Document) ExplainAt(object report.Object, path []string, err error) error {
	var placed *report.InputError
	if errors.As(err, &placed) {
		return err
	}
	e := &report.InputError{Location: d.Locate(path...), Err: err}
	if object.Kind != "" {
		e.Subject = object.String()
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		if mismatch.Field != "" {
			e.Location = d.locateMismatch(path, strings.Split(mismatch.Field, "."), mismatch.Value)
		}
		e.Hint = mismatchHint(mismatch)
	}
	return e
}

// locateMismatch finds the value of the wrong kind: of all values along a
// field path without list numbers, the first of that kind.
func (d *Document) locateMismatch(path, field []string, kind string) report.Location {
	fallback := d.Locate(append(path, field...)...)
	node := d.node()
	for len(path) > 0 && node != nil {
		node, path = descend(node, path)
	}
	if node == nil {
		return fallback
	}
	if found := findKind(node, field, kind); found != nil {
		return d.Location(found.Line, found.Column)
	}
	return fallback
}

func findKind(node *yaml.Node, field []string, kind string) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.SequenceNode && (len(field) > 0 || kind != "array") {
		for _, item := range node.Content {
			if found := findKind(item, field, kind); found != nil {
				return found
			}
		}
		return nil
	}
	if len(field) == 0 {
		if node.Kind == yaml.MappingNode && kind != "object" {
			// encoding/json does not name the keys of a map[string]string.
			for i := 1; i < len(node.Content); i += 2 {
				if jsonKind(node.Content[i]) == kind {
					return node.Content[i]
				}
			}
			return nil
		}
		if jsonKind(node) == kind {
			return node
		}
		return nil
	}
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if strings.EqualFold(node.Content[i].Value, field[0]) {
				return findKind(node.Content[i+1], field[1:], kind)
			}
		}
	}
	return nil
}

// jsonKind is what encoding/json calls the kind of a node's value; YAML 1.1
// reads more words as booleans than YAML 1.2.
func jsonKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "object"
	case yaml.SequenceNode:
		return "array"
	case yaml.AliasNode:
		return jsonKind(n.Alias)
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return "string"
	}
	switch strings.ToLower(n.Value) {
	case "true", "false", "yes", "no", "on", "off", "y", "n":
		return "bool"
	}
	if n.Tag == "!!int" || n.Tag == "!!float" {
		return "number"
	}
	return "string"
}

func mismatchHint(e *json.UnmarshalTypeError) string {
	kind, _, _ := strings.Cut(e.Value, " ")
	if e.Type != nil && e.Type.Kind().String() == "string" && (kind == "bool" || kind == "number") {
		return `the field takes text: quote the value (unquoted yes, no, on, off, true, false and numbers are not text in YAML 1.1)`
	}
	if e.Type == nil {
		return ""
	}
	return "expected " + describeType(e.Type.Kind().String()) + ", found " + describeType(kind)
}

func describeType(kind string) string {
	switch kind {
	case "struct", "map", "object":
		return "a mapping (key: value)"
	case "slice", "array":
		return "a list (- item)"
	case "string":
		return "text"
	case "bool":
		return "true or false"
	}
	if strings.HasPrefix(kind, "int") || strings.HasPrefix(kind, "uint") {
		return "a whole number"
	}
	return "a " + kind
}
