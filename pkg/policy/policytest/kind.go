package policytest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// kind is a kind of value: how JSON Schema describes it, and how it is read. A
// value that is none is noted by the decoder, and read gives false.
type kind[V any] struct {
	schema schema
	read   func(*decoder, node) (V, bool)
}

type schema = map[string]any

// located is a value, and where it stands.
type located[V any] struct {
	value V
	at    node
}

// given tells whether the document has the value.
func (l located[V]) given() bool { return l.at.Node != nil }

// text is any text but the empty one.
func text() kind[string] {
	return kind[string]{schema{"type": "string", "minLength": 1}, func(d *decoder, n node) (string, bool) {
		switch {
		case !isText(n):
			hint := ""
			if n.Kind == yaml.ScalarNode && n.Value != "" {
				hint = fmt.Sprintf("quote it: %q", n.Value)
			}
			d.fail(n, hint, "expected text, found %s", describe(n))
			return "", false
		case n.Value == "":
			d.fail(n, "", "expected text, found an empty one")
			return "", false
		}
		return n.Value, true
	}}
}

// emptyOr takes the empty text too.
func emptyOr(k kind[string]) kind[string] {
	return kind[string]{schema{"type": "string"}, func(d *decoder, n node) (string, bool) {
		if isText(n) && n.Value == "" {
			return "", true
		}
		return k.read(d, n)
	}}
}

// checked is a kind whose values must pass a check.
func checked[V any](k kind[V], check func(V) error) kind[V] {
	return kind[V]{k.schema, func(d *decoder, n node) (V, bool) {
		v, ok := k.read(d, n)
		if !ok {
			return v, false
		}
		if err := check(v); err != nil {
			d.fail(n, "", "%w", err)
			return v, false
		}
		return v, true
	}}
}

// word is one of a few.
func word(what string, words ...string) kind[string] {
	return kind[string]{schema{"enum": words}, func(d *decoder, n node) (string, bool) {
		if n.Kind == yaml.ScalarNode && slices.Contains(words, n.Value) {
			return n.Value, true
		}
		if n.Kind != yaml.ScalarNode || n.Value == "" {
			d.fail(n, "", "expected %s, found %s", orList(words), describe(n))
			return "", false
		}
		d.fail(n, mesh.DidYouMean(n.Value, slices.Clone(words)), "unknown %s %q", what, n.Value)
		return "", false
	}}
}

func orList(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func boolean() kind[bool] {
	return kind[bool]{schema{"type": "boolean"}, func(d *decoder, n node) (bool, bool) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			d.fail(n, "", "expected true or false, found %s", describe(n))
			return false, false
		}
		return strings.EqualFold(n.Value, "true"), true
	}}
}

// yes is a boolean that is there to be true.
func yes() kind[bool] {
	k := checked(boolean(), func(v bool) error {
		if !v {
			return fmt.Errorf("false says nothing: leave it out")
		}
		return nil
	})
	k.schema = schema{"const": true}
	return k
}

// whole is a whole number within bounds.
func whole(least, most int) kind[int] {
	return kind[int]{schema{"type": "integer", "minimum": least, "maximum": most}, func(d *decoder, n node) (int, bool) {
		v, err := strconv.Atoi(n.Value)
		switch {
		case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil:
			d.fail(n, "", "expected a whole number, found %s", describe(n))
			return 0, false
		case v < least || v > most:
			d.fail(n, "", "%d: expected %d to %d", v, least, most)
			return 0, false
		}
		return v, true
	}}
}

// port is a number or the name of a port.
func port() kind[string] {
	number, name := whole(1, 65535), text()
	return kind[string]{schema{"anyOf": []any{number.schema, name.schema}}, func(d *decoder, n node) (string, bool) {
		if isText(n) {
			return name.read(d, n)
		}
		v, ok := number.read(d, n)
		return strconv.Itoa(v), ok
	}}
}

func address() kind[string] {
	return checked(text(), func(v string) error {
		if _, err := netip.ParseAddr(v); err != nil {
			return fmt.Errorf("%q: expected an address such as 10.1.2.3", v)
		}
		return nil
	})
}

// concrete is a text that stands for itself alone, not for all that a pattern
// matches. In a path "*" alone and a query are what they are.
func concrete(k kind[string], isPath bool) kind[string] {
	return kind[string]{k.schema, func(d *decoder, n node) (string, bool) {
		v, ok := k.read(d, n)
		pattern := v
		if isPath {
			pattern, _, _ = strings.Cut(v, "?")
		}
		if ok && strings.Contains(pattern, "*") && (!isPath || v != "*") {
			d.fail(n, "name the ones that matter, as a list", "%q asks about all at once, which needs a proof over all requests; this version decides single requests", v)
			return "", false
		}
		return v, ok
	}}
}

