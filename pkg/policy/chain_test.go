package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// moded is a PeerAuthentication of namespace shop.
func moded(mode policy.Mode) string { return pa("a", "shop", "", "mtls: {mode: "+string(mode)+"}") }

// TestConnections: which filter chain takes a connection, told by what becomes
// of it (section 2 of the policy reference). want is the outcome, its stage and
// the HTTP status.
func TestConnections(t *testing.T) {
	t.Parallel()
	raw := func(r *policy.Request) { r.HTTP = nil }
	sniffed, tcp := to(7000), to(9000)
	denyPost := ap("p", "action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]")
	denyNobody := ap("p", "action: DENY, rules: [{from: [{source: {notPrincipals: ['*']}}]}]")
	denyName := ap("p", "action: DENY, rules: [{when: [{key: connection.sni, values: [app.shop]}]}]")
	ownPort := pa("w", "shop", "", "selector: {matchLabels: {app: app}}, portLevelMtls: {8080: {mode: STRICT}, 1234: {mode: STRICT}}")
	tests := []struct {
		rule, policies string
		changes        []change
		want           string
	}{
		{"PA-14 a port that is DISABLE does not look for TLS", docs(moded(policy.Disable), denyPost), []change{tcp}, "deny deny 0"},
		{"PA-14 nor does an HTTP port, which then cannot read it", moded(policy.Disable), nil, "refused transport 0"},
		{"PA-15 no chain, no connection", moded(policy.Strict), []change{plaintext}, "refused transport 0"},
		{"PA-15 a port of its own never falls back to the others", ownPort, []change{plaintext}, "refused transport 0"},
		{"PA-15 one without a Service too", ownPort, []change{plaintext, to(1234)}, "refused transport 0"},
		{"PA-15 while the others stay as they are", ownPort, []change{plaintext, to(4321)}, "allow allow 200"},
		{"PA-19 TLS is passed on to an application that has none", moded(policy.Disable), []change{tcp}, "refused transport 0"},
		{"PA-19 though a rule allows it", docs(moded(policy.Disable), ap("p", "rules: [{}]")), []change{tcp}, "refused transport 0"},
		{"PA-19 unless a rule closes it before", docs(moded(policy.Disable), denyNobody), []change{tcp}, "deny deny 0"},
		{"PA-20 no protocol of Istio's, STRICT HTTP port", docs(moded(policy.Strict), denyPost), []change{alpn()}, "allow allow 200"},
		{"PA-20 STRICT TCP port", moded(policy.Strict), []change{alpn(), tcp}, "allow allow 200"},
		{"PA-20 STRICT sniffed port: bytes, so DENY is wider", docs(moded(policy.Strict), denyPost), []change{alpn(), sniffed}, "deny deny 0"},
		{"PA-20 with one it is HTTP", docs(moded(policy.Strict), denyPost), []change{sniffed}, "allow allow 200"},
		{"PA-20 PERMISSIVE HTTP port", moded(policy.Permissive), []change{alpn()}, "refused transport 0"},
		{"PA-20 PERMISSIVE TCP port: passed on, without an identity", docs(moded(policy.Permissive), denyNobody), []change{alpn(), tcp}, "deny deny 0"},
		{"PA-20 PERMISSIVE sniffed port as well", docs(moded(policy.Permissive), denyNobody), []change{alpn(), sniffed}, "deny deny 0"},
		{"PA-21 plaintext has no identity", docs(moded(policy.Permissive), denyNobody), []change{plaintext}, "deny deny 403"},
		{"PA-21 mTLS has one", docs(moded(policy.Permissive), denyNobody), nil, "allow allow 200"},
		{"RUN-5 the client's order decides", denyPost, []change{sniffed, alpn("istio", "istio-http/1.1")}, "deny deny 0"},
		{"RUN-5 the other way round", denyPost, []change{sniffed, alpn("istio-http/1.1", "istio")}, "allow allow 200"},
		{"RUN-6 the server name is known on TLS that passes through", docs(moded(policy.Permissive), denyName), []change{tcp, alpn("h2"), sni("APP.shop")}, "deny deny 0"},
		{"RUN-6 and not on a port that is DISABLE", docs(moded(policy.Disable), denyName), []change{tcp, alpn("h2"), sni("APP.shop")}, "refused transport 0"},
		{"RUN-6 a value with capitals never matches", ap("p", "action: DENY, rules: [{when: [{key: connection.sni, values: [APP.shop]}]}]"), []change{sni("APP.shop")}, "allow allow 200"},
		{"RUN-2 any method is HTTP to a sniffed port, though not to its codec", "", []change{plaintext, sniffed, method("FOO")}, "rejected http 400"},
		{"RUN-2 a blank in the target is not", denyPost, []change{plaintext, sniffed, path("/a b")}, "deny deny 0"},
		{"RUN-2 nor are other bytes", denyPost, []change{plaintext, sniffed, raw}, "deny deny 0"},
		{"RUN-2 HTTP/2 is", denyPost, []change{plaintext, sniffed, func(r *policy.Request) { r.HTTP.Version = "2" }}, "allow allow 200"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			v := model(t, tt.policies, "").Evaluate(request(tt.changes...))
			if got := fmt.Sprintf("%s %s %d", v.Outcome, v.Stage, v.HTTPStatus); got != tt.want || v.Outcome == policy.Refused && v.By != "" {
				t.Errorf("%s by %q (%s), want %s", got, v.By, v.Reason, tt.want)
			}
		})
	}
}

