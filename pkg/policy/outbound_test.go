package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/policy"
)

// otherServersYAML are services of other kinds: without endpoints, headless,
// headless with a pod that is not in the mesh, and outside of the mesh.
const otherServersYAML = `apiVersion: v1
kind: Service
metadata: {name: empty, namespace: shop}
spec: {selector: {app: nobody}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: shop}
spec: {clusterIP: None, selector: {app: web, version: v1}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless-mixed, namespace: shop}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless-empty, namespace: shop}
spec: {clusterIP: None, selector: {app: nobody}, ports: [{name: http, port: 80}]}
`

// describe is a cluster in a few words: use of TLS, who asked for it, and the
// endpoints with which it is spoken.
func describe(o *policy.Outbound, c *policy.Cluster) string {
	words := []string{string(c.TLS)}
	switch {
	case c.Auto:
		words = append(words, "auto")
	case c.Settings != nil:
		words = append(words, c.Settings.Mode.String())
	}
	if c.Broken != "" {
		words = append(words, "broken")
	}
	if c.PassesThrough {
		return strings.Join(append(words, "passthrough"), " ")
	}
	for _, e := range o.Endpoints(c) {
		if o.EndpointTLS(c, e) {
			words = append(words, strings.TrimPrefix(e.Workload.Name, "web-"))
		}
	}
	return strings.Join(words, " ")
}

