package vm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/inject/vm"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// TestRefused: what cannot be a machine of the mesh is told with its place.
func TestRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, annotations, spec string
		change                  func(*vm.Options)
		want, hint              string
	}{
		{
			"an identity of another trust domain for an account (CA-6)", "{}", "{template: {serviceAccount: 'spiffe://other/ns/bank/sa/x'}}", nil,
			`groups.yaml:7:35: WorkloadGroup bank/ledger: service account "spiffe://other/ns/bank/sa/x": expected a name, not an identity`,
			"write the account's name only; a bundle for another trust domain is made by an authority of that domain",
		},
		{
			"metadata of another trust domain (CA-6)", "{proxy.istio.io/config: 'proxyMetadata: {TRUST_DOMAIN: other}'}", "{template: {}}", nil,
			`groups.yaml:6:40: WorkloadGroup bank/ledger: annotation proxy.istio.io/config: proxyMetadata: TRUST_DOMAIN is "other", and the authority's is "cluster.local"`, "",
		},
		{
			"an account that no cluster has", "{}", "{template: {serviceAccount: Root}}", nil,
			`groups.yaml:7:35: WorkloadGroup bank/ledger: service account "Root": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character`, "",
		},
		{"a port that is none", "{}", "{template: {ports: {http: 65536, zero: 0}}}", nil, `groups.yaml:7:33: WorkloadGroup bank/ledger: port 65536: expected a number from 1 to 65535`, ""},
		{
			"an annotation that cannot be read", "{proxy.istio.io/config: 'concurrency: two'}", "{template: {}}", nil,
			`groups.yaml:6:40: WorkloadGroup bank/ledger: annotation proxy.istio.io/config: could not parse proxy config: concurrency: invalid value for int32 field value: "two"`, "",
		},
		{
			"a name that a shell would read as a command", `{proxy.istio.io/config: "proxyMetadata: {'a;reboot': x}"}`, "{template: {}}", nil,
			`groups.yaml:6:40: WorkloadGroup bank/ledger: annotation proxy.istio.io/config: proxyMetadata: "a;reboot" cannot be the name of a variable: only letters, digits and underscores can, and no digit first`, "",
		},
		{
			"a byte that no variable can hold", `{proxy.istio.io/config: 'proxyMetadata: {A: "x\0"}'}`, "{template: {}}", nil,
			`groups.yaml:6:40: WorkloadGroup bank/ledger: annotation proxy.istio.io/config: proxyMetadata: the value of A has a byte 0, which no variable can hold`, "",
		},
		{
			"the same in the mesh config", "{}", "{template: {}}", func(o *vm.Options) {
				o.Mesh = mesh.DefaultConfig()
				o.Mesh.DefaultConfig.ProxyMetadata = map[string]string{"1A": ""}
			},
			`mesh config: defaultConfig: proxyMetadata: "1A" cannot be the name of a variable: only letters, digits and underscores can, and no digit first`, "",
		},
		{
			"a revision that no host can have", "{}", "{template: {}}", func(o *vm.Options) { o.Revision = "a b" },
			`revision "a b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character`, "",
		},
		{"a trust domain that is none (CA-2)", "{}", "{template: {}}", func(o *vm.Options) { o.TrustDomain = "" }, `WorkloadGroup bank/ledger: SPIFFE ID "spiffe:///ns/bank/sa/default": the trust domain is empty`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := vm.New(group(t, tt.annotations, tt.spec), options(tt.change))
			if err == nil {
				t.Fatal("taken")
			}
			got, _, _ := strings.Cut(err.Error(), "\n")
			if !strings.HasSuffix(got, tt.want) && !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			var input *report.InputError
			if tt.hint != "" && (!errors.As(err, &input) || input.Hint != tt.hint) {
				t.Errorf("hint %q", input.Hint)
			}
		})
	}
}

// TestNames: a group's name and namespace become folders and words of a shell.
func TestNames(t *testing.T) {
	t.Parallel()
	for metadata, want := range map[string]string{
		"{name: '../x'}":            `name "../x": a lowercase RFC 1123 subdomain`,
		"{name: x, namespace: a.b}": `namespace "a.b": must not contain dots`,
		"{generateName: x}":         "a WorkloadGroup without a name",
	} {
		all, err := mesh.WorkloadGroups(objects(t, "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: "+metadata+"\nspec: {template: {}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := vm.New(all[0], options(nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", metadata, err)
		}
	}
}

// TestIngress: a gateway's address is its load balancer's, or its first external
// one, as a cluster wrote it into the Service.
func TestIngress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, rest, want string }{
		{"load balancer", "spec: {externalIPs: [203.0.113.9]}\nstatus: {loadBalancer: {ingress: [{ip: 203.0.113.7}]}}", "203.0.113.7"},
		{"IPv6", "status: {loadBalancer: {ingress: [{ip: '2001:db8::7'}]}}", "2001:db8::7"},
		{"external", "spec: {externalIPs: [203.0.113.9, 203.0.113.10]}", "203.0.113.9"},
		{"a name", "status: {loadBalancer: {ingress: [{hostname: lb.example}]}}", `groups.yaml:1:1: Service istio-system/gw: its load balancer has a name only, "lb.example", and hosts need an address`},
		{"nothing", "spec: {}", "groups.yaml:1:1: Service istio-system/gw: it has no address: a file shows one only if it was read from a cluster"},
		{"no address", "spec: {externalIPs: [gw]}", `groups.yaml:1:1: Service istio-system/gw: "gw": expected an IP address`},
		{"of the wrong type", "spec: {externalIPs: 5}", "groups.yaml:1:1: Service istio-system/gw: json: cannot unmarshal number"},
	} {
		all := objects(t, "apiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: istio-system}\n"+tt.rest+"\n")
		address, err := vm.Ingress(all, "istio-system", "gw")
		got := address.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if _, err := vm.Ingress(nil, "istio-system", "gw"); err == nil || err.Error() != "Service istio-system/gw: it is not in the manifests" {
		t.Error(err)
	}
}

// TestParseAddress: an address is one machine's, and means the same everywhere.
func TestParseAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "2001:DB8::1": "2001:db8::1", "::ffff:10.0.0.1": "10.0.0.1",
		"10.0.0.256": `"10.0.0.256": expected an IP address`, "10.0.0.0/8": `"10.0.0.0/8": expected an IP address`, "host": `"host": expected an IP address`,
		"fe80::1%eth0": `"fe80::1%eth0": a zone means something on its own machine only`,
		"0.0.0.0":      `"0.0.0.0": expected the address of one machine`, "ff02::1": `"ff02::1": expected the address of one machine`,
	} {
		address, err := vm.ParseAddress(text)
		got := address.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
