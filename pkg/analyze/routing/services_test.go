package routing_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestTLSOfDestinationRules(t *testing.T) {
	t.Parallel()
	rule := func(policy, more string) string {
		return "ServiceEntry e shop\nspec: {hosts: [x.example.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}\n---\nDestinationRule d shop\nspec: {host: x.example.com, trafficPolicy: {" + policy + "}" + more + "}"
	}
	egress := func(gateway string) string {
		return "\n---\nGateway g shop\nspec: {selector: {istio: egressgateway}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [x.example.com], tls: {mode: ISTIO_MUTUAL}}]}\n---\nVirtualService v shop\nspec: {hosts: [x.example.com], gateways: [" + gateway + "], http: [{route: [{destination: {host: x.example.com}}]}]}"
	}
	level, port := "IST0128 warning DestinationRule shop/d", "IST0129 warning DestinationRule shop/d"
	run(t, []example{
		{"SIMPLE", "", rule("tls: {mode: SIMPLE}", ""), []string{level}},
		{"MUTUAL", "", rule("tls: {mode: MUTUAL, clientCertificate: c, privateKey: k}", ""), []string{level}},
		{"with an authority", "", rule("tls: {mode: SIMPLE, caCertificates: c}", ""), nil},
		{"Istio's own", "", rule("tls: {mode: ISTIO_MUTUAL}", ""), nil},
		{"a credential for sidecars", "", rule("tls: {mode: SIMPLE, credentialName: c}", ", workloadSelector: {matchLabels: {a: b}}"), nil},
		{"a credential for gateways", "", rule("tls: {mode: SIMPLE, credentialName: c}", ""), []string{level}},
		{"a credential for an egress gateway", "", rule("tls: {mode: SIMPLE, credentialName: c}", "") + egress("shop/g"), nil},
		{"a credential for an egress gateway, at a port", "", rule("portLevelSettings: [{port: {number: 443}, tls: {mode: MUTUAL, credentialName: c}}]", "") + egress("shop/g"), nil},
		{"a credential for an egress gateway and sidecars", "", rule("tls: {mode: SIMPLE, credentialName: c}", "") + egress("shop/g, mesh"), []string{level}},
		{"a credential for an egress gateway that sidecars call", "", rule("tls: {mode: SIMPLE, credentialName: c}", "") + strings.Replace(egress("shop/g, mesh"), "{route:", "{match: [{gateways: [shop/g]}], route:", 1), nil},
		{"no credential for an egress gateway", "", rule("tls: {mode: SIMPLE}", "") + egress("shop/g"), []string{level}},
		{"a credential for routes of sidecars", "", rule("tls: {mode: SIMPLE, credentialName: c}", "") + egress("mesh"), []string{level}},
		{"a credential for a Gateway of Kubernetes", "", rule("tls: {mode: SIMPLE, credentialName: c}", "") + "\n---\nHTTPRoute r shop\nspec: {parentRefs: [{name: g}], rules: [{backendRefs: [{group: networking.istio.io, kind: Hostname, name: x.example.com, port: 443}]}]}\n---\nKubernetesGateway g shop\nspec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}", nil},
		{"at a port, a credential for sidecars", "", rule("portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, credentialName: c}}]", ", workloadSelector: {matchLabels: {a: b}}"), nil},
		{"at both", "", rule("tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 443}, tls: {mode: MUTUAL, clientCertificate: c, privateKey: k}}]", ""), []string{level, port}},
	})
}

func TestSubsets(t *testing.T) {
	t.Parallel()
	subset := func(labels string) string {
		return "DestinationRule d shop\nspec: {host: orders, subsets: [{name: s, labels: {" + labels + "}}]}\n---\n"
	}
	service := "Service orders shop\nspec: {selector: {app: orders}, ports: [{name: http, port: 80}]}\n---\n"
	pod := "Pod p shop\nlabels: {app: orders}\nspec: {nodeName: one, containers: []}\n---\nNode one\nlabels: {topology.kubernetes.io/region: north, topology.istio.io/subzone: a}\n---\n"
	none := []string{"IST0173 warning DestinationRule shop/d"}
	run(t, []example{
		{"a template's labels", "", orders + subset("version: v1"), nil},
		{"labels that nothing has", "", orders + subset("version: v2"), none},
		{"labels of another service's pods", "", orders + "Pod p shop\nlabels: {app: other, version: v2}\nspec: {containers: []}\n---\n" + subset("version: v2"), none},
		{"no workloads in the files", "", service + subset("version: v1"), []string{"IST0173 info DestinationRule shop/d"}},
		{"the node's region", "", service + pod + subset("topology.kubernetes.io/region: north"), nil},
		{"another region", "", service + pod + subset("topology.kubernetes.io/region: south"), none},
		{"a subzone and the node", "", service + pod + subset("topology.istio.io/subzone: a, kubernetes.io/hostname: one"), nil},
		{"a node that nobody knows yet", "", orders + subset("topology.kubernetes.io/region: south"), nil},
		{"listed endpoints", "", "ServiceEntry e shop\nspec: {hosts: [orders.shop.svc.cluster.local], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 10.0.0.1, labels: {version: v1}}]}\n---\n" + subset("version: v1"), nil},
		{"an unknown host", "", orders + "DestinationRule d shop\nspec: {host: oders}", []string{"IST0174 warning DestinationRule shop/d"}},
		{"a wildcard host", "", orders + "DestinationRule d shop\nspec: {host: '*.local'}", nil},
		{"no Services in the files", "", "DestinationRule d shop\nspec: {host: oders}", []string{"IST0174 info DestinationRule shop/d"}},
	})
}

