package routing_test

import (
	"fmt"
	"testing"
)

func TestSelectors(t *testing.T) {
	t.Parallel()
	for kind, c := range map[string]struct{ selector, both, none string }{
		"Sidecar":   {"workloadSelector: {labels: {%s}}", "IST0110", "IST0111"},
		"Telemetry": {"selector: {matchLabels: {%s}}", "IST0159", "IST0160"},
	} {
		object := func(name, ns, labels string) string {
			return fmt.Sprintf("%s %s %s\nspec: {"+c.selector+"}\n---\n", kind, name, ns, labels)
		}
		run(t, []example{
			{kind + ": alone", "", orders + object("a", "shop", "app: orders"), nil},
			{kind + ": twice", "", orders + object("a", "shop", "app: orders") + object("b", "shop", "version: v1"), []string{
				c.both + " error " + kind + " shop/a", c.both + " error " + kind + " shop/b",
			}},
			{kind + ": nothing there", "", orders + object("a", "web", "app: orders"), []string{"IST0101 warning " + kind + " web/a"}},
			{kind + ": no workloads in the files", "", object("a", "shop", "app: orders"), nil},
			{kind + ": no selectors", "", kind + " a shop\nspec: {}\n---\n" + kind + " b shop\nspec: {}\n---\n" + kind + " c web\nspec: {}", []string{
				c.none + " error " + kind + " shop/a", c.none + " error " + kind + " shop/b",
			}},
		})
	}
	run(t, []example{
		{"Telemetry for targets", "", "Telemetry a shop\nspec: {}\n---\nTelemetry b shop\nspec: {targetRefs: [{kind: Service, name: x}]}", nil},
	})
}

