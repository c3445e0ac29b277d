package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// peerPolicy is a PeerAuthentication of the namespace shop, or of another where the name
// has one after a dot.
func peerPolicy(name, spec string) string {
	bare, ns, ok := strings.Cut(name, ".")
	if !ok {
		ns = "shop"
	}
	return fmt.Sprintf("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: %s, namespace: %s}\nspec: {%s}\n", bare, ns, spec)
}

// TestExplainPeer: what a PeerAuthentication means (PA-1..PA-8, DR-12, DR-13).
func TestExplainPeer(t *testing.T) {
	t.Parallel()
	const own = "selector: {matchLabels: {app: app}}, "
	headless := "apiVersion: v1\nkind: Service\nmetadata: {name: direct, namespace: shop}\nspec: {clusterIP: None, selector: {app: app}, ports: [{name: http, port: 8080}]}\n"
	dated := func(text, time string) string {
		return strings.Replace(text, "namespace: shop}", "namespace: shop, creationTimestamp: '"+time+"'}", 1)
	}
	for _, tt := range []struct{ rule, policies, want string }{
		{"PA-1 STRICT", peerPolicy("p", "mtls: {mode: STRICT}"), "effect: It says STRICT: connections need mTLS with a certificate of the mesh, all others are refused."},
		{"PA-1 PERMISSIVE", peerPolicy("p", "mtls: {mode: PERMISSIVE}"), "effect: It says PERMISSIVE: both mTLS and plaintext are taken; a caller without mTLS has no identity."},
		{"PA-1 DISABLE", peerPolicy("p", "mtls: {mode: DISABLE}"), "effect: It says DISABLE: the sidecar speaks no TLS, so no caller has an identity and clients that insist on mTLS fail."},
		{"PA-1 UNSET", peerPolicy("p", ""), "effect: It leaves the mode to the level above: namespace, then mesh, then PERMISSIVE.\nmtls: Deployment shop/app: PERMISSIVE (nothing says otherwise)."},
		{"PA-2 the mesh's", peerPolicy("p.istio-system", "mtls: {mode: STRICT}"), "selection: It is in the root namespace and has no selector: it is for the whole mesh, where no PeerAuthentication of a namespace or workload says otherwise."},
		{"PA-2 a namespace's", peerPolicy("p", "mtls: {mode: STRICT}"), "selection: It has no selector: it is for namespace shop, where no PeerAuthentication of a workload says otherwise."},
		{"PA-2 a workload's", peerPolicy("p", own+"mtls: {mode: STRICT}"), "selection: It selects the workloads of namespace shop with the label app=app: Deployment shop/app."},
		{"PA-2 of an empty namespace", peerPolicy("p.far", "mtls: {mode: STRICT}"), "selection: The files have no workload there."},
		{"PA-3 the first by name", docs(peerPolicy("a", ""), peerPolicy("p", "mtls: {mode: STRICT}")), "effect: It has no effect: PeerAuthentication shop/a is for the same level and comes first by name (neither says when it was created), and the oldest alone counts, though it leaves the mode open."},
		{"PA-3 at the same time", docs(dated(peerPolicy("a", "mtls: {mode: DISABLE}"), "2026-01-01T00:00:00Z"), dated(peerPolicy("p", "mtls: {mode: STRICT}"), "2026-01-01T00:00:00Z")), "comes first by name (both were created at the same time), and the oldest alone counts."},
		{"PA-3 the oldest", docs(dated(peerPolicy("z", "mtls: {mode: DISABLE}"), "2025-01-01T00:00:00Z"), dated(peerPolicy("p", "mtls: {mode: STRICT}"), "2026-01-01T00:00:00Z")), "effect: It has no effect: PeerAuthentication shop/z is for the same level and is older, and the oldest alone counts."},
		{"PA-4 of workloads", docs(peerPolicy("a", own+"mtls: {mode: DISABLE}"), peerPolicy("p", "selector: {matchLabels: {version: v1}}, mtls: {mode: STRICT}")), "effect: It has no effect on Deployment shop/app: PeerAuthentication shop/a selects the same and comes first by name (neither says when it was created), and the oldest alone counts.\nmtls: Deployment shop/app: DISABLE (by shop/a)."},
		{"PA-5 a level below says otherwise", docs(peerPolicy("p", "mtls: {mode: STRICT}"), peerPolicy("q", own+"mtls: {mode: DISABLE}")), "mtls: Deployment shop/app: DISABLE (by shop/q)."},
		{"PA-6 a selector in the root namespace (T-13)", peerPolicy("p.istio-system", own+"mtls: {mode: STRICT}"), "selection: It has a selector and is in the root namespace, where PeerAuthentications with selectors have no effect on any workload, not even there: move it to the namespace of the workloads."},
		{"PA-7 ports", peerPolicy("p", own+"mtls: {mode: STRICT}, portLevelMtls: {'8080': {mode: DISABLE}, '9000': {}}"), "effect: Port 8080 is DISABLE: the sidecar speaks no TLS, so no caller has an identity and clients that insist on mTLS fail.\neffect: Port 9000 keeps the workload's mode.\nmtls: Deployment shop/app: STRICT, but DISABLE on port 8080."},
		{"PA-7 a Service's port (T-12)", peerPolicy("p", own+"portLevelMtls: {'80': {mode: STRICT}}"), "caution: Port 80 is a Service's, and what counts here is the workload's own behind it: 8080 behind Service shop/app."},
		{"PA-8 ports without a selector", peerPolicy("p", "mtls: {mode: STRICT}, portLevelMtls: {'8080': {mode: DISABLE}}"), "caution: Its portLevelMtls are ignored: they need a selector."},
		{"DR-12 clients see namespaces only (T-14)", docs(peerPolicy("ns", "mtls: {mode: DISABLE}"), peerPolicy("p", own+"mtls: {mode: STRICT}")), "caution: Clients look at namespace and mesh only, and namespace shop is DISABLE: they send plaintext to Deployment shop/app, where it is refused, unless a DestinationRule says ISTIO_MUTUAL."},
		{"DR-13 headless Services (T-14)", docs(headless, peerPolicy("p", own+"mtls: {mode: DISABLE}")), "caution: Service shop/direct is headless: clients do not see that Deployment shop/app takes no mTLS and send it all the same, unless a DestinationRule says DISABLE."},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			s := snapshot(t, docs(workloadYAML, tt.policies), "")
			reference := "pa/p.shop"
			for _, ns := range []string{"istio-system", "far"} {
				if s.PeerAuthentications(ns) != nil {
					reference = "pa/p." + ns
				}
			}
			if lines := explain(t, s, reference); !says(lines, tt.want) {
				t.Errorf("want %q in:\n%s", tt.want, strings.Join(lines, "\n"))
			}
		})
	}
}

