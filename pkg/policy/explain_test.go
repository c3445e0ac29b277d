package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/policy"
)

// script writes steps of a trace as lines: causes after an arrow, and what the
// nearest rule lacked. Steps that only say that a stage is not there are left
// out; TestAbsentStagesAreExplained looks at those. The lines that model puts before the policies are
// taken off, so that places count from the first policy.
func script(trace policy.Trace) []string {
	before := strings.Count(workloadYAML, "\n") + 1
	place := func(c policy.Cause) string {
		if c.At.Line > before {
			c.At.Line -= before
			c.At.File = "policies"
		}
		return c.String()
	}
	var all []string
	for _, s := range trace {
		if strings.HasPrefix(s.Finding, "no policy") || strings.HasPrefix(s.Finding, "no RequestAuthentication") || strings.HasPrefix(s.Finding, "tokens are not looked for") {
			continue
		}
		line := fmt.Sprintf("%s: %s", s.Stage, s.Finding)
		for _, c := range s.By {
			line += " <- " + place(c)
		}
		all = append(all, line)
		if s.Nearest != nil {
			all = append(all, "  nearest "+place(s.Nearest.Rule))
			for _, m := range s.Nearest.Misses {
				all = append(all, "    "+m.String())
			}
		}
	}
	return all
}

const usualChain = "transport: mTLS as " + curl + "; port 8080 (HTTP) is PERMISSIVE: ends at the sidecar, as HTTP requests <- Service shop/app (mesh.yaml:1:1)"

