package mesh_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestServiceEntries: each host is a service of its own.
func TestServiceEntries(t *testing.T) {
	t.Parallel()
	entry := func(spec string) string {
		return "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e, namespace: shop}\nspec: {ports: [{name: tls, number: 443, protocol: TLS, targetPort: 8443}, {name: odd, number: 81, protocol: NoSuch}], " + spec + "}\n"
	}
	tests := []struct{ name, spec, want string }{
		{"external, by name", "hosts: [a.example, b.example], location: MESH_EXTERNAL, resolution: DNS, subjectAltNames: [x]", "a.example dns external [] [x]; b.example dns external [] [x]; "},
		{"external if it does not say", "hosts: [a.example]", "a.example passthrough external [] []; "},
		{"of the mesh", "hosts: [a.example], location: MESH_INTERNAL, resolution: STATIC, addresses: [240.0.0.1, 240.0.1.0/24, not-an-address]", "a.example listed internal [240.0.0.1 240.0.1.0/24] []; "},
		{"one address at a time", "hosts: [a.example], location: MESH_INTERNAL, resolution: DNS_ROUND_ROBIN", "a.example dns-round-robin internal [] []; "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := build(t, entry(tt.spec))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, v := range s.Services {
				location := map[bool]string{true: "external", false: "internal"}[v.External]
				got += fmt.Sprint(v.Hostname, " ", v.Resolution, " ", location, " ", v.Addresses, " ", v.Accounts, "; ")
				if len(s.ServicesOf(v.Hostname)) != 1 || v.Headless() || s.Service("shop", "e") != nil {
					t.Errorf("%s is no service of its own, or one of Kubernetes'", v.Hostname)
				}
				if p, ok := v.Port("tls"); !ok || p.Number != 443 || p.Target.IntVal != 8443 || p.Protocol != mesh.TLS {
					t.Errorf("port tls: %+v", p)
				}
				if p, ok := v.Port("81"); !ok || p.Target.IntVal != 81 || p.Protocol != mesh.Unsupported {
					t.Errorf("port 81: %+v", p)
				}
			}
			if got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestEndpoints: a service is served by the workloads that it selects in its
// namespace, and at the addresses that a ServiceEntry lists; each has an
// identity (DR-22), or none, and may claim to speak mTLS (DR-11).
func TestEndpoints(t *testing.T) {
	t.Parallel()
	s, err := build(t, `apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {app: web}}
spec: {serviceAccountName: web, containers: [{name: c, image: x, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: unnamed-port, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: elsewhere, namespace: other, labels: {app: web}}
spec: {containers: [{name: c, image: x}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop}
spec: {address: 10.0.0.1, labels: {app: web}, ports: {http: 90}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: none, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e, namespace: shop}
spec:
  hosts: [static.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{name: http, number: 80, protocol: HTTP}]
  endpoints:
  - {address: 10.0.0.2, ports: {http: 8082}, serviceAccount: legacy}
  - {address: 10.0.0.3, labels: {security.istio.io/tlsMode: istio}}
  - {address: 10.0.0.4, serviceAccount: legacy, labels: {security.istio.io/tlsMode: disabled, version: v1}}
`)
	if err != nil {
		t.Fatal(err)
	}
	list := func(v *mesh.Service) []string {
		var all []string
		for _, e := range s.Endpoints(v, v.Ports[0]) {
			name := e.Entry.GetAddress()
			if e.Workload != nil {
				name = e.Workload.Name
			}
			all = append(all, fmt.Sprint(name, " ", e.Port, " ", s.Account(v, e), " ", e.ClaimsTLS(), " ", len(e.Labels())))
		}
		return all
	}
	for _, tt := range []struct {
		service *mesh.Service
		want    []string
	}{
		// A pod without the named port serves nothing there.
		{s.Service("shop", "web"), []string{"p 8080 spiffe://cluster.local/ns/shop/sa/web true 1", "vm 90  false 1"}},
		{s.Service("shop", "none"), nil},
		{s.ServicesOf("static.example")[0], []string{
			"10.0.0.2 8082 spiffe://cluster.local/ns/shop/sa/legacy true 0",
			"10.0.0.3 80  true 1",
			"10.0.0.4 80 spiffe://cluster.local/ns/shop/sa/legacy false 2",
		}},
	} {
		if diff := cmp.Diff(tt.want, list(tt.service)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.service.Hostname, diff)
		}
	}
	if s.Service("shop", "nosuch") != nil || s.Workload("shop", "nosuch") != nil || s.ServicesOf("nosuch") != nil {
		t.Error("what is not there was found")
	}
}

// TestServices: how the endpoints of a Kubernetes Service are found, and whom
// its annotations name (DR-26).
func TestServices(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"{ports: [{port: 80}]}":                                              "listed [] false",
		"{clusterIP: 10.1.0.1, ports: [{port: 80}]}":                         "listed [10.1.0.1] false",
		"{clusterIP: None, ports: [{port: 80}]}":                             "passthrough [] true",
		"{type: ExternalName, externalName: a.example, ports: [{port: 80}]}": "alias [] false",
	} {
		s, err := build(t, "apiVersion: v1\nkind: Service\nmetadata: {name: s, annotations: {alpha.istio.io/kubernetes-serviceaccounts: ' a ,b,', alpha.istio.io/canonical-serviceaccounts: c, networking.istio.io/exportTo: 'x, y'}}\nspec: "+spec+"\n")
		if err != nil {
			t.Fatal(err)
		}
		v := s.Services[0]
		if got := fmt.Sprint(v.Resolution, " ", v.Addresses, " ", v.Headless()); got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
		if diff := cmp.Diff([]string{"c", "spiffe://cluster.local/ns/default/sa/a", "spiffe://cluster.local/ns/default/sa/b"}, v.Accounts); diff != "" {
			t.Errorf("accounts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"x", "y"}, v.ExportTo); diff != "" || v.Host() != "s.default.svc.cluster.local" {
			t.Errorf("%s (-want +got):\n%s", v.Host(), diff)
		}
	}
}

// TestServicePorts: numbers that no cluster takes are told where they stand, all
// of them.
func TestServicePorts(t *testing.T) {
	t.Parallel()
	_, err := build(t, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - {port: 65535, targetPort: 65535, nodePort: 30000}\n  - {port: 65536}\n  - {port: 80, targetPort: -1}\n  - {port: 80, targetPort: web, nodePort: 70000}\n  - {targetPort: 80}\n")
	if err == nil {
		t.Fatal("taken")
	}
	want := `:7:12: Service default/s: port 65536: expected a number from 1 to 65535
:8:28: Service default/s: targetPort -1: expected a number from 1 to 65535
:9:43: Service default/s: nodePort 70000: expected a number from 1 to 65535
:10:5: Service default/s: port 0: expected a number from 1 to 65535`
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, rest, _ := strings.Cut(line, ".yaml")
		got = append(got, rest)
	}
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
