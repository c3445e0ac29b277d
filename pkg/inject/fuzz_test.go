package inject_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// fuzzEngine is made once for all inputs of a fuzz target.
func fuzzEngine(f *testing.F, layout inject.Layout) *inject.Injector {
	f.Helper()
	o := defaultOptions(f, clean)
	o.Layout = layout
	o.PodTemplates = mesh.KnownPodTemplates()
	i, err := inject.New(o)
	if err != nil {
		f.Fatal(err)
	}
	return i
}

// FuzzManifest: no manifest panics; one that is refused is refused with a
// place; one that is injected obeys the laws that hold for all.
func FuzzManifest(f *testing.F) {
	for _, name := range []string{"shop.yaml", "kinds.yaml"} {
		text, err := os.ReadFile("../../testdata/examples/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for _, d := range bytes.Split(text, []byte("---\n")) {
			f.Add(d)
		}
	}
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, spec: {}}]\n"))
	f.Add([]byte(pod(`sidecar.istio.io/userVolume: '{"a":{"emptyDir":{}}}', proxy.istio.io/overrides: '{}'`, app)))
	classic, native := fuzzEngine(f, inject.Classic), fuzzEngine(f, inject.Native)
	encoder := &manifest.Encoder{}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := manifest.Read("app.yaml", text)
		if err != nil {
			return
		}
		for _, i := range []*inject.Injector{classic, native} {
			outputs, err := inject.Run(context.Background(), []*manifest.Stream{s}, i.Document)
			if err != nil {
				var input *report.InputError
				if !errors.As(err, &input) || input.Location.File != "app.yaml" {
					t.Errorf("an error without a place: %v", err)
				}
				continue
			}
			if _, err := outputs[0].Canonical(context.Background(), encoder); err != nil {
				t.Errorf("canonical form: %v", err)
			}
			edited, err := outputs[0].Preserved(context.Background())
			if err != nil {
				continue // refused, with a place
			}
			back, err := manifest.Read("app.yaml", edited)
			if err != nil {
				t.Fatalf("the edited text cannot be read: %v", err)
			}
			if _, err := inject.Run(context.Background(), []*manifest.Stream{back}, uninject); err != nil {
				t.Errorf("the edited text cannot be uninjected: %v", err)
			}
		}
	})
}

// FuzzTemplate: no template panics, whatever it asks of the data.
func FuzzTemplate(f *testing.F) {
	f.Add("spec: {containers: [{name: a, image: {{ .ProxyImage | quote }}}]}")
	f.Add("{{ range .Spec.Containers }}{{ .Name }}{{ end }}{{ define \"x\" }}{{ template \"x\" . }}{{ end }}")
	f.Add("{{ .MeshConfig.GetDefaultConfig.GetTracing.GetTlsSettings.GetCaCertificates }}{{ index .Values \"a\" }}")
	f.Add("metadata: {annotations: {a: {{ appendMultusNetwork \"[]\" \"a/b\" }}}}")
	o := defaultOptions(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<10 {
			return
		}
		o := o
		o.Config = &inject.Config{Templates: map[string]string{"sidecar": text}, Policy: inject.PolicyEnabled}
		i, err := inject.New(o)
		if err != nil {
			return
		}
		_, _ = i.Document(document(t, pod("", app)))
	})
}

// FuzzValues: no values, mesh config or injector config panics.
func FuzzValues(f *testing.F) {
	f.Add([]byte("global: {hub: h, tag: 1, proxy: {}, proxy_init: {}}\n"), []byte("trustDomain: x\n"), []byte(marker))
	f.Fuzz(func(t *testing.T, values, meshText, config []byte) {
		o := defaultOptions(t)
		var err error
		if o.Values, err = inject.ParseValues(values); err != nil {
			return
		}
		if o.Mesh, err = mesh.ParseConfig(meshText); err != nil {
			return
		}
		if c, err := inject.ParseConfig(config); err == nil && len(config) < 1<<10 {
			o.Config = c
		}
		i, err := inject.New(o)
		if err != nil {
			return
		}
		_, _ = i.Document(document(t, pod("", app)))
	})
}

// FuzzAnnotation: no annotation that injection reads panics.
func FuzzAnnotation(f *testing.F) {
	keys := []string{
		"sidecar.istio.io/inject", "sidecar.istio.io/status", "inject.istio.io/templates", "proxy.istio.io/overrides", "proxy.istio.io/config",
		"sidecar.istio.io/proxyImage", "sidecar.istio.io/proxyImageType", "sidecar.istio.io/interceptionMode", "sidecar.istio.io/nativeSidecar",
		"sidecar.istio.io/rewriteAppHTTPProbers", "status.sidecar.istio.io/port", "prometheus.istio.io/merge-metrics", "prometheus.istio.io/scrape-targets",
		"prometheus.io/port", "sidecar.istio.io/userVolume", "sidecar.istio.io/userVolumeMount", "sidecar.istio.io/bootstrapOverride",
		"traffic.sidecar.istio.io/includeOutboundPorts", "traffic.sidecar.istio.io/excludeInterfaces", "sidecar.istio.io/proxyCPU",
		"k8s.v1.cni.cncf.io/networks", "sidecar.istio.io/logLevel", "traffic.sidecar.istio.io/excludeInboundPorts",
	}
	for n := range keys {
		f.Add(uint8(n), `{"a":{"name":"x"}}`)
		f.Add(uint8(n), "15020")
	}
	i := fuzzEngine(f, inject.Classic)
	f.Fuzz(func(_ *testing.T, key uint8, value string) {
		object, err := (&manifest.Encoder{}).Marshal(map[string]any{
			"apiVersion": "v1", "kind": "Pod",
			"metadata": map[string]any{"name": "p", "annotations": map[string]any{keys[int(key)%len(keys)]: value}},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "app", "image": "x"}}},
		})
		if err != nil {
			return
		}
		s, err := manifest.Read("app.yaml", object)
		if err != nil || len(s.Documents) != 1 {
			return
		}
		if _, err := i.Document(&s.Documents[0]); err == nil {
			_, _ = i.Explain(&s.Documents[0], nil)
			_, _ = uninject(&s.Documents[0])
		}
	})
}

// FuzzConfigMap: no stream panics when a ConfigMap is looked for in it.
func FuzzConfigMap(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-sidecar-injector}\ndata: {config: c}\n---\n{}\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = inject.ExtractConfigMap("in.yaml", text, "istio-sidecar-injector", "", "config")
		_, _ = inject.ParseSet(string(text))
	})
}
