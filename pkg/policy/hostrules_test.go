package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// serverYAML is what the client side is tested on: the Service web of namespace
// shop, with pods of two versions in the mesh and one that is not.
const serverYAML = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp-raw, port: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1, namespace: shop}
spec: {template: {metadata: {labels: {app: web, version: v1}}, spec: {serviceAccountName: web-v1, containers: [{name: web, image: web:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v2, namespace: shop}
spec: {template: {metadata: {labels: {app: web, version: v2}}, spec: {serviceAccountName: web-v2, containers: [{name: web, image: web:2}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-plain, namespace: shop}
spec: {template: {metadata: {labels: {app: web, version: plain, sidecar.istio.io/inject: "false"}}, spec: {containers: [{name: web, image: web:0}]}}}
`

// dr is a DestinationRule; spec is in flow style.
func dr(name, namespace, spec string) string {
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: %s, namespace: %s}\nspec: {%s}\n", name, namespace, spec)
}

// created gives an object its age, in months of one year.
func created(text string, month int) string {
	return strings.Replace(text, "metadata: {", fmt.Sprintf("metadata: {creationTimestamp: \"2024-%02d-01T00:00:00Z\", ", month), 1)
}

// clusterOf is how a client reaches a port of a Service of namespace shop.
func clusterOf(t *testing.T, s *mesh.Snapshot, client policy.Proxy, service string, port int32, subset string) *policy.Cluster {
	t.Helper()
	found := s.Service("shop", service)
	if found == nil {
		t.Fatalf("no Service %s", service)
	}
	p, ok := found.Port(fmt.Sprint(port))
	if !ok {
		t.Fatalf("no port %d", port)
	}
	return policy.NewOutbound(s).Cluster(client, found, p, subset)
}

// TestWhichDestinationRule: DR-1..DR-6. The rules that a client of web follows
// are named in the order in which they joined, the one whose policy holds with a
// star.
func TestWhichDestinationRule(t *testing.T) {
	t.Parallel()
	const exact, plain = "host: web.shop.svc.cluster.local", "trafficPolicy: {tls: {mode: DISABLE}}"
	rule := func(name, namespace, more string) string { return dr(name, namespace, exact+", "+plain+more) }
	at := func(host string) string { return "host: '" + host + "', " + plain }
	forV1 := ", workloadSelector: {matchLabels: {app: client}}"
	tests := []struct{ rule, rules, client, want string }{
		{"no rule", "", "client", ""},
		{"DR-1 a short name is of the rule's namespace", dr("a", "shop", at("web")), "client", "a*"},
		{"DR-1 and of no other", dr("a", "client", at("web")), "client", ""},
		{"DR-1 a name with a dot stays", dr("a", "shop", at("web.shop")), "client", ""},
		{"DR-1 a star is all hosts", dr("a", "shop", at("*")), "client", "a*"},
		{"DR-2 the client's namespace comes first", docs(rule("a", "client", ""), rule("b", "shop", ""), rule("c", "istio-system", "")), "client", "a*"},
		{"DR-2 then the service's", docs(rule("b", "shop", ""), rule("c", "istio-system", "")), "client", "b*"},
		{"DR-2 then the root namespace", rule("c", "istio-system", ""), "client", "c*"},
		{"DR-2 no other namespace counts", rule("d", "other", ""), "client", ""},
		{"DR-2 clients in the root namespace: what it exports comes last", docs(rule("b", "shop", ""), rule("c", "istio-system", "")), "istio-system", "b*"},
		{"DR-2 and what it keeps to itself first", docs(rule("b", "shop", ""), rule("c", "istio-system", ", exportTo: ['.']")), "istio-system", "c*"},
		{"DR-3 exact before wildcard", docs(dr("a", "shop", at("*.shop.svc.cluster.local")), rule("b", "shop", "")), "client", "b*"},
		{"DR-3 the longest wildcard", docs(dr("a", "shop", at("*.cluster.local")), dr("b", "shop", at("*.shop.svc.cluster.local")), dr("c", "shop", at("*"))), "client", "b*"},
		{"DR-3 a wildcard of the client beats an exact host", docs(dr("a", "client", at("*.local")), rule("b", "shop", "")), "client", "a*"},
		{"DR-3 a wildcard that does not cover", dr("a", "shop", at("*.other.svc.cluster.local")), "client", ""},
		{"DR-3 found but not exported: the next step", docs(rule("b", "shop", ", exportTo: [other]"), rule("c", "istio-system", "")), "client", "c*"},
		{"DR-4 exported to the client", rule("b", "shop", ", exportTo: [other, client]"), "client", "b*"},
		{"DR-4 exported to all", rule("b", "shop", ", exportTo: ['*']"), "client", "b*"},
		{"DR-4 private", rule("b", "shop", ", exportTo: ['.']"), "client", ""},
		{"DR-4 private, for its own namespace", rule("b", "shop", ", exportTo: ['.']"), "shop", "b*"},
		{"DR-4 for others only, not for its own", rule("b", "shop", ", exportTo: [client]"), "shop", ""},
		{"DR-4 its own by name", rule("b", "shop", ", exportTo: [shop]"), "shop", "b*"},
		{"DR-4 one with a selector is private", rule("b", "shop", forV1+", exportTo: ['*']"), "client", ""},
		{"DR-5 by name where no ages are told", docs(rule("b", "shop", ""), rule("a", "shop", "")), "client", "a*,b"},
		{"DR-5 the oldest policy wins whole", docs(created(rule("a", "shop", ""), 2), created(rule("b", "shop", ""), 1)), "client", "b*,a"},
		{"DR-5 the oldest that has one", docs(dr("a", "shop", exact), rule("b", "shop", "")), "client", "a,b*"},
		{"DR-5 other exports stay apart, the youngest holds", docs(rule("a", "shop", ""), rule("b", "shop", ", exportTo: ['*']")), "client", "b*"},
		{"DR-5 those that the client does not see do not count", docs(rule("a", "shop", ""), rule("b", "shop", ", exportTo: [other]")), "client", "a*"},
		{"DR-5 one that is for more namespaces stands alone for the others", docs(rule("a", "shop", ", exportTo: [other]"), rule("b", "shop", ", exportTo: [other, client]")), "client", "b*"},
		{"DR-6 with a selector before one without", docs(rule("a", "client", ""), rule("b", "client", forV1)), "client", "b*"},
		{"DR-6 the selector must fit", docs(rule("a", "client", ""), rule("b", "client", ", workloadSelector: {matchLabels: {app: other}}")), "client", "a*"},
		{"DR-6 nothing is inherited", docs(rule("a", "client", ""), dr("b", "client", exact+forV1)), "client", "b"},
		{"DR-6 the first of several", docs(rule("c", "client", forV1), rule("b", "client", ", workloadSelector: {matchLabels: {version: v1}}")), "client", "b*"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			s := snapshot(t, docs(serverYAML, tt.rules), "")
			client := policy.Proxy{Namespace: tt.client, Labels: map[string]string{"app": "client", "version": "v1"}}
			if got := ruleNames(clusterOf(t, s, client, "web", 80, "").Rule); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// ruleNames names the rules that joined, and marks the one whose policy holds.
func ruleNames(r *policy.HostRule) string {
	if r == nil {
		return ""
	}
	var names []string
	for _, one := range r.Rules {
		name := one.Name
		if one == r.From {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// TestPrivateByDefault: a mesh may keep rules without exportTo in their own
// namespaces (DR-4).
func TestPrivateByDefault(t *testing.T) {
	t.Parallel()
	rule := dr("a", "shop", "host: web, trafficPolicy: {tls: {mode: DISABLE}}")
	for namespace, want := range map[string]string{"shop": "a*", "client": ""} {
		s := snapshot(t, docs(serverYAML, rule), "defaultDestinationRuleExportTo: ['.']\n")
		if got := ruleNames(clusterOf(t, s, policy.Proxy{Namespace: namespace}, "web", 80, "").Rule); got != want {
			t.Errorf("client in %s: %q, want %q", namespace, got, want)
		}
	}
}

// TestUnknownClient: of a client whose labels are not known a rule is taken only
// if its selector, too, asks for none (DR-6).
func TestUnknownClient(t *testing.T) {
	t.Parallel()
	const host = "host: web.shop.svc.cluster.local"
	for _, tt := range []struct {
		selector string
		labels   map[string]string
		want     string
	}{
		{"{app: client}", nil, "a"},
		{"{app: client}", map[string]string{"app": "client"}, "b"},
		{"{}", nil, "b"},
	} {
		rules := docs(dr("a", "client", host), dr("b", "client", host+", workloadSelector: {matchLabels: "+tt.selector+"}"))
		s := snapshot(t, docs(serverYAML, rules), "")
		if got := ruleNames(clusterOf(t, s, policy.Proxy{Namespace: "client", Labels: tt.labels}, "web", 80, "").Rule); got != tt.want {
			t.Errorf("%s, labels %v: %q, want %q", tt.selector, tt.labels, got, tt.want)
		}
	}
}

// TestSubsetsJoin: subsets of rules that join are united by name, the first
// keeps its meaning (DR-5).
func TestSubsetsJoin(t *testing.T) {
	t.Parallel()
	first := created(dr("b", "shop", "host: web, subsets: [{name: v1, labels: {version: v1}}]"), 1)
	second := created(dr("a", "shop", "host: web, subsets: [{name: v1, labels: {version: v2}}, {name: v2, labels: {version: v2}}]"), 2)
	s := snapshot(t, docs(serverYAML, first, second), "")
	o := policy.NewOutbound(s)
	service := s.Service("shop", "web")
	var got []string
	for _, c := range o.Clusters(policy.Proxy{Namespace: "client"}, service, service.Ports[0]) {
		line := c.Subset + ":"
		for _, e := range o.Endpoints(c) {
			line += " " + e.Workload.Name
		}
		got = append(got, line)
	}
	const want = ": web-plain web-v1 web-v2; v1: web-v1; v2: web-v2"
	if strings.Join(got, "; ") != want {
		t.Errorf("%q, want %q", strings.Join(got, "; "), want)
	}
}

// TestSelectiveRuleOfAnAccount: a rule for some workloads (DR-6) is followed by
// an account that one workload runs as; of several nobody knows, and the answer
// says so.
func TestSelectiveRuleOfAnAccount(t *testing.T) {
	t.Parallel()
	const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: some, namespace: shop}
spec: {host: app, workloadSelector: {matchLabels: {app: curl}}, trafficPolicy: {tls: {mode: DISABLE}}}
`
	client := func(name string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: shop}\nspec: {template: {metadata: {labels: {app: " + name + "}}, spec: {serviceAccountName: curl, containers: [{name: c, image: c}]}}}\n"
	}
	for manifests, want := range map[string]string{
		docs(workloadYAML, rule, client("curl")):                  "plaintext: the DestinationRule says DISABLE",
		docs(workloadYAML, rule, client("curl"), client("other")): "automatic; the caller is assumed to have a sidecar; a DestinationRule with a workloadSelector may say otherwise",
		docs(workloadYAML, client("curl"), client("other")):       "automatic",
	} {
		s := snapshot(t, manifests, "")
		from, err := policy.ParseCaller(s, "shop/curl", "default")
		if err != nil {
			t.Fatal(err)
		}
		to, err := policy.ParseCallee(s, "svc/app.shop:80", "default")
		if err != nil {
			t.Fatal(err)
		}
		a, err := policy.NewSimulator(s).Ask(&policy.Question{From: from, To: to, HTTP: &policy.HTTP{Method: "GET", Path: "/", Authority: "app"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Endpoints[0].Trace[0].Finding; !strings.Contains(got, want) || strings.Contains(got, "workloadSelector") != strings.Contains(want, "workloadSelector") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
