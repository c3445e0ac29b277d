package policytest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// node is a value of a document, and the way to it.
type node struct {
	*yaml.Node         // never an alias
	line, column int   // where it is used, which for an alias is not where it is
	path         trail // of keys and list numbers
}

type trail string

func (p trail) key(name string) trail {
	if p == "" {
		return trail(name)
	}
	return p + "." + trail(name)
}

// maxAliased limits how many values the aliases of a document may add to its
// own, and maxDepth how deep values may be.
const (
	maxAliased = 1 << 16
	maxDepth   = 64
)

// decoder reads one document and collects all that is wrong with it.
type decoder struct {
	document *manifest.Document
	subject  string
	problems []error
	failures int // with those beyond maxProblems
	visits   int
}

// maxProblems is how many faults of one document are told: nobody reads more.
const maxProblems = 100

// fail notes a fault of a value.
func (d *decoder) fail(n node, hint, format string, args ...any) {
	d.failures++
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, d.fault(n, hint, fmt.Errorf(format, args...)))
	}
}

func (d *decoder) fault(n node, hint string, err error) error {
	if n.path != "" {
		err = fmt.Errorf("%s: %w", n.path, err)
	}
	return &report.InputError{Location: d.location(n), Subject: d.subject, Err: err, Hint: hint}
}

func (d *decoder) location(n node) report.Location { return d.document.Location(n.line, n.column) }

// err is all that was found, in the order of the document.
func (d *decoder) err() error { return inOrder(d.problems) }

func inOrder(problems []error) error {
	place := func(err error) report.Location {
		var input *report.InputError
		if errors.As(err, &input) {
			return input.Location
		}
		return report.Location{}
	}
	slices.SortStableFunc(problems, func(a, b error) int {
		return cmp.Or(cmp.Compare(place(a).Line, place(b).Line), cmp.Compare(place(a).Column, place(b).Column))
	})
	return errors.Join(problems...)
}

// use follows an alias and counts the visit.
func (d *decoder) use(n *yaml.Node, p trail) node {
	used := node{Node: n, line: n.Line, column: n.Column, path: p}
	for used.Kind == yaml.AliasNode {
		used.Node = used.Alias
	}
	d.visits++
	return used
}

// exhausted tells whether aliases have made the document larger than it may be.
func (d *decoder) exhausted() bool { return d.visits > maxAliased+len(d.document.Text) }

// entry is a key of a mapping and its value.
type entry struct {
	key   node
	value node
}

// entries are those of a mapping; it is false for anything else. Keys that are
// merged with << come after the mapping's own, which win.
func (d *decoder) entries(n node) ([]entry, bool) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "", "expected a mapping (key: value), found %s", describe(n))
		return nil, false
	}
	return d.merge(n, map[string]bool{}, 0), true
}

func (d *decoder) merge(n node, seen map[string]bool, depth int) []entry {
	var own, merged []entry
	var sources []node
	for i := 0; i+1 < len(n.Content) && !d.exhausted(); i += 2 {
		key := d.use(n.Content[i], n.path)
		value := d.use(n.Content[i+1], n.path.key(key.Value))
		switch {
		case key.Tag == "!!merge" && value.Kind == yaml.SequenceNode:
			for _, item := range value.Content {
				sources = append(sources, d.use(item, n.path))
			}
		case key.Tag == "!!merge":
			value.path = n.path
			sources = append(sources, value)
		case key.Kind != yaml.ScalarNode:
			d.fail(key, "", "expected a name before the colon, found %s", describe(key))
		case seen[key.Value] && depth == 0:
			d.fail(key, "", "%q is given twice", key.Value)
		case !seen[key.Value]:
			seen[key.Value] = true
			own = append(own, entry{key, value})
		}
	}
	for _, source := range sources {
		if source.Kind != yaml.MappingNode || depth == maxDepth {
			d.fail(source, "", "<< merges mappings, and this is %s", describe(source))
			continue
		}
		merged = append(merged, d.merge(source, seen, depth+1)...)
	}
	return append(own, merged...)
}

// describe names the kind of a value.
func describe(n node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	}
	return "text"
}

// isText tells a value that YAML 1.2 reads as text. Times are such.
func isText(n node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp")
}

// json is the value as JSON would have it: texts, float64s, bools, nil, lists
// and maps.
func (d *decoder) json(n node, depth int) any {
	if depth == maxDepth {
		d.fail(n, "", "nested more than %d deep", maxDepth)
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		all := map[string]any{}
		entries, _ := d.entries(n)
		for _, e := range entries {
			all[e.key.Value] = d.json(e.value, depth+1)
		}
		return all
	case yaml.SequenceNode:
		all := []any{}
		for i, item := range n.Content {
			if d.exhausted() {
				break
			}
			all = append(all, d.json(d.use(item, n.path.key(fmt.Sprint(i))), depth+1))
		}
		return all
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		var number float64
		if err := n.Decode(&number); err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
			d.fail(n, "", "%s is no number that JSON has", n.Value)
		}
		return number
	}
	return n.Value
}