// TestApplicationProtocols: which of a client's protocols a PERMISSIVE port
// takes for Istio's, and which of those for HTTP (PA-12).
func TestApplicationProtocols(t *testing.T) {
	t.Parallel()
	m := model(t, ap("p", "action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]"), "")
	for protocol, want := range map[string]string{ // to the HTTP port, and to the sniffed one
		"istio":               "allow bytes",
		"istio-peer-exchange": "allow bytes",
		"istio-http/1.0":      "allow HTTP",
		"istio-http/1.1":      "allow HTTP",
		"istio-h2":            "allow HTTP",
		"http/1.1":            "refused bytes",
		"h2":                  "refused bytes",
		"ISTIO":               "refused bytes",
	} {
		kind := "HTTP"
		if v := m.Evaluate(request(to(7000), alpn(protocol))); v.Outcome == policy.Deny {
			kind = "bytes" // where methods are not seen, the rule is for all
		}
		if got := fmt.Sprintf("%s %s", m.Evaluate(request(alpn(protocol))).Outcome, kind); got != want {
			t.Errorf("%s: %s, want %s", protocol, got, want)
		}
	}
}

// TestInspectors: TLS and HTTP are looked for only where a chain asks (PA-14,
// PA-12).
func TestInspectors(t *testing.T) {
	t.Parallel()
	for mode, want := range map[policy.Mode]string{
		policy.Disable:    "8080 - -, 9000 - -, 7000 - HTTP",
		policy.Permissive: "8080 TLS -, 9000 TLS -, 7000 TLS HTTP",
		policy.Strict:     "8080 TLS -, 9000 TLS -, 7000 TLS -",
	} {
		m := model(t, moded(mode), "")
		var got []string
		for _, number := range []uint32{8080, 9000, 7000} {
			looks := map[bool]string{true: "TLS", false: "-"}[m.Port(number).SeesTLS]
			got = append(got, fmt.Sprintf("%d %s %s", number, looks, map[bool]string{true: "HTTP", false: "-"}[m.Port(number).SeesHTTP]))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %s, want %s", mode, strings.Join(got, ", "), want)
		}
	}
}

// TestKindsOfPorts: the protocol that a Service declares says whether HTTP
// fields mean anything on its port (AP-59b). A rule for another method is wider
// where methods are not seen.
func TestKindsOfPorts(t *testing.T) {
	t.Parallel()
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: more, namespace: shop}\nspec: {selector: {app: app}, ports: [{name: %s-x, port: 81, targetPort: 8181}]}\n"
	deny := ap("p", "action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]")
	for protocol, want := range map[string]struct {
		traffic mesh.Traffic
		outcome policy.Outcome
	}{
		"http": {mesh.HTTPTraffic, policy.Allow}, "http2": {mesh.HTTPTraffic, policy.Allow}, "grpc": {mesh.HTTPTraffic, policy.Allow}, "grpc-web": {mesh.HTTPTraffic, policy.Allow},
		"tcp": {mesh.TCPTraffic, policy.Deny}, "tls": {mesh.TCPTraffic, policy.Deny}, "https": {mesh.TCPTraffic, policy.Deny}, "mongo": {mesh.TCPTraffic, policy.Deny}, "redis": {mesh.TCPTraffic, policy.Deny}, "mysql": {mesh.TCPTraffic, policy.Deny},
		"web": {mesh.SniffedTraffic, policy.Allow}, // mTLS says that it is HTTP
	} {
		m := model(t, docs(fmt.Sprintf(service, protocol), deny), "")
		port := m.Port(8181)
		if v := m.Evaluate(request(to(8181))); port.Traffic != want.traffic || v.Outcome != want.outcome {
			t.Errorf("%s: %s %s, want %s %s", protocol, port.Traffic, v.Outcome, want.traffic, want.outcome)
		}
	}
}

// TestSharedPort: of several Services on one port the oldest decides what it
// speaks (PA-16).
func TestSharedPort(t *testing.T) {
	t.Parallel()
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: shop}\nspec: {selector: {app: app}, ports: [{name: tcp-x, port: 81, targetPort: 8080}]}\n"
	for name, want := range map[string]mesh.Traffic{"aaa": mesh.TCPTraffic, "zzz": mesh.HTTPTraffic} {
		if got := model(t, fmt.Sprintf(service, name), "").Port(8080); got.Traffic != want {
			t.Errorf("with the Service %s: %s, by %s; want %s", name, got.Traffic, got.Declared.Service.Name, want)
		}
	}
}
