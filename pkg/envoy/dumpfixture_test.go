package envoy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// cartYAML is a small mesh: web calls cart, which has HTTP, TCP and a sniffed port.
const cartYAML = `apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports:
  - {name: http-web, port: 80, targetPort: 8080}
  - {name: tcp-raw, port: 9000}
  - {name: weird, port: 7000}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  template:
    metadata: {labels: {app: cart, version: v1}}
    spec: {serviceAccountName: cart, containers: [{name: cart, image: cart:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web, version: v1}}
    spec: {serviceAccountName: web, containers: [{name: web, image: web:1}]}
`

// build makes a mesh of manifests.
func buildCart(tb testing.TB, manifests, meshConfig string) *mesh.Snapshot {
	tb.Helper()
	stream, err := manifest.Read("mesh.yaml", []byte(manifests))
	if err != nil {
		tb.Fatal(err)
	}
	config, err := mesh.ParseConfig([]byte(meshConfig))
	if err != nil {
		tb.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{Config: config})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// generate makes the configuration of shop/cart, with these policies beside it.
func generate(tb testing.TB, policies string) *envoy.Config {
	tb.Helper()
	s := buildCart(tb, cartYAML+"---\n"+policies, "")
	c, err := envoy.NewGenerator(s, policy.NewSimulator(s)).Config(s.Workload("shop", "cart"))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// cartPolicies are of every kind.
const cartPolicies = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}, selector: {matchLabels: {app: cart}}, portLevelMtls: {9000: {mode: PERMISSIVE}}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec: {jwtRules: [{issuer: "https://a.example", jwks: '{"keys":[]}'}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: viewer, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
  - from: [{source: {principals: ["cluster.local/ns/shop/sa/web"]}}]
    to: [{operation: {methods: [GET], paths: ["/items/*"]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: shop}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}
`

// sentOnly compares configurations by what istiod sends.
func sentOnly() cmp.Option { return cmpopts.IgnoreUnexported(envoy.Config{}) }
