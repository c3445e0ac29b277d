package live_test

import (
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// callers are workloads that call, of which one has no sidecar, and rules about
// what they call.
const callers = `apiVersion: apps/v1
kind: Deployment
metadata: {name: curl, namespace: shop}
spec: {template: {metadata: {labels: {app: curl}}, spec: {serviceAccountName: curl, containers: [{name: app, image: app:1}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: shop}
spec: {selector: {app: plain}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain, namespace: shop}
spec: {template: {metadata: {labels: {app: plain}, annotations: {sidecar.istio.io/inject: "false"}}, spec: {containers: [{name: app, image: app:1}]}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
`

const shop = `apiVersion: v1
kind: Service
metadata: {name: app, namespace: shop}
spec:
  selector: {app: app}
  ports:
  - {name: http-web, port: 80, targetPort: 8080}
  - {name: tcp-raw, port: 9000}
  - {name: weird, port: 7000}
  - {name: grpc-api, port: 9090}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: shop}
spec: {template: {metadata: {labels: {app: app}}, spec: {serviceAccountName: app, containers: [{name: app, image: app:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other, namespace: shop}
spec: {template: {metadata: {labels: {app: other}}, spec: {serviceAccountName: other, containers: [{name: app, image: app:1}]}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: shop}
spec:
  selector: {matchLabels: {app: app}}
  rules:
  - {to: [{operation: {paths: [/ok*]}}]}
  - {to: [{operation: {ports: ["9000"]}}], from: [{source: {principals: ['*/sa/curl']}}]}
  - {from: [{source: {requestPrincipals: ['issuer/*']}}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: t, namespace: shop}
spec: {jwtRules: [{issuer: issuer, jwksUri: "https://issuer.example/keys"}]}
`

// fixture is a mesh whose sidecars can be run.
type fixture struct {
	*mesh.Snapshot
	simulator *policy.Simulator
}

func newFixture(t *testing.T, manifests string) fixture {
	t.Helper()
	stream, err := manifest.Read("mesh.yaml", []byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{s, policy.NewSimulator(s)}
}