func TestAmbient(t *testing.T) {
	t.Parallel()
	const ambient = "Namespace shop\nlabels: {istio.io/dataplane-mode: ambient}\n---\n"
	run(t, []example{
		{"of the namespace", "", ambient + "Sidecar a shop\nspec: {}", []string{"IST0167 warning Sidecar shop/a"}},
		{"of its workloads", "", ambient + orders + "Sidecar a shop\nspec: {workloadSelector: {labels: {app: orders}}}", []string{"IST0167 warning Sidecar shop/a"}},
		{"of a pod", "", "Pod p shop\nlabels: {app: x, istio.io/dataplane-mode: ambient}\nspec: {containers: []}\n---\nSidecar a shop\nspec: {workloadSelector: {labels: {app: x}}}", []string{"IST0167 warning Sidecar shop/a"}},
		{"with sidecars", "", orders + "Sidecar a shop\nspec: {workloadSelector: {labels: {app: orders}}}", nil},
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	policy := func(ns, spec string) string { return "AuthorizationPolicy a " + ns + "\nspec: {" + spec + "}\n---\n" }
	const spaces = "Namespace shop\nlabels: {istio-injection: enabled}\n---\nNamespace prod-eu\n---\n"
	from := func(field, value string) string {
		return fmt.Sprintf("rules: [{from: [{source: {%s: [%q]}}]}]", field, value)
	}
	run(t, []example{
		{"of a namespace", "", orders + policy("shop", ""), nil},
		{"of an empty one", "", orders + policy("web", ""), []string{"IST0127 info AuthorizationPolicy web/a"}},
		{"of the mesh", "", policy("istio-system", ""), nil},
		{"of some of the mesh", "", orders + policy("istio-system", "selector: {matchLabels: {app: orders}}"), nil},
		{"of none of the mesh", "", orders + policy("istio-system", "selector: {matchLabels: {app: x}}"), []string{"IST0127 warning AuthorizationPolicy istio-system/a"}},
		{"the mesh's own root", "rootNamespace: root", orders + policy("root", "selector: {matchLabels: {app: orders}}"), nil},
		{"of nothing", "", orders + policy("shop", "selector: {matchLabels: {app: x}}"), []string{"IST0127 warning AuthorizationPolicy shop/a"}},
		{"of what has no sidecar", "", "Namespace shop\n---\n" + orders + policy("shop", "selector: {matchLabels: {app: orders}}"), []string{"IST0127 warning AuthorizationPolicy shop/a"}},
		{"for targets", "", policy("shop", "targetRefs: [{kind: Service, name: x}]"), nil},
		{"a namespace", "", spaces + orders + policy("shop", from("namespaces", "Shop")), nil},
		{"a prefix", "", spaces + orders + policy("shop", from("namespaces", "prod-*")), nil},
		{"a suffix", "", spaces + orders + policy("shop", from("notNamespaces", "*-eu")), nil},
		{"all", "", spaces + orders + policy("shop", from("namespaces", "*")), nil},
		{"no namespace", "", spaces + orders + policy("shop", from("notNamespaces", "prod-us")), []string{"IST0101 warning AuthorizationPolicy shop/a"}},
		{"no prefix, as the files go", "", spaces + orders + policy("shop", from("namespaces", "dev-*")), []string{"IST0101 info AuthorizationPolicy shop/a"}},
		{"nearly one of the files", "", spaces + orders + policy("shop", from("namespaces", "prod-ue")), []string{"IST0101 warning AuthorizationPolicy shop/a"}},
		{"no Namespaces in the files", "", orders + policy("shop", from("namespaces", "dev")), nil},
		{"no workloads in the files", "", policy("shop", ""), nil},
	})
}

func TestSelectorsOfGatewayPods(t *testing.T) {
	t.Parallel()
	const pod = "Pod p edge\nlabels: {gateway.networking.k8s.io/gateway-name: g, app: g}\nspec: {containers: []}\n---\n"
	const selector = "selector: {matchLabels: {app: g}}"
	run(t, []example{
		{"each kind", "", pod + "AuthorizationPolicy a edge\nspec: {" + selector + "}\n---\nRequestAuthentication a edge\nspec: {" + selector + "}\n---\nTelemetry a edge\nspec: {" + selector + "}\n---\nWasmPlugin a edge\nspec: {url: 'oci://x', " + selector + "}", []string{
			"IST0166 warning AuthorizationPolicy edge/a", "IST0166 warning RequestAuthentication edge/a", "IST0166 warning Telemetry edge/a", "IST0166 warning WasmPlugin edge/a",
		}},
		{"another namespace", "", pod + "RequestAuthentication a shop\nspec: {" + selector + "}", nil},
		{"targets", "", pod + "RequestAuthentication a edge\nspec: {targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}]}", nil},
		{"another class", "", "KubernetesGateway g edge\nspec: {gatewayClassName: other}\n---\nRequestAuthentication a edge\nspec: {selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: g}}}", nil},
	})
}

func TestTelemetryAndDeprecated(t *testing.T) {
	t.Parallel()
	log := "Telemetry a shop\nspec: {accessLogging: [{%s}]}"
	run(t, []example{
		{"a provider", "", fmt.Sprintf(log, "providers: [{name: envoy}]"), nil},
		{"none", "", fmt.Sprintf(log, "filter: {expression: 'true'}"), []string{"IST0157 warning Telemetry shop/a"}},
		{"switched off", "", fmt.Sprintf(log, "disabled: true"), nil},
		{"the mesh's", "defaultProviders: {accessLogging: [envoy]}", fmt.Sprintf(log, "filter: {expression: 'true'}"), nil},
		{"lightstep by type", "extensionProviders: [{name: x, lightstep: {service: s, port: 443}}]", "Telemetry a shop\nspec: {tracing: [{providers: [{name: x}]}]}", []string{"IST0002 warning Telemetry shop/a"}},
		{"lightstep by name", "", "Telemetry a shop\nspec: {tracing: [{providers: [{name: lightstep}]}]}", nil},
		{"an egress proxy", "", "Sidecar a shop\nspec: {outboundTrafficPolicy: {egressProxy: {host: x}}}", []string{"IST0002 warning Sidecar shop/a"}},
		{"a value", "", orders + "DestinationRule a shop\nspec: {host: orders, trafficPolicy: {loadBalancer: {simple: LEAST_CONN}, outlierDetection: {consecutiveErrors: 3}}}", []string{
			"IST0002 warning DestinationRule shop/a", "IST0002 warning DestinationRule shop/a",
		}},
	})
}
