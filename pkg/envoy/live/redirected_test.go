//go:build envoy

package live_test

import (
	"fmt"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// headless is a Service without an address: clients find its pods.
const headless = `---
apiVersion: v1
kind: Service
metadata: {name: pods, namespace: shop}
spec: {clusterIP: None, selector: {app: app}, ports: [{name: tcp, port: 9000}, {name: http, port: 8080}, {name: odd, port: 7000}]}
`

// TestEnvoyRedirects: a sidecar that takes all that its workload sends keeps
// istiod's listeners: Services by their addresses, headless ones by their pods',
// ports that nobody declares as they are, and hosts that nobody has (DP-4, DP-7).
func TestEnvoyRedirects(t *testing.T) {
	for what, extra := range map[string]string{"STRICT": "", "plaintext too": "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: app, namespace: shop}\nspec: {selector: {matchLabels: {app: app}}, mtls: {mode: PERMISSIVE}}\n"} {
		f := newFixture(t, callers+shop+headless+extra)
		sidecars := start(t, f.workloads(t, "app", "curl"), live.Options{
			Form: envoy.OwnAddresses, OwnKey: true, Redirected: "shop/curl", Undeclared: []uint32{1234},
		})
		caller, app := policy.Caller{Workload: f.Workload("shop", "curl")}, sidecars.Address("shop/app").String()
		var sent []live.Sent
		var questions []*policy.Question
		ask := func(address string, to policy.Callee, port uint32, h *policy.HTTP) {
			sent = append(sent, live.Sent{From: "shop/curl", Address: address, Port: port, HTTP: h})
			questions = append(questions, &policy.Question{From: caller, To: to, HTTP: h, SourceIP: sidecars.Address("shop/curl").String(), DestinationIP: app})
		}
		ok := func(host string) *policy.HTTP { return &policy.HTTP{Method: "GET", Path: "/ok", Authority: host} }
		for _, name := range []string{"app", "pods"} {
			v, err := f.FindService(name, "shop")
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range v.Ports {
				address := sidecars.ServiceAddress("shop/curl", v.Hostname, uint32(p.Number))
				if name == "pods" {
					address = app
				}
				if p.Protocol.Traffic() != mesh.HTTPTraffic {
					ask(address, policy.Callee{Service: v, Port: p}, uint32(p.Number), nil)
				}
				if p.Protocol.Traffic() != mesh.TCPTraffic {
					ask(address, policy.Callee{Service: v, Port: p}, uint32(p.Number), ok(v.Hostname))
				}
			}
		}
		for _, h := range []*policy.HTTP{nil, ok("app"), {Method: "GET", Path: "/no", Authority: "nobody.example"}} {
			ask(app, policy.Callee{Workload: f.Workload("shop", "app"), Number: 1234}, 1234, h)
		}
		answers, err := sidecars.Send(t.Context(), sent)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[policy.Outcome]int{}
		for i := range answers {
			outcomes[answers[i].Outcome]++
			compareSent(t, f, questions[i], &answers[i])
		}
		if outcomes[policy.Allow] < 3 || outcomes[policy.Deny]+outcomes[policy.Refused] < 3 {
			t.Errorf("%s: outcomes %v: that says little", what, outcomes)
		}
	}
}

// TestEnvoyRedirectsOne: one Envoy takes what one workload sends.
func TestEnvoyRedirectsOne(t *testing.T) {
	f := newFixture(t, callers+shop)
	var places []envoy.Place
	for _, w := range f.workloads(t, "app", "curl") {
		places = append(places, envoy.Place{Config: w.Config, Outbound: &envoy.Outbound{Form: envoy.ProxyProtocol}})
	}
	const want = "shop/app, shop/curl: one Envoy hands what is redirected to the listeners of one workload only; let the other one bind its own"
	if _, err := envoy.Static(places, envoy.StaticOptions{JWK: `{"kty":"oct","k":"eA"}`}); fmt.Sprint(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
}
