package envoy_test

import (
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
)

const (
	webNames = "san=spiffe://cluster.local/ns/shop/sa/two san=spiffe://cluster.local/ns/shop/sa/web"
	meshTLS  = " cert=default ca=ROOTCA "
)

// destinationRule is one for web in the shop.
func destinationRule(spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web, namespace: shop}\nspec: {host: web, " + spec + "}\n"
}

// entry is a ServiceEntry for api.example: TLS on 443 and HTTP on 80.
func entry(spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: api, namespace: shop}\nspec: {hosts: [api.example], ports: [{name: tls, number: 443, protocol: TLS}, {name: http, number: 80, protocol: HTTP}], " + spec + "}\n"
}

// TestClusters: how a client reaches a port (EC-14, EC-85..EC-92,
// DR-8..DR-23).
func TestClusters(t *testing.T) {
	t.Parallel()
	const (
		web    = "outbound|80||web.shop.svc.cluster.local"
		v2     = "outbound|80|v2|web.shop.svc.cluster.local"
		api    = "outbound|443||api.example"
		mutual = "tls sni=outbound_.80_._.web.shop.svc.cluster.local alpn=istio-peer-exchange,istio" + meshTLS + webNames
	)
	tests := []struct{ name, manifests, cluster, want string }{
		{"EC-86 auto mTLS, by endpoint", "", web, "EDS plain; tlsMode-istio: " + mutual + "; tlsMode-disabled: plain"},
		{"EC-87 ISTIO_MUTUAL has no way back", destinationRule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), web, "EDS " + mutual},
		{"EC-87 DISABLE", destinationRule("trafficPolicy: {tls: {mode: DISABLE}}"), web, "EDS plain"},
		{"DR-9 an empty tls is DISABLE", destinationRule("trafficPolicy: {tls: {}}"), web, "EDS plain"},
		{"EC-87 SIMPLE without names", destinationRule("trafficPolicy: {tls: {mode: SIMPLE}}"), web, "EDS tls sni= alpn= ca=file-root:system"},
		{"EC-87 SIMPLE with names and a root", destinationRule("trafficPolicy: {tls: {mode: SIMPLE, sni: a, subjectAltNames: [b, c], caCertificates: /ca}}"), web, "EDS tls sni=a alpn= ca=file-root:/ca san=b san=c"},
		{"EC-87 MUTUAL with files", destinationRule("trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /ca}}"), web, "EDS tls sni= alpn= cert=file-cert:/c~/k ca=file-root:/ca"},
		{"DR-19 MUTUAL without files is plain", destinationRule("trafficPolicy: {tls: {mode: MUTUAL, caCertificates: /ca}}"), web, "EDS plain"},
		{"DR-17 nothing is checked", destinationRule("trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}"), web, "EDS tls sni= alpn="},
		{"DR-18 a Secret without a workloadSelector turns TLS off", destinationRule("trafficPolicy: {tls: {mode: SIMPLE, credentialName: s}}"), web, "EDS plain"},
		{"EC-90 a Secret with one", destinationRule("workloadSelector: {matchLabels: {app: curl}}, trafficPolicy: {tls: {mode: MUTUAL, credentialName: s}}"), web, "EDS tls sni= alpn= cert=kubernetes://s ca=kubernetes://s-cacert"},
		{"EC-90 a ConfigMap needs none", destinationRule("trafficPolicy: {tls: {mode: SIMPLE, credentialName: configmap://m}}"), web, "EDS tls sni= alpn= ca=configmap://m-cacert"},
		{"DR-6 the rule is for other clients", destinationRule("workloadSelector: {matchLabels: {app: wget}}, trafficPolicy: {tls: {mode: DISABLE}}"), web, "EDS plain; tlsMode-istio: " + mutual + "; tlsMode-disabled: plain"},
		{"EC-121 a subset has its own name for the server", destinationRule("subsets: [{name: v2, labels: {version: v2}}]"), v2, "EDS plain; tlsMode-istio: " + strings.Replace(mutual, "_._", "_.v2_", 1) + "; tlsMode-disabled: plain"},
		{"EC-92 a subset overrides", destinationRule("trafficPolicy: {tls: {mode: DISABLE}}, subsets: [{name: v2, labels: {version: v2}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: x}}}]"), v2, "EDS " + strings.Replace(mutual, "outbound_.80_._.web.shop.svc.cluster.local", "x", 1)},
		{"EC-92 a port's settings stand alone", destinationRule("trafficPolicy: {tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}"), web, "EDS plain; tlsMode-istio: " + mutual + "; tlsMode-disabled: plain"},
		{"EC-91 HTTP/2 upgrade changes the ALPN", destinationRule("trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}, tls: {mode: ISTIO_MUTUAL}}"), web, "EDS " + strings.Replace(mutual, ",istio ", ",istio,h2 ", 1)},
		{"EC-87 ALPN of SIMPLE with HTTP/2", destinationRule("trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}, tls: {mode: SIMPLE}}"), web, "EDS tls sni= alpn=h2 ca=file-root:system"},
		{"EC-85 PASSTHROUGH goes to where the client wanted, with mTLS only if all endpoints have it", destinationRule("trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}"), web, "ORIGINAL_DST " + mutual},
		{"EC-63 a namespace that is DISABLE", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: d, namespace: shop}\nspec: {mtls: {mode: DISABLE}}\n", web, "EDS plain"},
		{"EC-85 names are looked up", entry("location: MESH_EXTERNAL, resolution: DNS"), api, "STRICT_DNS plain"},
		{"EC-85 one address at a time", entry("location: MESH_EXTERNAL, resolution: DNS_ROUND_ROBIN"), api, "LOGICAL_DNS plain"},
		{"EC-85 listed", entry("location: MESH_EXTERNAL, resolution: STATIC, endpoints: [{address: 1.2.3.4}]"), api, "EDS plain"},
		{"EC-85 no resolution", entry("location: MESH_EXTERNAL, resolution: NONE"), api, "ORIGINAL_DST plain"},
		{"EC-85 no endpoint to look up", entry("location: MESH_EXTERNAL, resolution: DNS, workloadSelector: {labels: {no: one}}"), api, "none"},
		{"DR-17 names of a ServiceEntry", entry("location: MESH_EXTERNAL, resolution: DNS, subjectAltNames: [b, a]") + "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: api, namespace: shop}\nspec: {host: api.example, trafficPolicy: {tls: {mode: SIMPLE, sni: api.example}}}\n", api, "STRICT_DNS tls sni=api.example alpn= ca=file-root:system san=a san=b"},
		{"DR-17 names of its endpoints", entry("location: MESH_INTERNAL, resolution: STATIC, endpoints: [{address: 1.2.3.4, serviceAccount: vm}]") + "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: api, namespace: shop}\nspec: {host: api.example, trafficPolicy: {tls: {mode: SIMPLE, sni: s}}}\n", api, "EDS tls sni=s alpn= ca=file-root:system san=spiffe://cluster.local/ns/shop/sa/vm"},
		{"EC-85 an ExternalName has no cluster", "apiVersion: v1\nkind: Service\nmetadata: {name: alias, namespace: shop}\nspec: {type: ExternalName, externalName: api.example, ports: [{name: http, port: 80}]}\n", "outbound|80||alias.shop.svc.cluster.local", "none"},
		{"EC-85 nor has UDP", "apiVersion: v1\nkind: Service\nmetadata: {name: dns, namespace: shop}\nspec: {ports: [{name: dns, port: 53, protocol: UDP}]}\n", "outbound|53||dns.shop.svc.cluster.local", "none"},
		{"EC-85 headless", "apiVersion: v1\nkind: Service\nmetadata: {name: hl, namespace: shop}\nspec: {clusterIP: None, selector: {version: v1}, ports: [{name: http, port: 81}]}\n", "outbound|81||hl.shop.svc.cluster.local", "ORIGINAL_DST tls sni=outbound_.81_._.hl.shop.svc.cluster.local alpn=istio-peer-exchange,istio cert=default ca=ROOTCA san=spiffe://cluster.local/ns/shop/sa/web"},
		{"EC-88 nobody runs: any name", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: idle, namespace: shop}\nspec: {replicas: 0, template: {metadata: {labels: {app: idle}}, spec: {serviceAccountName: idle, containers: [{name: c, image: x}]}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: idle, namespace: shop}\nspec: {selector: {app: idle}, ports: [{name: http, port: 81}]}\n", "outbound|81||idle.shop.svc.cluster.local", "EDS plain; tlsMode-istio: tls sni=outbound_.81_._.idle.shop.svc.cluster.local alpn=istio-peer-exchange,istio cert=default ca=ROOTCA; tlsMode-disabled: plain"},
		{"EC-63 headless, nobody runs", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: idle, namespace: shop}\nspec: {replicas: 0, template: {metadata: {labels: {app: idle}}, spec: {serviceAccountName: idle, containers: [{name: c, image: x}]}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: idle, namespace: shop}\nspec: {clusterIP: None, selector: {app: idle}, ports: [{name: http, port: 81}]}\n", "outbound|81||idle.shop.svc.cluster.local", "ORIGINAL_DST plain"},
		{"EC-12 nowhere", "", "BlackHoleCluster", "STATIC plain"},
		{"EC-12 where it was going", "", "PassthroughCluster", "ORIGINAL_DST plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := clusterText(t, clusterOf(shopConfig(t, tt.manifests), tt.cluster)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestUpstreamProtocol: what requests go out as (EC-22, EC-56, EC-87, EC-91).
func TestUpstreamProtocol(t *testing.T) {
	t.Parallel()
	grpc := "apiVersion: v1\nkind: Service\nmetadata: {name: rpc, namespace: shop}\nspec: {selector: {app: web}, ports: [{name: grpc, port: 50}]}\n---\n"
	tests := []struct{ name, manifests, meshConfig, cluster, want string }{
		{"HTTP/1.1", "", "", "outbound|80||web.shop.svc.cluster.local", "none"},
		{"sniffed, as the client does", "", "", "outbound|7000||web.shop.svc.cluster.local", "client"},
		{"gRPC is HTTP/2", grpc, "", "outbound|50||rpc.shop.svc.cluster.local", "h2"},
		{"the mesh upgrades", "", "h2UpgradePolicy: UPGRADE", "outbound|80||web.shop.svc.cluster.local", "h2"},
		{"but no bytes", "", "h2UpgradePolicy: UPGRADE", "outbound|9000||web.shop.svc.cluster.local", "none"},
		{"a rule refuses", destinationRule("trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}"), "h2UpgradePolicy: UPGRADE", "outbound|80||web.shop.svc.cluster.local", "none"},
		{"useClientProtocol", destinationRule("trafficPolicy: {connectionPool: {http: {useClientProtocol: true}}}"), "", "outbound|80||web.shop.svc.cluster.local", "client"},
		{"SIMPLE asks for the host of the request", destinationRule("trafficPolicy: {tls: {mode: SIMPLE}}"), "", "outbound|80||web.shop.svc.cluster.local", "http1 auto-sni auto-san"},
		{"and with names does not check it", destinationRule("trafficPolicy: {tls: {mode: SIMPLE, subjectAltNames: [a]}}"), "", "outbound|80||web.shop.svc.cluster.local", "http1 auto-sni"},
		{"idle connections", destinationRule("trafficPolicy: {connectionPool: {tcp: {idleTimeout: 5s, maxConnectionDuration: 7s}, http: {maxRequestsPerConnection: 3}}}"), "", "outbound|80||web.shop.svc.cluster.local", "http1 idle=5s longest=7s requests=3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := clusterOf(configOf(t, buildMesh(t, shopYAML+tt.manifests, tt.meshConfig), "shop/curl"), tt.cluster)
			got := "none"
			if packed := c.TypedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]; packed != nil {
				got = optionsText(unpack[*upstreamv3.HttpProtocolOptions](t, packed))
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func optionsText(o *upstreamv3.HttpProtocolOptions) string {
	words := []string{"http1"}
	switch {
	case o.GetUseDownstreamProtocolConfig() != nil:
		words = []string{"client"}
	case o.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil:
		words = []string{"h2"}
	}
	common := o.GetCommonHttpProtocolOptions()
	if common == nil {
		common = &corev3.HttpProtocolOptions{}
	}
	if d := common.IdleTimeout; d != nil {
		words = append(words, "idle="+d.AsDuration().String())
	}
	if d := common.MaxConnectionDuration; d != nil {
		words = append(words, "longest="+d.AsDuration().String())
	}
	if n := common.MaxRequestsPerConnection; n != nil {
		words = append(words, "requests="+n.String()[len("value:"):])
	}
	if o.GetUpstreamHttpProtocolOptions().GetAutoSni() {
		words = append(words, "auto-sni")
	}
	if o.GetUpstreamHttpProtocolOptions().GetAutoSanValidation() {
		words = append(words, "auto-san")
	}
	return strings.Join(words, " ")
}