// place keeps where a value stands.
func place[V any](k kind[V]) kind[located[V]] {
	return kind[located[V]]{k.schema, func(d *decoder, n node) (located[V], bool) {
		v, ok := k.read(d, n)
		return located[V]{v, n}, ok
	}}
}

// listOf is a list that is not empty.
func listOf[V any](k kind[V]) kind[[]V] {
	return kind[[]V]{schema{"type": "array", "minItems": 1, "items": k.schema}, func(d *decoder, n node) ([]V, bool) {
		if n.Kind != yaml.SequenceNode {
			d.fail(n, "", "expected a list (- item), found %s", describe(n))
			return nil, false
		}
		if len(n.Content) == 0 {
			d.fail(n, "", "the list is empty")
			return nil, false
		}
		all, good := []V{}, true
		for i, item := range n.Content {
			if d.exhausted() {
				return all, false
			}
			v, ok := k.read(d, d.use(item, n.path.key(strconv.Itoa(i))))
			all, good = append(all, v), good && ok
		}
		return all, good
	}}
}

// oneOrMany is a value, or a list of them.
func oneOrMany[V any](k kind[V]) kind[[]V] {
	list := listOf(k)
	return kind[[]V]{schema{"anyOf": []any{k.schema, list.schema}}, func(d *decoder, n node) ([]V, bool) {
		if n.Kind == yaml.SequenceNode {
			return list.read(d, n)
		}
		v, ok := k.read(d, n)
		return []V{v}, ok
	}}
}

// mapOf is a mapping from names that the user gives.
func mapOf[V any](k kind[V], checkName func(string) error) kind[map[string]V] {
	return kind[map[string]V]{schema{"type": "object", "additionalProperties": k.schema}, func(d *decoder, n node) (map[string]V, bool) {
		entries, good := d.entries(n)
		all := map[string]V{}
		for _, e := range entries {
			if err := checkName(e.key.Value); err != nil {
				d.fail(e.key, "", "%w", err)
				good = false
			}
			v, ok := k.read(d, e.value)
			all[e.key.Value], good = v, good && ok
		}
		return all, good
	}}
}

// anything is a mapping of whatever JSON has.
func anything() kind[map[string]any] {
	return kind[map[string]any]{schema{"type": "object"}, func(d *decoder, n node) (map[string]any, bool) {
		if n.Kind != yaml.MappingNode {
			d.fail(n, "", "expected a mapping (key: value), found %s", describe(n))
			return nil, false
		}
		m, ok := d.json(n, 0).(map[string]any)
		return m, ok
	}}
}

// field is a field of a mapping that becomes a T. One without a schema is known
// only to be refused.
type field[T any] struct {
	name, doc string
	required  bool
	schema    schema
	read      func(*decoder, node, *T)
}

// set is a field whose value goes where into points.
func set[T, V any](name, doc string, k kind[V], into func(*T) *V) field[T] {
	return field[T]{name: name, doc: doc, schema: k.schema, read: func(d *decoder, n node, t *T) {
		if v, ok := k.read(d, n); ok {
			*into(t) = v
		}
	}}
}

// must is a field that has to be there.
func must[T any](f field[T]) field[T] {
	f.required = true
	return f
}

// refused is a field that is told apart from a slip of the pen.
func refused[T any](name, hint, problem string) field[T] {
	return field[T]{name: name, read: func(d *decoder, n node, _ *T) { d.fail(n, hint, "%s", problem) }}
}

// object is a mapping with these fields and no others.
func object[T any](fields []field[T]) kind[T] {
	return kind[T]{objectSchema(fields), func(d *decoder, n node) (T, bool) {
		var t T
		before := d.failures
		entries, ok := d.entries(n)
		if !ok {
			return t, false
		}
		missing := map[string]bool{}
		for _, f := range fields {
			missing[f.name] = f.required
		}
		for _, e := range entries {
			missing[e.key.Value] = false
			i := slices.IndexFunc(fields, func(f field[T]) bool { return f.name == e.key.Value })
			if i < 0 {
				e.key.path = e.value.path
				d.fail(e.key, mesh.DidYouMean(e.key.Value, names(fields)), "unknown field")
				continue
			}
			fields[i].read(d, e.value, &t)
		}
		for _, name := range slices.Sorted(maps.Keys(missing)) {
			if missing[name] {
				d.fail(n, "", "%s is missing", name)
			}
		}
		return t, d.failures == before
	}}
}

// names are those of the fields that are of use.
func names[T any](fields []field[T]) []string {
	var all []string
	for _, f := range fields {
		if f.schema != nil {
			all = append(all, f.name)
		}
	}
	return all
}

func objectSchema[T any](fields []field[T]) schema {
	properties, required := schema{}, []string{}
	for _, f := range fields {
		if f.schema == nil {
			continue
		}
		described := maps.Clone(f.schema)
		described["description"] = f.doc
		properties[f.name] = described
		if f.required {
			required = append(required, f.name)
		}
	}
	s := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}
