package policy_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestCautions: what is told of a policy, or after a dash what is not, and a
// request that shows that it is so.
func TestCautions(t *testing.T) {
	t.Parallel()
	const never = " never matches: "
	strict := "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: pa, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n"
	disable := strings.Replace(strict, "STRICT", "DISABLE", 1)
	tokens := jwtPolicy("issuer: 'https://a.example', jwks: '{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}'")
	good := func(claims map[string]any) change {
		return token(policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: true, Claims: claims})
	}
	alice := good(map[string]any{"iss": "https://a.example", "sub": "alice", "level": 3.0})
	for _, tt := range []struct {
		rule, policies, want string
		request              *policy.Request
		outcome              policy.Outcome
	}{
		{"T-20 a scheme in an identity", allowFrom("principals: ['spiffe://cluster.local/ns/shop/sa/curl']"), "Rule 0: principals spiffe://cluster.local/ns/shop/sa/curl" + never + "identities are written without spiffe://.", request(), policy.Deny},
		{"T-20 and in an exclusion", allowFrom("notPrincipals: ['spiffe://cluster.local/ns/shop/sa/curl']"), "Rule 0: notPrincipals spiffe://cluster.local/ns/shop/sa/curl excludes nothing: ", request(), policy.Allow},
		{"T-20 and in a condition", allowWhen("source.principal", "values: ['spiffe://cluster.local/ns/shop/sa/curl']"), "Rule 0: source.principal spiffe://cluster.local/ns/shop/sa/curl" + never, request(), policy.Deny},
		{"AP-29 no identity of the mesh", allowFrom("principals: [shop/curl]"), "principals shop/curl" + never + "identities of the mesh look like cluster.local/ns/NAMESPACE/sa/ACCOUNT.", request(), policy.Deny},
		{"AP-76 another trust domain", allowFrom("principals: [foreign/ns/shop/sa/curl]"), "principals foreign/ns/shop/sa/curl" + never + "its trust domain is not the mesh's (cluster.local and old.example), so its connections are refused.", request(from("spiffe://foreign/ns/shop/sa/curl")), policy.Refused},
		{"AP-73 wildcards are not repeated (T-19)", allowFrom("principals: ['cluster.local/ns/shop/*']"), "principals cluster.local/ns/shop/*: it is not repeated for the mesh's other trust domains,", request(from("spiffe://old.example/ns/shop/sa/curl")), policy.Deny},
		{"AP-77 another trust domain", allowFrom("trustDomains: [foreign]"), "trustDomains foreign" + never + "it is not the mesh's", request(from("spiffe://foreign/ns/shop/sa/curl")), policy.Refused},
		{"AP-32 no stars in accounts", allowFrom("serviceAccounts: ['shop/*']"), "serviceAccounts shop/*" + never + "a star stands for itself in a service account.", request(), policy.Deny},
		{"AP-22 stars at both ends", allowTo("paths: ['*x*']"), "paths *x*: a star counts at one end only, so this wants a text that ends in x*.", request(), policy.Deny},
		{"AP-22 a star in the middle", allowTo("paths: [/x/*/z]"), "paths /x/*/z: a star in the middle stands for itself.", request(path("/x/y/z")), policy.Deny},
		{"AP-22 but namespaces have such", allowFrom("namespaces: ['s*p']"), "-s*p", request(), policy.Allow},
		{"AP-46 a query", allowTo("paths: ['/x?a=1']"), "paths /x?a=1" + never + "paths are compared without query and fragment; ? and # are in none.", request(path("/x?a=1")), policy.Deny},
		{"AP-46 no slash", allowTo("paths: [x]"), "paths x" + never + "paths begin with /.", request(), policy.Deny},
		{"DP-57 a template without a slash", allowTo("paths: ['{*}/x']"), "paths {*}/x: a template that does not begin with / makes Envoy fail on every workload that the policy selects.", nil, ""},
		{"AP-45 small letters", allowTo("methods: [get]"), "methods get" + never + "methods are compared letter by letter, and come in capitals.", request(), policy.Deny},
		{"AP-43 a host with its port (T-5)", allowTo("hosts: [app.shop]"), "Rule 0: a client that sends the host with its port, such as app.shop:80, is not matched by app.shop.", request(host("app.shop:80")), policy.Deny},
		{"AP-44 gets around DENY", ap("p", "action: DENY, rules: [{to: [{operation: {hosts: ['*.shop']}}]}]"), "such as www.shop:80, is not matched by *.shop, and gets around the rule.", request(host("www.shop:80")), policy.Allow},
		{"AP-44 and around notHosts", allowTo("notHosts: [app.shop]"), "such as app.shop:80, is not matched by app.shop, and gets around the rule.", request(host("app.shop:80")), policy.Allow},
		{"T-6 double slashes", ap("p", "action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]"), "the mesh keeps double slashes (path normalization DEFAULT): //admin is another path than /admin to this rule,", request(path("//admin")), policy.Allow},
		{"AP-51 a Service's port (T-12)", allowTo("ports: ['80']"), "Rule 0: port 80 is a Service's, and what counts here is the workload's own behind it: 8080 behind Service shop/app.", request(), policy.Deny},
		{"AP-51 in a condition", allowWhen("destination.port", "values: ['80']"), "Rule 0: port 80 is a Service's,", request(), policy.Deny},
		{"AP-55 names that mesh clients send", allowWhen("connection.sni", "values: [app.shop.svc.cluster.local]"), "connection.sni app.shop.svc.cluster.local: clients in the mesh send names such as outbound_.80_._.app.shop.svc.cluster.local; *.app.shop.svc.cluster.local matches them.", request(sni("outbound_.80_._.app.shop.svc.cluster.local")), policy.Deny},
		{"RUN-6 capitals", allowWhen("connection.sni", "values: [outbound_.80_._.App]"), "connection.sni outbound_.80_._.App" + never + "server names come in small letters.", request(sni("outbound_.80_._.App")), policy.Deny},
		{"T-27 the path with its query", allowWhen("request.headers[:path]", "values: [/x]"), "Rule 0: the header :path is the normalized path with the query.", request(path("/x?a=1")), policy.Deny},
		{"T-27 the host with its port", allowWhen("request.headers[host]", "values: [app.shop]"), "Rule 0: the header host is the host as the client sends it, with the port if it names one.", request(host("app.shop:80")), policy.Deny},
		{"T-4 whose address", allowFrom("ipBlocks: [1.2.3.4]"), "Rule 0: the connection's address is that of the last hop,", request(header("x-forwarded-for", "1.2.3.4")), policy.Deny},
		{"AP-35 what anybody can set", allowFrom("remoteIpBlocks: [1.2.3.4]"), "Rule 0: the original client's address is the last one in X-Forwarded-For, which whoever calls the sidecar can set.", request(header("x-forwarded-for", "1.2.3.4")), policy.Allow},
		{"T-7 a dash too many", ap("p", "rules: [{from: [{source: {namespaces: [other]}}]}, {to: [{operation: {methods: [GET]}}]}]"), "Rule 0 says only who, and rule 1 only what: either is enough. If both are meant to hold, take out the dash that begins rule 1.", request(), policy.Allow},
		// identities
		{"T-9 an exclusion lets plaintext in", allowFrom("notNamespaces: [other]"), "Rule 0 matches callers without mTLS on ports 7000, 8080 and 9000 of Deployment shop/app: they have no identity, and so none of those that it excludes.", request(plaintext), policy.Allow},
		{"T-9 but not where mTLS is needed", docs(strict, allowFrom("notNamespaces: [other]")), "-callers without mTLS", request(plaintext), policy.Refused},
		{"T-10 PERMISSIVE", allowFrom("namespaces: [shop]"), "Rule 0 does not match callers without mTLS, which may come on ports 7000, 8080 and 9000 of Deployment shop/app (PERMISSIVE): they have no identity.", request(plaintext), policy.Deny},
		{"T-10 and DENY", ap("p", "action: DENY, rules: [{from: [{source: {namespaces: [shop]}}], to: [{operation: {ports: ['8080']}}]}]"), "Rule 0 does not match callers without mTLS, which may come on port 8080 of Deployment shop/app (PERMISSIVE): they have no identity.", request(plaintext), policy.Allow},
		{"T-10 DISABLE", docs(disable, allowFrom("namespaces: [shop]")), "Rule 0 wants an identity, which no caller has on ports 7000, 8080 and 9000 of Deployment shop/app (DISABLE).", request(plaintext), policy.Deny},
		{"T-10 another way in", ap("p", "rules: [{from: [{source: {namespaces: [shop]}}, {source: {ipBlocks: [10.0.0.0/8]}}]}]"), "-callers without mTLS", request(plaintext), policy.Allow},
		// tokens
		{"T-16 no subject", docs(tokens, allowFrom("requestPrincipals: [nobody]")), "requestPrincipals nobody" + never + "it names no subject; write ISSUER/SUBJECT, or ISSUER/* for any.", request(alice), policy.Deny},
		{"T-16 a star for the subject", docs(tokens, allowFrom("requestPrincipals: ['*/*']")), "requestPrincipals */*" + never + "it wants a subject that is * letter by letter; write * for any token.", request(alice), policy.Deny},
		{"T-16 only an issuer", docs(tokens, allowFrom("requestPrincipals: ['https://a.example']")), "requestPrincipals https://a.example" + never + "what follows the last slash is taken for the subject; write ISSUER/SUBJECT, or ISSUER/* for any.", request(alice), policy.Deny},
		{"an issuer that nobody takes", docs(tokens, allowFrom("requestPrincipals: ['https://b.example/alice']")), "requestPrincipals https://b.example/alice" + never + "no RequestAuthentication for Deployment shop/app takes tokens of such an issuer.", request(good(map[string]any{"iss": "https://b.example", "sub": "alice"})), policy.Unauthenticated},
		{"AP-38 one that somebody takes", docs(tokens, allowFrom("requestPrincipals: ['https://a.example/alice']")), "-requestPrincipals", request(alice), policy.Allow},
		{"T-18 numbers", docs(tokens, allowWhen("request.auth.claims[level]", "values: ['3']")), "request.auth.claims[level] 3: only claims that are text are compared; numbers and booleans never match.", request(alice), policy.Deny},
		{"no RequestAuthentication", allowFrom("requestPrincipals: ['*']"), "Rule 0 looks at tokens, but no RequestAuthentication is for Deployment shop/app, so there is never a good one: it never matches.", request(alice), policy.Deny},
		{"no RequestAuthentication, DENY", ap("p", "action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]"), "so there is never a good one: it matches as for requests without one.", request(alice), policy.Deny},
		{"T-15 CUSTOM comes first", docs(tokens, ap("p", "action: CUSTOM, provider: {name: ask}, rules: [{from: [{source: {requestPrincipals: ['*']}}]}]")), "Rule 0 looks at tokens, which nobody has verified when an external authorizer is asked: it never matches.", request(alice, custom("deny")), policy.Allow},
		{"RUN-7 the token is gone", docs(tokens, allowWhen("request.headers[authorization]", "values: ['*']")), "Rule 0: shop/ra takes a good token out of the header authorization before rules see it, unless it says forwardOriginalToken.", request(alice), policy.Deny},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			const config = "trustDomainAliases: [old.example]\nextensionProviders: [{name: ask, envoyExtAuthzHttp: {service: app.shop.svc.cluster.local, port: 80}}]\n"
			s := snapshot(t, docs(workloadYAML, tt.policies), config)
			var cautions []string
			for _, line := range explain(t, s, "ap/p.shop") {
				if text, ok := strings.CutPrefix(line, "caution: "); ok {
					cautions = append(cautions, text)
				}
			}
			absent, none := strings.CutPrefix(tt.want, "-")
			if none && says(cautions, absent) || !none && !says(cautions, tt.want) {
				t.Errorf("want %q in:\n%s", tt.want, strings.Join(cautions, "\n"))
			}
			if tt.request == nil {
				return
			}
			if v, err := policy.NewSimulator(s).Evaluate(tt.request); err != nil || v.Outcome != tt.outcome {
				t.Errorf("the request is %s (%v), want %s: the caution is wrong, or the request does not show it", v.Outcome, err, tt.outcome)
			}
		})
	}
}

