package mesh_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

func build(t *testing.T, text string) (*mesh.Snapshot, error) {
	t.Helper()
	s, err := manifest.Read("mesh.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return mesh.Build([]*manifest.Stream{s}, mesh.Options{})
}

// TestProtocols: what a port carries by its name or appProtocol, and which kind
// of traffic that is (EC-20, EC-21, EC-23).
func TestProtocols(t *testing.T) {
	t.Parallel()
	tests := []struct {
		port    string
		want    mesh.Protocol
		traffic mesh.Traffic
	}{
		{"{name: http-web, port: 80}", mesh.HTTP, mesh.HTTPTraffic},
		{"{name: HTTP, port: 80}", mesh.HTTP, mesh.HTTPTraffic},
		{"{name: http2-x, port: 80}", mesh.HTTP2, mesh.HTTPTraffic},
		{"{name: grpc-web-x, port: 80}", mesh.GRPCWeb, mesh.HTTPTraffic},
		{"{name: grpc, port: 80}", mesh.GRPC, mesh.HTTPTraffic},
		{"{name: https, port: 443}", mesh.HTTPS, mesh.TCPTraffic},
		{"{name: mongo-x, port: 1}", mesh.Mongo, mesh.TCPTraffic},
		{"{name: web, port: 80}", mesh.Unsupported, mesh.SniffedTraffic},
		{"{name: db, port: 3306}", mesh.TCP, mesh.TCPTraffic},
		{"{name: x, port: 80, appProtocol: http}", mesh.HTTP, mesh.HTTPTraffic},
		{"{name: http-2, port: 80, appProtocol: foo}", mesh.Unsupported, mesh.SniffedTraffic},
		{"{name: x, port: 80, appProtocol: kubernetes.io/h2c}", mesh.HTTP2, mesh.HTTPTraffic},
	}
	for _, tt := range tests {
		s, err := build(t, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: ["+tt.port+"]}\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Services[0].Ports[0].Protocol; got != tt.want || got.Traffic() != tt.traffic {
			t.Errorf("%s: %s, %s; want %s, %s", tt.port, got, got.Traffic(), tt.want, tt.traffic)
		}
	}
}

// TestInboundPorts: named ports are looked up, the oldest Service decides, UDP
// is none of the mesh's (EC-24, EC-37, EC-39).
func TestInboundPorts(t *testing.T) {
	t.Parallel()
	s, err := build(t, `apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec: {template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: x, ports: [{name: web, containerPort: 8080}]}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: young, creationTimestamp: 2024-02-01T00:00:00Z}
spec: {selector: {app: d}, ports: [{name: tcp-x, port: 80, targetPort: web}, {name: dns, port: 53, protocol: UDP}, {name: http-y, port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: old, creationTimestamp: 2024-01-01T00:00:00Z}
spec: {selector: {app: d}, ports: [{name: http-x, port: 80, targetPort: 8080}, {name: lost, port: 82, targetPort: nosuch}]}
---
apiVersion: v1
kind: Service
metadata: {name: others}
spec: {selector: {app: other}, ports: [{name: http, port: 9999}]}
---
apiVersion: v1
kind: Service
metadata: {name: selectorless}
spec: {ports: [{name: http, port: 9998}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range s.InboundPorts(s.Workload("default", "d")) {
		got = append(got, fmt.Sprintf("%d %s %s", p.Number, p.Protocol, p.Service.Name))
	}
	if diff := cmp.Diff([]string{"81 HTTP young", "8080 HTTP old"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestStrictDecoding: faults have a place and a way out, and all are told.
func TestStrictDecoding(t *testing.T) {
	t.Parallel()
	policy := func(spec string) string {
		return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n" + spec
	}
	networking := func(kind, spec string) string {
		return "apiVersion: networking.istio.io/v1\nkind: " + kind + "\nmetadata: {name: one, namespace: shop}\nspec: " + spec + "\n"
	}
	tests := []struct{ name, text, want, hint string }{
		{"unknown field", policy("  rulez: []\n"), `mesh.yaml:5:10: AuthorizationPolicy shop/p: unknown field "spec.rulez"`, `did you mean "rules"?`},
		{"unknown field deep down", policy("  rules:\n  - to:\n    - operation:\n        methds: [GET]\n"), `mesh.yaml:8:17: AuthorizationPolicy shop/p: unknown field "spec.rules.0.to.0.operation.methds"`, `did you mean "methods"?`},
		{"nothing like it", policy("  zzzzzz: 1\n"), `mesh.yaml:5:11: AuthorizationPolicy shop/p: unknown field "spec.zzzzzz"`, "expected one of action, provider, rules, selector, targetRef, targetRefs"},
		{"wrong value", policy("  action: FORBID\n"), `mesh.yaml:5:11: AuthorizationPolicy shop/p: spec.action: "FORBID" is none of ALLOW, AUDIT, CUSTOM, DENY`, ""},
		{"wrong case", policy("  action: deny\n"), `mesh.yaml:5:11: AuthorizationPolicy shop/p: spec.action: "deny" is none of ALLOW, AUDIT, CUSTOM, DENY`, `did you mean "DENY"?`},
		{"text for a list", policy("  rules:\n  - to: [{operation: {methods: GET}}]\n"), `mesh.yaml:6:32: AuthorizationPolicy shop/p: spec.rules.0.to.0.operation.methods: expected a list, found text`, ""},
		{"a mapping for a list", policy("  rules: {}\n"), `mesh.yaml:5:10: AuthorizationPolicy shop/p: spec.rules: expected a list, found a mapping`, ""},
		{"text for a mapping", policy("  selector: web\n"), `mesh.yaml:5:13: AuthorizationPolicy shop/p: spec.selector: expected a mapping (key: value), found text`, ""},
		{"YAML's boolean for a text", policy("  rules:\n  - when: [{key: 'request.headers[x]', values: [y]}]\n"), `mesh.yaml:6:49: AuthorizationPolicy shop/p: spec.rules.0.when.0.values.0: expected text, found true or false`, "quote the value"},
		{"a number for a text", policy("  rules:\n  - to: [{operation: {ports: [80]}}]\n"), `mesh.yaml:6:31: AuthorizationPolicy shop/p: spec.rules.0.to.0.operation.ports.0: expected text, found a number`, "quote the value"},
		{"old version", strings.Replace(policy("  action: DENY\n"), "security.istio.io/v1", "security.istio.io/v9", 1), `mesh.yaml:1:13: AuthorizationPolicy shop/p: unknown version "security.istio.io/v9"`, "expected security.istio.io/v1, v1beta1"},
		{"wrong group", strings.Replace(policy("  action: DENY\n"), "security.istio.io/v1", "authorization.istio.io/v1", 1), `mesh.yaml:1:13: AuthorizationPolicy shop/p: AuthorizationPolicy is no kind of "authorization.istio.io/v1"`, "expected security.istio.io/v1"},
		{"gone", "apiVersion: rbac.istio.io/v1alpha1\nkind: ServiceRole\nmetadata: {name: r}\n", `mesh.yaml:1:13: ServiceRole default/r: ServiceRole of rbac.istio.io/v1alpha1 is gone from Istio`, "write AuthorizationPolicy instead"},
		{"no name", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {namespace: shop}\n", `mesh.yaml:3:11: PeerAuthentication shop/: PeerAuthentication has no name`, "metadata.name"},
		{"wrong type", policy("  rules: GET\n"), `mesh.yaml:5:10: AuthorizationPolicy shop/p: spec.rules: `, ""},
		{"unknown kind", "apiVersion: security.istio.io/v1\nkind: AuthorisationPolicy\nmetadata: {name: p}\n", `mesh.yaml:2:7: AuthorisationPolicy default/p: unknown kind "AuthorisationPolicy" of security.istio.io/v1`, `did you mean "AuthorizationPolicy"?`},
		{"DestinationRule", networking("DestinationRule", "{host: a, trafficPolicy: {tls: {mod: DISABLE}}}"), `mesh.yaml:4:44: DestinationRule shop/one: unknown field "spec.trafficPolicy.tls.mod"`, `did you mean "mode"?`},
		{"DestinationRule, of a subset", networking("DestinationRule", "{host: a, subsets: [{name: v1, label: {a: b}}]}"), `mesh.yaml:4:45: DestinationRule shop/one: unknown field "spec.subsets.0.label"`, `did you mean "labels"?`},
		{"DestinationRule, mode", networking("DestinationRule", "{host: a, trafficPolicy: {tls: {mode: MUTUAL_TLS}}}"), `mesh.yaml:4:45: DestinationRule shop/one: spec.trafficPolicy.tls.mode: "MUTUAL_TLS" is none of DISABLE, ISTIO_MUTUAL, MUTUAL, SIMPLE`, ""},
		{"ServiceEntry", networking("ServiceEntry", "{hosts: [a], endpoints: [{addrezz: 1.1.1.1}]}"), `mesh.yaml:4:42: ServiceEntry shop/one: unknown field "spec.endpoints.0.addrezz"`, `did you mean "address"?`},
		{"ServiceEntry, resolution", networking("ServiceEntry", "{hosts: [a], resolution: LOCAL}"), `mesh.yaml:4:32: ServiceEntry shop/one: spec.resolution: "LOCAL" is none of DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS, NONE, STATIC`, ""},
		{"WorkloadEntry", networking("WorkloadEntry", "{address: a, serviceAcount: b}"), `mesh.yaml:4:35: WorkloadEntry shop/one: unknown field "spec.serviceAcount"`, `did you mean "serviceAccount"?`},
		{"WorkloadGroup", networking("WorkloadGroup", "{template: {serviceAcount: b}}"), `mesh.yaml:4:34: WorkloadGroup shop/one: unknown field "spec.template.serviceAcount"`, `did you mean "serviceAccount"?`},
		{"Sidecar", networking("Sidecar", "{egress: [{host: ['./*']}]}"), `mesh.yaml:4:24: Sidecar shop/one: unknown field "spec.egress.0.host"`, `did you mean "hosts"?`},
		{"Gateway", networking("Gateway", "{servers: [{port: {number: http}}]}"), "mesh.yaml:4:17: Gateway shop/one: spec.servers: invalid value for uint32 field number: ", ""},
		{"VirtualService", networking("VirtualService", "{hosts: [a], htpp: []}"), `mesh.yaml:4:26: VirtualService shop/one: unknown field "spec.htpp"`, `did you mean "http"?`},
		{"unknown kind of networking", networking("DestinationRules", "{host: a}"), `mesh.yaml:2:7: DestinationRules shop/one: unknown kind "DestinationRules" of networking.istio.io/v1`, `did you mean "DestinationRule"?`},
		{"PA-9 a PeerAuthentication has no targets", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\nspec: {targetRefs: []}\n", `mesh.yaml:4:20: PeerAuthentication default/p: unknown field "spec.targetRefs"`, "expected one of mtls, portLevelMtls, selector"},
		{"RA-23 presence is of a later API", "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: p}\nspec: {jwtRules: [{issuer: a, presence: REQUIRED}]}\n", `mesh.yaml:4:41: RequestAuthentication default/p: unknown field "spec.jwtRules.0.presence"`, "expected one of "},
		{"spec that is a list", networking("DestinationRule", "[]"), "mesh.yaml:4:7: DestinationRule shop/one: spec is no mapping", "expected a mapping"},
		{"name that YAML takes for a boolean (RUN-12)", "apiVersion: v1\nkind: Namespace\nmetadata: {name: y}\n", "mesh.yaml:3:18: Namespace: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal bool", "quote the value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := build(t, tt.text)
			var input *report.InputError
			if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), tt.want) || !strings.Contains(input.Hint, tt.hint) {
				t.Errorf("got  %v\nwant %s\nhint of %+v", err, tt.want, input)
			}
		})
	}
	_, err := build(t, policy("  rulez: []\n")+"---\n"+strings.Replace(policy("  acton: DENY\n"), "name: p", "name: q", 1))
	if err == nil || strings.Count(err.Error(), "unknown field") != 2 {
		t.Errorf("not all faults are told: %v", err)
	}
}

// TestLists: the objects of Lists are objects, with their own places.
func TestLists(t *testing.T) {
	t.Parallel()
	s, err := build(t, "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p, labels: {a: b}}\n  spec: {serviceAccountName: sa, containers: []}\n")
	if err != nil || len(s.Workloads) != 1 {
		t.Fatal(s, err)
	}
	w := s.Workloads[0]
	if w.Location.String() != "mesh.yaml:4:3" || w.Identity("td") != "spiffe://td/ns/default/sa/sa" || w.PodLabels["a"] != "b" {
		t.Errorf("%+v", w)
	}
}

// TestOtherKinds: what no verdict reads is left alone, whatever it says.
func TestOtherKinds(t *testing.T) {
	t.Parallel()
	s, err := build(t, `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: f}
spec: {anything: goes}
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: c}
spec: {anything: goes}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: m}
data: {a: b}
---
apiVersion: example.com/v1
kind: AuthorizationPolicy
metadata: {name: p}
spec: {anything: goes}
---
just: a mapping
`)
	if err != nil || len(s.Workloads)+len(s.Services)+len(s.AuthorizationPolicies("default")) > 0 {
		t.Errorf("%+v %v", s, err)
	}
}

// TestNamespacesOfObjects: each list is a namespace's, oldest first, then by
// name (PA-3).
func TestNamespacesOfObjects(t *testing.T) {
	t.Parallel()
	text := ""
	for _, kind := range []string{"DestinationRule", "Sidecar", "Gateway", "VirtualService"} {
		for _, one := range []string{"{name: c, namespace: shop, creationTimestamp: 2024-02-01T00:00:00Z}", "{name: b, namespace: shop, creationTimestamp: 2024-01-01T00:00:00Z}", "{name: d, namespace: shop}", "{name: a, namespace: other}"} {
			text += "apiVersion: networking.istio.io/v1\nkind: " + kind + "\nmetadata: " + one + "\nspec: {}\n---\n"
		}
	}
	s, err := build(t, text)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{"namespaces": s.DestinationNamespaces()}
	for _, r := range s.DestinationRules("shop") {
		names["DestinationRule"] = append(names["DestinationRule"], r.Name)
	}
	for _, r := range s.Sidecars("shop") {
		names["Sidecar"] = append(names["Sidecar"], r.Name)
	}
	for _, r := range s.Gateways("shop") {
		names["Gateway"] = append(names["Gateway"], r.Name)
	}
	for _, r := range s.VirtualServices("shop") {
		names["VirtualService"] = append(names["VirtualService"], r.Name)
	}
	order := []string{"d", "b", "c"}
	want := map[string][]string{"namespaces": {"other", "shop"}, "DestinationRule": order, "Sidecar": order, "Gateway": order, "VirtualService": order}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
