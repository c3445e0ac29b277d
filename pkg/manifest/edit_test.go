package manifest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// byName tells the items of every list apart by their name.
func byName([]string) string { return "name" }

// change edits a tree of JSON values; the tests say with it what shall differ.
type change func(tree map[string]any)

func set(value any, path ...string) change {
	return func(tree map[string]any) {
		for _, key := range path[:len(path)-1] {
			next, ok := tree[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				tree[key] = next
			}
			tree = next
		}
		tree[path[len(path)-1]] = value
	}
}

func drop(path ...string) change {
	return func(tree map[string]any) {
		for _, key := range path[:len(path)-1] {
			tree = tree[key].(map[string]any)
		}
		delete(tree, path[len(path)-1])
	}
}

func item(name string, at int, key string) change {
	return func(tree map[string]any) {
		list := tree[key].([]any)
		tree[key] = slices.Insert(slices.Clone(list), at, any(map[string]any{"name": name}))
	}
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	j, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(j))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestEdit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		text   string
		change change
		want   string
	}{
		{"nothing", "a: 1 # one\n", func(map[string]any) {}, "a: 1 # one\n"},
		{"scalar keeps its comment", "a: 1 # one\nb: 2\n", set("x", "a"), "a: x # one\nb: 2\n"},
		{"single quotes stay", "a: 'it''s' # one\n", set("it's x", "a"), "a: 'it''s x' # one\n"},
		{"double quotes stay", "a: {b: \"x\"}\n", set("a\"\\<\u00e9\n", "a", "b"), "a: {b: \"a\\\"\\\\<é\\n\"}\n"},
		{"single quotes that cannot hold the value", "a: 'x'\nb: 1\n", set("x\ty", "a"), "a: \"x\\ty\"\nb: 1\n"},
		{"quotes behind an anchor", "a: &x 'x'\nb: 1\n", set("y", "a"), "a: &x 'y'\nb: 1\n"},
		{"no quotes where they are needed", "a: x\n", set("y", "a"), "a: \"y\"\n"},
		{"new key goes to the end", "# top\na:\n  b: 1\n\n# about c\nc: 2\n", set("v", "a", "z"), "# top\na:\n  b: 1\n  z: v\n\n# about c\nc: 2\n"},
		{"map for nothing", "a:\nb: 1\n", set("v", "a", "z"), "a:\n  z: v\nb: 1\n"},
		{"key removed with its lines", "a: 1\nb:\n  c: 1\n  # inside\n  d: 2\ne: 3\n", drop("b"), "a: 1\ne: 3\n"},
		{"item before the first", "l:\n- name: a # kept\n  x: 'q'\n", item("z", 0, "l"), "l:\n- name: z\n- name: a # kept\n  x: 'q'\n"},
		{"item after the last, indented list", "l:\n  - name: a\n  # trailing\nb: 1\n", item("z", 1, "l"), "l:\n  - name: a\n  - name: z\n  # trailing\nb: 1\n"},
		{"flow map", "a: {b: 1,  c: 'x'} # f\n", set("v", "a", "z"), "a: {b: 1,  c: 'x',  z: v} # f\n"},
		{"flow list", "l: [{name: a}, {name: b}]\n", item("z", 1, "l"), "l: [{name: a}, {name: z}, {name: b}]\n"},
		{"JSON", `{"a": {"b": 1}, "l": []}` + "\n", set("v", "a", "z"), `{"a": {"b": 1, "z": "v"}, "l": []}` + "\n"},
		{"CRLF", "a:\r\n  b: 1\r\n", set("v", "a", "z"), "a:\r\n  b: 1\r\n  z: v\r\n"},
		{"no final line end", "a:\n  b: 1", set("v", "a", "z"), "a:\n  b: 1\n  z: v"},
		{"alias is written out where its anchor changes", "a: &x\n  b: 1\nc: *x\n", set("v", "a", "z"), "a: &x\n  b: 1\n  z: v\nc: {b: 1}\n"},
		{"alias itself changes", "a: &x {b: 1}\nc: *x\n", set("v", "c", "z"), "a: &x {b: 1}\nc:\n  b: 1\n  z: v\n"},
		{"block text stays", "a: |\n  one\n  two\nb: {}\n", set("v", "b", "z"), "a: |\n  one\n  two\nb: {z: v}\n"},
		{"separator stays", "---\na: 1\n", set("2", "a"), "---\na: \"2\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before, after := decode(t, []byte(tt.text)), decode(t, []byte(tt.text))
			tt.change(after.(map[string]any))
			got, err := (&manifest.Editor{Key: byName}).Edit([]byte(tt.text), before, after)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzEdit makes one change of every sort to any document. The edit says what
// it should, or is refused; comments on other lines stay.
func FuzzEdit(f *testing.F) {
	for _, text := range texts() {
		f.Add([]byte(text), uint8(3), uint8(1))
	}
	f.Add([]byte("# c\nspec:\n  containers:\n  - {name: a, image: 'b'} # d\n  - name: c\n"), uint8(2), uint8(0))
	f.Fuzz(func(t *testing.T, text []byte, where, what uint8) {
		j, err := yaml.YAMLToJSON(text)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(j))
		d.UseNumber()
		var before any
		if d.Decode(&before) != nil {
			return
		}
		after := mutate(before, int(where), int(what))
		got, err := (&manifest.Editor{Key: byName}).Edit(text, before, after)
		if err != nil {
			return
		}
		if want := manifest.Apply(before, before, after, byName); !manifest.Equal(decode(t, got), want) {
			t.Errorf("%q became %q, which is not %v", text, got, want)
		}
	})
}

// mutate is tree with one value changed: the where-th, in order of keys.
func mutate(tree any, where, what int) any {
	count := 0
	var walk func(v any) any
	walk = func(v any) any {
		count++
		if count-1 == where%8 {
			switch what % 3 {
			case 0:
				return "changed: #"
			case 1:
				return map[string]any{"name": "n", "list": []any{"x", map[string]any{"name": "y"}}}
			}
			return nil
		}
		switch v := v.(type) {
		case map[string]any:
			result := map[string]any{}
			for _, key := range slices.Sorted(maps.Keys(v)) {
				result[key] = walk(v[key])
			}
			return result
		case []any:
			result := make([]any, len(v))
			for i := range v {
				result[i] = walk(v[i])
			}
			return append(result, map[string]any{"name": "added"})
		}
		return v
	}
	return walk(tree)
}

func TestApply(t *testing.T) {
	t.Parallel()
	tree := decode(t, []byte("known: 1024Mi\nunknown: kept\nl: [{name: a, unknown: kept, x: 1}, {name: b}]\n"))
	before := decode(t, []byte("known: 1Gi\nl: [{name: a, x: 1}, {name: b}]\n"))
	tests := []struct{ name, after, want string }{
		{"no change keeps the spelling", "known: 1Gi\nl: [{name: a, x: 1}, {name: b}]\n", "known: 1024Mi\nunknown: kept\nl: [{name: a, unknown: kept, x: 1}, {name: b}]\n"},
		{"change within an item", "known: 1Gi\nl: [{name: a, x: 2}, {name: b}]\n", "known: 1024Mi\nunknown: kept\nl: [{name: a, unknown: kept, x: 2}, {name: b}]\n"},
		{"order and additions", "known: 1Gi\nl: [{name: z}, {name: b}, {name: a, x: 1}]\n", "known: 1024Mi\nunknown: kept\nl: [{name: z}, {name: b}, {name: a, unknown: kept, x: 1}]\n"},
		{"removal", "l: [{name: b}]\n", "unknown: kept\nl: [{name: b}]\n"},
		{"items without a key: the list is replaced", "known: 1Gi\nl: [1]\n", "known: 1024Mi\nunknown: kept\nl: [1]\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := manifest.Apply(tree, before, decode(t, []byte(tt.after)), byName)
			if diff := cmp.Diff(decode(t, []byte(tt.want)), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	original := []byte("# c\na: 1\nb:   'x'\n")
	for name, edited := range map[string]string{
		"changed": "# c\na: 2\nb:   'x'\nc: 3\n", "same": string(original), "shorter": "a: 1\n",
		"CRLF": "a: 1\r\nb: 2\r\n", "no final line end": "a: 1", "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded := manifest.WithUndo([]byte(edited), original)
			if !strings.HasPrefix(string(recorded), edited) {
				t.Errorf("the record changes the text: %q", recorded)
			}
			got, ok := manifest.Undo(recorded)
			if !ok || !bytes.Equal(got, original) {
				t.Errorf("Undo = %q, %v", got, ok)
			}
			if _, ok := manifest.Undo(append([]byte("z: 1\n"), recorded...)); ok {
				t.Error("Undo believes a record of a text that has changed since")
			}
			if _, ok := manifest.Undo(append(recorded, "z: 1\n"...)); ok {
				t.Error("Undo believes a record that is not at the end")
			}
		})
	}
	if _, ok := manifest.Undo(original); ok {
		t.Error("Undo finds a record where none is")
	}
}

// FuzzUndo: what is recorded comes back, and no record, however made, panics.
func FuzzUndo(f *testing.F) {
	f.Add([]byte("a: 1\nb: 2\n"), []byte("b: 2\nc: 3"))
	f.Add([]byte("# meshctl.dev/undo: 0011 AA\n"), []byte(""))
	f.Fuzz(func(t *testing.T, edited, original []byte) {
		manifest.Undo(edited)
		got, ok := manifest.Undo(manifest.WithUndo(edited, original))
		if !ok || !bytes.Equal(got, original) {
			t.Errorf("Undo = %q, %v, want %q", got, ok, original)
		}
	})
}

func ExampleEditor() {
	text := []byte("# my service\nmetadata:\n  name: web   # do not rename\n")
	before := map[string]any{"metadata": map[string]any{"name": "web"}}
	after := map[string]any{"metadata": map[string]any{"name": "web", "labels": map[string]any{"app": "web"}}}
	editor := manifest.Editor{Key: func([]string) string { return "name" }}
	edited, err := editor.Edit(text, before, after)
	if err != nil {
		panic(err)
	}
	fmt.Print(string(edited))
	// Output:
	// # my service
	// metadata:
	//   name: web   # do not rename
	//   labels:
	//     app: web
}
