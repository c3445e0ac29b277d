package policy_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

var update = flag.Bool("update", false, "write the goldens anew")

// explain explains an object of manifests, a sentence a line, after its topic.
func explain(t testing.TB, s *mesh.Snapshot, reference string) []string {
	t.Helper()
	subject, err := policy.FindSubject(s, reference, "shop")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, sentence := range policy.NewSimulator(s).ExplainSubject(subject).Sentences {
		lines = append(lines, string(sentence.Topic)+": "+sentence.Text)
	}
	return lines
}

// says tells whether some line has a text.
func says(lines []string, text string) bool { return strings.Contains(strings.Join(lines, "\n"), text) }

// TestRuleWords: what rules say, as sentences (AP-10..AP-56).
func TestRuleWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ rule, policy, want string }{
		{"AP-11 everything", ap("p", "rules: [{}]"), "allows everything."},
		{"AP-13 one from and to", ap("p", "rules: [{from: [{source: {namespaces: [other]}}], to: [{operation: {methods: [GET]}}]}]"), "allows GET, when the caller's namespace is other."},
		{"AP-13 alternatives", ap("p", "rules: [{from: [{source: {namespaces: [a]}}, {source: {namespaces: [b], ipBlocks: [10.0.0.0/8]}}], to: [{operation: {ports: ['8080']}}, {operation: {methods: [GET]}}]}]"), "allows either anything on port 8080, or GET, when either the caller's namespace is a, or the caller's namespace is b and the connection's address is in 10.0.0.0/8."},
		{"AP-14 an empty source is any", ap("p", "rules: [{from: [{source: {namespaces: [a]}}, {source: {}}]}]"), "allows everything."},
		{"AP-16 values and notValues", allowTo("paths: [/x*], notPaths: [/x/y]"), "allows requests to paths that start with /x except /x/y."},
		{"AP-16 only notValues", allowTo("notMethods: [DELETE, PUT]"), "allows requests of any method except DELETE or PUT."},
		{"AP-19 conditions of one key", ap("p", "rules: [{when: [{key: source.namespace, values: [shop]}, {key: source.namespace, notValues: [other]}]}]"), "allows everything, when the caller's namespace is shop and the caller's namespace is not other."},
		{"AP-21 forms of paths", allowTo("paths: [/a, /b/*, '*/c', /d/*]"), "allows requests to /a, paths that start with /b/ or /d/ or paths that end in /c."},
		{"AP-23 any path", allowTo("paths: ['*']"), "allows requests to any path."},
		{"AP-26 any identity", allowFrom("principals: ['*']"), "when the caller has an identity (mTLS)."},
		{"AP-26 none", allowFrom("notPrincipals: ['*']"), "when the caller has no identity (no mTLS)."},
		{"AP-29 forms of identities", allowFrom("principals: [cluster.local/ns/a/sa/b, cluster.local/ns/c/*, '*/sa/d']"), "when the caller's identity is cluster.local/ns/a/sa/b or starts with cluster.local/ns/c/ or ends in /sa/d."},
		{"AP-29 negative", allowFrom("notPrincipals: [cluster.local/ns/a/sa/b, cluster.local/ns/c/*]"), "when the caller's identity is not cluster.local/ns/a/sa/b and does not start with cluster.local/ns/c/."},
		{"AP-31 stars in namespaces", allowFrom("namespaces: [a, b*c, '*']"), "when the caller's namespace is a or the caller's namespace is like b*c or the caller has an identity of any namespace (mTLS)."},
		{"AP-31 negative", allowFrom("notNamespaces: [a, b*]"), "when the caller's namespace is not a and the caller's namespace is not like b*."},
		{"AP-32 accounts", allowFrom("serviceAccounts: [web, other/api]"), "when the caller runs as the service account shop/web or other/api."},
		{"AP-32 negative", allowFrom("notServiceAccounts: [web]"), "when the caller does not run as the service account shop/web."},
		{"AP-33 trust domain", allowFrom("trustDomains: [cluster.local]"), "when the caller's trust domain is cluster.local."},
		{"AP-34 AP-35 addresses", allowFrom("ipBlocks: [10.0.0.0/8], notRemoteIpBlocks: [1.2.3.4]"), "when the original client's address is not in 1.2.3.4 and the connection's address is in 10.0.0.0/8."},
		{"AP-37 forms of request principals", allowFrom("requestPrincipals: [iss/sub, iss/*, '*/sub', 'i*', '*']"), "when there is a good token of the issuer iss for the subject sub, of the issuer iss for any subject, of any issuer for the subject sub, of an issuer that starts with i for any subject or of any issuer for any subject."},
		{"AP-37 negative", allowFrom("notRequestPrincipals: ['*']"), "when there is no good token of any issuer for any subject."},
		{"AP-39 claims", allowWhen("request.auth.claims[realm][roles]", "values: [admin, 'ops-*', '*']"), "when the token's claim realm > roles is or lists admin or is or lists what starts with ops- or is there."},
		{"AP-39 audience and presenter", ap("p", "rules: [{when: [{key: request.auth.audiences, values: [a]}, {key: request.auth.presenter, notValues: [b]}]}]"), "when the token's audience is or lists a and the token's presenter (azp) neither is nor lists b."},
		{"AP-43 hosts", allowTo("hosts: [a.example, '*.b.example', 'c.*'], notHosts: ['*']"), "allows requests for the host a.example, hosts that start with c. or hosts that end in .b.example except any host."},
		{"AP-45 methods", allowTo("methods: [GET, 'P*']"), "allows GET or methods that start with P."},
		{"AP-48 templates", allowTo("paths: ['/a/{*}/c', '/b/{**}']"), "allows requests to paths of the template /a/{*}/c or /b/{**}."},
		{"AP-51 ports", allowTo("ports: ['80', '81'], notPorts: ['81']"), "allows anything on ports 80 or 81 except port 81."},
		{"AP-53 headers", ap("p", "rules: [{when: [{key: 'request.headers[X-A]', values: [b, 'c*', '*d']}, {key: 'request.headers[x-e]', notValues: ['*']}]}]"), "when the header X-A is b or starts with c or ends in d and the header x-e is not there."},
		{"AP-55 server name", allowWhen("connection.sni", "values: ['*.app.shop']"), "when the connection's server name (SNI) ends in .app.shop."},
		{"AP-56 filter metadata", allowWhen("experimental.envoy.filters.a.b[c]", "values: [d]"), "when experimental.envoy.filters.a.b[c] is d."},
		{"section 1.6 the called side", ap("p", "rules: [{when: [{key: destination.ip, values: [10.0.0.9]}, {key: destination.port, notValues: ['80']}]}]"), "when the workload's own address is in 10.0.0.9 and the port is not 80."},
		{
			"section 1.6 the calling side", ap("p", "rules: [{when: [{key: source.ip, values: [10.0.0.9]}, {key: remote.ip, values: [1.2.3.4]}, {key: source.principal, values: [cluster.local/ns/a/sa/b]}, {key: source.serviceAccount, values: [web]}, {key: source.trustDomain, values: [cluster.local]}, {key: request.auth.principal, values: [i/s]}]}]"),
			"when the connection's address is in 10.0.0.9 and the original client's address is in 1.2.3.4 and the caller is cluster.local/ns/a/sa/b and the caller runs as the service account shop/web and the caller's trust domain is cluster.local and there is a good token of the issuer i for the subject s.",
		},
		{"from and when", ap("p", "rules: [{from: [{source: {namespaces: [a]}}], when: [{key: 'request.headers[x]', values: ['a b']}]}]"), "allows everything, when the caller's namespace is a, provided that the header x is \"a b\"."},
		{"DENY", ap("p", "action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]"), "denies GET."},
		{"AUDIT", ap("p", "action: AUDIT, rules: [{}]"), "notes everything."},
		{"AP-59a what cannot be read is not said", ap("p", "action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8, nonsense]}}], to: [{operation: {ports: ['80', x]}}]}]"), "denies anything on port 80, when the connection's address is in 10.0.0.0/8."},
		{"AP-20 dropped", ap("p", "rules: [{when: [{key: no.such, values: [a]}]}]"), "Rule 0 is dropped: istiod knows no condition no.such."},
		{"AP-54 dropped", allowWhen("request.headers", "values: [a]"), "Rule 0 is dropped: request.headers: \"\": expected a name in brackets."},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			lines := explain(t, snapshot(t, docs(workloadYAML, tt.policy), ""), "ap/p.shop")
			if !says(lines, tt.want) {
				t.Errorf("want %q in:\n%s", tt.want, strings.Join(lines, "\n"))
			}
		})
	}
}

