package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// pa is a PeerAuthentication; more goes into its metadata.
func pa(name, namespace, more, spec string) string {
	return fmt.Sprintf("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: %s, namespace: %s%s}\nspec: {%s}\n", name, namespace, more, spec)
}

func jwtPolicy(rules ...string) string {
	text := "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: ra, namespace: shop}\nspec:\n  jwtRules:\n"
	for _, r := range rules {
		text += "  - {" + r + "}\n"
	}
	return text
}

// TestModes: which mode holds on a port (PA-1..PA-8).
func TestModes(t *testing.T) {
	t.Parallel()
	const strict, disable, unset = "mtls: {mode: STRICT}", "mtls: {mode: DISABLE}", "mtls: {mode: UNSET}"
	const own = "selector: {matchLabels: {app: app}}, "
	tests := []struct {
		rule, policies string
		port           uint32
		want           policy.Mode
	}{
		{"PA-1 nothing said", "", 8080, policy.Permissive},
		{"PA-2 mesh", pa("a", "istio-system", "", strict), 8080, policy.Strict},
		{"PA-5 namespace over mesh", docs(pa("a", "istio-system", "", strict), pa("b", "shop", "", disable)), 8080, policy.Disable},
		{"PA-5 UNSET inherits", docs(pa("a", "istio-system", "", strict), pa("b", "shop", "", unset)), 8080, policy.Strict},
		{"PA-5 workload over namespace", docs(pa("a", "shop", "", strict), pa("b", "shop", "", own+disable)), 8080, policy.Disable},
		{"PA-3 without times the first by name", docs(pa("b", "shop", "", disable), pa("a", "shop", "", strict)), 8080, policy.Strict},
		{"PA-3 the oldest wins", docs(pa("a", "shop", ", creationTimestamp: 2024-02-01T00:00:00Z", strict), pa("b", "shop", ", creationTimestamp: 2024-01-01T00:00:00Z", disable)), 8080, policy.Disable},
		{"PA-4 of several for a workload the oldest that selects it", docs(pa("a", "shop", "", "selector: {matchLabels: {app: other}}, "+disable), pa("c", "shop", "", own+disable), pa("b", "shop", "", own+strict)), 8080, policy.Strict},
		{"PA-4 no merging of what one level says", docs(pa("a", "shop", "", own+"mtls: {mode: UNSET}"), pa("b", "shop", "", own+"mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}")), 8080, policy.Permissive},
		{"PA-5 an older UNSET hides a younger STRICT", docs(pa("a", "shop", "", unset), pa("b", "shop", "", strict)), 8080, policy.Permissive},
		{"PA-6 a selector in the root namespace", pa("a", "istio-system", "", own+strict), 8080, policy.Permissive},
		{"PA-7 port", pa("a", "shop", "", own+"mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), 8080, policy.Disable},
		{"PA-7 the workload's port, not the Service's", pa("a", "shop", "", own+"mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}"), 8080, policy.Strict},
		{"PA-7 UNSET port", pa("a", "shop", "", own+"mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: UNSET}}"), 8080, policy.Strict},
		{"PA-8 ports of a namespace policy are ignored", pa("a", "shop", "", "mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), 8080, policy.Strict},
		{"PA-9 one of another namespace", pa("a", "other", "", strict), 8080, policy.Permissive},
		{"PA-9 a selector that does not fit", pa("a", "shop", "", "selector: {matchLabels: {app: app, tier: gold}}, "+strict), 8080, policy.Permissive},
		{"PA-13 a port that no Service declares", pa("a", "shop", "", own+"mtls: {mode: STRICT}, portLevelMtls: {1234: {mode: DISABLE}}"), 1234, policy.Disable},
		{"EC-36 every other port", pa("a", "shop", "", own+"mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), 4321, policy.Strict},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			if got := model(t, tt.policies, "").Port(tt.port).Mode; got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestChains: what becomes of a client by mode and kind of port (section 2.3
// of the policy reference).
func TestChains(t *testing.T) {
	t.Parallel()
	tcp := func(r *policy.Request) { r.From.ALPN = []string{"istio-peer-exchange", "istio"} }
	foreign := alpn("h2")
	raw := func(r *policy.Request) { r.HTTP = nil }
	tests := []struct {
		name                        string
		port                        uint32
		client                      []change
		disable, permissive, strict policy.Outcome
	}{
		{"HTTP port, plain HTTP", 8080, []change{plaintext}, "allow", "allow", "refused"},
		{"HTTP port, plain bytes", 8080, []change{plaintext, raw}, "rejected", "rejected", "refused"},
		{"HTTP port, mTLS", 8080, nil, "refused", "allow", "allow"},
		{"HTTP port, foreign protocols", 8080, []change{alpn("http/1.1")}, "refused", "refused", "allow"},
		{"TCP port, plain", 9000, []change{plaintext, raw}, "allow", "allow", "refused"},
		{"TCP port, mTLS", 9000, []change{tcp, raw}, "refused", "allow", "allow"},
		{"TCP port, foreign protocols", 9000, []change{foreign, raw}, "refused", "refused", "allow"},
		{"sniffed port, plain HTTP", 7000, []change{plaintext}, "allow", "allow", "refused"},
		{"sniffed port, plain bytes", 7000, []change{plaintext, raw}, "allow", "allow", "refused"},
		{"sniffed port, mTLS", 7000, nil, "refused", "allow", "allow"},
		{"sniffed port, mTLS as bytes", 7000, []change{tcp, raw}, "refused", "allow", "allow"},
		{"undeclared port, plain HTTP", 1234, []change{plaintext}, "allow", "allow", "refused"},
		{"undeclared port, mTLS", 1234, nil, "refused", "allow", "allow"},
	}
	for _, tt := range tests {
		for mode, want := range map[policy.Mode]policy.Outcome{policy.Disable: tt.disable, policy.Permissive: tt.permissive, policy.Strict: tt.strict} {
			t.Run(tt.name+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				m := model(t, pa("a", "shop", "", "mtls: {mode: "+string(mode)+"}"), "")
				if v := m.Evaluate(request(append([]change{to(tt.port)}, tt.client...)...)); v.Outcome != want {
					t.Errorf("%s (%s), want %s", v.Outcome, v.Reason, want)
				}
			})
		}
	}
}

// TestTokens: RequestAuthentication (RA-2..RA-21).
func TestTokens(t *testing.T) {
	t.Parallel()
	const issuer = "issuer: a, jwks: '{}'"
	good := func(claims map[string]any) policy.Token {
		all := map[string]any{"iss": "a", "sub": "alice", "aud": "web"}
		for k, v := range claims {
			all[k] = v
		}
		return policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: true, Claims: all}
	}
	bad := func(why string) policy.Token {
		k := good(nil)
		k.Valid, k.Why = false, why
		return k
	}
	at := func(k policy.Token, in, name, prefix string) policy.Token {
		k.In, k.Name, k.Prefix = in, name, prefix
		return k
	}
	needs := ap("needs", "rules: [{from: [{source: {requestPrincipals: ['*']}}]}]")
	group := func(v any) string {
		return fmt.Sprint(model(t, docs(jwtPolicy(issuer), allowWhen("request.auth.claims[group]", "values: [dev]")), "").Evaluate(request(token(good(map[string]any{"group": v})))).Outcome)
	}
	tests := []struct {
		rule, policies string
		request        *policy.Request
		want           string
	}{
		{"RA-1 of its own namespace", docs(jwtPolicy(issuer), needs), request(token(good(nil))), "allow 200"},
		{"RA-1 of the root namespace", docs(strings.Replace(jwtPolicy(issuer), "namespace: shop", "namespace: istio-system", 1), needs), request(token(good(nil))), "allow 200"},
		{"RA-1 of another namespace", docs(strings.Replace(jwtPolicy(issuer), "namespace: shop", "namespace: other", 1), needs), request(token(good(nil))), "deny 403"},
		{"RA-1 a selector that does not fit", docs(jwtPolicy(issuer)+"  selector: {matchLabels: {app: other}}\n", needs), request(token(good(nil))), "deny 403"},
		{"RA-1 one that targets a gateway", docs(jwtPolicy(issuer)+"  targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}]\n", needs), request(token(good(nil))), "deny 403"},
		{"RA-2 rules of all policies hold", docs(jwtPolicy(issuer), strings.Replace(jwtPolicy("issuer: b, jwks: '{}'"), "name: ra", "name: rb", 1), needs), request(token(good(map[string]any{"iss": "b"}))), "allow 200"},
		{"RA-4 no token passes", jwtPolicy(issuer), request(), "allow 200"},
		{"RA-4 unless one is asked for", docs(jwtPolicy(issuer), needs), request(), "deny 403"},
		{"RA-16 a good token", docs(jwtPolicy(issuer), needs), request(token(good(nil))), "allow 200"},
		{"AP-38 a token without subject is no principal", docs(jwtPolicy(issuer), needs), request(token(good(map[string]any{"sub": ""}))), "deny 403"},
		{"RA-5 signature", jwtPolicy(issuer), request(token(bad("signature"))), "unauthenticated 401"},
		{"RA-5 expired", jwtPolicy(issuer), request(token(bad("expired"))), "unauthenticated 401"},
		{"RA-5 malformed", jwtPolicy(issuer), request(token(bad("malformed"))), "unauthenticated 401"},
		{"RA-5 unknown issuer (T-17)", jwtPolicy(issuer), request(token(good(map[string]any{"iss": "b"}))), "unauthenticated 401"},
		{"RA-5 audience", jwtPolicy(issuer + ", audiences: [api]"), request(token(good(nil))), "deny 403"},
		{"RA-5 audience before signature", jwtPolicy(issuer + ", audiences: [api]"), request(token(bad("signature"))), "deny 403"},
		{"RA-5 expiry before audience", jwtPolicy(issuer + ", audiences: [api]"), request(token(bad("expired"))), "unauthenticated 401"},
		{"RA-5 a subject that is no text", jwtPolicy(issuer), request(token(good(map[string]any{"sub": 1.0}))), "unauthenticated 401"},
		{"RA-6 no expiry is needed", docs(jwtPolicy(issuer), needs), request(token(good(nil))), "allow 200"},
		{"RA-7 of all failures the one that says most", jwtPolicy(issuer, "issuer: b, jwks: '{}', audiences: [api]"), request(token(good(map[string]any{"iss": "b"}))), "deny 403"},
		{"RA-7 the first that fails for all is told last", jwtPolicy(issuer+", audiences: [api]", "issuer: a, jwks: '{}'"), request(token(bad("signature"))), "deny 403"},
		{"RA-7 nobody's issuer", jwtPolicy(issuer, "issuer: b, jwks: '{}', audiences: [api]"), request(token(good(map[string]any{"iss": "c"}))), "unauthenticated 401"},
		{"RA-18 scheme and slash of audiences", jwtPolicy(issuer + ", audiences: ['https://web/']"), request(token(good(nil))), "allow 200"},
		{"RA-9 no issuer takes any", docs(jwtPolicy("jwksUri: https://x/"), needs), request(token(good(map[string]any{"iss": "whoever"}))), "allow 200"},
		{"RA-10 query parameter", docs(jwtPolicy(issuer), needs), request(token(at(good(nil), "param", "access_token", ""))), "allow 200"},
		{"RA-10 named locations replace both", docs(jwtPolicy(issuer+", fromParams: [t]"), needs), request(token(good(nil))), "deny 403"},
		{"RA-11 another prefix is no token", jwtPolicy(issuer), request(header("authorization", "Basic x")), "allow 200"},
		{"RA-11 the prefix may stand anywhere", jwtPolicy(issuer), request(header("authorization", "xBearer x")), "unauthenticated 401"},
		{"RA-11 custom header", docs(jwtPolicy(issuer+", fromHeaders: [{name: X-Jwt}]"), needs), request(token(at(good(nil), "header", "x-jwt", ""))), "allow 200"},
		{"RA-13 a token elsewhere is not looked at", jwtPolicy(issuer), request(token(at(bad("signature"), "header", "x-token", ""))), "allow 200"},
		{"RA-13 and makes no principal", docs(jwtPolicy(issuer), needs), request(token(at(good(nil), "header", "x-token", ""))), "deny 403"},
		{"RA-12 cookie", docs(jwtPolicy(issuer+", fromCookies: [c]"), needs), request(token(at(good(nil), "cookie", "c", ""))), "allow 200"},
		{"RA-8d every token of a rule must be good", jwtPolicy(issuer), request(token(good(nil)), token(at(bad("expired"), "param", "access_token", ""))), "unauthenticated 401"},
		{"RA-8b no token at all passes, of several rules too", jwtPolicy(issuer, "issuer: b, jwks: '{}'"), request(), "allow 200"},
		{"RA-8c but not those of another rule", jwtPolicy(issuer, "issuer: b, jwks: '{}', fromParams: [t]"), request(token(good(nil)), token(at(bad("expired"), "param", "t", ""))), "allow 200"},
		{"RA-8a either issuer", docs(jwtPolicy(issuer, "issuer: b, jwks: '{}'"), needs), request(token(good(map[string]any{"iss": "b"}))), "allow 200"},
		{"RA-14, RUN-7 a verified token is gone", docs(jwtPolicy(issuer), allowWhen("request.headers[authorization]", "values: ['*']")), request(token(good(nil))), "deny 403"},
		{"RA-14 unless forwarded", docs(jwtPolicy(issuer+", forwardOriginalToken: true"), allowWhen("request.headers[authorization]", "values: ['*']")), request(token(good(nil))), "allow 200"},
		{"RUN-7 a verified parameter is gone too", docs(jwtPolicy(issuer), allowWhen("request.headers[:path]", "values: [/x]")), request(token(at(good(nil), "param", "access_token", ""))), "allow 200"},
		{"RUN-8 headers by name: the first token is the principal", docs(jwtPolicy(issuer+", fromHeaders: [{name: x-b}, {name: x-a}]"), allowFrom("requestPrincipals: [a/ann]")), request(token(at(good(map[string]any{"sub": "bob"}), "header", "x-b", "")), token(at(good(map[string]any{"sub": "ann"}), "header", "x-a", ""))), "allow 200"},
		{"RUN-8 two rules, a token each, in the default places", jwtPolicy(issuer, "issuer: b, jwks: '{}'"), request(token(good(nil)), token(at(good(map[string]any{"iss": "b"}), "param", "access_token", ""))), "allow 200"},
		{"RUN-8 unless tokens are forwarded", jwtPolicy(issuer+", forwardOriginalToken: true", "issuer: b, jwks: '{}', forwardOriginalToken: true"), request(token(good(nil)), token(at(good(map[string]any{"iss": "b"}), "param", "access_token", ""))), "unauthenticated 401"},
		{"RA-15 claims as headers", docs(jwtPolicy(issuer+", outputClaimToHeaders: [{header: x-sub, claim: sub}]"), allowWhen("request.headers[x-sub]", "values: [alice]")), request(token(good(nil))), "allow 200"},
		{"RA-15 cannot be forged", docs(jwtPolicy(issuer+", outputClaimToHeaders: [{header: x-sub, claim: sub}]"), allowWhen("request.headers[x-sub]", "values: [alice]")), request(header("x-sub", "alice")), "deny 403"},
		{"RA-21 preflight", jwtPolicy(issuer), request(method("OPTIONS"), header("origin", "o"), header("access-control-request-method", "GET"), token(bad("expired"))), "allow 200"},
		{"RA-3 no tokens on TCP", docs(jwtPolicy(issuer), needs), request(bytesTo(9000)), "deny 0"},
		{"RA-17 issuer, slash, subject", docs(jwtPolicy(issuer), allowWhen("request.auth.principal", "values: [a/alice]")), request(token(good(nil))), "allow 200"},
		{"AP-24 a star does not cross lines", docs(jwtPolicy(issuer), allowWhen("request.auth.claims[group]", "values: ['*']")), request(token(good(map[string]any{"group": "a\nb"}))), "deny 403"},
		{"AP-25 a star alone is no empty prefix", docs(jwtPolicy(issuer), allowWhen("request.auth.claims[group]", "values: ['*']")), request(token(good(map[string]any{"group": ""}))), "deny 403"},
		{"AP-37 issuer and subject", docs(jwtPolicy(issuer), allowFrom("requestPrincipals: [a/alice]")), request(token(good(nil))), "allow 200"},
		{"AP-37 subject by prefix", docs(jwtPolicy(issuer), allowFrom("requestPrincipals: ['a/al*']")), request(token(good(nil))), "allow 200"},
		{"AP-37 a star and a slash wants a star (T-16)", docs(jwtPolicy(issuer), allowFrom("requestPrincipals: ['*/*']")), request(token(good(nil))), "deny 403"},
		{"AP-37 any issuer, subject by suffix", docs(jwtPolicy(issuer), allowFrom("requestPrincipals: ['*ice']")), request(token(good(nil))), "allow 200"},
		{"AP-37 issuer by suffix, subject exact", docs(jwtPolicy("issuer: https://idp.example, jwks: '{}'"), allowFrom("requestPrincipals: ['*.example/alice']")), request(token(good(map[string]any{"iss": "https://idp.example"}))), "allow 200"},
		{"AP-37 issuer by prefix", docs(jwtPolicy(issuer), allowFrom("requestPrincipals: ['a*']")), request(token(good(nil))), "allow 200"},
		{"AP-37 without a slash it is the issuer, and no subject", docs(jwtPolicy(issuer), allowFrom("requestPrincipals: [a]")), request(token(good(nil))), "deny 403"},
		{"AP-38 an issuer that ends with a slash wants two", docs(jwtPolicy("issuer: 'https://a/', jwks: '{}'"), allowFrom("requestPrincipals: ['https://a//alice']")), request(token(good(map[string]any{"iss": "https://a/"}))), "allow 200"},
		{"AP-38 a subject with a slash cannot be written", docs(jwtPolicy(issuer), allowFrom("requestPrincipals: [a/b/c]")), request(token(good(map[string]any{"sub": "b/c"}))), "deny 403"},
		{"AP-39 presenter", docs(jwtPolicy(issuer), allowWhen("request.auth.presenter", "values: ['web*']")), request(token(good(map[string]any{"azp": "web-1"}))), "allow 200"},
		{"AP-39 audience", docs(jwtPolicy(issuer), allowWhen("request.auth.audiences", "values: [web]")), request(token(good(nil))), "allow 200"},
		{"AP-41 nested claim", docs(jwtPolicy(issuer), allowWhen("request.auth.claims[a][b]", "values: [c]")), request(token(good(map[string]any{"a": map[string]any{"b": []any{"x", "c"}}}))), "allow 200"},
		{"AP-41 brackets within brackets", docs(jwtPolicy(issuer), allowWhen("request.auth.claims[[a]]", "values: [c]")), request(token(good(map[string]any{"[a]": "c"}))), "allow 200"},
		{"AP-41 a bracket too many", docs(jwtPolicy(issuer), allowWhen("request.auth.claims[a]]", "values: [c]")), request(token(good(map[string]any{"a]": "c"}))), "allow 200"},
		{"AP-41 a dot is part of the name", docs(jwtPolicy(issuer), allowWhen("request.auth.claims[a.b]", "values: [c]")), request(token(good(map[string]any{"a.b": "c"}))), "allow 200"},
		{"AP-41 what is no name drops an ALLOW rule", docs(jwtPolicy(issuer), allowWhen("request.auth.claimsx[a]", "notValues: [c]")), request(token(good(nil))), "deny 403"},
		{"AP-42 scope is split", docs(jwtPolicy(issuer), allowWhen("request.auth.claims[scope]", "values: [read]")), request(token(good(map[string]any{"scope": "read write"}))), "allow 200"},
		{"AP-42 others are not", docs(jwtPolicy(issuer), allowWhen("request.auth.claims[scp]", "values: [read]")), request(token(good(map[string]any{"scp": "read write"}))), "deny 403"},
		{"AP-42 unless named", docs(jwtPolicy(issuer+", spaceDelimitedClaims: [scp]"), allowWhen("request.auth.claims[scp]", "values: [read]")), request(token(good(map[string]any{"scp": "read write"}))), "allow 200"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			v := model(t, tt.policies, "").Evaluate(tt.request)
			if got := fmt.Sprintf("%s %d", v.Outcome, v.HTTPStatus); got != tt.want {
				t.Errorf("%s (%s), want %s", got, v.Reason, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		claim any
		want  string
	}{
		{"dev", "allow"}, {[]any{"ops", "dev"}, "allow"}, {[]any{"dev ops"}, "deny"}, {1.0, "deny"}, {true, "deny"}, {nil, "deny"}, {map[string]any{"dev": "dev"}, "deny"}, {[]any{[]any{"dev"}}, "deny"},
	} {
		if got := group(tt.claim); got != tt.want {
			t.Errorf("AP-40, DP-42: claim %v: %s, want %s", tt.claim, got, tt.want)
		}
	}
}
