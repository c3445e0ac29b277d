package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// callerYAML is a client of web in a namespace of its own, with a sidecar and
// without.
const callerYAML = `apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: client}
spec: {template: {metadata: {labels: {app: client}}, spec: {serviceAccountName: client, containers: [{name: client, image: client:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: naked, namespace: client}
spec: {template: {metadata: {labels: {app: naked, sidecar.istio.io/inject: "false"}}, spec: {containers: [{name: naked, image: client:1}]}}}
`

// answer asks what becomes of GET / from a workload of namespace client, or of
// bytes if the port is not for HTTP.
func answer(t *testing.T, s *mesh.Snapshot, caller, callee string) policy.Answer {
	t.Helper()
	from, err := policy.ParseCaller(s, caller, "")
	if err != nil {
		t.Fatal(err)
	}
	to, err := policy.ParseCallee(s, callee, "")
	if err != nil {
		t.Fatal(err)
	}
	q := policy.Question{From: from, To: to}
	if to.Traffic(s) != mesh.TCPTraffic {
		q.HTTP = &policy.HTTP{Method: "GET", Path: "/", Authority: to.Authority()}
	}
	a, err := policy.NewSimulator(s).Ask(&q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestClientMeetsServer: what a client's sidecar sends by its DestinationRule,
// and what the server's makes of it by its mode (section 4.4 of the policy
// reference; DR-12, DR-15, PA-10, PA-21). web-v1 has a sidecar, web-plain none.
// mTLS stands for an identity that reaches the server.
func TestClientMeetsServer(t *testing.T) {
	t.Parallel()
	const none, disable, mutual, simple = "", "tls: {mode: DISABLE}", "tls: {mode: ISTIO_MUTUAL}", "tls: {mode: SIMPLE}"
	tests := []struct {
		caller, rule, port                  string
		disable, permissive, strict, nobody string
	}{
		{"naked", none, "80", "allow", "allow", "refused", "allow"},
		{"naked", none, "9000", "allow", "allow", "refused", "allow"},
		{"client", disable, "80", "allow", "allow", "refused 503", "allow"},
		{"client", disable, "9000", "allow", "allow", "refused", "allow"},
		{"client", none, "80", "allow", "allow mTLS", "allow mTLS", "allow"},
		{"client", none, "9000", "allow", "allow mTLS", "allow mTLS", "allow"},
		{"client", mutual, "80", "refused 503", "allow mTLS", "allow mTLS", "refused 503"},
		{"client", mutual, "9000", "refused", "allow mTLS", "allow mTLS", "refused"},
		{"client", simple, "80", "refused 503", "refused 503", "refused 503", "refused 503"},
		{"client", simple, "9000", "refused", "refused", "refused", "refused"}, // the application does not speak TLS
		{"client", simple, "8443", "allow", "allow", "refused", "allow"},       // this one does
	}
	const tls = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp-raw, port: 9000}, {name: https, port: 8443}]}\n"
	servers := strings.Replace(serverYAML, serverYAML[:strings.Index(serverYAML, "---")], tls, 1)
	for _, tt := range tests {
		rule := ""
		if tt.rule != "" {
			rule = dr("web", "shop", "host: web, trafficPolicy: {"+tt.rule+"}, subsets: [{name: v1, labels: {version: v1}}, {name: plain, labels: {version: plain}}]")
		}
		for mode, want := range map[policy.Mode]string{policy.Disable: tt.disable, policy.Permissive: tt.permissive, policy.Strict: tt.strict, "nobody": tt.nobody} {
			t.Run(fmt.Sprint(tt.caller, " ", tt.rule, " to ", tt.port, " of ", mode), func(t *testing.T) {
				t.Parallel()
				subset, modes := "web-v1", ""
				if mode == "nobody" {
					subset = "web-plain"
				} else {
					modes = moded(mode)
				}
				// An ALLOW rule by identity tells whether one arrives.
				who := ap("who", "rules: [{from: [{source: {principals: [cluster.local/ns/client/sa/client]}}]}, {}]")
				a := answer(t, snapshot(t, docs(servers, callerYAML, rule, modes, who), ""), "deploy/"+tt.caller+".client", "svc/web.shop:"+tt.port)
				for _, e := range a.Endpoints {
					if e.Workload.Name != subset {
						continue
					}
					got := string(e.Outcome)
					if e.HTTPStatus == 503 {
						got += " 503"
					}
					if e.By == "ns[shop]-policy[who]-rule[0]" {
						got += " mTLS"
					}
					if got != want {
						t.Errorf("%s (%s), want %s", got, e.Reason, want)
					}
					return
				}
				t.Errorf("%s is not behind the Service: %+v", subset, a)
			})
		}
	}
}

