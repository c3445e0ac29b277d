package envoy_test

import (
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// service is one of the shop with an address of its own.
func service(name, address, ports string) string {
	return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: shop}\nspec: {clusterIP: " + address + ", selector: {app: " + name + "}, ports: [" + ports + "]}\n"
}

// serviceEntry is one of the shop for a host.
func serviceEntry(host, spec string) string {
	return "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " + strings.Trim(host, "*.") + ", namespace: shop}\nspec: {hosts: ['" + host + "'], " + spec + "}\n"
}

func virtualService(hosts, spec string) string {
	return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: route, namespace: shop}\nspec: {hosts: [" + hosts + "], " + spec + "}\n"
}

// client is the caller alone, so that all listeners are those of the test.
const clientYAML = `apiVersion: apps/v1
kind: Deployment
metadata: {name: curl, namespace: shop}
spec: {template: {metadata: {labels: {app: curl}}, spec: {containers: [{name: c, image: x}]}}}
`

// TestOutboundListeners: which listeners there are for services, and what their
// chains take (EC-96..EC-99).
func TestOutboundListeners(t *testing.T) {
	t.Parallel()
	const (
		http    = "raw_buffer/http/1.1,h2c"
		through = "; else -> PassthroughCluster"
	)
	cluster := func(port, host string) string { return "outbound|" + port + "||" + host + ".shop.svc.cluster.local" }
	tests := []struct {
		name, manifests string
		want            map[string]string
	}{
		{"EC-96 one for all that speak HTTP on a port", service("a", "10.96.0.1", "{name: http, port: 80}") + service("b", "10.96.0.2", "{name: grpc, port: 80}"), map[string]string{
			"0.0.0.0_80": http + " rds 80" + through,
		}},
		{"EC-97 each address has its own for bytes", service("a", "10.96.0.1", "{name: tcp, port: 9000}") + service("b", "10.96.0.2", "{name: tcp, port: 9000}, {name: https, port: 443}"), map[string]string{
			"10.96.0.1_9000": "-> " + cluster("9000", "a"), "10.96.0.2_9000": "-> " + cluster("9000", "b"), "10.96.0.2_443": "-> " + cluster("443", "b"),
		}},
		{"EC-98 and for what is sniffed", service("a", "10.96.0.1", "{name: weird, port: 7000}"), map[string]string{
			"10.96.0.1_7000": http + " rds a.shop.svc.cluster.local:7000; else -> " + cluster("7000", "a"),
		}},
		{"EC-21 UDP has none", service("a", "10.96.0.1", "{name: udp, port: 53, protocol: UDP}"), map[string]string{}},
		{"EC-98 headless requests are told by their host", service("a", "None", "{name: http, port: 80}"), map[string]string{"0.0.0.0_80": http + " rds 80" + through}},
		{"EC-98 headless bytes without endpoints are nowhere", service("a", "None", "{name: tcp, port: 90}"), map[string]string{}},
		{"EC-97 names without an address are told by the server name", serviceEntry("x.example", "resolution: DNS, ports: [{name: tls, number: 443, protocol: TLS}]") + serviceEntry("y.example", "resolution: NONE, ports: [{name: tls, number: 443, protocol: HTTPS}]"), map[string]string{
			"0.0.0.0_443": "sni=x.example -> outbound|443||x.example; sni=y.example -> outbound|443||y.example" + through,
		}},
		{"EC-97 ranges are told by the address", serviceEntry("x.example", "resolution: NONE, addresses: [192.168.0.0/16, 192.168.7.7/32], ports: [{name: tcp, number: 90, protocol: TCP}]"), map[string]string{
			"0.0.0.0_90": "192.168.0.0/16 -> outbound|90||x.example" + through, "192.168.7.7_90": "-> outbound|90||x.example",
		}},
		{"EC-97 without an address there is one for all", serviceEntry("x.example", "resolution: DNS, ports: [{name: tcp, number: 90, protocol: TCP}]"), map[string]string{"0.0.0.0_90": "-> outbound|90||x.example"}},
		{"EC-98 sniffed for all addresses asks by port", serviceEntry("x.example", "resolution: DNS, ports: [{name: odd, number: 90, protocol: ''}]"), map[string]string{
			"0.0.0.0_90": http + " rds 90; else -> outbound|90||x.example",
		}},
		{"EC-99 HTTP meets bytes: both, sniffed", service("a", "10.96.0.1", "{name: http, port: 90}") + serviceEntry("x.example", "resolution: DNS, ports: [{name: tcp, number: 90, protocol: TCP}]"), map[string]string{
			"0.0.0.0_90": http + " rds 90; else -> outbound|90||x.example",
		}},
		{"EC-99 of equal chains the first stays", serviceEntry("x.example", "resolution: DNS, ports: [{name: tcp, number: 90, protocol: TCP}]") + serviceEntry("y.example", "resolution: DNS, ports: [{name: tcp, number: 90, protocol: TCP}]"), map[string]string{
			"0.0.0.0_90": "-> outbound|90||x.example",
		}},
		{"EC-99 a server that speaks first is not mixed", service("a", "10.96.0.1", "{name: http, port: 3306}") + serviceEntry("x.example", "resolution: DNS, ports: [{name: mysql, number: 3306, protocol: MySQL}]"), map[string]string{
			"0.0.0.0_3306": http + " rds 3306" + through,
		}},
		{"EC-99 the sidecar's own ports", service("a", "10.96.0.1", "{name: http, port: 15001}, {name: http-health, port: 15021}, {name: tcp, port: 15006}"), map[string]string{
			"10.96.0.1_15006": "-> " + cluster("15006", "a"),
		}},
		{"EC-113 TCP routes by weight", service("a", "10.96.0.1", "{name: tcp, port: 90}") + virtualService("a", "tcp: [{route: [{destination: {host: a, subset: one}, weight: 70}, {destination: {host: b.example, port: {number: 5}}, weight: 30}, {destination: {host: c}}]}]"), map[string]string{
			"10.96.0.1_90": "-> outbound|90|one|a.shop.svc.cluster.local:70,outbound|5||b.example:30",
		}},
		{"EC-113 TCP routes by address, of this client", service("a", "10.96.0.1", "{name: tcp, port: 90}") + virtualService("a", "tcp: [{match: [{sourceLabels: {app: wget}}], route: [{destination: {host: w}}]}, {match: [{destinationSubnets: [10.1.0.0/16], port: 90}], route: [{destination: {host: x}}]}]"), map[string]string{
			"10.96.0.1_90": "10.1.0.0/16 -> outbound|90||x.shop.svc.cluster.local; else -> " + cluster("90", "a"),
		}},
		{"EC-113 TLS routes by server name", service("a", "10.96.0.1", "{name: tls, port: 443}") + virtualService("a", "tls: [{match: [{sniHosts: [p, q]}, {sniHosts: [r], port: 444}], route: [{destination: {host: x}}]}, {match: [{sniHosts: [p, q], gateways: [mesh]}], route: [{destination: {host: z}}]}]"), map[string]string{
			"10.96.0.1_443": "sni=p,q -> outbound|443||x.shop.svc.cluster.local" + through,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := configOf(t, buildMesh(t, clientYAML+tt.manifests, ""), "shop/curl")
			if got := outboundNames(c); !slices.Equal(got, sortedKeys(tt.want)) {
				t.Errorf("listeners %v, want %v", got, sortedKeys(tt.want))
			}
			for name, want := range tt.want {
				if got := listenerText(t, listenerOf(c, name)); got != want {
					t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
				}
			}
		})
	}
}

