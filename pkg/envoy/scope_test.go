package envoy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// scopeYAML has services in three namespaces; shop/curl is the client.
const scopeYAML = clientYAML + `---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {ports: [{name: http, port: 80}, {name: http-two, port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: other}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: c, namespace: third}
spec: {ports: [{name: http, port: 80}]}
`

// seen are the hosts and ports that the clusters are for.
func seen(c *envoy.Config) string {
	var all []string
	for _, x := range c.Clusters {
		if parts := strings.Split(x.Name, "|"); parts[0] == "outbound" {
			all = append(all, strings.TrimSuffix(parts[3], ".svc.cluster.local")+":"+parts[1])
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestScope: what a sidecar sees (EC-2, EC-3): by exportTo, and by Sidecars.
func TestScope(t *testing.T) {
	t.Parallel()
	sidecar := func(namespace, spec string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: " + namespace + "}\nspec: {" + spec + "}\n"
	}
	exported := func(to string) string {
		return "---\napiVersion: v1\nkind: Service\nmetadata: {name: d, namespace: other, annotations: {networking.istio.io/exportTo: '" + to + "'}}\nspec: {ports: [{name: http, port: 80}]}\n"
	}
	const all = "a.shop:80 a.shop:81 b.other:80 c.third:80"
	tests := []struct{ name, manifests, meshConfig, want string }{
		{"EC-3 all", "", "", all},
		{"the mesh keeps services to their namespaces", "", "defaultServiceExportTo: [.]", "a.shop:80 a.shop:81"},
		{"private to another", exported("."), "", all},
		{"for this one among others", exported("x, shop"), "", "a.shop:80 a.shop:81 b.other:80 c.third:80 d.other:80"},
		{"for none", exported("~"), "", all},
		{"for all, whatever else", exported("~,*"), "", "a.shop:80 a.shop:81 b.other:80 c.third:80 d.other:80"},
		{"its own namespace", sidecar("shop", "egress: [{hosts: [./*]}]"), "", "a.shop:80 a.shop:81"},
		{"one host", sidecar("shop", "egress: [{hosts: [other/b.other.svc.cluster.local]}]"), "", "b.other:80"},
		{"by wildcard", sidecar("shop", "egress: [{hosts: ['*/*.third.svc.cluster.local']}]"), "", "c.third:80"},
		{"a host that is not there", sidecar("shop", "egress: [{hosts: [third/b.other.svc.cluster.local]}]"), "", ""},
		{"what is exported to nobody is not imported", exported(".") + sidecar("shop", "egress: [{hosts: [other/*]}]"), "", "b.other:80"},
		{"one port only", sidecar("shop", "egress: [{port: {number: 81, protocol: HTTP, name: p}, hosts: ['*/*']}]"), "", "a.shop:81"},
		{"ports of several listeners", sidecar("shop", "egress: [{port: {number: 81, protocol: HTTP, name: p}, hosts: ['*/*']}, {hosts: [other/*]}]"), "", "a.shop:81 b.other:80"},
		{"a proxy port sees all", sidecar("shop", "egress: [{port: {number: 8080, protocol: HTTP_PROXY, name: p}, bind: 127.0.0.1, hosts: ['*/*']}]"), "", all},
		{"a Sidecar of the root namespace", sidecar("istio-system", "egress: [{hosts: [./*]}]"), "", "a.shop:80 a.shop:81"},
		{"one that is for other workloads", sidecar("shop", "workloadSelector: {labels: {app: wget}}, egress: [{hosts: [./*]}]"), "", all},
		{"one for this workload before one for all", sidecar("shop", "egress: [{hosts: [./*]}]") + strings.Replace(sidecar("shop", "workloadSelector: {labels: {app: curl}}, egress: [{hosts: [other/*]}]"), "name: s", "name: z", 1), "", "b.other:80"},
		{"a Sidecar that says nothing of it", sidecar("shop", "outboundTrafficPolicy: {mode: ALLOW_ANY}"), "", all},
		{"where a route leads", sidecar("shop", "egress: [{hosts: [./*]}]") + virtualService("a", "http: [{route: [{destination: {host: b.other.svc.cluster.local}}, {destination: {host: c.third.svc.cluster.local, port: {number: 80}}}]}]"), "", "a.shop:80 a.shop:81 b.other:80 c.third:80"},
		{"but not by a port that is not there", sidecar("shop", "egress: [{hosts: [./*]}]") + virtualService("a", "http: [{route: [{destination: {host: b.other.svc.cluster.local, port: {number: 99}}}]}]"), "", "a.shop:80 a.shop:81"},
		{"nor from another namespace", sidecar("shop", "egress: [{hosts: [./*]}]") + virtualService("a", "http: [{match: [{sourceNamespace: other}], route: [{destination: {host: b.other.svc.cluster.local}}]}]"), "", "a.shop:80 a.shop:81"},
		{"of one host name Kubernetes' own", strings.Replace(serviceEntry("a.shop.svc.cluster.local", "ports: [{name: http, number: 99, protocol: HTTP}], resolution: NONE"), "namespace: shop", "namespace: other", 1), "", all},
		{"of two entries the ports of both", serviceEntry("x.example", "ports: [{name: p, number: 1, protocol: TCP}], resolution: NONE") + strings.Replace(serviceEntry("x.example", "ports: [{name: p, number: 1, protocol: TCP}, {name: q, number: 2, protocol: TCP}], resolution: NONE"), "name: x", "name: z", 1), "", all + " x.example:1 x.example:2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := seen(configOf(t, buildMesh(t, scopeYAML+tt.manifests, tt.meshConfig), "shop/curl")); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestEgressListeners: ports that a Sidecar names have the services that it
// says, and no others (EC-99).
func TestEgressListeners(t *testing.T) {
	t.Parallel()
	sidecar := func(egress string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: shop}\nspec: {egress: [" + egress + "]}\n"
	}
	c := configOf(t, buildMesh(t, scopeYAML+sidecar("{port: {number: 80, protocol: HTTP, name: p}, hosts: [other/*]}, {port: {number: 90, protocol: TCP, name: q}, bind: 10.1.1.1, captureMode: NONE, hosts: [third/*]}, {port: {number: 0, protocol: HTTP, name: r}, bind: 'unix:///run/sock', hosts: ['*/*']}, {hosts: ['*/*']}"), ""), "shop/curl")
	want := map[string]string{
		"0.0.0.0_80":       "raw_buffer/http/1.1,h2c rds 80; else -> PassthroughCluster",
		"0.0.0.0_81":       "raw_buffer/http/1.1,h2c rds 81; else -> PassthroughCluster",
		"unix:///run/sock": "rds unix:///run/sock; bound",
	}
	if got := outboundNames(c); !slices.Equal(got, sortedKeys(want)) {
		t.Errorf("listeners %v, want %v", got, sortedKeys(want))
	}
	for name, text := range want {
		if got := listenerText(t, listenerOf(c, name)); got != text {
			t.Errorf("%s: %s, want %s", name, got, text)
		}
	}
	hosts := map[string]string{}
	for _, routes := range []string{"80", "81", "unix:///run/sock"} {
		for _, h := range routesOf(c, routes).GetVirtualHosts() {
			hosts[routes] += h.Name + " "
		}
	}
	for routes, names := range map[string]string{
		"80": "b.other.svc.cluster.local:80 allow_any ", "81": "a.shop.svc.cluster.local:81 allow_any ",
		"unix:///run/sock": "a.shop.svc.cluster.local:80 a.shop.svc.cluster.local:81 b.other.svc.cluster.local:80 c.third.svc.cluster.local:80 allow_any ",
	} {
		if hosts[routes] != names {
			t.Errorf("hosts of %s: %s, want %s", routes, hosts[routes], names)
		}
	}
	if got := strings.Join(virtualHost(c, "unix:///run/sock", "a.shop.svc.cluster.local:81").GetDomains(), " "); strings.Contains(got, "cluster.local ") || !strings.Contains(got, "a:81") {
		t.Errorf("where the host tells the port: %s", got)
	}
	// A port that is bound for real, where the service is on another.
	tcp := configOf(t, buildMesh(t, clientYAML+service("t", "10.96.0.1", "{name: tcp, port: 90}")+sidecar("{port: {number: 90, protocol: TCP, name: q}, captureMode: NONE, hosts: ['*/*']}"), ""), "shop/curl")
	if got := listenerText(t, listenerOf(tcp, "127.0.0.1_90")); got != "-> outbound|90||t.shop.svc.cluster.local; bound" {
		t.Errorf("on loopback: %s", got)
	}
}

// TestHTTPProxyPort: the mesh's HTTP proxy port leads to all services.
func TestHTTPProxyPort(t *testing.T) {
	t.Parallel()
	c := configOf(t, buildMesh(t, scopeYAML, "proxyHttpPort: 15002"), "shop/curl")
	if got := listenerText(t, listenerOf(c, "127.0.0.1_15002")); got != "rds http_proxy; bound" {
		t.Errorf("listener %s", got)
	}
	if virtualHost(c, "http_proxy", "a.shop.svc.cluster.local:81") == nil || virtualHost(c, "http_proxy", "c.third.svc.cluster.local:80") == nil {
		t.Errorf("routes %v", routesOf(c, "http_proxy"))
	}
}