// TestExplainTokens: what a RequestAuthentication means (RA-1..RA-19).
func TestExplainTokens(t *testing.T) {
	t.Parallel()
	const a = "issuer: a, jwks: '{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}'"
	other := strings.Replace(jwtPolicy("issuer: b, fromHeaders: [{name: x-b}]"), "name: ra", "name: other", 1)
	for _, tt := range []struct{ rule, policies, want string }{
		{"RA-3 no rules", "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: ra, namespace: shop}\nspec: {}\n", "effect: It has no jwtRules: it does nothing."},
		{"RA-10 default places", jwtPolicy(a), "tokens: Rule 0 takes tokens of the issuer a, for any audience, that it finds in the header authorization after \"Bearer \" or the query parameter access_token.\ntokens: Rule 0 checks them with the keys in the policy itself.\ntokens: Rule 0 takes a good token out of its header or parameter before policies and the workload see the request."},
		{"RA-10 places of its own", jwtPolicy(a + ", fromHeaders: [{name: x-b, prefix: 'B '}, {name: x-a}], fromParams: [t], fromCookies: [c]"), "that it finds in the header x-a, the header x-b after \"B \", the query parameter t or the cookie c."},
		{"RA-9 any issuer", jwtPolicy("jwksUri: 'https://keys.example'"), "tokens: Rule 0 takes tokens of any issuer, for any audience,"},
		{"RA-18 audiences", jwtPolicy(a + ", audiences: [web, api]"), "for the audience web or api, that"},
		{"RA-18 and what others get", jwtPolicy(a + ", audiences: [x]"), "tokens: A token for another audience gets 403."},
		{"RA-19 keys of a jwksUri (RA-20)", jwtPolicy("issuer: a, jwksUri: 'https://keys.example'"), "tokens: Rule 0 checks them with the keys that https://keys.example serves, which the files do not tell; while they cannot be fetched, every token is bad."},
		{"RA-19 keys by discovery", jwtPolicy("issuer: a"), "with the keys that the issuer's discovery document names, which the files do not tell;"},
		{"DP-5 keys that cannot be used", jwtPolicy("issuer: a, jwks: '{}'"), "caution: Rule 0: its keys cannot be used ("},
		{"RA-14 forwarded", jwtPolicy(a + ", forwardOriginalToken: true"), "tokens: Rule 0 leaves a good token in the request."},
		{"RA-15 outputs", jwtPolicy(a + ", outputPayloadToHeader: x-p, outputClaimToHeaders: [{claim: sub, header: x-s}]"), "tokens: Rule 0 puts what a good token says into the headers x-p and x-s; what a client sends there is removed from every request."},
		{"RA-4 without a token", jwtPolicy(a), "tokens: A request without a token passes, without a request principal; what must have one is for an AuthorizationPolicy to say, and gets 403 without."},
		{"T-16 nobody wants one", docs(jwtPolicy(a), ap("p", "rules: [{}]")), "caution: No AuthorizationPolicy in force for Deployment shop/app looks at tokens: requests without one are treated like those with one."},
		{"RA-5 a bad token", jwtPolicy(a), "tokens: A bad token gets 401: a signature that does not verify, an expired token, an issuer that no rule names."},
		{"T-17 tokens of others", jwtPolicy(a), "caution: Any other bearer token in the header authorization gets 401 too, also one that is meant for the workload itself."},
		{"RA-2 all count (T-26)", docs(jwtPolicy(a), other), "effect: For Deployment shop/app the rules of shop/other hold as well: a token is good if any rule takes it."},
		{"RA-8 different places", docs(jwtPolicy(a), other), "caution: The rules for Deployment shop/app look for tokens in different places: a good token in one lets a bad one in another pass."},
		{"RA-3 HTTP only", jwtPolicy(a), "tcp: Tokens are looked for in HTTP requests only, and not in other bytes, such as on ports 9000 and 7000 of Deployment shop/app."},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			if lines := explain(t, snapshot(t, docs(workloadYAML, tt.policies), ""), "ra/ra.shop"); !says(lines, tt.want) {
				t.Errorf("want %q in:\n%s", tt.want, strings.Join(lines, "\n"))
			}
		})
	}
	wanted := docs(jwtPolicy(a), allowFrom("requestPrincipals: ['*']"))
	if lines := explain(t, snapshot(t, docs(workloadYAML, wanted), ""), "ra/ra.shop"); says(lines, "looks at tokens") {
		t.Errorf("a policy wants a token, and it is said that none does:\n%s", strings.Join(lines, "\n"))
	}
}

