package mesh_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestIdentities: a service is answered by the accounts of the workloads behind
// it and of listed endpoints, under all names of the trust domain (CA-43).
func TestIdentities(t *testing.T) {
	t.Parallel()
	stream, err := manifest.Read("a.yaml", []byte(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: web, containers: [{name: a}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-canary, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other, namespace: shop}
spec: {selector: {matchLabels: {app: other}}, template: {metadata: {labels: {app: other}}, spec: {serviceAccountName: other, containers: [{name: a}]}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vm, namespace: shop}
spec: {hosts: [vm.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, location: MESH_INTERNAL, endpoints: [{address: 10.0.0.1, serviceAccount: vm}, {address: 10.0.0.2}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	config := mesh.DefaultConfig()
	config.TrustDomain, config.TrustDomainAliases = "td", []string{"old"}
	for service, want := range map[string]string{
		"web.shop":       "spiffe://td/ns/shop/sa/web spiffe://old/ns/shop/sa/web spiffe://td/ns/shop/sa/default spiffe://old/ns/shop/sa/default",
		"vm.example.com": "spiffe://td/ns/shop/sa/vm spiffe://old/ns/shop/sa/vm",
	} {
		s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{Config: config})
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.FindService(service, "shop")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.Identities(v), " "); got != want {
			t.Errorf("%s: %s, want %s", service, got, want)
		}
	}
}
