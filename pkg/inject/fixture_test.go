package inject_test

import (
	"context"
	"encoding/json"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/inject/profile"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// option changes the options of a test's injector.
type option func(testing.TB, *inject.Options)

// defaults are the embedded configuration with the options laid over it.
func defaults(t testing.TB, options ...option) *inject.Injector {
	t.Helper()
	i, err := inject.New(defaultOptions(t, options...))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func defaultOptions(t testing.TB, options ...option) inject.Options {
	t.Helper()
	values, err := inject.ParseValues(profile.Values())
	if err != nil {
		t.Fatal(err)
	}
	o := inject.Options{Config: profile.Config(), Values: values, Mesh: mesh.DefaultConfig(), Layout: inject.Classic}
	for _, change := range options {
		change(t, &o)
	}
	return o
}

func native(_ testing.TB, o *inject.Options) { o.Layout = inject.Native }
func clean(_ testing.TB, o *inject.Options)  { o.Reinject = inject.Clean }

func values(settings ...string) option {
	return func(t testing.TB, o *inject.Options) {
		t.Helper()
		var sets []inject.Set
		for _, s := range settings {
			set, err := inject.ParseSet(s)
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, set)
		}
		var err error
		if o.Values, err = o.Values.With(sets...); err != nil {
			t.Fatal(err)
		}
	}
}

func meshConfig(text string) option {
	return func(t testing.TB, o *inject.Options) {
		t.Helper()
		var err error
		if o.Mesh, err = mesh.ParseConfig([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func identity(id inject.Identity) option {
	return func(t testing.TB, o *inject.Options) {
		t.Helper()
		var err error
		if o.Values, o.Mesh, err = inject.WithIdentity(id, o.Values, o.Mesh); err != nil {
			t.Fatal(err)
		}
	}
}

// config replaces the templates, and whatever else the text says.
func config(text string) option {
	return func(t testing.TB, o *inject.Options) {
		t.Helper()
		var err error
		if o.Config, err = inject.ParseConfig([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

// templates are a configuration of these templates only.
func templates(byName map[string]string) option {
	return func(_ testing.TB, o *inject.Options) {
		o.Config = &inject.Config{Templates: byName, Policy: inject.PolicyEnabled}
	}
}

// document is the one document of a text.
func document(t *testing.T, text string) *manifest.Document {
	t.Helper()
	s, err := manifest.Read("app.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Documents) != 1 {
		t.Fatalf("%d documents, want one", len(s.Documents))
	}
	return &s.Documents[0]
}

// injectPod injects a bare pod and gives it back typed, with its outcome.
func injectPod(t *testing.T, i *inject.Injector, text string) (*corev1.Pod, inject.Outcome) {
	t.Helper()
	r, err := i.Document(document(t, text))
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(r.After, pod); err != nil {
		t.Fatal(err)
	}
	return pod, r.Changes[0].Outcome
}

// failure is the error that injecting the document gives.
func failure(t *testing.T, i *inject.Injector, text string) string {
	t.Helper()
	_, err := i.Document(document(t, text))
	if err == nil {
		t.Fatal("no error")
	}
	return err.Error()
}

// run applies an engine to a text.
func run(t *testing.T, engine inject.Engine, text []byte) inject.Output {
	t.Helper()
	s, err := manifest.Read("app.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := inject.Run(context.Background(), []*manifest.Stream{s}, engine)
	if err != nil {
		t.Fatal(err)
	}
	return outputs[0]
}

func canonical(t *testing.T, engine inject.Engine, text []byte) []byte {
	t.Helper()
	out, err := run(t, engine, text).Canonical(context.Background(), &manifest.Encoder{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func preserved(t *testing.T, engine inject.Engine, text []byte) []byte {
	t.Helper()
	out, err := run(t, engine, text).Preserved(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func uninject(d *manifest.Document) (*inject.Result, error) {
	return inject.NewUninjector(mesh.KnownPodTemplates(), nil).Document(d)
}

// unchanged is the engine that changes nothing: its canonical form is the
// text's own.
func unchanged(d *manifest.Document) (*inject.Result, error) {
	r, err := uninject(d)
	if err == nil {
		r.After = r.Before
	}
	return r, err
}

// names are the containers' names in order.
func names(containers []corev1.Container) []string {
	all := []string{}
	for _, c := range containers {
		all = append(all, c.Name)
	}
	return all
}

func containerOf(t *testing.T, pod *corev1.Pod, name string) corev1.Container {
	t.Helper()
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range list {
			if c.Name == name {
				return c
			}
		}
	}
	t.Fatalf("no container %s", name)
	return corev1.Container{}
}

func envOf(c corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// asYAML is v as text, for comparing by eye.
func asYAML(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// applyPatch applies a JSON patch (RFC 6902).
func applyPatch(object, operations []byte) ([]byte, error) {
	patch, err := jsonpatch.DecodePatch(operations)
	if err != nil {
		return nil, err
	}
	return patch.Apply(object)
}