// TestPathNormalization: what is told of paths depends on the mesh (T-6).
func TestPathNormalization(t *testing.T) {
	t.Parallel()
	deny := ap("p", "action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]")
	for setting, want := range map[string]string{
		"NONE": "does not normalize paths (NONE): //admin and /./admin are other paths", "BASE": "(path normalization BASE)", "MERGE_SLASHES": "", "DECODE_AND_MERGE_SLASHES": "",
	} {
		s := snapshot(t, docs(workloadYAML, deny), "pathNormalization: {normalization: "+setting+"}")
		lines := explain(t, s, "ap/p.shop")
		if want == "" && says(lines, "another path") || !says(lines, want) {
			t.Errorf("%s: want %q in:\n%s", setting, want, strings.Join(lines, "\n"))
		}
	}
}

// TestStreams: what becomes of rules where bytes are no requests (AP-57..AP-59,
// AP-64, T-1, T-2, T-25).
func TestStreams(t *testing.T) {
	t.Parallel()
	const tcp, sniffed = "tcp: On port 9000 of Deployment shop/app, which carries bytes that are no HTTP requests, ", "tcp: On port 7000 of Deployment shop/app, where the protocol is not declared and the bytes do not look like HTTP, "
	const config = `extensionProviders:
- {name: http, envoyExtAuthzHttp: {service: app.shop.svc.cluster.local, port: 80}}
- {name: grpc, envoyExtAuthzGrpc: {service: app.shop.svc.cluster.local, port: 80}}
`
	for _, tt := range []struct {
		rule, policies string
		want           []string // all of TCP
		outcome        policy.Outcome
	}{
		{"AP-58 ALLOW is dropped", allowTo("methods: [GET]"), []string{tcp + "rule 0 does not count: a byte stream has no methods.", sniffed + "rule 0 does not count: a byte stream has no methods."}, policy.Deny},
		{"AP-58 DENY is widened", ap("p", "action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['9000']}}]}]"), []string{tcp + "rule 0 matches more, as a byte stream has no methods: there it denies anything on port 9000."}, policy.Deny},
		{"AP-58 not on its ports", ap("p", "action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['8080']}}]}]"), nil, policy.Allow},
		{"AP-57 nothing to lose", ap("p", "action: DENY, rules: [{from: [{source: {namespaces: [shop], trustDomains: [cluster.local]}}]}]"), nil, policy.Deny},
		{"AP-57 both", ap("p", "action: DENY, rules: [{from: [{source: {namespaces: [other], requestPrincipals: ['*']}}], when: [{key: 'request.headers[a]', values: [b]}]}]"), []string{
			tcp + "rule 0 matches more, as a byte stream has no requestPrincipals or request.headers[a]: there it denies everything, when the caller's namespace is other.",
			sniffed + "rule 0 matches more, as a byte stream has no requestPrincipals or request.headers[a]: there it denies everything, when the caller's namespace is other.",
		}, policy.Allow},
		{"AP-64 HTTP providers", ap("p", "action: CUSTOM, provider: {name: http}, rules: [{}]"), []string{tcp + "the policy does nothing: its provider can judge HTTP requests only.", sniffed + "the policy does nothing: its provider can judge HTTP requests only."}, policy.Allow},
		{"AP-64 gRPC providers", ap("p", "action: CUSTOM, provider: {name: grpc}, rules: [{to: [{operation: {paths: [/a], ports: ['9000']}}]}]"), []string{tcp + "rule 0 matches more, as a byte stream has no paths: there it asks about anything on port 9000."}, policy.Deny},
		{"AP-64 providers that cannot be asked", ap("p", "action: CUSTOM, provider: {name: none}, rules: [{to: [{operation: {paths: [/a], ports: ['9000']}}]}]"), []string{tcp + "rule 0 matches more, as a byte stream has no paths: there it denies anything on port 9000."}, policy.Deny},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			s := snapshot(t, docs(workloadYAML, tt.policies), config)
			var got []string
			for _, line := range explain(t, s, "ap/p.shop") {
				if strings.HasPrefix(line, "tcp: ") {
					got = append(got, line)
				}
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if v, err := policy.NewSimulator(s).Evaluate(request(bytesTo(9000), custom("deny"))); err != nil || v.Outcome != tt.outcome {
				t.Errorf("bytes to 9000: %s (%v), want %s", v.Outcome, err, tt.outcome)
			}
		})
	}
}