// TestEffects: what a policy does on the whole.
func TestEffects(t *testing.T) {
	t.Parallel()
	dry := func(value, spec string) string {
		return strings.Replace(ap("p", spec), "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: \""+value+"\"}}", 1)
	}
	const other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other, namespace: far}\nspec: {template: {metadata: {labels: {app: far}}, spec: {containers: [{name: a, image: a}]}}}\n"
	for _, tt := range []struct{ rule, policies, want string }{
		{"AP-2 the root namespace reaches all", docs(other, strings.Replace(ap("p", "rules: [{}]"), "namespace: shop", "namespace: istio-system", 1)), "selection: It selects every workload of the mesh (it is in the root namespace): Deployment far/other and Deployment shop/app."},
		{"AP-3 the labels of a selector", ap("p", "selector: {matchLabels: {app: app, version: v1}}, rules: [{}]"), "selection: It selects the workloads of namespace shop with the labels app=app and version=v1: Deployment shop/app."},
		{"AP-3 labels that nobody has", ap("p", "selector: {matchLabels: {app: none}}, rules: [{}]"), "selection: It selects the workloads of namespace shop with the label app=none; the files have none."},
		{"AP-1 labels of another namespace", docs(other, ap("p", "selector: {matchLabels: {app: far}}, rules: [{}]")), "caution: Deployment far/other has these labels, but in another namespace, which a policy here does not reach."},
		{"AP-4 targets (T-28)", ap("p", "targetRefs: [{kind: Service, name: app}], rules: [{}]"), "selection: It targets Service app, so it applies to no sidecar;"},
		{"AP-7 the older form", ap("p", "targetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: g}, rules: [{}]"), "selection: It targets Gateway g,"},
		{"AP-10 without rules (T-8)", ap("p", ""), "effect: It is an ALLOW policy without rules: it allows nothing.\neffect: It is the only ALLOW policy for Deployment shop/app, so everything is denied there, on every port."},
		{"AP-10 DENY without rules", ap("p", "action: DENY"), "effect: It denies nothing, as it has no rules."},
		{"AP-10 AUDIT without rules", ap("p", "action: AUDIT"), "effect: It is an AUDIT policy without rules: it notes nothing."},
		{"T-3 the first ALLOW", ap("p", "rules: [{}]"), "effect: It is the only ALLOW policy for Deployment shop/app, so whatever it does not allow is denied there, on every port."},
		{"T-3 one more ALLOW", docs(ap("p", "rules: [{}]"), ap("q", "")), "effect: For Deployment shop/app there is also shop/q: whatever no ALLOW policy allows is denied there, on every port."},
		{"AP-68 a dry run turns on nothing", docs(dry("true", "rules: [{}]"), ap("q", "")), "effect: It is a dry run: it decides nothing, and only reports what it would do in the proxy's logs and metrics.\neffect: It would allow what its rules match.\nrules: Rule 0 would allow everything."},
		{"AP-67 an annotation that is no boolean (T-22)", dry("maybe", "rules: [{}]"), "caution: istio.io/dry-run is maybe, which is neither true nor false: the policy is enforced."},
		{"AP-71 AUDIT cannot be one", dry("true", "action: AUDIT, rules: [{}]"), "caution: It is marked as a dry run, which AUDIT policies cannot be"},
		{"AP-70 nor can CUSTOM", dry("true", "action: CUSTOM, provider: {name: http}, rules: [{}]"), "rules: Rule 0 denies everything."},
		{"AP-60 CUSTOM", ap("p", "action: CUSTOM, provider: {name: http}, rules: [{}]"), "effect: It asks the external authorizer http about what its rules match; what that allows goes on to tokens, DENY and ALLOW.\neffect: Where http does not answer, the request is answered with status 403.\nrules: Rule 0 asks about everything."},
		{"AP-65 fail open", ap("p", "action: CUSTOM, provider: {name: open}, rules: [{}]"), "effect: Where open does not answer, the request goes on (failOpen)."},
		{"AP-66 CUSTOM without rules", ap("p", "action: CUSTOM, provider: {name: http}"), "effect: It has no rules, so it never asks the external authorizer http."},
		{"AP-62 unknown provider", ap("p", "action: CUSTOM, provider: {name: htpp}, rules: [{}]"), "effect: It wants to ask an external authorizer, but the mesh config has no extension provider htpp; it has UPPER, http, nowhere and open: what its rules match is denied.\nrules: Rule 0 denies everything."},
		{"AP-62 no provider", ap("p", "action: CUSTOM, rules: [{}]"), "but it names none:"},
		{"AP-62 a provider of another kind", ap("p", "action: CUSTOM, provider: {name: prometheus}, rules: [{}]"), "but the extension provider prometheus is no external authorizer:"},
		{"AP-62 no such service", ap("p", "action: CUSTOM, provider: {name: nowhere}, rules: [{}]"), "but the files have no Service for the host none.ext.svc.cluster.local of the extension provider nowhere:"},
		{"AP-63 a name that istiod does not accept", ap("p", "action: CUSTOM, provider: {name: UPPER}, rules: [{}]"), "but istiod does not accept the name UPPER:"},
		{"AP-62 several providers (T-29)", docs(ap("p", "action: CUSTOM, provider: {name: http}, rules: [{}]"), ap("q", "action: CUSTOM, provider: {name: open}, rules: [{}]")), "effect: Deployment shop/app has CUSTOM policies of several providers (http and open), and istiod accepts one for a workload: what their rules match is denied there."},
		{"AP-74 aliases", allowFrom("principals: [cluster.local/ns/a/sa/b]"), "rules: Rule 0: principals old.example/ns/a/sa/b count as well, as the mesh's trust domains are cluster.local and old.example."},
		{"AP-77 aliases of trust domains", allowFrom("trustDomains: [old.example]"), "rules: Rule 0: trustDomains cluster.local count as well,"},
		{"AP-59a a bad value takes its field along", ap("p", "action: DENY, rules: [{from: [{source: {ipBlocks: [nonsense]}}]}]"), "caution: Rule 0: ipBlocks: \"nonsense\" is neither an address nor a block of addresses; it is left out and the field with it, so the rule matches more."},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			const config = `trustDomainAliases: [old.example]
extensionProviders:
- {name: http, envoyExtAuthzHttp: {service: app.shop.svc.cluster.local, port: 80}}
- {name: open, envoyExtAuthzHttp: {service: app.shop.svc.cluster.local, port: 80, failOpen: true}}
- {name: nowhere, envoyExtAuthzHttp: {service: none.ext.svc.cluster.local, port: 80}}
- {name: UPPER, envoyExtAuthzHttp: {service: app.shop.svc.cluster.local, port: 80}}
`
			s := snapshot(t, docs(workloadYAML, tt.policies), config)
			reference := "ap/p.shop"
			if s.AuthorizationPolicies("istio-system") != nil {
				reference = "ap/p.istio-system"
			}
			if lines := explain(t, s, reference); !says(lines, tt.want) {
				t.Errorf("want %q in:\n%s", tt.want, strings.Join(lines, "\n"))
			}
		})
	}
}

