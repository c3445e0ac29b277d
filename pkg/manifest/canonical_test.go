package manifest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// documents are JSON texts that reach every branch of the writer.
func documents() []string {
	return []string{
		`{}`, `[]`, `null`, `"x"`, `1`, `{"a":{}}`, `{"a":[],"b":null}`,
		`{"a":[1,"1",true,"true",null,[],{},[1,[2]],[{"x":1,"y":[3]}]]}`,
		`{"z":1,"a10":1,"a9":2,"a":3,"A":4,"_":5,"1":6,"01":7,"a-1":8,"b01b":10,"a100":1,"a1000":2,"b1":2,"b001":3}`,
		`{"multi":"a\nb\n","strip":"a\nb","keep":"a\n\n","lead":" a\nb","tail":"a \nb","tab":"\ta\nb","cr":"a\r\nb"}`,
		`{"deep":{"list":[{"multi":"l1\n\nl3\n"}]}}`,
		`["a\nb", ["c\nd\n"]]`,
		`{"yes":"yes","on":"on","no":"0x1f","f":"1e3","g":"1_000","t":"2001-01-01","b":"12:30:45","n":"~","m":"<<","e":""}`,
		`{"colon":"a: b","hash":"a #b","dash":"- a","q":"'","dq":"\"","bs":"\\","at":"@x","pct":"%x","star":"*","amp":"&a","br":"{a}","ex":"!x"}`,
		`{"url":"http://x/y?z=1","ctl":"\u0001","uni":"é→😀","bom":"\ufeff","nbsp":"\u00a0x","ls":"\u2028"}`,
		`{"f":1.5,"big":1e21,"neg":-0,"min":-9223372036854775808,"max":18446744073709551615,"over":18446744073709551616,"e":1E5,"z":0.0}`,
		`{"` + longText(130) + `":1,"v":"` + longText(300) + `"}`,
		`{"null":1,"true":2,"1.5":3,"=":4,"a b":5,"a:b":6,"multi\nline":7}`,
	}
}

func longText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abc def/"[i%8]
	}
	return string(b)
}

// TestEncoder holds the canonical form to the library that defines it (INJ-10).
func TestEncoder(t *testing.T) {
	t.Parallel()
	var e manifest.Encoder
	for _, doc := range documents() {
		want, err := yaml.JSONToYAML([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.FromJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-library +Encoder):\n%s", doc, diff)
		}
	}
}

func FuzzEncoder(f *testing.F) {
	for _, doc := range documents() {
		f.Add([]byte(doc))
	}
	f.Add([]byte(`{"01":7,"1":6,"A":4,"_":5,"a":3,"a-":8,"a10":1,"a100":1,"a1A00":2,"a9":2,"b01b":10,"b071":3,"b1":2,"z":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if json.Unmarshal(data, &v) != nil {
			return
		}
		text, err := json.Marshal(v)
		if err != nil {
			return
		}
		want, err := yaml.JSONToYAML(text)
		if err != nil {
			return
		}
		var e manifest.Encoder
		got, err := e.FromJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		// The library's order of keys has circles (a1A00 < a9 < a10 < a1A00): of
		// such keys its output changes from call to call, and ours need only say
		// the same.
		undecided := false
		for try := 0; try < 50 && string(want) != string(got) && !undecided; try++ {
			again, err := yaml.JSONToYAML(text)
			if err != nil {
				t.Fatal(err)
			}
			undecided = string(again) != string(want)
		}
		if undecided {
			ours, err := yaml.YAMLToJSON(got)
			theirs, libraryErr := yaml.YAMLToJSON(want)
			if err != nil || libraryErr != nil || string(ours) != string(theirs) {
				t.Errorf("%s became %s (%v), with the library %s (%v)", text, ours, err, theirs, libraryErr)
			}
			return
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-library +Encoder):\n%s", text, diff)
		}
	})
}