// TestHeadlessListeners: bytes to a headless Service have a listener for each
// pod, but none for the client's own (EC-98).
func TestHeadlessListeners(t *testing.T) {
	t.Parallel()
	headless := "---\napiVersion: v1\nkind: Service\nmetadata: {name: hl, namespace: shop}\nspec: {clusterIP: None, selector: {app: web}, ports: [{name: tcp, port: 91}, {name: odd, port: 92}]}\n"
	s := buildMesh(t, shopYAML+headless, "")
	count := func(c *envoy.Config, port string) int {
		n := 0
		for _, name := range outboundNames(c) {
			if strings.HasPrefix(name, "10.244.") && strings.HasSuffix(name, port) {
				n++
			}
		}
		return n
	}
	for workload, want := range map[string]int{"shop/curl": 3, "shop/web-v1": 2, "shop/web-v2": 2} {
		c := configOf(t, s, workload)
		if bytes, sniffed := count(c, "_91"), count(c, "_92"); bytes != want || sniffed != want {
			t.Errorf("%s: %d and %d listeners, want %d", workload, bytes, sniffed, want)
		}
		if routesOf(c, "hl.shop.svc.cluster.local:92") == nil {
			t.Errorf("%s: no routes of the sniffed port", workload)
		}
	}
	// A pod that is the only one has no listener, and asks for no routes.
	alone := strings.Replace(headless, "{app: web}", "{version: v1}", 1)
	c := configOf(t, buildMesh(t, shopYAML+alone, ""), "shop/web-v1")
	if count(c, "_91") != 0 || routesOf(c, "hl.shop.svc.cluster.local:92") != nil {
		t.Errorf("a pod that would call itself: %v", outboundNames(c))
	}
}

