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

// manyWays is a rule with two sources and two operations, of which the usual
// request has the second and the first.
func manyWays(condition string) string {
	return "rules: [{from: [{source: {namespaces: [other]}}, {source: {namespaces: [shop]}}], to: [{operation: {methods: [GET]}}, {operation: {methods: [POST]}}], when: [" + condition + "]}]"
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
		{"AP-4 a selector beside it does not help", ap("p", "selector: {matchLabels: {app: app}}, targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}], action: DENY, rules: [{}]"), request(), "allow"},
		{"AP-7 the old targetRef", ap("p", "targetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: g}, action: DENY, rules: [{}]"), request(), "allow"},
		{"AP-9 an action that nobody knows", ap("p", "action: 7, rules: [{}]"), request(), "allow"},
		{"AP-9 ALLOW if none is named", ap("p", "action: ALLOW, rules: [{to: [{operation: {methods: [POST]}}]}]"), request(), "deny none"},
		// emptiness
		{"AP-10 empty spec allows nothing", ap("p", ""), request(), "deny none"},
		{"AP-10 DENY without rules denies nothing", ap("p", "action: DENY"), request(), "allow"},
		{"AP-11 empty rule allows all", ap("p", "rules: [{}]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-12 nothing said of the source", allowTo("methods: [GET]"), request(plaintext), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-12 nothing said of the operation", allowFrom("namespaces: [shop]"), request(bytesTo(9000)), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-13 from and to of one rule", ap("p", "rules: [{from: [{source: {namespaces: [other]}}], to: [{operation: {methods: [GET]}}]}]"), request(), "deny none"},
		{"AP-13 from and to as two rules (T-7)", ap("p", "rules: [{from: [{source: {namespaces: [other]}}]}, {to: [{operation: {methods: [GET]}}]}]"), request(), "allow ns[shop]-policy[p]-rule[1]"},
		{"AP-14 empty source is any", ap("p", "rules: [{from: [{source: {}}]}]"), request(plaintext), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-14 empty operation is any", ap("p", "rules: [{to: [{operation: {}}]}]"), request(bytesTo(9000)), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-15 a condition without values", ap("p", "rules: [{when: [{key: source.namespace}]}]"), request(plaintext), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-15 a field without values", allowFrom("namespaces: [], notNamespaces: []"), request(plaintext), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-16 all fields of a source are asked", allowFrom("namespaces: [shop], principals: [cluster.local/ns/shop/sa/web]"), request(), "deny none"},
		{"AP-16 values and notValues", allowTo("paths: [/x*], notPaths: [/x]"), request(), "deny none"},
		{"AP-17 notValues match what is absent", allowWhen("request.headers[x-a]", "notValues: [b]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-17 a value that is excluded too never matches", allowTo("methods: [GET], notMethods: [GET]"), request(), "deny none"},
		{"AP-18 a condition on the destination, with every operation", ap("p", manyWays("{key: destination.port, values: ['8080']}")), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-18 that does not hold", ap("p", manyWays("{key: destination.port, values: ['9000']}")), request(), "deny none"},
		{"AP-18 a condition on the source, with every source", ap("p", manyWays("{key: source.ip, values: [10.0.0.1]}")), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-18 that does not hold either", ap("p", manyWays("{key: source.ip, values: [10.0.0.2]}")), request(), "deny none"},
		{"EV-8 some operation and some source, not in pairs", ap("p", manyWays("")), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"EV-8 no operation", ap("p", manyWays("")), request(method("PUT")), "deny none"},
		{"EV-8 no source", ap("p", manyWays("")), request(plaintext), "deny none"},
		{"AP-19 conditions of one key are all asked", ap("p", "rules: [{when: [{key: source.namespace, values: [shop]}, {key: source.namespace, values: [other]}]}]"), request(), "deny none"},
		{"AP-20 unknown condition drops the rule, DENY too", ap("p", "action: DENY, rules: [{when: [{key: no.such, values: [a]}]}]"), request(), "allow"},
		// strings
		{"AP-21 prefix", allowTo("paths: [/x/*]"), request(path("/x/y")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-21 suffix", allowTo("paths: ['*/y']"), request(path("/x/y")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-22 a leading star wins", allowTo("paths: ['*x*']"), request(path("/x")), "deny none"},
		{"AP-22 and the other star is a star", allowTo("paths: ['*x*']"), request(path("/x*")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-23 present, though empty", allowWhen("request.headers[x-a]", "values: ['*']"), request(header("x-a", "")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-23 but not if absent", allowWhen("request.headers[x-a]", "values: ['*']"), request(), "deny none"},
		{"AP-24 an expression is for the whole text", allowFrom("serviceAccounts: [cur]"), request(), "deny none"},
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
		{"AP-32 of a root policy, of the root namespace", strings.Replace(allowFrom("serviceAccounts: [curl]"), "namespace: shop", "namespace: istio-system", 1), request(), "deny none"},
		{"AP-32 who is in it", strings.Replace(allowFrom("serviceAccounts: [curl]"), "namespace: shop", "namespace: istio-system", 1), request(from("spiffe://cluster.local/ns/istio-system/sa/curl")), "allow ns[istio-system]-policy[p]-rule[0]"},
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
		{"AP-44 so a port leads past notHosts", allowTo("notHosts: [app.shop]"), request(host("app.shop:80")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-44 without it they hold", allowTo("notHosts: [app.shop]"), request(), "deny none"},
		{"AP-45 method", allowTo("methods: [GET]"), request(method("POST")), "deny none"},
		{"AP-46 without query", allowTo("paths: [/x]"), request(path("/x?a=1#f")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-47 a gRPC method is a path", allowTo("methods: [POST], paths: [/shop.Cart/Add]"), request(method("POST"), path("/shop.Cart/Add"), header("content-type", "application/grpc")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-48 one segment", allowTo("paths: ['/a/{*}/c']"), request(path("/a/b/c")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-48 not two", allowTo("paths: ['/a/{*}/c']"), request(path("/a/b/b/c")), "deny none"},
		{"AP-49 any number", allowTo("paths: ['/a/{**}']"), request(path("/a/")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-49 but the slash", allowTo("paths: ['/a/{**}']"), request(path("/a")), "deny none"},
		{"AP-50 in a template a star is a star", allowTo("paths: ['/a*/{*}']"), request(path("/a*/x")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-50 and no prefix", allowTo("paths: ['/a*/{*}']"), request(path("/ab/x")), "deny none"},
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
		{"AP-54 and widens a DENY rule", ap("p", "action: DENY, rules: [{when: [{key: 'request.headersX[a]', values: [b]}]}]"), request(), "deny ns[shop]-policy[p]-rule[0]"},
		{"AP-55 SNI in lower case", allowWhen("connection.sni", "values: ['*.app.shop']"), request(sni("outbound_.80_._.APP.shop")), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-56 metadata is never there", allowWhen("experimental.envoy.filters.a.b[c]", "values: [d]"), request(), "deny none"},
		{"RUN-10 destination.ip is the pod's address", allowWhen("destination.ip", "values: [10.0.0.9]"), request(), "allow ns[shop]-policy[p]-rule[0]"},
		{"RUN-11 te", allowWhen("request.headers[te]", "values: [trailers]"), request(header("te", "gzip, trailers")), "allow ns[shop]-policy[p]-rule[0]"},
		{"RUN-11 te in another case is gone", allowWhen("request.headers[te]", "values: ['*']"), request(header("te", "Trailers")), "deny none"},
		{"RUN-9 an absolute target names the host", allowTo("hosts: [other.shop]"), request(path("http://other.shop/x")), "allow ns[shop]-policy[p]-rule[0]"},
		{"RUN-9 and not the Host line", allowTo("hosts: [app.shop]"), request(path("http://other.shop/x")), "deny none"},
		{"RUN-9 two Host lines are no host", allowTo("hosts: [app.shop]"), request(header("host", "app.shop")), "deny none"},
		// TCP
		{"AP-58 HTTP fields drop ALLOW rules on TCP (T-2)", allowTo("methods: [GET]"), request(bytesTo(9000)), "deny none"},
		{"AP-58 but only those rules", ap("p", "rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {ports: ['9000']}}]}]"), request(bytesTo(9000)), "allow ns[shop]-policy[p]-rule[1]"},
		{"AP-59 an ALLOW policy of which no rule is left", allowTo("paths: [/x]"), request(plaintext, bytesTo(9000)), "deny none"},
		{"AP-59 a DENY rule of which nothing is left", ap("p", "action: DENY, rules: [{to: [{operation: {paths: [/nowhere]}}]}]"), request(bytesTo(9000)), "deny ns[shop]-policy[p]-rule[0]"},
		{"AP-58 and widen DENY rules (T-1)", ap("p", "action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['9000']}}]}]"), request(bytesTo(9000)), "deny ns[shop]-policy[p]-rule[0]"},
		{"AP-57 identities are for TCP too", allowFrom("principals: [cluster.local/ns/shop/sa/curl]"), request(bytesTo(9000)), "allow ns[shop]-policy[p]-rule[0]"},
		{"AP-35 TCP knows no forwarded address", allowFrom("remoteIpBlocks: [10.0.0.1]"), request(bytesTo(9000)), "allow ns[shop]-policy[p]-rule[0]"},
		// order
		{"EV-5 DENY beats ALLOW", docs(ap("a", "rules: [{}]"), ap("d", "action: DENY, rules: [{}]")), request(), "deny ns[shop]-policy[d]-rule[0]"},
		{"EV-7 the first by name", docs(ap("b", "action: DENY, rules: [{}]"), ap("a", "action: DENY, rules: [{}]")), request(), "deny ns[shop]-policy[a]-rule[0]"},
		{"EV-7 as text, so ten comes before two", ap("p", "action: DENY, rules: [{when: [{key: source.ip, values: [1.1.1.1]}]}, {when: [{key: source.ip, values: [1.1.1.1]}]}, {}, {when: [{key: source.ip, values: [1.1.1.1]}]}, {}, {}, {}, {}, {}, {}, {}]"), request(), "deny ns[shop]-policy[p]-rule[10]"},
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
		{"AP-72 namespaces know no trust domain", allowFrom("namespaces: [shop]"), "spiffe://old-td/ns/shop/sa/curl", "allow"},
		{"AP-72 nor do accounts", allowFrom("serviceAccounts: [shop/curl]"), "spiffe://old-td/ns/shop/sa/curl", "allow"},
		{"AP-72 conditions are expanded as fields are", allowWhen("source.principal", "values: [my-td/ns/shop/sa/curl]"), "spiffe://old-td/ns/shop/sa/curl", "allow"},
		{"AP-79 beside several sources too", ap("p", "rules: [{from: [{source: {namespaces: [other]}}, {source: {namespaces: [shop]}}], when: [{key: source.principal, values: [my-td/ns/shop/sa/curl, cluster.local/ns/shop/sa/web]}]}]"), "spiffe://old-td/ns/shop/sa/web", "allow"},
		{"AP-79 for those who are named only", ap("p", "rules: [{from: [{source: {namespaces: [other]}}, {source: {namespaces: [shop]}}], when: [{key: source.principal, values: [my-td/ns/shop/sa/curl]}]}]"), "spiffe://old-td/ns/shop/sa/web", "deny"},
		{"AP-74 a wildcard that covers a domain stays", allowFrom("principals: ['*-td/ns/shop/sa/curl']"), "spiffe://old-td/ns/shop/sa/curl", "allow"},
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
	v = model(t, docs(dry("p", "1", "rules: [{}]"), dry("q", "1", "action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]")), "").Evaluate(request())
	if *v.DryRun.Allow != (policy.Shadow{Result: "allowed", By: "ns[shop]-policy[p]-rule[0]"}) || *v.DryRun.Deny != (policy.Shadow{Result: "allowed"}) {
		t.Errorf("what matches has a name, what does not has none (AP-69): %+v %+v", v.DryRun.Allow, v.DryRun.Deny)
	}
	v = model(t, dry("p", "true", "action: AUDIT, rules: [{}]"), "").Evaluate(request())
	if v.Outcome != policy.Allow || v.DryRun != nil {
		t.Errorf("a dry-run AUDIT is nothing (AP-71): %+v", v)
	}
	v = model(t, dry("p", "maybe", "action: DENY, rules: [{}]"), "").Evaluate(request())
	if v.Outcome != policy.Deny {
		t.Errorf("an unreadable annotation enforces (AP-67): %+v", v)
	}
	v = model(t, docs(ap("d", "action: DENY, rules: [{}]"), dry("a", "1", "rules: [{}]")), "").Evaluate(request())
	if v.DryRun != nil {
		t.Errorf("what comes after a denial has no result (RUN-1): %+v", v.DryRun)
	}
	v = model(t, docs(ap("d", "action: DENY, rules: [{}]"), dry("e", "1", "action: DENY, rules: [{}]")), "").Evaluate(request())
	if v.DryRun == nil || v.DryRun.Deny == nil || v.DryRun.Deny.Result != "denied" || v.DryRun.Allow != nil {
		t.Errorf("what stands beside it has one (RUN-1): %+v", v.DryRun)
	}
	v = model(t, dry("e", "1", "action: DENY, rules: [{}]"), "").Evaluate(request(method("FOO")))
	if v.DryRun != nil {
		t.Errorf("what is rejected has no result (RUN-1): %+v", v.DryRun)
	}
}
