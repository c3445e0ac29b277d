package inject_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/inject"
)

func TestExtractConfigMap(t *testing.T) {
	t.Parallel()
	cm := func(name, data string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {" + data + "}\n"
	}
	const name, key = "istio-sidecar-injector", "config"
	tests := []struct {
		name, text, revision string
		want                 string
		err                  string
	}{
		{"raw value", "templates: {sidecar: x}\n", "", "templates: {sidecar: x}\n", ""},
		{"bare template that is no YAML (INJ-123)", "{{ if .X }}\na: b\n c\n{{ end }}\n", "", "{{ if .X }}\na: b\n c\n{{ end }}\n", ""},
		{"ConfigMap", cm(name, "config: c, values: v"), "", "c", ""},
		{"JSON", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"istio-sidecar-injector"},"data":{"config":"c"}}`, "", "c", ""},
		{"among other objects of a stream", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\n" + cm("istio", "mesh: m") + "---\n" + cm(name, "config: c"), "", "c", ""},
		{"in a List", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: istio-sidecar-injector}, data: {config: c}}\n", "", "c", ""},
		{"revision", cm(name, "config: c") + "---\n" + cm(name+"-canary", "config: r"), "canary", "r", ""},
		{"default revision is none", cm(name, "config: c") + "---\n" + cm(name+"-canary", "config: r"), "default", "c", ""},
		{"the only one, of any revision", cm(name+"-canary", "config: r"), "", "r", ""},
		{"a single ConfigMap may have any name", cm("copy-of-it", "config: c"), "", "c", ""},
		{"several, none exact", cm(name+"-a", "config: a") + "---\n" + cm(name+"-b", "config: b"), "", "", "in.yaml: several ConfigMaps have key \"config\" (istio-sidecar-injector-a, istio-sidecar-injector-b): choose with --revision"},
		{"no such key", cm(name, "values: v"), "", "", `in.yaml: no ConfigMap "istio-sidecar-injector" with key "config" in it`},
		{"only other objects", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n", "", "", `in.yaml: no ConfigMap "istio-sidecar-injector" with key "config" in it`},
		{"data that is not text", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {config: {a: 1}}\n", "", "", `in.yaml: no ConfigMap "istio-sidecar-injector" with key "config" in it`},
		{"broken stream", cm(name, "config: c") + "---\na: b\n c: d\n", "", "", "in.yaml:7:3: error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := inject.ExtractConfigMap("in.yaml", []byte(tt.text), name, tt.revision, key)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestParseConfig(t *testing.T) {
	t.Parallel()
	c, err := inject.ParseConfig([]byte("spec: {{ .Values }}\n"))
	if err != nil || c.Templates["sidecar"] != "spec: {{ .Values }}\n" || c.Policy != inject.PolicyEnabled {
		t.Errorf("bare template: %v, %v", c, err)
	}
	c, err = inject.ParseConfig([]byte("template: tripwire\ntemplates: {sidecar: a}\n"))
	if err != nil || c.Templates["sidecar"] != "a" || len(c.Templates) != 1 {
		t.Errorf("the tripwire for old injectors (INJ-95): %v, %v", c, err)
	}
	for text, want := range map[string]string{
		" \n":                      "the injection config is empty",
		"a: 1\ntemplates: [x]\n":   "injection config: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go struct field Config.templates of type map[string]string",
		"a: :\ntemplates:\n  a: 1": "injection config: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
	} {
		if _, err := inject.ParseConfig([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestNew: a bad configuration is told before any manifest is read (INJ-40).
func TestNew(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    option
		want string
	}{
		{"nothing", func(_ testing.TB, o *inject.Options) { *o = inject.Options{} }, "inject: config, values and mesh config are required"},
		{"unknown function", templates(map[string]string{"sidecar": "a", "unused": "{{ nosuch }}"}), `injection template "unused": template: inject:1: function "nosuch" not defined (the template is for another Istio version: its functions are not those of Istio 1.31)`},
		{"broken template", templates(map[string]string{"sidecar": "a\n{{ if }}"}), `injection template "sidecar": template: inject:2: missing value for if`},
		{"bad selector", func(_ testing.TB, o *inject.Options) {
			o.Obey = inject.WebhookRules
			_ = json.Unmarshal([]byte(`{"neverInjectSelector":[{"matchExpressions":[{"key":"a","operator":"Near"}]}]}`), o.Config)
		}, `injection config: neverInjectSelector[0]: "Near" is not a valid label selector operator`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := inject.New(defaultOptions(t, tt.o)); err == nil || err.Error() != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestRenderErrors: what templates can do wrong (section 11 of the injection
// reference).
func TestRenderErrors(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"a: b\n c: d":                       `failed to run injection template: failed applying injection overlay: template "sidecar" renders no valid YAML: error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context`,
		"text":                              `failed to run injection template: failed applying injection overlay: template "sidecar" renders no pod, but string`,
		"spec: {containers: x}":             `failed to run injection template: failed parsing generated injected YAML (check Istio sidecar injector configuration): json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container`,
		"spec: {priority: high}":            `failed to run injection template: failed parsing generated injected YAML (check Istio sidecar injector configuration): json: cannot unmarshal string into Go struct field PodSpec.spec.priority of type int32`,
		`{{ fail "told by the template" }}`: `failed to run injection template: template "sidecar": template: inject:1:3: executing "inject" at <fail "told by the template">: error calling fail: told by the template`,
		"{{ repeat 2000000000 \"x\" }}":     `error calling repeat: repeat: 2000000000 is more than 1048576`,
		"{{ until 99999999 }}":              `error calling until: until: 99999999 is more than 1048576`,
		"{{ untilStep 0 99999999 1 }}":      `error calling untilStep: untilStep: 99999999 is more than 1048576`,
		"{{ indent 99999999 \"a\\nb\" }}":   `error calling indent: indent: 99999999 is more than 1048576`,
		"{{ range until 1000 }}{{ repeat 100000 \"x\" }}{{ end }}": `renders more than 16 MiB`,
		"{{ .NoSuch }}": `failed to run injection template: template "sidecar": template: inject:1:3: executing "inject" at <.NoSuch>: can't evaluate field NoSuch in type *inject.templateData`,
	} {
		got := failure(t, defaults(t, templates(map[string]string{"sidecar": template})), pod("", app))
		if !strings.Contains(got, want) {
			t.Errorf("%q:\ngot  %s\nwant %s", template, got, want)
		}
	}
}

func TestParseValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":              `no "global" block: expected the "values" of the injector's ConfigMap`,
		"global: 1\n":   "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal number into Go struct field knownValues.global of type",
		"a: b\n c: d\n": "error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context",
	} {
		if _, err := inject.ParseValues([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestParseSet(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]inject.Set{
		"a.b=c":             {Path: []string{"a", "b"}, Value: "c"},
		"values.a=1":        {Path: []string{"a"}, Value: float64(1)},
		"a=true":            {Path: []string{"a"}, Value: true},
		`a.b\.c=x`:          {Path: []string{"a", "b.c"}, Value: "x"},
		"a={b: [1]}":        {Path: []string{"a"}, Value: map[string]any{"b": []any{float64(1)}}},
		"a=b=c":             {Path: []string{"a"}, Value: "b=c"},
		"a=":                {Path: []string{"a"}, Value: nil},
		"a='1'":             {Path: []string{"a"}, Value: "1"},
		"a=10.0.0.0/8,fd::": {Path: []string{"a"}, Value: "10.0.0.0/8,fd::"},
	} {
		got, err := inject.ParseSet(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"a":     `setting "a": expected path=value, such as global.proxy.logLevel=debug`,
		"=x":    `setting "=x": expected path=value, such as global.proxy.logLevel=debug`,
		"a..b=": `setting "a..b=": empty name in the path`,
		"a={":   `setting "a={": error converting YAML to JSON`,
	} {
		if _, err := inject.ParseSet(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestValuesWith(t *testing.T) {
	t.Parallel()
	v, err := inject.ParseValues([]byte("global: {hub: h}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.With(inject.Set{Path: []string{"global", "hub", "x"}, Value: 1}); err == nil || err.Error() != `setting global.hub.x: "hub" is not a map` {
		t.Errorf("a setting within a text: %v", err)
	}
	if _, err := v.With(inject.Set{Path: []string{"new", "deep"}, Value: 1}); err != nil {
		t.Errorf("a new map: %v", err)
	}
}
