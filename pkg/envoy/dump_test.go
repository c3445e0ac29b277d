package envoy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/report"
)

// forms are one configuration in all the forms that are read, by file name.
func forms(tb testing.TB, c *envoy.Config) map[string][]byte {
	tb.Helper()
	var document, list bytes.Buffer
	if err := envoy.NewEncoder().Write(&document, []*envoy.Config{c}); err != nil {
		tb.Fatal(err)
	}
	if err := envoy.NewEncoder().Write(&list, []*envoy.Config{c, c}); err != nil {
		tb.Fatal(err)
	}
	asYAML, err := yaml.JSONToYAML(document.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	compact, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	return map[string][]byte{
		"document.json": document.Bytes(), "list.json": list.Bytes(), "document.yaml": asYAML, "compact.json": compact, "dump.json": configDump(tb, c),
	}
}

// configDump is what /config_dump?include_eds of a sidecar with this
// configuration would be.
func configDump(tb testing.TB, c *envoy.Config) []byte {
	tb.Helper()
	parts := map[string]json.RawMessage{}
	text, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(text, &parts); err != nil {
		tb.Fatal(err)
	}
	section := func(of, list, static, part, message, field, state string) string {
		var items []map[string]any
		if err := json.Unmarshal(parts[part], &items); err != nil {
			tb.Fatal(err)
		}
		for i, item := range items {
			item["@type"] = "type.googleapis.com/envoy.config." + message
			items[i] = map[string]any{field: item}
			if state != "" {
				items[i] = map[string]any{"name": item["name"], state: map[string]any{"version_info": "2026-01-01/7", field: item, "last_updated": "2026-01-01T00:00:00Z"}}
			}
		}
		all, err := json.Marshal(items)
		if err != nil {
			tb.Fatal(err)
		}
		return fmt.Sprintf(`{"@type": "type.googleapis.com/envoy.admin.v3.%s", "%s": [], "%s": %s}`, of, static, list, all)
	}
	return []byte(`{"configs": [
{"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {"node": {
  "id": "sidecar~10.0.0.1~cart-5d7~x.shop~shop.svc.cluster.local", "metadata": {"NAMESPACE": "shop", "WORKLOAD_NAME": "cart"}}}},
{"@type": "type.googleapis.com/some.later.Section", "x": 1},
` + section("ClustersConfigDump", "dynamic_active_clusters", "static_clusters", "clusters", "cluster.v3.Cluster", "cluster", "") + ",\n" +
		section("ListenersConfigDump", "dynamic_listeners", "static_listeners", "listeners", "listener.v3.Listener", "listener", "active_state") + ",\n" +
		section("RoutesConfigDump", "dynamic_route_configs", "static_route_configs", "routes", "route.v3.RouteConfiguration", "route_config", "") + ",\n" +
		section("EndpointsConfigDump", "dynamic_endpoint_configs", "static_endpoint_configs", "endpoints", "endpoint.v3.ClusterLoadAssignment", "endpoint_config", "") + `,
{"@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump", "dynamic_active_secrets": [{"name": "default", "secret": {
  "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "name": "default",
  "tls_certificate": {"certificate_chain": {"inline_bytes": "bm9uZQ=="}, "private_key": {"inline_bytes": "c2VjcmV0LWtleQ=="}}}}]}
]}`)
}

// The same configuration is read from each of the forms.
func TestParseConfig(t *testing.T) {
	t.Parallel()
	c := generate(t, cartPolicies)
	for name, text := range forms(t, c) {
		all, err := envoy.ParseConfig(name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, d := range all {
			if diff := cmp.Diff(c, &d.Config, protocmp.Transform(), sentOnly()); diff != "" {
				t.Errorf("%s (-written +read):\n%.2000s", name, diff)
			}
		}
		if want := map[bool]int{true: 2, false: 1}[name == "list.json"]; len(all) != want {
			t.Errorf("%s: %d configurations, want %d", name, len(all), want)
		}
	}
}

func TestParseConfigDump(t *testing.T) {
	t.Parallel()
	all, err := envoy.ParseConfig("dump.json", configDump(t, generate(t, cartPolicies)))
	if err != nil {
		t.Fatal(err)
	}
	d := all[0]
	if diff := cmp.Diff([]envoy.Secret{{Name: "default", Kind: "Cert Chain"}}, d.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	want := []string{`section "type.googleapis.com/some.later.Section" of the dump is not known here and left out`}
	if diff := cmp.Diff(want, d.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if got := fmt.Sprintf("%+v", d); strings.Contains(got, "secret-key") || strings.Contains(got, "c2VjcmV0LWtleQ") {
		t.Error("the private key was kept")
	}
}

func TestReadConfigDir(t *testing.T) {
	t.Parallel()
	c := generate(t, cartPolicies)
	files, err := envoy.NewEncoder().Files(c)
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{"shop/README/x.md": {Data: []byte("#")}}
	for name, text := range files {
		dir["shop/cart/"+name] = &fstest.MapFile{Data: text}
	}
	if !envoy.IsConfigDir(dir) {
		t.Error("the directory is not recognized")
	}
	all, err := envoy.ReadConfigDir("out", dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, &all[0].Config, protocmp.Transform(), sentOnly()); len(all) != 1 || diff != "" {
		t.Errorf("%d configurations (-written +read):\n%.2000s", len(all), diff)
	}
	dir["shop/cart/routes.json"] = &fstest.MapFile{Data: []byte("[{\n")}
	if _, err = envoy.ReadConfigDir("out", dir); err == nil || err.Error() != "out/shop/cart/routes.json:2:1: the text ends in the middle of a value: the file is cut off" {
		t.Errorf("cut off: %v", err)
	}
	if _, err = envoy.ReadConfigDir("out", fstest.MapFS{}); err == nil || !strings.HasPrefix(err.Error(), "out: no NAMESPACE/NAME/") {
		t.Errorf("empty directory: %v", err)
	}
}

// Configuration of extensions that are not known here stays whole (EC-130).
func TestForeignExtensions(t *testing.T) {
	t.Parallel()
	const listener = `[{"name": "x", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}}, "filter_chains": [{"filters": [
  {"name": "istio.alpn", "typed_config": {"@type": "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig", "alpnOverride": [{"alpnOverride": ["istio"], "n": 12345678901}]}},
  {"name": "istio.stats", "typed_config": {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "typeUrl": "type.googleapis.com/stats.PluginConfig", "value": {"@type": "no/such"}}}
]}]}]`
	all, err := envoy.ParseConfig("listeners.json", []byte(listener))
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(all[0].Listeners[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"v2alpha1.FilterConfig", `"istio"`, "12345678901", "no/such"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s was lost: %s", want, text)
		}
	}
	text, err = json.Marshal(&all[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	again, err := envoy.ParseConfig("again.json", text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all[0], again[0], protocmp.Transform(), sentOnly()); diff != "" {
		t.Errorf("(-read +read again):\n%s", diff)
	}
}

// Fields of a later Envoy do not stop the rest from being read.
func TestLaterFields(t *testing.T) {
	t.Parallel()
	all, err := envoy.ParseConfig("l.json", []byte(`[{"name": "x", "address": {"pipe": {"path": "/p"}}, "field_of_tomorrow": 1}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`Listener "x" has the field "field_of_tomorrow", which is not known here and left out`}
	if diff := cmp.Diff(want, all[0].Notes); diff != "" || !all[0].Unread["x"] {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A fault is told with its place.
func TestParseConfigErrors(t *testing.T) {
	t.Parallel()
	const foreign = "no Envoy configuration: expected an EnvoyConfig, a config dump, a bootstrap, or a list of listeners, clusters, routes or endpoints"
	for text, want := range map[string]string{
		"":                            "f: empty",
		" \n":                         "f: empty",
		"{\"configs\": [\n {\"a\":":   "f:2:7: the text ends in the middle of a value: the file is cut off",
		"{\"configs\": [\n {\"a\"}]}": "f:2:6: not JSON: invalid character '}' after object key",
		`{"configs": []}`:             "f:1:13: a config dump without any section that is known here",
		`{"configs": {}}`:             "f:1:13: expected a list",
		`{"apiVersion": "v1"}`:        "f:1:1: " + foreign,
		`{"kind": "List"}`:            "f:1:1: a List without items",
		"{\"kind\": \"List\", \"items\": [\n{\"kind\": \"Pod\"}]}":        "f:2:1: " + foreign,
		`{"kind": "EnvoyConfig", "x": 1}`:                                 `f:1:30: unknown field "x" of an EnvoyConfig`,
		"{\"kind\": \"EnvoyConfig\",\n\"listeners\": [\n {\"name\": 1}]}": "f:3:11: not a Listener: invalid value for string field name: 1",
		`[{"metadata": {"name": "x"}}]`:                                   "f:1:2: " + foreign,
		`[3]`:                                                             "f:1:2: expected an object",
		"\n 3":                                                            "f: " + foreign,
		`{"kind": "EnvoyConfig", "workload": 1}`:                          "f:1:37: workload: expected a text",
		"a: b: c":                                                         "f: neither JSON nor YAML: yaml: mapping values are not allowed in this context",
		"\x00\x01\x02":                                                    "f: neither JSON nor YAML: yaml: control characters are not allowed",
		`{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "static_listeners": 7}]}`: "f:1:102: expected a list",
	} {
		all, err := envoy.ParseConfig("f", []byte(text))
		var input *report.InputError
		if !errors.As(err, &input) || err.Error() != want {
			t.Errorf("%q: %v, %v; want %s", text, all, err, want)
		}
	}
}

func FuzzDump(f *testing.F) {
	c := generate(f, cartPolicies)
	small := &envoy.Config{Workload: c.Workload, Routes: c.Routes[:1], Endpoints: c.Endpoints[:1]}
	for _, text := range forms(f, small) { // large seeds make a slow search
		f.Add(text)
	}
	f.Add([]byte(`{"staticResources": {"listeners": [{"name": "x"}]}, "node": {"id": "a~b~c.d~e"}}`))
	f.Add([]byte(`[{"name": "x", "filterChains": [{"filters": [{"name": "a", "typedConfig": {"@type": "a/b"}}]}]}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := envoy.ParseConfig("f", text)
		var input *report.InputError
		if err != nil && !errors.As(err, &input) {
			t.Fatalf("an error without a place: %v", err)
		}
		for _, d := range all {
			if d == nil {
				continue
			}
			written, err := json.Marshal(&d.Config)
			if err != nil {
				t.Fatal(err)
			}
			again, err := envoy.ParseConfig("again", written)
			if err != nil {
				t.Fatalf("what was written cannot be read: %v\n%s", err, written)
			}
			if rewritten, _ := json.Marshal(&again[0].Config); !bytes.Equal(written, rewritten) {
				t.Fatalf("written %s, then %s", written, rewritten)
			}
		}
	})
}

// Whatever happens to a file, it is read or its fault is told.
func TestDamaged(t *testing.T) {
	t.Parallel()
	c := generate(t, cartPolicies)
	small := &envoy.Config{Workload: c.Workload, Listeners: c.Listeners[len(c.Listeners)-1:], Clusters: c.Clusters[:2], Routes: c.Routes[:1], Endpoints: c.Endpoints[:1]}
	faults := 0
	for name, text := range forms(t, small) {
		r := rand.New(rand.NewPCG(1, uint64(len(text))))
		for range 150 {
			damaged := bytes.Clone(text)
			for range 1 + r.IntN(3) {
				damaged[r.IntN(len(damaged))] = "{}[]\",:0a\\\n"[r.IntN(11)]
			}
			if r.IntN(3) == 0 {
				damaged = damaged[:r.IntN(len(damaged))]
			}
			all, err := envoy.ParseConfig(name, damaged)
			var input *report.InputError
			switch {
			case err == nil && len(all) == 0:
				t.Fatalf("nothing was read of %s", damaged)
			case err != nil && !errors.As(err, &input):
				t.Fatalf("%s: an error without a place: %v", name, err)
			case err != nil:
				faults++
			}
		}
	}
	if faults == 0 {
		t.Error("no damage was noticed")
	}
}
