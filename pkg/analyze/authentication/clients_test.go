package authentication_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/authentication"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// world has a server in the mesh, web, and one outside, old, in one namespace,
// and a client in another.
const world = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: edge, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web, version: v1}}, spec: {containers: [{name: a, image: b}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: old, namespace: shop}
spec: {template: {metadata: {labels: {app: old, sidecar.istio.io/inject: "false"}}, spec: {containers: [{name: a, image: b}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: caller, namespace: edge}
spec: {template: {metadata: {labels: {app: caller}}, spec: {containers: [{name: a, image: b}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: http-b, port: 81, targetPort: 8081}]}
---
apiVersion: v1
kind: Service
metadata: {name: old, namespace: shop}
spec: {selector: {app: old}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
`

func peers(mode string) string {
	return fmt.Sprintf("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\nspec: {mtls: {mode: %s}}\n---\n", mode)
}

func destination(namespace, name, spec string) string {
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: %s, namespace: %s}\nspec: %s\n---\n", name, namespace, spec)
}

// TestClients: what clients that follow a rule speak is compared with what the
// servers take, whatever the rule's host and wherever it says so (DR-2, DR-3,
// DR-8).
func TestClients(t *testing.T) {
	t.Parallel()
	const (
		web  = "web.shop.svc.cluster.local"
		off  = "{tls: {mode: DISABLE}}"
		mtls = "{tls: {mode: ISTIO_MUTUAL}}"
	)
	strict := peers("STRICT")
	for _, tt := range []struct{ name, text, want string }{
		{"the host's name", strict + destination("shop", "a", "{host: web, trafficPolicy: "+off+"}"), "MSH0204 spec.trafficPolicy.tls.mode"},
		{"a star for the namespace", strict + destination("shop", "a", "{host: '*.shop.svc.cluster.local', trafficPolicy: "+off+"}"), "MSH0204 spec.trafficPolicy.tls.mode"},
		{"a star for the mesh", strict + destination("istio-system", "a", "{host: '*.local', trafficPolicy: "+off+"}"), "MSH0204 spec.trafficPolicy.tls.mode"},
		{"a star for others", strict + destination("shop", "a", "{host: '*.edge.svc.cluster.local', trafficPolicy: "+off+"}"), ""},
		{"a subset", strict + destination("shop", "a", "{host: web, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: "+off+"}]}"), "MSH0204 spec.subsets.0.trafficPolicy.tls.mode"},
		{"a subset of nothing", strict + destination("shop", "a", "{host: web, subsets: [{name: v2, labels: {version: v2}, trafficPolicy: "+off+"}]}"), ""},
		{"a subset that says better", strict + destination("shop", "a", "{host: web, trafficPolicy: "+mtls+", subsets: [{name: v1, labels: {version: v1}, trafficPolicy: "+mtls+"}]}"), ""},
		{"a port", strict + destination("shop", "a", "{host: web, trafficPolicy: {portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}]}}"), "MSH0204 spec.trafficPolicy.portLevelSettings.0.tls.mode"},
		{"a port of a subset", strict + destination("shop", "a", "{host: web, subsets: [{name: v1, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}}]}"), "MSH0204 spec.subsets.0.trafficPolicy.portLevelSettings.0.tls.mode"},
		{"a port that nobody has", strict + destination("shop", "a", "{host: web, trafficPolicy: {portLevelSettings: [{port: {number: 82}, tls: {mode: DISABLE}}]}}"), ""},
		{"a rule of the clients' own", strict + destination("edge", "a", "{host: "+web+", trafficPolicy: "+off+"}"), "MSH0204 spec.trafficPolicy.tls.mode"},
		{"a rule that an exact one hides", strict + destination("shop", "a", "{host: '*.local', trafficPolicy: "+off+"}") + destination("shop", "b", "{host: web, trafficPolicy: {}}"), ""},
		{"a rule of clients by their labels", strict + destination("edge", "a", "{host: "+web+", workloadSelector: {matchLabels: {app: caller}}, trafficPolicy: "+off+"}"), "MSH0204 spec.trafficPolicy.tls.mode"},
		{"certificates that are not there", strict + destination("shop", "a", "{host: web, trafficPolicy: {tls: {mode: SIMPLE, credentialName: x}}}"), "MSH0204 spec.trafficPolicy.tls.mode"},
		{"a server that takes both", peers("PERMISSIVE") + destination("shop", "a", "{host: '*.local', trafficPolicy: "+off+"}"), ""},
		{"mTLS to a server outside", destination("shop", "a", "{host: '*.local', trafficPolicy: "+mtls+"}"), "MSH0205 spec.trafficPolicy.tls.mode"},
		{"mTLS to servers that take none", peers("DISABLE") + destination("shop", "a", "{host: web, trafficPolicy: "+mtls+"}"), "MSH0205 spec.trafficPolicy.tls.mode"},
	} {
		s, err := manifest.Read("a.yaml", []byte(world+tt.text))
		if err != nil {
			t.Fatal(err)
		}
		all, err := analyze.Analyze(context.Background(), authentication.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{Only: []string{"MSH0204", "MSH0205"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range all {
			for i := range s.Documents {
				for _, path := range strings.Fields(tt.want) {
					if s.Documents[i].Locate(strings.Split(path, ".")...) == f.Location {
						got = append(got, f.Code+" "+path)
					}
				}
			}
			if len(f.Related) == 0 {
				t.Errorf("%s: %+v names no server", tt.name, f)
			}
		}
		if len(all) != len(got) {
			t.Errorf("%s: %+v", tt.name, all)
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
