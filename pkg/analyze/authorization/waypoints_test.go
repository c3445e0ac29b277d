package authorization_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/report"
)

// TestWaypoints: a policy for what no waypoint serves is told, where the files
// say so much (AP-4, AP-6).
func TestWaypoints(t *testing.T) {
	t.Parallel()
	const (
		waypoint = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: w, namespace: shop}\nspec: {gatewayClassName: istio-waypoint}\n---\n"
		asking   = "apiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: shop, labels: {istio.io/use-waypoint: w}}\nspec: {ports: [{port: 80}]}\n---\n"
		plain    = "apiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: edge}\nspec: {ports: [{port: 80}]}\n---\n"
	)
	target := func(namespace, ref string) string {
		return object("AuthorizationPolicy", namespace, "a", "{action: DENY, targetRefs: ["+ref+"], rules: [{from: [{source: {namespaces: [edge]}}]}]}")
	}
	entry := "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ext, namespace: shop}\nspec: {hosts: [ext.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}\n---\n"
	for _, tt := range []struct {
		name, text string
		complete   bool
		want       string
	}{
		{"a Service with sidecars", target("shop", "{kind: Service, name: orders}"), false, "no waypoint serves it"},
		{"tokens of a Service with sidecars", object("RequestAuthentication", "shop", "r", "{targetRefs: [{kind: Service, name: orders}]}"), false, "no waypoint serves it"},
		{"the old field", object("AuthorizationPolicy", "shop", "a", "{targetRef: {kind: Service, name: orders}}"), false, "no waypoint serves it"},
		{"a Service that the files say nothing of", plain + target("edge", "{kind: Service, name: api}"), false, ""},
		{"a Service of the whole world", plain + target("edge", "{kind: Service, name: api}"), true, "no waypoint serves it"},
		{"a Service that a waypoint serves", waypoint + asking + target("shop", "{kind: Service, name: api}"), true, ""},
		{"a Service that asks for one that is elsewhere", asking + target("shop", "{kind: Service, name: api}"), false, ""},
		{"a Service that asks for none", asking + target("shop", "{kind: Service, name: api}"), true, "there is no waypoint shop/w"},
		{"a Service that asks for another", strings.Replace(waypoint, "name: w", "name: x", 1) + asking + target("shop", "{kind: Service, name: api}"), false, "there is no waypoint shop/w"},
		{"a Service that wants none", waypoint + strings.Replace(asking, "waypoint: w", "waypoint: none", 1) + target("shop", "{kind: Service, name: api}"), false, "wants no waypoint"},
		{"a waypoint in another namespace", strings.Replace(waypoint, "namespace: shop", "namespace: edge", 1) + strings.Replace(asking, "waypoint: w", "waypoint: w, istio.io/use-waypoint-namespace: edge", 1) + target("shop", "{kind: Service, name: api}"), true, ""},
		{"a waypoint for workloads", strings.Replace(waypoint, "namespace: shop", "namespace: shop, labels: {istio.io/waypoint-for: workload}", 1) + asking + target("shop", "{kind: Service, name: api}"), false, "for workload only"},
		{"a ServiceEntry", waypoint + entry + target("shop", "{group: networking.istio.io, kind: ServiceEntry, name: ext}"), false, "no waypoint serves it"},
		{"a waypoint that is asked for", waypoint + asking + target("shop", "{group: gateway.networking.k8s.io, kind: Gateway, name: w}"), true, ""},
		{"a waypoint that nobody asks for", waypoint + target("shop", "{group: gateway.networking.k8s.io, kind: Gateway, name: w}"), true, "nothing asks for this waypoint"},
		{"a waypoint that others may ask for", waypoint + target("shop", "{group: gateway.networking.k8s.io, kind: Gateway, name: w}"), false, ""},
		{"an ingress", strings.Replace(waypoint, "istio-waypoint", "istio", 1) + target("shop", "{group: gateway.networking.k8s.io, kind: Gateway, name: w}"), true, ""},
		{"the class", target("istio-system", "{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}"), true, ""},
		{"the class, elsewhere", target("shop", "{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}"), false, "in namespace istio-system only"},
		{"another class", target("istio-system", "{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio}"), false, "the only one"},
	} {
		all := slices.DeleteFunc(findings(t, tt.text, "", tt.complete), func(f report.Finding) bool { return f.Code != "MSH0140" })
		switch {
		case tt.want == "" && len(all) > 0, tt.want != "" && len(all) != 1:
			t.Errorf("%s: %+v", tt.name, all)
		case tt.want != "" && !strings.Contains(all[0].Message, tt.want):
			t.Errorf("%s: %s, want %s", tt.name, all[0].Message, tt.want)
		}
	}
}