func TestServicePorts(t *testing.T) {
	t.Parallel()
	named := func(ns, labels, port, more string) string {
		return fmt.Sprintf("Service s %s\nlabels: {%s}\nspec: {ports: [{%s}]%s}", ns, labels, port, more)
	}
	external := ", type: ExternalName, externalName: x.example.com"
	run(t, []example{
		{"no name", "", named("shop", "", "port: 8080", ""), []string{"IST0118 info Service shop/s"}},
		{"a name of no protocol", "", named("shop", "", "name: web, port: 8080", ""), []string{"IST0118 info Service shop/s"}},
		{"an application protocol", "", named("shop", "", "name: web, port: 8080, appProtocol: grpc", ""), nil},
		{"UDP", "", named("shop", "", "name: web, port: 8080, protocol: UDP", ""), nil},
		{"a system namespace", "", named("kube-system", "", "port: 8080", ""), nil},
		{"the control plane", "", named("istio-system", "istio: pilot", "port: 8080", ""), nil},
		{"the control plane's namespace", "", named("istio-system", "", "port: 8080", ""), []string{"IST0118 info Service istio-system/s"}},
		{"ExternalName, no name", "", named("shop", "", "port: 8080", external), []string{"IST0150 warning Service shop/s"}},
		{"ExternalName, tcp", "", named("shop", "", "name: tcp-x, port: 8080", external), []string{"IST0150 warning Service shop/s"}},
		{"ExternalName, https", "", named("shop", "", "name: https, port: 8080", external), nil},
	})
}

func TestSharedPorts(t *testing.T) {
	t.Parallel()
	second := func(ns, port string) string {
		return fmt.Sprintf("Service second %s\nspec: {selector: {app: orders}, ports: [{%s}]}\n---\n", ns, port)
	}
	protocols, targets := "IST0116 warning Deployment shop/orders", "IST0137 warning Deployment shop/orders"
	run(t, []example{
		{"another protocol", "", orders + second("shop", "name: tcp, port: 80"), []string{protocols}},
		{"another transport", "", orders + second("shop", "name: http, port: 80, protocol: UDP"), []string{"IST0116 info Deployment shop/orders"}},
		{"a protocol to be guessed", "", orders + second("shop", "name: http, port: 80, appProtocol: http"), nil},
		{"another number", "", orders + second("shop", "name: http, port: 8080, targetPort: 80"), []string{targets}},
		{"another namespace", "", orders + second("web", "name: tcp, port: 80"), nil},
		{"the same port", "", orders + second("shop", "name: http-2, port: 80"), nil},
		{"a namespace outside the mesh", "", orders + second("shop", "name: tcp, port: 80") + "Namespace shop", nil},
		{"a namespace with injection", "", orders + second("shop", "name: tcp, port: 80") + "Namespace shop\nlabels: {istio-injection: enabled}", []string{protocols}},
	})
}

func TestServiceEntries(t *testing.T) {
	t.Parallel()
	entry := func(name, ns, protocol, more string) string {
		return fmt.Sprintf("ServiceEntry %s %s\nspec: {hosts: [x.example.com], ports: [{number: 80, name: p, protocol: %q}], resolution: DNS%s}\n---\n", name, ns, protocol, more)
	}
	missing := []string{"IST0134 warning ServiceEntry shop/a"}
	run(t, []example{
		{"TCP", "", entry("a", "shop", "TCP", ""), missing},
		{"in lower case", "", entry("a", "shop", "tcp", ""), missing},
		{"no protocol", "", entry("a", "shop", "", ""), missing},
		{"TLS", "", entry("a", "shop", "TLS", ""), nil},
		{"an address", "", entry("a", "shop", "TCP", ", addresses: [10.0.0.1]"), nil},
		{"allocated", "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true', ISTIO_META_DNS_AUTO_ALLOCATE: 'true'}}", entry("a", "shop", "TCP", ""), nil},
		{"captured only", "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}}", entry("a", "shop", "TCP", ""), missing},
		{"two protocols", "", entry("a", "shop", "HTTP", "") + entry("b", "web", "TLS", ""), []string{"IST0177 warning ServiceEntry shop/a", "IST0177 warning ServiceEntry web/b"}},
		{"two that carry no requests", "", entry("a", "shop", "HTTPS", "") + entry("b", "shop", "TLS", ""), []string{"IST0177 info ServiceEntry shop/a", "IST0177 info ServiceEntry shop/b"}},
		{"a different case", "", entry("a", "shop", "http", "") + entry("b", "web", "HTTP", ""), nil},
		{"private", "", entry("a", "shop", "HTTP", ", exportTo: ['.']") + entry("b", "web", "TLS", ", exportTo: ['.']"), nil},
		{"private and public", "", entry("a", "shop", "HTTP", ", exportTo: ['.']") + entry("b", "web", "TLS", ""), []string{"IST0177 warning ServiceEntry shop/a", "IST0177 warning ServiceEntry web/b"}},
	})
}