// TestUnguarded: workloads where a policy does nothing that is known here
// (PA-10).
func TestUnguarded(t *testing.T) {
	t.Parallel()
	pod := func(name, labels, annotations string) string {
		return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: shop}\nspec: {template: {metadata: {labels: {%s}, annotations: {%s}}, spec: {containers: [{name: a, image: a}]}}}\n", name, labels, annotations)
	}
	s := snapshot(t, docs(pod("out", "sidecar.istio.io/inject: 'false'", ""), pod("in", "sidecar.istio.io/inject: 'true'", ""), pod("gate", "", "inject.istio.io/templates: gateway"), pod("maybe", "", ""), ap("p", "rules: [{}]")), "")
	want := []string{
		"selection: It selects every workload of namespace shop: Deployment shop/gate, Deployment shop/in, Deployment shop/maybe and Deployment shop/out.",
		"selection: Deployment shop/gate is a gateway; what its own listeners do is outside of this explanation.",
		"selection: Deployment shop/out has no sidecar (its pod says so with sidecar.istio.io/inject), so nothing is enforced there.",
		"selection: Nothing in the files says whether Deployment shop/maybe has a sidecar; it is assumed.",
		"effect: It allows what its rules match.",
		"effect: It is the only ALLOW policy for Deployment shop/in and Deployment shop/maybe, so whatever it does not allow is denied there, on every port.",
		"rules: Rule 0 allows everything.",
	}
	if diff := cmp.Diff(want, explain(t, s, "ap/p.shop")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for reference, want := range map[string]string{
		"deploy/out.shop":  "sidecar: It has no sidecar (its pod says so with sidecar.istio.io/inject), so nothing is enforced here: every request reaches it.",
		"deploy/gate.shop": "sidecar: It is a gateway: what its own listeners do is outside of this explanation.",
	} {
		if lines := explain(t, s, reference); lines[len(lines)-1] != want {
			t.Errorf("%s ends in %q, want %q", reference, lines[len(lines)-1], want)
		}
	}
}

