package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// texts reach every branch of the everyday reader, and its borders.
func texts() []string {
	return []string{
		"a: 1\nb: [1, two, \"three\", {c: d}]\nc:\n- x\n- y: 1\n  z: 2\n-\n  q: 1\n",
		"---\na: {b: null, c: ~, d: true, e: yes, f: 'it''s'}\n",
		"a: |\n  one\n\n  two\nb: |-\n   x\n    y\nc: d # e\n",
		"a:\n  - b\n  -  c: 1\n     d: 2\n# end\n",
		"a: b\n c\n", "a: &x 1\nb: *x\n", "a: !!str 1\n", "? a\n: b\n", "<<: {a: 1}\n", "a: >\n  b\n", "- - a\n", "1: a\n", "yes: a\n",
		"a: b: c\n", "a: 'b\n  c'\n", "a: \"\\x41\\n\"\n", "a: 0x1f\nb: 010\nc: 1e3\nd: 2001-01-01\ne: 12:30:45\nf: .5\ng: 1_000\nh: .inf\ni: 0.1\n",
		"a: [1,2]\nb: {a: 1,b: 2}\nc: [a b, c]\nd: []\ne: {}\n", "a:b\n", "a: {b: c, d: {e: [f, g: h]}}\n", "a: \"b\"c\n", "a: -\n", "a: - b\n", "-a\n", "a: b #c\n", "a: b#c\n",
		"a: |\n  x\n y\n", "a:\nb:\n  c:\n", "a: 1\na: 2\n", "a: '1'\n\"b c\": d\n", "a: [\n 1]\n", "a: |\n\n  x\n", "a: x\n---\nb: y\n", "...\n", "", "# c\n", "text\n", "a: %x\n", "a: @x\n",
		"a: {\"b\":1,\"c\":[\"d\"]}\n", "{\"a\": {\"b\": 1}}\n", "a: |\n  x\n  \n\nb: 1\n", "a: ? b\n", "a: , b\n", "a: ] b\n", "- a: 1\n b: 2\n", "a: 123456789012345678901234567890\n", "a: {b: c}#d\n", "a: 9007199254740993\n",
	}
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1023, 1024, 1025, 1026, 3000} {
		key := strings.Repeat("k", n)
		for _, text := range []string{key + ": x\n", "- " + key + ": x\n", "a: {" + key + ": x}\n", "a: {\"" + key + "\": x}\n", "'" + key + "': x\n", key + ":\n  a: 1\n"} {
			sameTree(t, []byte(text))
		}
	}
	for _, text := range texts() {
		sameTree(t, []byte(text))
	}
}

// sameTree holds the Decoder to the library: the same value, or an error too.
func sameTree(t *testing.T, text []byte) {
	t.Helper()
	var want any
	j, wantErr := yaml.YAMLToJSON(text)
	if wantErr == nil {
		wantErr = json.Unmarshal(j, &want)
	}
	var d manifest.Decoder
	got, err := d.Tree(text)
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%q: Decoder says %v, the library %v", text, err, wantErr)
	}
	if diff := cmp.Diff(want, got); err == nil && diff != "" {
		t.Errorf("%q (-library +Decoder):\n%s", text, diff)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, text := range texts() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sameTree(t, text) })
}