// TestVirtualOutbound: what nobody knows (EC-95, EC-114).
func TestVirtualOutbound(t *testing.T) {
	t.Parallel()
	sidecar := func(spec string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: shop}\nspec: {" + spec + "}\n"
	}
	tests := []struct{ name, manifests, meshConfig, cluster, host string }{
		{"goes on", "", "", "PassthroughCluster", "/* -> PassthroughCluster"},
		{"ends", "", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}", "BlackHoleCluster", "/* answer 502"},
		{"ends by the Sidecar", sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}"), "", "BlackHoleCluster", "/* answer 502"},
		{"goes on by the Sidecar", sidecar("outboundTrafficPolicy: {mode: ALLOW_ANY}"), "outboundTrafficPolicy: {mode: REGISTRY_ONLY}", "PassthroughCluster", "/* -> PassthroughCluster"},
		{"goes to the Sidecar's proxy", sidecar("outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: out.example, port: {number: 3128}}}"), "", "outbound|3128||out.example", "/* -> outbound|3128||out.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := configOf(t, buildMesh(t, shopYAML+tt.manifests, tt.meshConfig), "shop/curl")
			want := "-> BlackHoleCluster; -> " + tt.cluster + "; bound"
			if got := listenerText(t, listenerOf(c, "virtualOutbound")); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got := listenerText(t, listenerOf(c, "0.0.0.0_80")); !strings.HasSuffix(got, "; else -> "+tt.cluster) {
				t.Errorf("beside HTTP: %s", got)
			}
			hosts := routesOf(c, "80").VirtualHosts
			if got := hostText(hosts[len(hosts)-1]); got != tt.host {
				t.Errorf("routes: %s, want %s", got, tt.host)
			}
		})
	}
	l := listenerOf(shopConfig(t, ""), "virtualOutbound")
	if l.FilterChains[0].FilterChainMatch.DestinationPort.Value != 15001 || !l.UseOriginalDst.GetValue() || l.Transparent != nil {
		t.Errorf("%v", l)
	}
}

// TestInterception: without it listeners are bound for real, and there are no
// virtual ones (EC-102).
func TestInterception(t *testing.T) {
	t.Parallel()
	annotated := func(annotation string) string {
		return strings.Replace(shopYAML, "{labels: {app: curl}}", "{labels: {app: curl}, annotations: {"+annotation+"}}", 1)
	}
	tests := []struct{ name, manifests, meshConfig string }{
		{"by annotation", annotated("sidecar.istio.io/interceptionMode: NONE"), ""},
		{"by the proxy's own configuration", annotated("proxy.istio.io/config: 'interceptionMode: NONE'"), ""},
		{"by the mesh", shopYAML, "defaultConfig: {interceptionMode: NONE}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := configOf(t, buildMesh(t, tt.manifests, tt.meshConfig), "shop/curl")
			want := map[string]string{
				"127.0.0.1_80":   "rds 80; bound",
				"127.0.0.1_9000": "-> outbound|9000||web.shop.svc.cluster.local; bound",
				"127.0.0.1_7000": "raw_buffer/http/1.1,h2c rds web.shop.svc.cluster.local:7000; else -> outbound|7000||web.shop.svc.cluster.local; bound",
			}
			if len(c.Listeners) != len(want) {
				t.Errorf("%d listeners", len(c.Listeners))
			}
			for name, text := range want {
				if got := listenerText(t, listenerOf(c, name)); got != text {
					t.Errorf("%s: %s, want %s", name, got, text)
				}
			}
		})
	}
	c := configOf(t, buildMesh(t, annotated("sidecar.istio.io/interceptionMode: TPROXY"), ""), "shop/curl")
	if l := listenerOf(c, "virtualOutbound"); !l.GetTransparent().GetValue() {
		t.Errorf("TPROXY: %v", l)
	}
}

// TestInspectors: bytes are looked at only where a chain asks for it (EC-96).
func TestInspectors(t *testing.T) {
	t.Parallel()
	c := shopConfig(t, serviceEntry("x.example", "resolution: DNS, ports: [{name: tls, number: 443, protocol: TLS}]"))
	web := endpointsOf(c, "outbound|9000||web.shop.svc.cluster.local")
	if web == nil {
		t.Fatal("no endpoints")
	}
	for suffix, want := range map[string]string{
		"0.0.0.0_80": "envoy.filters.listener.http_inspector", "0.0.0.0_443": "envoy.filters.listener.tls_inspector",
		"_7000": "envoy.filters.listener.http_inspector", "_9000": "",
	} {
		l, ok := find(c.Listeners, func(l *listenerv3.Listener) bool { return strings.HasSuffix(l.Name, suffix) })
		if !ok {
			t.Fatalf("no listener %s", suffix)
		}
		var names []string
		for _, f := range l.ListenerFilters {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", l.Name, got, want)
		}
		if l.BindToPort.GetValue() || l.TrafficDirection != corev3.TrafficDirection_OUTBOUND || !l.ContinueOnListenerFiltersTimeout {
			t.Errorf("%v", l)
		}
	}
}
