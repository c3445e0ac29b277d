package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// ap is an AuthorizationPolicy of namespace shop; spec is in flow style.
func ap(name, spec string) string {
	return fmt.Sprintf("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: %s, namespace: shop}\nspec: {%s}\n", name, spec)
}

// allowFrom and allowTo are ALLOW policies with one rule of one source or
// operation.
func allowFrom(source string) string { return ap("p", "rules: [{from: [{source: {"+source+"}}]}]") }

func allowTo(operation string) string {
	return ap("p", "rules: [{to: [{operation: {"+operation+"}}]}]")
}

func allowWhen(key, values string) string {
	return ap("p", "rules: [{when: [{key: \""+key+"\", "+values+"}]}]")
}

func docs(texts ...string) string { return strings.Join(texts, "---\n") }

// TestAuthorization: one row a rule of the reference; want is the outcome, and
// after a blank the rule that Envoy names.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	tests := []struct {
		rule, policies string
		request        *policy.Request
		want           string
	}{
		{"no policy", "", request(), "allow"},
		// selection
		{"AP-2 root namespace", strings.Replace(ap("p", "action: DENY, rules: [{}]"), "shop", "istio-system", 1), request(), "deny ns[istio-system]-policy[p]-rule[0]"},
		{"AP-1 another namespace", strings.Replace(ap("p", "action: DENY, rules: [{}]"), "shop", "other", 1), request(), "allow"},
		{"AP-3 selector", ap("p", "selector: {matchLabels: {app: app, version: v1}}, action: DENY, rules: [{}]"), request(), "deny ns[shop]-policy[p]-rule[0]"},
		{"AP-3 selector that asks for more", ap("p", "selector: {matchLabels: {app: app, tier: gold}}, action: DENY, rules: [{}]"), request(), "allow"},
		{"AP-4 targetRefs", ap("p", "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}], action: DENY, rules: [{}]"), request(), "allow"},
		// emptiness
		{"AP-10 empty spec allows nothing", ap("p", ""), request(), "deny none"},
		{"AP-10 DENY without rules denies nothing", ap("p", "action: DENY"), request(), "allow"},
		{"AP-11 empty rule allows all", ap("p", "rules: [{}]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-13 from and to of one rule", ap("p", "rules: [{from: [{source: {namespaces: [other]}}], to: [{operation: {methods: [GET]}}]}]"), request(), "deny none"},
		{"AP-13 from and to as two rules (T-7)", ap("p", "rules: [{from: [{source: {namespaces: [other]}}]}, {to: [{operation: {methods: [GET]}}]}]"), request(), "allow ns[shop]-policy[p]-rule[1]"},
		{"AP-14 empty source is any", ap("p", "rules: [{from: [{source: {}}]}]"), request(plaintext), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-16 values and notValues", allowTo("paths: [/x*], notPaths: [/x]"), request(), "deny none"},
		{"AP-17 notValues match what is absent", allowWhen("request.headers[x-a]", "notValues: [b]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-19 conditions of one key are all asked", ap("p", "rules: [{when: [{key: source.namespace, values: [shop]}, {key: source.namespace, values: [other]}]}]"), request(), "deny none"},
		{"AP-20 unknown condition drops the rule, DENY too", ap("p", "action: DENY, rules: [{when: [{key: no.such, values: [a]}]}]"), request(), "allow"},
		// strings
		{"AP-21 prefix", allowTo("paths: [/x/*]"), request(path("/x/y")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-21 suffix", allowTo("paths: ['*/y']"), request(path("/x/y")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-22 a leading star wins", allowTo("paths: ['*x*']"), request(path("/x")), "deny none"},
		{"AP-22 and the other star is a star", allowTo("paths: ['*x*']"), request(path("/x*")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-23 present, though empty", allowWhen("request.headers[x-a]", "values: ['*']"), request(header("x-a", "")), "allow ns[shop]-policy[p]-rule[0]"},
		// sources
		{"AP-26 plaintext has no identity", allowFrom("principals: ['*']"), request(plaintext), "deny none"},
		{"AP-26 so negatives hold (T-9)", allowFrom("notPrincipals: [cluster.local/ns/shop/sa/curl]"), request(plaintext), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-29 exact", allowFrom("principals: [cluster.local/ns/shop/sa/curl]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-29 prefix", allowFrom("principals: [cluster.local/ns/shop/*]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-29 suffix", allowFrom("principals: ['*/sa/curl']"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-29 with its scheme it never matches (T-20)", allowFrom("principals: ['spiffe://cluster.local/ns/shop/sa/curl']"), request(), "deny none"},
		{"AP-30 as condition", allowWhen("source.principal", "values: [cluster.local/ns/shop/sa/curl]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-31 namespace", allowFrom("namespaces: [shop]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-31 star within", allowFrom("namespaces: [s*p]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-31 quoted", allowFrom("namespaces: [sh.p]"), request(), "deny none"},
		{"AP-32 account", allowFrom("serviceAccounts: [shop/curl]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-32 bare account is of the policy's namespace", allowFrom("serviceAccounts: [curl]"), request(from("spiffe://cluster.local/ns/other/sa/curl")), "deny none"},
		{"AP-32 more after it", allowFrom("serviceAccounts: [curl]"), request(from("spiffe://cluster.local/ns/shop/sa/curl/pod/1")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-33 trust domain", allowFrom("trustDomains: [cluster.local]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-33 star", allowFrom("trustDomains: ['cluster.*']"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-34 the peer's address", allowFrom("ipBlocks: [10.0.0.0/24]"), request(header("x-forwarded-for", "1.2.3.4")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-35 the last forwarded address", allowFrom("remoteIpBlocks: [1.2.3.4]"), request(header("x-forwarded-for", "9.9.9.9, 1.2.3.4")), "allow ns[shop]-policy[p]-rule[0]"},
		{"DP-72 an address with a port is none", allowFrom("remoteIpBlocks: [10.0.0.1]"), request(header("x-forwarded-for", "1.2.3.4:80")), "allow ns[shop]-policy[p]-rule[0]"},
		{"DP-72 a zone does not matter", allowFrom("remoteIpBlocks: ['fe80::/10']"), request(header("x-forwarded-for", "fe80::1%eth0")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-36 host bits are ignored", allowFrom("ipBlocks: [10.0.0.77/24]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-36 IPv4 is not IPv6", allowFrom("ipBlocks: ['::/0']"), request(), "deny none"},
		{"AP-59a a bad block widens DENY", ap("p", "action: DENY, rules: [{from: [{source: {ipBlocks: [nonsense]}}]}]"), request(), "deny ns[shop]-policy[p]-rule[0]"},
		// operations
		{"AP-43 host in any case", allowTo("hosts: [APP.shop]"), request(host("app.SHOP")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-43 host without its port", allowTo("hosts: [app.shop]"), request(host("app.shop:80")), "deny none"},
		{"AP-45 method", allowTo("methods: [GET]"), request(method("POST")), "deny none"},
		{"AP-46 without query", allowTo("paths: [/x]"), request(path("/x?a=1#f")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-48 one segment", allowTo("paths: ['/a/{*}/c']"), request(path("/a/b/c")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-48 not two", allowTo("paths: ['/a/{*}/c']"), request(path("/a/b/b/c")), "deny none"},
		{"AP-49 any number", allowTo("paths: ['/a/{**}']"), request(path("/a/")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-49 but the slash", allowTo("paths: ['/a/{**}']"), request(path("/a")), "deny none"},
		{"AP-51 the workload's port", allowTo("ports: ['8080']"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-51 not the Service's (T-12)", allowTo("ports: ['80']"), request(), "deny none"},
		{"AP-52 a port that no Service declares", ap("p", "action: DENY, rules: [{to: [{operation: {ports: ['1234']}}]}]"), request(to(1234)), "deny ns[shop]-policy[p]-rule[0]"},
		// conditions
		{"AP-53 any line", allowWhen("request.headers[x-a]", "values: [b]"), request(header("x-a", "a", "b")), "allow ns[shop]-policy[p]-rule[0]"},
		{"DP-65 lines are not joined", allowWhen("request.headers[x-a]", "values: ['a,b']"), request(header("x-a", "a", "b")), "deny none"},
		{"DP-66 but those of well-known headers", allowWhen("request.headers[accept]", "values: ['a,b']"), request(header("accept", "a", "b")), "allow ns[shop]-policy[p]-rule[0]"},
		{"DP-67 names in any case", allowWhen("request.headers[X-A]", "values: [b]"), request(header("x-a", " b ")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-53 path with query", allowWhen("request.headers[:path]", "values: ['/x?a=1']"), request(path("/x?a=1")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-53 host is the authority", allowWhen("request.headers[host]", "values: [app.shop]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-54 a broken name drops an ALLOW rule", allowWhen("request.headers", "values: [a]"), request(), "deny none"},
		{"AP-55 SNI in lower case", allowWhen("connection.sni", "values: ['*.app.shop']"), request(sni("outbound_.80_._.APP.shop")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-56 metadata is never there", allowWhen("experimental.envoy.filters.a.b[c]", "values: [d]"), request(), "deny none"},
		{"destination.ip", allowWhen("destination.ip", "values: [10.0.0.9]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"RUN-11 te", allowWhen("request.headers[te]", "values: [trailers]"), request(header("te", "gzip, trailers")), "allow ns[shop]-policy[p]-rule[0]"},
		{"RUN-11 te in another case is gone", allowWhen("request.headers[te]", "values: ['*']"), request(header("te", "Trailers")), "deny none"},
		// TCP
		{"AP-58 HTTP fields drop ALLOW rules on TCP (T-2)", allowTo("methods: [GET]"), request(bytesTo(9000)), "deny none"},
		{"AP-58 and widen DENY rules (T-1)", ap("p", "action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['9000']}}]}]"), request(bytesTo(9000)), "deny ns[shop]-policy[p]-rule[0]"},
		{"AP-57 identities are for TCP too", allowFrom("principals: [cluster.local/ns/shop/sa/curl]"), request(bytesTo(9000)), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-35 TCP knows no forwarded address", allowFrom("remoteIpBlocks: [10.0.0.1]"), request(bytesTo(9000)), "allow ns[shop]-policy[p]-rule[0]"},
		// order
		{"EV-5 DENY beats ALLOW", docs(ap("a", "rules: [{}]"), ap("d", "action: DENY, rules: [{}]")), request(), "deny ns[shop]-policy[d]-rule[0]"},
		{"EV-7 the first by name", docs(ap("b", "action: DENY, rules: [{}]"), ap("a", "action: DENY, rules: [{}]")), request(), "deny ns[shop]-policy[a]-rule[0]"},
		{"EV-5 AUDIT decides nothing", ap("a", "action: AUDIT, rules: [{}]"), request(), "allow"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			v := model(t, tt.policies, "").Evaluate(tt.request)
			if got := strings.TrimSpace(string(v.Outcome) + " " + v.By); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestTrustDomains: AP-72..AP-78 on a mesh with another name and an alias.
func TestTrustDomains(t *testing.T) {
	t.Parallel()
	const config = "trustDomain: my-td\ntrustDomainAliases: [old-td]\n"
	for _, tt := range []struct{ rule, policies, identity, want string }{
		{"AP-74 the alias of a named domain", allowFrom("principals: [my-td/ns/shop/sa/curl]"), "spiffe://old-td/ns/shop/sa/curl", "allow"},
		{"AP-75 cluster.local is this mesh", allowFrom("principals: [cluster.local/ns/shop/sa/curl]"), "spiffe://my-td/ns/shop/sa/curl", "allow"},
		{"AP-73 not with a wildcard account of another shape", allowFrom("principals: ['my-td/*']"), "spiffe://old-td/ns/shop/sa/curl", "deny"},
		{"AP-76 a foreign domain stays", allowFrom("principals: [foreign/ns/shop/sa/curl]"), "spiffe://my-td/ns/shop/sa/curl", "deny"},
		{"AP-77 trust domains", allowFrom("trustDomains: [old-td]"), "spiffe://my-td/ns/shop/sa/curl", "allow"},
		{"AP-77 cluster.local is nothing special there", allowFrom("trustDomains: [cluster.local]"), "spiffe://my-td/ns/shop/sa/curl", "deny"},
		{"AP-78 negatives too", allowFrom("notPrincipals: [my-td/ns/shop/sa/curl]"), "spiffe://old-td/ns/shop/sa/curl", "deny"},
		{"PA-18 a certificate of another domain", ap("p", "rules: [{}]"), "spiffe://foreign/ns/shop/sa/curl", "refused"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			if v := model(t, tt.policies, config).Evaluate(request(from(tt.identity))); string(v.Outcome) != tt.want {
				t.Errorf("%s, want %s", v.Outcome, tt.want)
			}
		})
	}
}

// TestDryRun: AP-67..AP-69, RUN-1.
func TestDryRun(t *testing.T) {
	t.Parallel()
	dry := func(name, value, spec string) string {
		return strings.Replace(ap(name, spec), "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: \""+value+"\"}}", 1)
	}
	v := model(t, dry("p", "true", "rules: [{to: [{operation: {methods: [POST]}}]}]"), "").Evaluate(request())
	if v.Outcome != policy.Allow || v.DryRun == nil || v.DryRun.Allow == nil || *v.DryRun.Allow != (policy.Shadow{Result: "denied"}) {
		t.Errorf("a dry-run ALLOW denies nothing (AP-68): %+v", v)
	}
	v = model(t, dry("p", "T", "action: DENY, rules: [{}]"), "").Evaluate(request())
	if v.Outcome != policy.Allow || *v.DryRun.Deny != (policy.Shadow{Result: "denied", By: "ns[shop]-policy[p]-rule[0]"}) {
		t.Errorf("a dry-run DENY: %+v", v)
	}
	v = model(t, dry("p", "maybe", "action: DENY, rules: [{}]"), "").Evaluate(request())
	if v.Outcome != policy.Deny {
		t.Errorf("an unreadable annotation enforces (AP-67): %+v", v)
	}
	v = model(t, docs(ap("d", "action: DENY, rules: [{}]"), dry("a", "1", "rules: [{}]")), "").Evaluate(request())
	if v.DryRun != nil {
		t.Errorf("what comes after a denial has no result (RUN-1): %+v", v.DryRun)
	}
}

// TestCustom: AP-60..AP-66, AP-70.
func TestCustom(t *testing.T) {
	t.Parallel()
	const config = `extensionProviders:
- {name: http, envoyExtAuthzHttp: {service: authz.ext.svc.cluster.local, port: 80}}
- {name: open, envoyExtAuthzHttp: {service: authz.ext.svc.cluster.local, port: 80, failOpen: true}}
- {name: grpc, envoyExtAuthzGrpc: {service: ext/authz.ext.svc.cluster.local, port: 90, statusOnError: "429"}}
- {name: nowhere, envoyExtAuthzHttp: {service: none.ext.svc.cluster.local, port: 80}}
`
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: authz, namespace: ext}\nspec: {ports: [{port: 80}]}\n"
	ask := func(name, provider, rest string) string {
		return ap(name, "action: CUSTOM, provider: {name: "+provider+"}, rules: [{to: [{operation: {paths: [/x]}}]}]"+rest)
	}
	const id = "istio-ext-authz-%s-ns[shop]-policy[p]-rule[0]"
	const bad = id + "-deny-due-to-bad-CUSTOM-action"
	tests := []struct {
		rule, policies string
		request        *policy.Request
		want           string // outcome, status, rule
	}{
		{"AP-60 nobody says what the authorizer answers", ask("p", "http", ""), request(), "unknown 0 " + fmt.Sprintf(id, "http")},
		{"AP-61 allow", ask("p", "http", ""), request(custom("allow")), "allow 200 "},
		{"AP-61 deny", ask("p", "http", ""), request(custom("deny")), "deny 403 " + fmt.Sprintf(id, "http")},
		{"AP-61 no rule matches, nobody is asked", ask("p", "http", ""), request(path("/y")), "allow 200 "},
		{"AP-65 out of reach", ask("p", "http", ""), request(custom("error")), "deny 403 " + fmt.Sprintf(id, "http")},
		{"AP-65 status on error", ask("p", "grpc", ""), request(custom("error")), "deny 429 " + fmt.Sprintf(id, "grpc")},
		{"AP-65 fail open", ask("p", "open", ""), request(custom("error")), "allow 200 "},
		{"AP-62 unknown provider", ask("p", "unheard-of", ""), request(), "deny 403 " + fmt.Sprintf(bad, "unheard-of")},
		{"AP-62 of a service that is not there", ask("p", "nowhere", ""), request(), "deny 403 " + fmt.Sprintf(bad, "nowhere")},
		{"AP-62 two providers", docs(ask("p", "http", ""), ask("q", "grpc", "")), request(), "deny 403 istio-ext-authz-grpc-ns[shop]-policy[q]-rule[0]-deny-due-to-bad-CUSTOM-action"},
		{"AP-62 only what the rules match", ask("p", "unheard-of", ""), request(path("/y")), "allow 200 "},
		{"AP-64 HTTP providers are not on TCP", ask("p", "http", ""), request(bytesTo(9000)), "allow 0 "},
		{"AP-64 gRPC ones are, widened", ask("p", "grpc", ""), request(bytesTo(9000), custom("deny")), "deny 0 " + fmt.Sprintf(id, "grpc")},
		{"AP-66 no rules, nothing asked", ap("p", "action: CUSTOM, provider: {name: http}"), request(), "allow 200 "},
		{"EV-2 a denial comes before tokens", docs(ask("p", "http", ""), jwtPolicy("issuer: a, jwks: '{}'")), request(custom("deny"), token(policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Why: "malformed"})), "deny 403 " + fmt.Sprintf(id, "http")},
		{"AP-61 DENY comes after an allow", docs(ask("p", "http", ""), ap("d", "action: DENY, rules: [{}]")), request(custom("allow")), "deny 403 ns[shop]-policy[d]-rule[0]"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			v := model(t, docs(service, tt.policies), config).Evaluate(tt.request)
			if got := fmt.Sprintf("%s %d %s", v.Outcome, v.HTTPStatus, v.By); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