// TestGoldens holds whole explanations to what has been read and found right.
func TestGoldens(t *testing.T) {
	t.Parallel()
	for name, subjects := range map[string][]string{
		"bookinfo": {"ap/details-viewer.bookinfo", "ap/allow-nothing.bookinfo", "bookinfo/db-writers", "authorizationpolicies/customers.bookinfo", "pa/default.bookinfo", "ra/customers.bookinfo", "deploy/productpage-v1.bookinfo", "bookinfo/ratings-db"},
		"awkward":  {"ap/no-admin.istio-system", "shop/callers", "shop/rehearsal", "shop/ask", "front/nobody", "pa/inert.istio-system", "pa/app.shop", "shop/app-strict", "ra/tokens.shop", "deploy/app.shop", "shop/old", "istio-system/ingress"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fromFiles(t, filepath.Join("testdata", "explain", name))
			var got strings.Builder
			for _, reference := range subjects {
				subject, err := policy.FindSubject(s, reference, "default")
				if err != nil {
					t.Fatal(err)
				}
				e := policy.NewSimulator(s).ExplainSubject(subject)
				fmt.Fprintf(&got, "%s (%s)\n", e.Subject, e.At)
				for _, sentence := range e.Sentences {
					fmt.Fprintf(&got, "  %s: %s (%s)\n", sentence.Topic, sentence.Text, sentence.At)
				}
			}
			golden(t, name+".golden", got.String())
		})
	}
}

// golden compares a text with the one in testdata/explain.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "explain", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-golden +got):\n%s", diff)
	}
}

// fromFiles builds a mesh of NAME.yaml and, if it is there, NAME.meshconfig.
func fromFiles(t testing.TB, name string) *mesh.Snapshot {
	t.Helper()
	text, err := os.ReadFile(name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := manifest.Read(filepath.Base(name)+".yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	config := mesh.DefaultConfig()
	if text, err := os.ReadFile(name + ".meshconfig"); err == nil {
		if config, err = mesh.ParseConfig(text); err != nil {
			t.Fatal(err)
		}
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