// TestExplainWorkload: all that applies, in the order in which a sidecar looks
// (EV-1, EV-2).
func TestExplainWorkload(t *testing.T) {
	t.Parallel()
	dry := strings.Replace(ap("d", "action: DENY, rules: [{}]"), "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: 'true'}}", 1)
	policies := docs(
		peerPolicy("pa", "selector: {matchLabels: {app: app}}, mtls: {mode: STRICT}, portLevelMtls: {'7000': {mode: PERMISSIVE}}"),
		jwtPolicy("issuer: a, jwksUri: 'https://keys.example'"),
		ap("ask", "action: CUSTOM, provider: {name: none}, rules: [{to: [{operation: {ports: ['8080']}}]}]"),
		ap("note", "action: AUDIT, rules: [{to: [{operation: {methods: [GET]}}]}]"), dry,
		ap("empty", "action: DENY"), ap("a", "rules: [{to: [{operation: {methods: [GET]}}]}]"),
	)
	want := []string{
		"sidecar: It runs as the service account shop/app.",
		"sidecar: It has a sidecar: nothing in the files says so; it is assumed.",
		"sidecar: Its sidecar presents spiffe://cluster.local/ns/shop/sa/app.",
		"mtls: Port 7000 (sniffed) is PERMISSIVE: both mTLS and plaintext are taken; a caller without mTLS has no identity.",
		"mtls: Port 8080 (HTTP) is STRICT: connections need mTLS with a certificate of the mesh, all others are refused.",
		"mtls: Port 9000 (TCP) is STRICT: connections need mTLS with a certificate of the mesh, all others are refused.",
		"mtls: Every other port is STRICT.",
		"custom: shop/ask wants to ask an external authorizer, but the mesh config has no extension provider none (--mesh-config reads one): what its rules match is denied.",
		"custom: Rule 0 of shop/ask denies anything on port 8080.",
		"tokens: Rule 0 of shop/ra takes tokens of the issuer a, for any audience, that it finds in the header authorization after \"Bearer \" or the query parameter access_token.",
		"tokens: Rule 0 of shop/ra checks them with the keys that https://keys.example serves, which the files do not tell; while they cannot be fetched, every token is bad.",
		"tokens: Rule 0 of shop/ra takes a good token out of its header or parameter before policies and the workload see the request.",
		"tokens: A request without a token passes, without a request principal; what must have one is for an AuthorizationPolicy to say, and gets 403 without.",
		"tokens: A bad token gets 401: a signature that does not verify, an expired token, an issuer that no rule names.",
		"audit: Rule 0 of shop/note notes GET.",
		"deny: shop/d is a dry run: it decides nothing.",
		"deny: Rule 0 of shop/d would deny everything.",
		"deny: shop/empty has no rules: it denies nothing.",
		"allow: Rule 0 of shop/a allows GET.",
		"rest: Everything else is denied, on every port, as there are ALLOW policies: shop/a.",
		"rest: On port 9000 (TCP) nothing is allowed at all: no rule of theirs can match there.",
		"tcp: On port 9000, which carries bytes that are no HTTP requests, rule 0 of shop/a does not count: a byte stream has no methods.",
		"tcp: On port 7000, where the protocol is not declared and the bytes do not look like HTTP, rule 0 of shop/a does not count: a byte stream has no methods.",
		"tcp: On port 9000, which carries bytes that are no HTTP requests, rule 0 of shop/note matches more, as a byte stream has no methods: there it notes everything.",
		"tcp: On port 7000, where the protocol is not declared and the bytes do not look like HTTP, rule 0 of shop/note matches more, as a byte stream has no methods: there it notes everything.",
		"caution: No AuthorizationPolicy in force for Deployment shop/app looks at tokens: requests without one are treated like those with one.",
		"caution: Any other bearer token in the header authorization gets 401 too, also one that is meant for the workload itself.",
	}
	if diff := cmp.Diff(want, explain(t, snapshot(t, docs(workloadYAML, policies), ""), "deploy/app.shop")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bare := explain(t, snapshot(t, workloadYAML, ""), "deploy/app.shop")
	for _, want := range []string{
		"mtls: Every other port is PERMISSIVE, as no PeerAuthentication says otherwise.",
		"tokens: No RequestAuthentication is for it: tokens are not looked at.",
		"rest: No ALLOW policy is in force for it, so everything else is allowed.",
	} {
		if !says(bare, want) {
			t.Errorf("want %q in:\n%s", want, strings.Join(bare, "\n"))
		}
	}
	bypass := strings.Replace(workloadYAML, "metadata: {labels: {app: app, version: v1}}", "metadata: {labels: {app: app}, annotations: {traffic.sidecar.istio.io/excludeInboundPorts: '9000'}}", 1)
	lines := explain(t, snapshot(t, docs(bypass, allowTo("methods: [GET]")), ""), "deploy/app.shop")
	if !says(lines, "mtls: Port 9000 (TCP) bypasses the sidecar (traffic.sidecar.istio.io/excludeInboundPorts): nothing is enforced there.") {
		t.Errorf("PA-22: the port's bypass is not told:\n%s", strings.Join(lines, "\n"))
	}
	if says(lines, "On port 9000") {
		t.Errorf("PA-22: something is said to hold on the port:\n%s", strings.Join(lines, "\n"))
	}
}