// TestHoles: what istiod's guess of a server's mode leaves open between
// namespaces and workloads (DR-12..DR-14).
func TestHoles(t *testing.T) {
	t.Parallel()
	ofV1 := func(spec string) string { return pa("w", "shop", "", "selector: {matchLabels: {version: v1}}, "+spec) }
	strictInDisable := docs(moded(policy.Disable), ofV1("mtls: {mode: STRICT}"))
	openPort := func(mode string) string {
		return dr("web", "shop", "host: web, trafficPolicy: {tls: {mode: "+mode+"}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}")
	}
	for _, tt := range []struct{ rule, manifests, callee, want string }{
		{"DR-12 STRICT in a DISABLE namespace", strictInDisable, "svc/web.shop:80", "web-plain allow, web-v1 refused, web-v2 allow"},
		{"DR-12 unless a rule says ISTIO_MUTUAL", docs(strictInDisable, dr("web", "shop", "host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}")), "svc/web.shop:80", "web-plain refused, web-v1 allow, web-v2 refused"},
		{"DR-13 headless, DISABLE at the workload", ofV1("mtls: {mode: DISABLE}"), "svc/headless.shop:80", "web-v1 refused"},
		{"DR-14 DISABLE for the host, a STRICT port open", docs(moded(policy.Strict), openPort("DISABLE")), "svc/web.shop:80", "web-plain allow, web-v1 refused, web-v2 refused"},
		{"DR-14 ISTIO_MUTUAL for the host, an endpoint that is DISABLE", docs(ofV1("mtls: {mode: DISABLE}"), openPort("ISTIO_MUTUAL")), "svc/web.shop:80", "web-plain allow, web-v1 refused, web-v2 allow"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			a := answer(t, snapshot(t, docs(serverYAML, otherServersYAML, callerYAML, tt.manifests), ""), "deploy/client.client", tt.callee)
			var got []string
			for _, e := range a.Endpoints {
				got = append(got, e.Workload.Name+" "+string(e.Outcome))
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("%s, want %s", strings.Join(got, ", "), tt.want)
			}
			mixed := strings.Contains(tt.want, "allow") && strings.Contains(tt.want, "refused")
			if (a.Outcome == policy.Unknown) != mixed {
				t.Errorf("together: %s (%s)", a.Outcome, a.Reason)
			}
		})
	}
}

// TestSecureNaming: a client's sidecar gives up on a server that runs as an
// account that it does not accept (DR-21..DR-24).
func TestSecureNaming(t *testing.T) {
	t.Parallel()
	names := func(list string) string {
		return dr("web", "shop", "host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: ["+list+"]}}, subsets: [{name: v1, labels: {version: v1}}]")
	}
	const v1, v2 = "spiffe://cluster.local/ns/shop/sa/web-v1", "spiffe://cluster.local/ns/shop/sa/web-v2"
	for _, tt := range []struct{ rule, manifests, want string }{
		{"DR-21 whom the Service has", "", "allow allow"},
		{"DR-21 whom a rule names", names(v1), "allow refused"},
		{"DR-21 one of several", names(v1 + ", " + v2), "allow allow"},
		{"DR-24 the Service's, not the subset's", dr("web", "shop", "host: web, subsets: [{name: v1, labels: {version: v1}}]"), "allow allow"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			a := answer(t, snapshot(t, docs(serverYAML, callerYAML, moded(policy.Strict), tt.manifests), ""), "deploy/client.client", "svc/web.shop:80")
			got := map[string]policy.EndpointAnswer{}
			for _, e := range a.Endpoints {
				got[e.Workload.Name] = e
			}
			if outcomes := fmt.Sprintf("%s %s", got["web-v1"].Outcome, got["web-v2"].Outcome); outcomes != tt.want {
				t.Errorf("%s (%s), want %s", outcomes, got["web-v2"].Reason, tt.want)
			}
			if e := got["web-v2"]; e.Outcome == policy.Refused && (e.Stage != policy.ClientTLS || e.HTTPStatus != 503 || !strings.Contains(e.Reason, v2)) {
				t.Errorf("%+v", e.Verdict)
			}
		})
	}
}

