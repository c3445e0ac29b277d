package routing_test

import "testing"

func TestRoutesOfTheGatewayAPI(t *testing.T) {
	t.Parallel()
	const gateway = "KubernetesGateway g shop\nspec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}\n---\n"
	route := func(parent, backend string) string {
		return "HTTPRoute r shop\nspec: {parentRefs: [{" + parent + "}], rules: [{backendRefs: [{" + backend + "}]}]}\n---\n"
	}
	grant := func(kind, from, to string) string {
		return "ReferenceGrant a web\nspec: {from: [{group: gateway.networking.k8s.io, kind: " + kind + ", namespace: " + from + "}], to: [{group: '', kind: Service" + to + "}]}\n---\n"
	}
	const web = "Service front web\nspec: {selector: {app: front}, ports: [{name: http, port: 80}]}\n---\n"
	const mirror = "HTTPRoute r shop\nspec: {parentRefs: [{name: g}], rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: x, port: 80}}}]}]}\n---\n"
	missing, certain := []string{"MSH0332 warning HTTPRoute shop/r"}, []string{"MSH0332 error HTTPRoute shop/r"}
	hint, ungranted := []string{"MSH0332 info HTTPRoute shop/r"}, []string{"MSH0333 warning HTTPRoute shop/r"}
	over := route("name: g", "name: front, namespace: web, port: 80")
	run(t, []example{
		{"all there", "", orders + gateway + route("name: g", "name: orders, port: 80"), nil},
		{"no such Service", "", orders + gateway + route("name: g", "name: order, port: 80"), missing},
		{"no such Service, to mirror", "", orders + gateway + mirror, missing},
		{"no such Service, and none in the files", "", gateway + route("name: g", "name: orders, port: 80"), hint},
		{"no such port", "", orders + gateway + route("name: g", "name: orders, port: 8080"), certain},
		{"no such Gateway", "", orders + gateway + route("name: h", "name: orders, port: 80"), missing},
		{"no such Gateway, and none in the files", "", orders + route("name: h", "name: orders, port: 80"), hint},
		{"a Gateway of another namespace", "", orders + gateway + route("name: g, namespace: edge", "name: orders, port: 80"), missing},
		{"for a Service of the mesh", "", orders + route("group: '', kind: Service, name: orders", "name: orders, port: 80"), nil},
		{"for a Service that is not there", "", orders + route("group: '', kind: Service, name: order", "name: orders, port: 80"), missing},
		{"for another kind", "", orders + route("group: example.com, kind: Thing, name: x", "name: orders, port: 80"), nil},
		{"to another kind", "", orders + gateway + route("name: g", "group: example.com, kind: Bucket, name: x"), nil},
		{"over namespaces without a grant", "", web + gateway + over, ungranted},
		{"over namespaces with a grant", "", web + gateway + over + grant("HTTPRoute", "shop", ""), nil},
		{"over namespaces with a grant for the Service", "", web + gateway + over + grant("HTTPRoute", "shop", ", name: front"), nil},
		{"over namespaces with one for another", "", web + gateway + over + grant("HTTPRoute", "shop", ", name: back"), ungranted},
		{"over namespaces with one for another kind", "", web + gateway + over + grant("GRPCRoute", "shop", ""), ungranted},
		{"over namespaces with one for another namespace", "", web + gateway + over + grant("HTTPRoute", "edge", ""), ungranted},
		{"over namespaces within the mesh", "", web + orders + route("group: '', kind: Service, name: orders", "name: front, namespace: web, port: 80"), nil},
	})
}

// TestLostPolicies is DR-5.
func TestLostPolicies(t *testing.T) {
	t.Parallel()
	rule := func(name, ns, host, more string) string {
		return "DestinationRule " + name + " " + ns + "\nspec: {host: " + host + more + "}\n---\n"
	}
	const random, conn = ", trafficPolicy: {loadBalancer: {simple: RANDOM}}", ", trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}"
	subset := func(version string) string { return ", subsets: [{name: s, labels: {version: " + version + "}}]" }
	lost := []string{"MSH0334 warning DestinationRule shop/b"}
	run(t, []example{
		{"two policies", "", orders + rule("a", "shop", "orders", random) + rule("b", "shop", "orders.shop.svc.cluster.local", conn), lost},
		{"a policy and none", "", orders + rule("a", "shop", "orders", "") + rule("b", "shop", "orders", conn), nil},
		{"the same policy", "", orders + rule("a", "shop", "orders", conn) + rule("b", "shop", "orders", conn), nil},
		{"a policy and subsets", "", orders + rule("a", "shop", "orders", conn) + rule("b", "shop", "orders", subset("v1")), nil},
		{"two subsets of a name", "", orders + rule("a", "shop", "orders", subset("v1")) + rule("b", "shop", "orders", ", subsets: [{name: s, labels: {app: orders}}]"), lost},
		{"other clients", "", orders + rule("a", "shop", "orders", random+", workloadSelector: {matchLabels: {app: x}}") + rule("b", "shop", "orders", conn), nil},
		{"other namespaces", "", orders + rule("a", "shop", "orders", random) + rule("b", "web", "orders.shop.svc.cluster.local", conn), nil},
		{"exported elsewhere", "", orders + rule("a", "shop", "orders", random+", exportTo: [web]") + rule("b", "shop", "orders", conn+", exportTo: [.]"), nil},
		{"in the root namespace", "", orders + rule("a", "istio-system", "'*.local'", random) + rule("b", "istio-system", "'*.local'", conn), []string{"MSH0334 warning DestinationRule istio-system/b"}},
	})
}