// TestTransportIsExplained: which chain took a connection, what set its mode, and
// why it ended.
func TestTransportIsExplained(t *testing.T) {
	t.Parallel()
	ownPort := pa("own", "shop", "", "selector: {matchLabels: {app: app}}, mtls: {mode: STRICT}, portLevelMtls: {9000: {mode: DISABLE}}")
	const mesh = "mtls: {mode: STRICT}"
	const toService = " <- Service shop/app (mesh.yaml:1:1)"
	tests := []struct {
		what, policies string
		changes        []change
		want           []string
	}{
		{"usual", "", nil, []string{usualChain}},
		{"bytes", "", []change{bytesTo(9000)}, []string{"transport: mTLS as " + curl + "; port 9000 (TCP) is PERMISSIVE: ends at the sidecar, as a byte stream" + toService}},
		{"plaintext", "", []change{plaintext}, []string{"transport: plaintext; port 8080 (HTTP) is PERMISSIVE: ends at the sidecar, as HTTP requests" + toService}},
		{"refused", pa("all", "istio-system", "", mesh), []change{plaintext}, []string{"transport: plaintext; port 8080 (HTTP) is STRICT: no filter chain takes it, the connection is reset <- PeerAuthentication istio-system/all (policies:4:14)" + toService}},
		{"the workload's own mode", ownPort, nil, []string{"transport: mTLS as " + curl + "; port 8080 (HTTP) is STRICT: ends at the sidecar, as HTTP requests <- PeerAuthentication shop/own (policies:4:51)" + toService}},
		{"the port's own mode", ownPort, []change{bytesTo(9000)}, []string{
			"transport: mTLS as " + curl + "; port 9000 (TCP) is DISABLE: TLS passes through opaque, without an identity <- PeerAuthentication shop/own (policies:4:89)" + toService,
			"transport: TLS is passed on to an application that does not speak it",
		}},
		{"a port of no Service", "", []change{to(1234)}, []string{"transport: mTLS as " + curl + "; port 1234 (no Service declares it, sniffed) is PERMISSIVE: ends at the sidecar, as HTTP requests"}},
		{"a port whose name says nothing", "", []change{to(7000)}, []string{"transport: mTLS as " + curl + "; port 7000 (sniffed) is PERMISSIVE: ends at the sidecar, as HTTP requests" + toService}},
		{"a foreign certificate", "", []change{from("spiffe://x/ns/a/sa/b")}, []string{
			strings.Replace(usualChain, curl, "spiffe://x/ns/a/sa/b", 1), "transport: certificate of spiffe://x/ns/a/sa/b is not of this mesh's trust domains",
		}},
		{"not HTTP", "", []change{method("FOO")}, []string{usualChain, "http: unknown method FOO"}},
		{"another path", "", []change{path("/a/../b?c=d")}, []string{usualChain, "http: rules see the path /b, normalized by BASE"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			_, trace := model(t, tt.policies, "").Explain(request(tt.changes...))
			if diff := cmp.Diff(tt.want, script(trace)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAbsentStagesAreExplained: a stage without policies is told, too.
func TestAbsentStagesAreExplained(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		change change
		tokens string
	}{
		{to(8080), "authentication: no RequestAuthentication: tokens are not looked at"},
		{bytesTo(9000), "authentication: tokens are not looked for in a byte stream"},
	} {
		_, trace := model(t, "", "").Explain(request(tt.change))
		var got []string
		for _, s := range trace[1:] {
			got = append(got, fmt.Sprintf("%s: %s", s.Stage, s.Finding))
		}
		want := []string{"custom: no policy asks an external authorizer", tt.tokens, "deny: no policy", "allow: no policy: what is not denied is allowed"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestRulesAreExplained: what each stage found, with the rules and their places,
// and which rule came nearest where none matches.
func TestRulesAreExplained(t *testing.T) {
	t.Parallel()
	deny := ap("d", "action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}, {}]")
	rules := "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: shop}\nspec:\n  rules:\n" +
		"  - to: [{operation: {methods: [POST], paths: [/x]}}]\n    from: [{source: {namespaces: [other]}}]\n" +
		"  - to: [{operation: {methods: [PUT]}}, {operation: {methods: [GET], paths: [/y], notPorts: ['8080']}}]\n"
	const aPolicy = " <- AuthorizationPolicy shop/a (policies:1:1)"
	tests := []struct {
		what, policies string
		changes        []change
		want           []string
	}{
		{"a DENY rule", deny, nil, []string{"deny: matches <- AuthorizationPolicy shop/d rule 1 (policies:4:70)"}},
		{"all that match", deny, []change{method("POST")}, []string{"deny: matches <- AuthorizationPolicy shop/d rule 0 (policies:4:30) <- AuthorizationPolicy shop/d rule 1 (policies:4:70)"}},
		{"none of two policies", docs(ap("d", "action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]"), ap("e", "action: DENY")), nil, []string{"deny: no rule of 2 policies matches"}},
		{"an ALLOW rule", ap("a", "rules: [{}]"), nil, []string{"allow: matches <- AuthorizationPolicy shop/a rule 0 (policies:4:16)"}},
		{"nothing is allowed", ap("a", ""), nil, []string{"allow: no rule of 1 policy matches" + aPolicy}},
		{"the rule that lacks least", rules, nil, []string{
			"allow: no rule of 1 policy matches" + aPolicy, "  nearest AuthorizationPolicy shop/a rule 1 (policies:8:5)", "    methods wants PUT; the request has GET",
		}},
		{"of its alternatives the one that lacks least", rules, []change{path("/y")}, []string{
			"allow: no rule of 1 policy matches" + aPolicy, "  nearest AuthorizationPolicy shop/a rule 1 (policies:8:5)", "    methods wants PUT; the request has GET",
		}},
		{"another rule lacks less", rules, []change{from("spiffe://cluster.local/ns/other/sa/web"), method("DELETE"), path("/x")}, []string{
			"allow: no rule of 1 policy matches" + aPolicy, "  nearest AuthorizationPolicy shop/a rule 0 (policies:6:5)", "    methods wants POST; the request has DELETE",
		}},
		{"AUDIT matches", ap("a", "action: AUDIT, rules: [{}]"), nil, []string{"audit: matches, and is only noted <- AuthorizationPolicy shop/a rule 0 (policies:4:31)"}},
		{"AUDIT does not", ap("a", "action: AUDIT"), nil, []string{"audit: no AUDIT rule matches"}},
		{"a dry run", strings.Replace(deny, "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: \"true\"}}", 1), nil, []string{"deny: dry run: would be denied <- AuthorizationPolicy shop/d rule 1 (policies:4:70)"}},
		{"an address that nobody told", ap("a", "rules: [{from: [{source: {ipBlocks: [10.0.0.1]}}]}]"), []change{nobodySays}, []string{"allow: it depends on the client's address (--source-ip, from.ip) <- AuthorizationPolicy shop/a rule 0 (policies:4:16)"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			_, trace := model(t, tt.policies, "").Explain(request(tt.changes...))
			if trace[0].Stage != policy.Transport {
				t.Fatalf("it begins with %+v", trace[0])
			}
			if diff := cmp.Diff(tt.want, script(trace[1:])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestMisses: what a rule wants and what the request has, for every attribute.
func TestMisses(t *testing.T) {
	t.Parallel()
	tokens := jwtPolicy("issuer: a, jwks: '{}'")
	good := token(policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: true, Claims: map[string]any{"iss": "a", "sub": "ann", "group": []any{"dev"}}})
	tests := []struct {
		policies string
		changes  []change
		want     string
	}{
		{allowFrom("principals: [x/ns/a/sa/b]"), nil, "principals wants x/ns/a/sa/b; the request has " + curl},
		{allowFrom("namespaces: [other]"), []change{plaintext}, "namespaces wants other; the request has no identity (no mTLS)"},
		{allowFrom("notNamespaces: [shop]"), nil, "notNamespaces excludes shop; the request has " + curl},
		{allowFrom("serviceAccounts: [a, b, c, d, e, f, g]"), nil, "serviceAccounts wants a, b, c, d, e and 2 more; the request has " + curl},
		{allowFrom("ipBlocks: [10.9.0.0/16]"), nil, "ipBlocks wants 10.9.0.0/16; the request has 10.0.0.1"},
		{allowFrom("remoteIpBlocks: [10.9.0.0/16]"), []change{header("x-forwarded-for", "1.2.3.4")}, "remoteIpBlocks wants 10.9.0.0/16; the request has 1.2.3.4"},
		{allowFrom("ipBlocks: [10.9.0.0/16], namespaces: [other]"), []change{nobodySays}, "namespaces wants other; the request has " + curl + " | ipBlocks wants 10.9.0.0/16; the request has an address that is not known"},
		{allowTo("hosts: [other]"), nil, "hosts wants other; the request has app.shop"},
		{allowTo("methods: [POST]"), nil, "methods wants POST; the request has GET"},
		{allowTo("paths: [/y], ports: ['80']"), nil, "paths wants /y; the request has /x | ports wants 80; the request has 8080"},
		{allowTo("ports: ['80']"), []change{bytesTo(9000)}, "ports wants 80; the request has 9000"},
		{allowWhen("request.headers[x-a]", "values: [b]"), nil, "request.headers[x-a] wants b; the request has none"},
		{allowWhen("request.headers[x-a]", "values: [b]"), []change{header("x-a", "c", "d")}, "request.headers[x-a] wants b; the request has c, d"},
		{allowWhen("destination.ip", "values: [10.0.0.1]"), nil, "destination.ip wants 10.0.0.1; the request has 10.0.0.9"},
		{allowWhen("connection.sni", "values: [a]"), nil, "connection.sni wants a; the request has no server name"},
		{allowWhen("connection.sni", "values: [a]"), []change{sni("b")}, "connection.sni wants a; the request has b"},
		{allowFrom("requestPrincipals: ['*']"), nil, "requestPrincipals wants *; the request has no verified token"},
		{docs(tokens, allowFrom("requestPrincipals: [a/bob]")), []change{good}, "requestPrincipals wants a/bob; the request has a/ann"},
		{docs(tokens, allowWhen("request.auth.claims[iss]", "values: [b]")), []change{good}, "request.auth.claims[iss] wants b; the request has a"},
		{docs(tokens, allowWhen("request.auth.claims[group]", "values: [ops]")), []change{good}, "request.auth.claims[group] wants ops; the request has [dev]"},
		{docs(tokens, allowWhen("request.auth.claims[a][b]", "values: [c]")), []change{good}, "request.auth.claims[a][b] wants c; the request has no such claim"},
		{allowWhen("experimental.envoy.filters.a[b]", "values: [c]"), nil, "experimental.envoy.filters.a[b] wants c; the request has nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			_, trace := model(t, tt.policies, "").Explain(request(tt.changes...))
			last := trace[len(trace)-1]
			if last.Nearest == nil {
				t.Fatalf("no rule comes near: %+v", last)
			}
			var got []string
			for _, m := range last.Nearest.Misses {
				got = append(got, m.String())
			}
			if strings.Join(got, " | ") != tt.want {
				t.Errorf("%s\nwant %s", strings.Join(got, " | "), tt.want)
			}
		})
	}
}

// TestTokensAndAuthorizersAreExplained: what became of tokens, with the rules
// that looked for them, and whether an external authorizer is asked.
func TestTokensAndAuthorizersAreExplained(t *testing.T) {
	t.Parallel()
	const config = "extensionProviders: [{name: ext, envoyExtAuthzHttp: {service: app.shop.svc.cluster.local, port: 80}}]\n"
	good := policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: true, Claims: map[string]any{"iss": "a", "sub": "ann"}}
	nameless := good
	nameless.Claims = map[string]any{"iss": "a"}
	tokens := jwtPolicy("issuer: a, jwks: '{}'", "issuer: b, jwks: '{}'")
	const byRules = " <- RequestAuthentication shop/ra (policies:6:5) <- RequestAuthentication shop/ra (policies:7:5)"
	ask := func(provider string) string {
		return ap("c", "action: CUSTOM, provider: {name: "+provider+"}, rules: [{to: [{operation: {paths: [/x]}}]}]")
	}
	byAddress := ap("c", "action: CUSTOM, provider: {name: ext}, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]")
	const askRule = " <- AuthorizationPolicy shop/c rule 0 (policies:4:55)"
	tests := []struct {
		what, policies string
		changes        []change
		want           string
	}{
		{"no token", tokens, nil, "authentication: no token where one is looked for: the request goes on without a request principal" + byRules},
		{"a good one", tokens, []change{token(good)}, "authentication: the token is good, request principal a/ann" + byRules},
		{"one without a subject", tokens, []change{token(nameless)}, "authentication: the token of a is good; it has no subject, so there is no request principal" + byRules},
		{"a preflight", tokens, []change{method("OPTIONS"), header("origin", "o"), header("access-control-request-method", "GET")}, "authentication: a CORS preflight needs no token" + byRules},
		{"nobody is asked", ask("ext"), []change{path("/y")}, `custom: no rule for the external authorizer "ext" matches`},
		{"one is asked", ask("ext"), []change{custom("allow")}, `custom: the external authorizer "ext" is asked; its answer: allow` + askRule},
		{"nobody says what it answers", ask("ext"), nil, `custom: the external authorizer "ext" is asked; its answer: not told` + askRule},
		{"one that cannot be used", ask("old"), nil, `custom: the provider "old" cannot be used, so what its rules match is denied: the mesh config has no extension provider old; it has ext` + askRule},
		{"a dry run that got in", strings.Replace(ask("ext"), "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: \"true\"}}", 1), nil, "custom: a dry-run CUSTOM policy denies what its rules match, and asks nobody" + askRule},
		{"an address that nobody told", byAddress, []change{nobodySays, custom("deny")}, `custom: whether a rule for the external authorizer "ext" matches depends on the client's address (--source-ip, from.ip)` + askRule},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			_, trace := model(t, tt.policies, config).Explain(request(tt.changes...))
			if diff := cmp.Diff([]string{usualChain, tt.want}, script(trace)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