// TestClientTLS: what a client's sidecar does on its connections (DR-8..DR-19).
func TestClientTLS(t *testing.T) {
	t.Parallel()
	web := func(policy string) string { return dr("a", "shop", "host: web, trafficPolicy: {"+policy+"}") }
	subset := func(top, own string) string {
		return dr("a", "shop", "host: web, trafficPolicy: {"+top+"}, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {"+own+"}}]")
	}
	const disable, mutual, simple = "tls: {mode: DISABLE}", "tls: {mode: ISTIO_MUTUAL}", "tls: {mode: SIMPLE}"
	const on80 = "portLevelSettings: [{port: {number: 80}, "
	const balance = "loadBalancer: {simple: ROUND_ROBIN}"
	modeOf := func(mode string) string { return "mtls: {mode: " + mode + "}" }
	ofV1 := func(spec string) string { return pa("w", "shop", "", "selector: {matchLabels: {version: v1}}, "+spec) }
	const noAuto = "enableAutoMtls: false\n"
	const both = " v1 v2" // web-plain has no sidecar
	tests := []struct{ rule, manifests, config, service, subset, want string }{
		// merging
		{"DR-8 a port takes the place of the host's policy", web(disable + ", " + on80 + mutual + "}]"), "", "web", "", "always ISTIO_MUTUAL plain" + both},
		{"DR-8 the number is the Service's (T-12)", web(disable + ", portLevelSettings: [{port: {number: 8080}, " + mutual + "}]"), "", "web", "", "never DISABLE"},
		{"DR-8 and inherits nothing", web(disable + ", " + on80 + balance + "}]"), "", "web", "", "per-endpoint auto"},
		{"DR-8 a subset's TLS is the subset's own", subset(disable, mutual), "", "web", "v1", "always ISTIO_MUTUAL v1"},
		{"DR-8 and nobody else's", subset(disable, mutual), "", "web", "", "never DISABLE"},
		{"DR-8 what a subset leaves open is the host's", subset(mutual, balance), "", "web", "v1", "always ISTIO_MUTUAL v1"},
		{"DR-8 a subset without a policy", dr("a", "shop", "host: web, trafficPolicy: {"+disable+"}, subsets: [{name: v1, labels: {version: v1}}]"), "", "web", "v1", "never DISABLE"},
		{"DR-8 a port of a subset, even without TLS", subset(disable, on80+balance+"}]"), "", "web", "v1", "per-endpoint auto"},
		{"DR-8 a subset goes over the host's port", subset(on80+disable+"}]", mutual), "", "web", "v1", "always ISTIO_MUTUAL v1"},
		{"DR-9 tls without a mode is DISABLE", web("tls: {}"), "", "web", "", "never DISABLE"},
		// auto mTLS
		{"DR-10 nothing said", "", "", "web", "", "per-endpoint auto" + both},
		{"DR-10 a rule without TLS says nothing", web(balance), "", "web", "", "per-endpoint auto" + both},
		{"DR-10 switched off", "", noAuto, "web", "", "never auto"},
		{"DR-10 but not for who asks", web(mutual), noAuto, "web", "", "always ISTIO_MUTUAL plain" + both},
		{"DR-10 namespace DISABLE", pa("space", "shop", "", modeOf("DISABLE")), "", "web", "", "never auto"},
		{"DR-10 mesh DISABLE", pa("m", "istio-system", "", modeOf("DISABLE")), "", "web", "", "never auto"},
		{"PA-11 the namespace before the mesh", docs(pa("m", "istio-system", "", modeOf("DISABLE")), pa("space", "shop", "", modeOf("STRICT"))), "", "web", "", "per-endpoint auto" + both},
		{"PA-11 UNSET is the mesh's", docs(pa("m", "istio-system", "", modeOf("DISABLE")), pa("space", "shop", "", modeOf("UNSET"))), "", "web", "", "never auto"},
		{"PA-11 the client's namespace does not count", pa("space", "client", "", modeOf("DISABLE")), "", "web", "", "per-endpoint auto" + both},
		{"PA-10 STRICT says nothing of pods without a sidecar", pa("space", "shop", "", modeOf("STRICT")), "", "web", "", "per-endpoint auto" + both},
		{"DR-10 headless, all in the mesh", "", "", "headless", "", "always auto passthrough"},
		{"DR-10 headless, not all in the mesh", "", "", "headless-mixed", "", "never auto passthrough"},
		{"DR-10 headless, nobody there", "", "", "headless-empty", "", "never auto passthrough"},
		{"DR-10 nobody there", "", "", "empty", "", "per-endpoint auto"},
		{"DR-10 balanced by the client is as headless", web("loadBalancer: {simple: PASSTHROUGH}"), "", "web", "", "never auto passthrough"},
		{"DR-11 an endpoint whose port is DISABLE", ofV1("portLevelMtls: {8080: {mode: DISABLE}}"), "", "web", "", "per-endpoint auto v2"},
		{"DR-11 the workload's port, not the Service's", ofV1("portLevelMtls: {80: {mode: DISABLE}}"), "", "web", "", "per-endpoint auto" + both},
		{"DR-11 an endpoint that is DISABLE", ofV1(modeOf("DISABLE")), "", "web", "", "per-endpoint auto v2"},
		{"DR-11 asked for, DISABLE at the endpoint or not", docs(web(mutual), ofV1(modeOf("DISABLE"))), "", "web", "", "always ISTIO_MUTUAL plain" + both},
		// the holes
		{"DR-12 a STRICT workload of a DISABLE namespace", docs(pa("space", "shop", "", modeOf("DISABLE")), ofV1(modeOf("STRICT"))), "", "web", "", "never auto"},
		{"DR-13 headless, DISABLE at the workload", ofV1(modeOf("DISABLE")), "", "headless", "", "always auto passthrough"},
		{"DR-14 DISABLE for the host, the port open", web(disable + ", " + on80 + balance + "}]"), "", "web", "", "per-endpoint auto"},
		{"DR-14 SIMPLE for the host, the port open", web(simple + ", " + on80 + balance + "}]"), "", "web", "", "per-endpoint auto"},
		{"DR-14 ISTIO_MUTUAL for the host, the port open: not without a sidecar", web(mutual + ", " + on80 + balance + "}]"), "", "web", "", "per-endpoint auto" + both},
		{"DR-14 and whatever the endpoint wants", docs(web(mutual+", "+on80+balance+"}]"), ofV1(modeOf("DISABLE"))), "", "web", "", "per-endpoint auto" + both},
		// modes
		{"DR-15 DISABLE", web(disable), "", "web", "", "never DISABLE"},
		{"DR-15 SIMPLE", web(simple), "", "web", "", "always SIMPLE plain" + both},
		{"DR-15 MUTUAL", web("tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k}"), "", "web", "", "always MUTUAL plain" + both},
		{"DR-15 ISTIO_MUTUAL, without a sidecar too (T-11)", web(mutual), "", "web", "", "always ISTIO_MUTUAL plain" + both},
		{"DR-18 a Secret that sidecars do not read (T-24)", web("tls: {mode: SIMPLE, credentialName: ca}"), "", "web", "", "never SIMPLE broken"},
		{"DR-18 MUTUAL as well", web("tls: {mode: MUTUAL, credentialName: c}"), "", "web", "", "never MUTUAL broken"},
		{"DR-18 a ConfigMap is read", web("tls: {mode: SIMPLE, credentialName: 'configmap://ca'}"), "", "web", "", "always SIMPLE plain" + both},
		{"DR-18 so is a Secret for chosen clients", dr("a", "client", "host: web.shop.svc.cluster.local, workloadSelector: {matchLabels: {app: client}}, trafficPolicy: {tls: {mode: SIMPLE, credentialName: ca}}"), "", "web", "", "always SIMPLE plain" + both},
		{"DR-19 MUTUAL without a key", web("tls: {mode: MUTUAL, clientCertificate: /c}"), "", "web", "", "never MUTUAL broken"},
		{"DR-19 MUTUAL without a certificate", web("tls: {mode: MUTUAL, privateKey: /k}"), "", "web", "", "never MUTUAL broken"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			s := snapshot(t, docs(serverYAML, otherServersYAML, tt.manifests), tt.config)
			client := policy.Proxy{Namespace: "client", Labels: map[string]string{"app": "client"}}
			if got := describe(policy.NewOutbound(s), clusterOf(t, s, client, tt.service, 80, tt.subset)); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestServerNames: which server a client accepts, and the name by which it asks
// for it (DR-16, DR-17, DR-21..DR-26).
func TestServerNames(t *testing.T) {
	t.Parallel()
	web := func(policy string) string { return dr("a", "shop", "host: web, trafficPolicy: {"+policy+"}") }
	const sni80 = "outbound_.80_._.web.shop.svc.cluster.local"
	accounts := []string{"spiffe://cluster.local/ns/shop/sa/default", "spiffe://cluster.local/ns/shop/sa/web-v1", "spiffe://cluster.local/ns/shop/sa/web-v2"}
	tests := []struct {
		rule, manifests, config, service, subset, sni string
		names                                         []string
	}{
		{"DR-21 the accounts of all endpoints, DR-22 default for those without", "", "", "web", "", sni80, accounts},
		{"DR-21 under every name of the trust domain", "", "trustDomain: td\ntrustDomainAliases: [old]\n", "headless", "", "outbound_.80_._.headless.shop.svc.cluster.local", []string{"spiffe://old/ns/shop/sa/web-v1", "spiffe://td/ns/shop/sa/web-v1"}},
		{"DR-21 a rule names others", web("tls: {mode: ISTIO_MUTUAL, subjectAltNames: [b, a]}"), "", "web", "", sni80, []string{"b", "a"}},
		{"DR-23 nobody there: any server of the mesh", "", "", "empty", "", "outbound_.80_._.empty.shop.svc.cluster.local", nil},
		{"DR-24 a subset accepts the accounts of the others", dr("a", "shop", "host: web, subsets: [{name: v1, labels: {version: v1}}]"), "", "web", "v1", "outbound_.80_.v1_.web.shop.svc.cluster.local", accounts},
		{"DR-25 no server of another trust domain", "", "trustDomain: td\n", "headless", "", "outbound_.80_._.headless.shop.svc.cluster.local", []string{"spiffe://td/ns/shop/sa/web-v1"}},
		{"DR-16 the name of the cluster", web("tls: {mode: ISTIO_MUTUAL}"), "", "web", "", sni80, accounts},
		{"DR-16 or the rule's own", web("tls: {mode: ISTIO_MUTUAL, sni: web.example}"), "", "web", "", "web.example", accounts},
		{"DR-17 SIMPLE has neither: the host that is asked for", web("tls: {mode: SIMPLE}"), "", "web", "", "", nil},
		{"DR-17 SIMPLE with both", web("tls: {mode: SIMPLE, sni: web.example, subjectAltNames: [web.example]}"), "", "web", "", "web.example", []string{"web.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			s := snapshot(t, docs(serverYAML, otherServersYAML, tt.manifests), tt.config)
			c := clusterOf(t, s, policy.Proxy{Namespace: "client"}, tt.service, 80, tt.subset)
			if diff := cmp.Diff(tt.names, c.Names); diff != "" || c.SNI != tt.sni {
				t.Errorf("server name %q, want %q; identities (-want +got):\n%s", c.SNI, tt.sni, diff)
			}
		})
	}
}

// TestAnnotatedAccounts: a Service's annotations add to the accounts that
// clients accept (DR-26), as they are written or as accounts of its namespace.
func TestAnnotatedAccounts(t *testing.T) {
	t.Parallel()
	const service = `apiVersion: v1
kind: Service
metadata:
  name: vm
  namespace: shop
  annotations:
    alpha.istio.io/kubernetes-serviceaccounts: "legacy, batch"
    alpha.istio.io/canonical-serviceaccounts: "spiffe://elsewhere/ns/a/sa/b,plain-name"
spec: {ports: [{name: http, port: 80}]}
`
	s := snapshot(t, service, "trustDomainAliases: [old]\n")
	want := []string{
		"plain-name", // an identity of another form has no second name
		"spiffe://cluster.local/ns/shop/sa/batch", "spiffe://cluster.local/ns/shop/sa/legacy",
		"spiffe://elsewhere/ns/a/sa/b",
		"spiffe://old/ns/a/sa/b", "spiffe://old/ns/shop/sa/batch", "spiffe://old/ns/shop/sa/legacy",
	}
	if diff := cmp.Diff(want, clusterOf(t, s, policy.Proxy{Namespace: "client"}, "vm", 80, "").Names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOutside: services outside of the mesh get no mTLS of themselves (DR-10),
// and their own names hold where a rule asks for TLS without any (DR-17).
func TestOutside(t *testing.T) {
	t.Parallel()
	const entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.example.com]
  location: MESH_EXTERNAL
  resolution: DNS
  subjectAltNames: [api.example.com]
  ports: [{name: tls, number: 443, protocol: TLS}]
`
	for _, tt := range []struct{ rule, want string }{
		{"", "never auto [api.example.com]"},
		{dr("a", "shop", "host: api.example.com, trafficPolicy: {tls: {mode: SIMPLE}}"), "always SIMPLE [api.example.com]"},
		{dr("a", "shop", "host: api.example.com, trafficPolicy: {tls: {mode: SIMPLE, subjectAltNames: [other.example]}}"), "always SIMPLE [other.example]"},
	} {
		s := snapshot(t, docs(entry, tt.rule), "")
		o := policy.NewOutbound(s)
		service := s.ServicesOf("api.example.com")[0]
		c := o.Cluster(policy.Proxy{Namespace: "client"}, service, service.Ports[0], "")
		if got := fmt.Sprintf("%s %v", describe(o, c), c.Names); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.rule, got, tt.want)
		}
	}
}
