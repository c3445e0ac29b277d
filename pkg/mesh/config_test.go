package mesh_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

func TestParseConfig(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		get        func(*meshconfig.MeshConfig) any
		want       any
	}{
		{"nothing: the defaults (INJ-44)", "", func(m *meshconfig.MeshConfig) any { return m.ProxyListenPort }, int32(15001)},
		{"trust domain", "trustDomain: example.com\n", func(m *meshconfig.MeshConfig) any { return m.TrustDomain }, "example.com"},
		{"JSON", `{"rootNamespace": "mesh"}`, func(m *meshconfig.MeshConfig) any { return m.RootNamespace }, "mesh"},
		{"unknown fields are tolerated", "brandNew: 1\n", func(m *meshconfig.MeshConfig) any { return m.TrustDomain }, "cluster.local"},
		{"false is a value", "enablePrometheusMerge: false\n", func(m *meshconfig.MeshConfig) any { return m.EnablePrometheusMerge.GetValue() }, false},
		{"null is none", "trustDomain: null\n", func(m *meshconfig.MeshConfig) any { return m.TrustDomain }, "cluster.local"},
		{"defaultConfig is merged", "defaultConfig: {concurrency: 2}\n", func(m *meshconfig.MeshConfig) any {
			return fmt.Sprintln(m.DefaultConfig.Concurrency.GetValue(), m.DefaultConfig.StatusPort, m.DefaultConfig.DiscoveryAddress)
		}, "2 15020 istiod.istio-system.svc:15012\n"},
		{"providers are merged by name", "extensionProviders: [{name: envoy, envoyFileAccessLog: {path: /x}}, {name: mine, zipkin: {service: z, port: 1}}]\n", func(m *meshconfig.MeshConfig) any {
			var all []string
			for _, p := range m.ExtensionProviders {
				all = append(all, p.Name+p.GetEnvoyFileAccessLog().GetPath())
			}
			return all
		}, []string{"prometheus", "stackdriver", "envoy/x", "mine"}},
		{"aliases are sorted and unique", "trustDomainAliases: [b, a, b]\n", func(m *meshconfig.MeshConfig) any { return m.TrustDomainAliases }, []string{"a", "b"}},
		{"default providers", "defaultProviders: {tracing: [zipkin]}\n", func(m *meshconfig.MeshConfig) any { return m.DefaultProviders.Tracing }, []string{"zipkin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := mesh.ParseConfig([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.get(m)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseConfigErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"connectTimeout: 0s\n":                        "invalid connect timeout: duration must be greater than 1ms",
		"connectTimeout: 3601s\n":                     "invalid connect timeout: time 1h0m1s must be >1ms and <1h0m0s",
		"protocolDetectionTimeout: 0.0005s\n":         "invalid protocol detection timeout: only durations to ms precision are supported",
		"trustDomain: a_b\n":                          `trustDomain: "a_b" is not a trust domain such as cluster.local`,
		"trustDomain: ''\n":                           `trustDomain: "" is not a trust domain such as cluster.local`,
		"trustDomainAliases: [a., b..c]\n":            `trustDomainAliases[1]: "b..c" is not a trust domain such as cluster.local`,
		"defaultConfig: {drainDuration: 1.5s}\n":      "drain time only supports durations to seconds precision",
		"defaultConfig: {discoveryAddress: ''}\n":     "discovery address must be set to the proxy discovery service",
		"defaultConfig: {proxyAdminPort: 70000}\n":    "invalid proxy admin port: port number 70000 must be in the range 1..65535",
		"connectTimeout: 1.0005s\n":                   "invalid connect timeout: only durations to ms precision are supported",
		"proxyListenPort: 70000\n":                    "invalid proxy listen port: port number 70000 must be in the range 1..65535",
		"defaultConfig: {statusPort: -1}\n":           "invalid status port: port number -1 must be in the range 1..65535",
		"defaultConfig: {discoveryAddress: istiod}\n": `invalid discovery address "istiod": unable to split address "istiod": missing port in address`,
		"defaultConfig: {concurrency: two}\n":         `mesh config: defaultConfig: could not parse proxy config: concurrency: invalid value for int32 field value: "two"`,
		"proxyListenPort: no\ntrustDomain: [a]\n":     "mesh config: proxyListenPort: invalid value for int32 field proxyListenPort: false\ntrustDomain: invalid value for string field trustDomain: [",
		"defaultConfig: {tracing: {zipkin: {}}}\n":    `invalid zipkin address "": unable to split address "": missing port in address`,
		"- a\n": "mesh config: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]json.RawMessage",
	} {
		_, err := mesh.ParseConfig([]byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestApplyProxyConfig(t *testing.T) {
	t.Parallel()
	base := mesh.DefaultProxyConfig()
	base.ProxyMetadata = map[string]string{"A": "1", "B": "2"}
	kept := proto.Clone(base)
	got, err := mesh.ApplyProxyConfig(base, []byte("proxyMetadata: {B: x, C: z}\nstatusPort: 15022\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "x", "C": "z"}, got.ProxyMetadata); diff != "" {
		t.Errorf("proxyMetadata is merged by key (INJ-45) (-want +got):\n%s", diff)
	}
	if got.StatusPort != 15022 || got.ProxyAdminPort != 15000 {
		t.Errorf("ports %d and %d", got.StatusPort, got.ProxyAdminPort)
	}
	if !proto.Equal(base, kept) {
		t.Error("the base was changed")
	}
}

// FuzzParseConfig: no text panics, and what is accepted is valid.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("defaultConfig: {proxyMetadata: {A: b}, tracing: {zipkin: {address: z:1}}}\nextensionProviders: [{name: a}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := mesh.ParseConfig(text)
		if err != nil {
			return
		}
		if err := mesh.ValidateProxyConfig(m.DefaultConfig); err != nil {
			t.Errorf("accepted, but %v", err)
		}
	})
}

func ExampleParseConfig() {
	config, err := mesh.ParseConfig([]byte("trustDomain: example.com\n"))
	if err != nil {
		panic(err)
	}
	fmt.Println(config.TrustDomain, config.ProxyListenPort)
	// Output: example.com 15001
}