// TestBytesEnd: where a port speaks no TLS, a sender that insists on it gets as far
// as the rules for byte streams; its own sidecar tells the program that the
// connection ended (DP-70).
func TestBytesEnd(t *testing.T) {
	t.Parallel()
	rule := dr("w", "shop", "host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: [spiffe://cluster.local/ns/shop/sa/nobody]}}")
	server := strings.ReplaceAll(serverYAML, "name: http", "name: odd")
	if server == serverYAML {
		t.Fatal("no port to rename")
	}
	for what, tt := range map[string]struct{ manifests, want string }{
		"a rule is against it":    {ap("none", "action: ALLOW"), "deny 503 allow"},
		"the application ends it": {"", "refused 503 transport"},
		"a certificate is shown":  {docs(moded(policy.Strict), ap("none", "action: ALLOW")), "refused 503 client-tls"},
	} {
		mode := moded("DISABLE")
		if strings.HasPrefix(tt.want, "refused 503 client") {
			mode = ""
		}
		a := answer(t, snapshot(t, docs(server, callerYAML, rule, mode, tt.manifests), ""), "deploy/client.client", "svc/web.shop:80")
		e := a.Endpoints[slices.IndexFunc(a.Endpoints, func(e policy.EndpointAnswer) bool { return e.Workload.Name == "web-v1" })]
		if got := fmt.Sprintf("%s %d %s", e.Outcome, e.HTTPStatus, e.Stage); got != tt.want {
			t.Errorf("%s: %s (%s), want %s", what, got, e.Reason, tt.want)
		}
	}
}

// TestBypass: ports that the packet filter keeps from a sidecar know no policy,
// and what a client's does not see is sent as it is (PA-22).
func TestBypass(t *testing.T) {
	t.Parallel()
	denied := ap("all", "action: DENY, rules: [{}]")
	annotated := func(text, name, annotation string) string {
		return strings.Replace(text, "metadata: {labels: {app: "+name, "metadata: {annotations: {traffic.sidecar.istio.io/"+annotation+"}, labels: {app: "+name, 1)
	}
	for _, tt := range []struct{ what, manifests, callee, want string }{
		{"seen", docs(serverYAML, callerYAML, denied), "svc/web.shop:80", "deny deny"},
		{"excluded at the server", docs(annotated(serverYAML, "web", "excludeInboundPorts: '1, 8080'"), callerYAML, denied), "svc/web.shop:80", "refused transport"},
		{"excluded at the server, for plaintext", docs(annotated(serverYAML, "web", "excludeInboundPorts: '8080'"), callerYAML, denied, dr("w", "shop", "host: web, trafficPolicy: {tls: {mode: DISABLE}}")), "svc/web.shop:80", "allow transport"},
		{"the Service's number is not the port", docs(annotated(serverYAML, "web", "excludeInboundPorts: '80'"), callerYAML, denied), "svc/web.shop:80", "deny deny"},
		{"not among those included", docs(annotated(serverYAML, "web", "includeInboundPorts: '9000'"), callerYAML, denied, dr("w", "shop", "host: web, trafficPolicy: {tls: {mode: DISABLE}}")), "svc/web.shop:80", "allow transport"},
		{"all are included", docs(annotated(serverYAML, "web", "includeInboundPorts: '*'"), callerYAML, denied), "svc/web.shop:80", "deny deny"},
		{"excluded at the client", docs(serverYAML, annotated(callerYAML, "client", "excludeOutboundPorts: '80'"), moded(policy.Strict)), "svc/web.shop:80", "refused transport"},
		{"the health port of the proxy", docs(serverYAML, callerYAML, moded(policy.Strict), denied), "deploy/web-v1.shop:15021", "allow transport"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			a := answer(t, snapshot(t, tt.manifests, ""), "deploy/client.client", tt.callee)
			for _, e := range a.Endpoints {
				if e.Workload.Name != "web-v1" {
					continue
				}
				if got := fmt.Sprintf("%s %s", e.Outcome, e.Stage); got != tt.want {
					t.Errorf("%s (%s), want %s", got, e.Reason, tt.want)
				}
				return
			}
			t.Errorf("web-v1 was not asked: %+v", a)
		})
	}
}
