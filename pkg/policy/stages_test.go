package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestStages: a request meets chain, codec, CUSTOM, tokens, DENY and ALLOW in
// this order (EV-1), tokens after CUSTOM and before DENY (EV-2). Each request
// has one thing less against it than the one before.
func TestStages(t *testing.T) {
	t.Parallel()
	const config = "extensionProviders: [{name: ext, envoyExtAuthzGrpc: {service: ext.shop.svc.cluster.local, port: 80}}]\n"
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: ext, namespace: shop}\nspec: {ports: [{port: 80}]}\n"
	m := model(t, docs(service, moded(policy.Strict), jwtPolicy("issuer: a, jwks: '{}'"),
		ap("custom", "action: CUSTOM, provider: {name: ext}, rules: [{}]"),
		ap("audit", "action: AUDIT, rules: [{}]"),
		ap("deny", "action: DENY, rules: [{to: [{operation: {ports: ['8080'], notPaths: [/ok*]}}]}, {to: [{operation: {ports: ['9000']}}], from: [{source: {namespaces: [other]}}]}]"),
		ap("allow", "rules: [{to: [{operation: {paths: [/ok/yes]}}]}, {to: [{operation: {ports: ['9000']}}], from: [{source: {principals: ['*/sa/curl']}}]}]")), config)
	bad := token(policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Why: "malformed"})
	web, other := from("spiffe://cluster.local/ns/shop/sa/web"), from("spiffe://cluster.local/ns/other/sa/web")
	tests := []struct {
		what    string
		changes []change
		want    string
	}{
		{"no chain", []change{plaintext, method("FOO"), custom("deny"), bad}, "refused transport 0"},
		{"no HTTP", []change{method("FOO"), custom("deny"), bad}, "rejected http 400"},
		{"the authorizer", []change{custom("deny"), bad}, "deny custom 403"},
		{"a bad token", []change{custom("allow"), bad}, "unauthenticated authentication 401"},
		{"a DENY rule", []change{custom("allow")}, "deny deny 403"},
		{"no ALLOW rule", []change{custom("allow"), path("/ok/no")}, "deny allow 403"},
		{"nothing", []change{custom("allow"), path("/ok/yes")}, "allow allow 200"},
		{"TCP: no chain", []change{plaintext, bytesTo(9000), custom("deny")}, "refused transport 0"},
		{"TCP: the authorizer", []change{other, bytesTo(9000), custom("deny")}, "deny custom 0"},
		{"TCP: a DENY rule", []change{other, bytesTo(9000), custom("allow")}, "deny deny 0"},
		{"TCP: no ALLOW rule", []change{web, bytesTo(9000), custom("allow")}, "deny allow 0"},
		{"TCP: nothing", []change{bytesTo(9000), custom("allow")}, "allow allow 0"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			v := m.Evaluate(request(tt.changes...))
			if got := fmt.Sprintf("%s %s %d", v.Outcome, v.Stage, v.HTTPStatus); got != tt.want {
				t.Errorf("%s (%s), want %s", got, v.Reason, tt.want)
			}
		})
	}
}

// TestDenials: HTTP is answered with 403, a byte stream is closed; a rule is
// named, or none if an ALLOW stage found none (EV-6, EV-5).
func TestDenials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policies string
		request  *policy.Request
		want     string
	}{
		{ap("p", "action: DENY, rules: [{}]"), request(), "deny 403 ns[shop]-policy[p]-rule[0]"},
		{ap("p", "action: DENY, rules: [{}]"), request(bytesTo(9000)), "deny 0 ns[shop]-policy[p]-rule[0]"},
		{ap("p", ""), request(), "deny 403 none"},
		{ap("p", ""), request(bytesTo(9000)), "deny 0 none"},
	} {
		v := model(t, tt.policies, "").Evaluate(tt.request)
		if got := fmt.Sprintf("%s %d %s", v.Outcome, v.HTTPStatus, v.By); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
		if (v.Rule == nil) != (v.By == "none") {
			t.Errorf("%s is the rule %v", v.By, v.Rule)
		}
	}
}

// TestWhomPoliciesAreFor: a policy is for what comes in to the workloads that it
// selects: not for what they send (EV-4), and for a classic ingress gateway as
// for any other workload (AP-8).
func TestWhomPoliciesAreFor(t *testing.T) {
	t.Parallel()
	const more = `apiVersion: apps/v1
kind: Deployment
metadata: {name: curl, namespace: shop}
spec: {template: {metadata: {labels: {app: curl}}, spec: {serviceAccountName: curl, containers: [{name: curl, image: curl:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec: {template: {metadata: {labels: {istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}, spec: {containers: [{name: istio-proxy, image: auto}]}}}
`
	root := strings.Replace(ap("all", "action: DENY, rules: [{}]"), "namespace: shop", "namespace: istio-system", 1)
	forCurl := ap("curl", "selector: {matchLabels: {app: curl}}, action: DENY, rules: [{}]")
	for _, tt := range []struct{ policies, namespace, workload, want string }{
		{forCurl, "shop", "curl", "curl"},
		{forCurl, "shop", "app", ""},
		{root, "shop", "app", "all"},
		{root, "istio-system", "istio-ingressgateway", "all"},
		{docs(root, forCurl), "shop", "curl", "all curl"},
	} {
		s := snapshot(t, docs(workloadYAML, more, tt.policies), "")
		w := s.Workload(tt.namespace, tt.workload)
		if w == nil {
			t.Fatalf("no workload %s/%s", tt.namespace, tt.workload)
		}
		var names []string
		if deny := policy.Compile(s, w).HTTP.Deny; deny != nil {
			for _, p := range deny.Enforced.Policies {
				names = append(names, p.Name)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s/%s: %q, want %q", tt.namespace, tt.workload, got, tt.want)
		}
	}
	s := snapshot(t, docs(workloadYAML, more, forCurl), "")
	v, err := policy.NewSimulator(s).Evaluate(request())
	if err != nil || v.Outcome != policy.Allow {
		t.Errorf("what curl sends: %s %v", v.Outcome, err)
	}
}
