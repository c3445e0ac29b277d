package envoy_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestEndpoints: which endpoints a cluster has, and which are marked for mTLS
// (EC-86, EC-120, EC-121, DR-11).
func TestEndpoints(t *testing.T) {
	t.Parallel()
	const web = "outbound|80||web.shop.svc.cluster.local"
	peer := func(spec string) string {
		return "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: shop}\nspec: {selector: {matchLabels: {version: v2}}, " + spec + "}\n"
	}
	tests := []struct{ name, manifests, cluster, want string }{
		{"one for each pod, all with sidecars", "", web, "web-v1:8080* web-v2:8080* web-v2:8080*"},
		{"at the same port without a target", "", "outbound|9000||web.shop.svc.cluster.local", "web-v1:9000* web-v2:9000* web-v2:9000*"},
		{"those of a subset", destinationRule("subsets: [{name: v1, labels: {version: v1}}]"), "outbound|80|v1|web.shop.svc.cluster.local", "web-v1:8080*"},
		{"a subset without labels has all", destinationRule("subsets: [{name: all}]"), "outbound|80|all|web.shop.svc.cluster.local", "web-v1:8080* web-v2:8080* web-v2:8080*"},
		{"a workload that is DISABLE", peer("mtls: {mode: DISABLE}"), web, "web-v1:8080* web-v2:8080 web-v2:8080"},
		{"a port that is DISABLE, by the workload's number", peer("mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), web, "web-v1:8080* web-v2:8080 web-v2:8080"},
		{"another port is", peer("mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), "outbound|9000||web.shop.svc.cluster.local", "web-v1:9000* web-v2:9000* web-v2:9000*"},
		{"a rule that asks for no TLS", destinationRule("trafficPolicy: {tls: {mode: DISABLE}}"), web, "web-v1:8080 web-v2:8080 web-v2:8080"},
		{"a rule that asks for mTLS goes over PeerAuthentications", destinationRule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}") + "---\n" + peer("mtls: {mode: DISABLE}"), web, "web-v1:8080* web-v2:8080* web-v2:8080*"},
		{"pods without a sidecar", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: disabled}}\n", web, "web-v1:8080 web-v2:8080 web-v2:8080"},
		{"none runs", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: idle, namespace: shop}\nspec: {replicas: 0, template: {metadata: {labels: {app: idle}}, spec: {containers: [{name: c, image: x}]}}}\n" + service("idle", "10.96.0.9", "{name: http, port: 80}"), "outbound|80||idle.shop.svc.cluster.local", ""},
		{"machines", "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm, namespace: shop}\nspec: {address: 1.2.3.4, labels: {app: web}, serviceAccount: vm, ports: {http-web: 8888}}\n---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: named, namespace: shop}\nspec: {address: vm.example, labels: {app: web}}\n", web, "web-v1:8080* web-v2:8080* web-v2:8080* vm:8888*"},
		{"a group of machines before they register", "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: group, namespace: shop}\nspec: {metadata: {labels: {app: web}}, template: {serviceAccount: vm}}\n", web, "web-v1:8080* web-v2:8080* web-v2:8080*"},
		{"another object adds some under the same name and port", "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: more, namespace: shop}\nspec: {hosts: [web.shop.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http-web, protocol: HTTP, targetPort: 7}], endpoints: [{address: 1.2.3.4, serviceAccount: a}]}\n", web, "web-v1:8080* web-v2:8080* web-v2:8080* web:7*"},
		{"but not from another namespace", "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: more, namespace: other}\nspec: {hosts: [web.shop.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http-web, protocol: HTTP}], endpoints: [{address: 1.2.3.4}]}\n", web, "web-v1:8080* web-v2:8080* web-v2:8080*"},
		{"listed addresses", entry("location: MESH_INTERNAL, resolution: STATIC, endpoints: [{address: 1.2.3.4, serviceAccount: a}, {address: 1.2.3.5, ports: {http: 81}}, {address: 'unix:///a/b'}]"), "outbound|80||api.example", "api:80* api:81 api:/a/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := endpointsOf(shopConfig(t, tt.manifests), tt.cluster)
			if a == nil {
				t.Fatal("no endpoints")
			}
			if got := assignmentText(a); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestLookedUpEndpoints: what a name server is asked for stands in the cluster
// (EC-85).
func TestLookedUpEndpoints(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"location: MESH_EXTERNAL, resolution: DNS":                                                     "api.example:443",
		"location: MESH_EXTERNAL, resolution: DNS, endpoints: [{address: a.example, ports: {tls: 1}}]": "a.example:1",
	} {
		c := clusterOf(shopConfig(t, entry(spec)), "outbound|443||api.example")
		at := c.GetLoadAssignment().GetEndpoints()[0].LbEndpoints[0].GetEndpoint().GetAddress().GetSocketAddress()
		if got := fmt.Sprintf("%s:%d", at.GetAddress(), at.GetPortValue()); got != want || c.EdsClusterConfig != nil {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
}

// TestLocalities: endpoints stand by locality; weights add up (EC-120).
func TestLocalities(t *testing.T) {
	t.Parallel()
	c := shopConfig(t, entry("location: MESH_INTERNAL, resolution: STATIC, endpoints: [{address: 1.2.3.4, locality: eu/b/1, weight: 3}, {address: 1.2.3.5, locality: eu/b/1}, {address: 1.2.3.6, locality: eu/a}]"))
	got := ""
	for _, g := range endpointsOf(c, "outbound|80||api.example").Endpoints {
		got += fmt.Sprintf("%s/%s/%s %d of %d; ", g.Locality.Region, g.Locality.Zone, g.Locality.SubZone, g.LoadBalancingWeight.Value, len(g.LbEndpoints))
	}
	if want := "eu/a/ 1 of 1; eu/b/1 4 of 2; "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestWorkloadMetadata: whose an endpoint is (EC-120).
func TestWorkloadMetadata(t *testing.T) {
	t.Parallel()
	labelled := strings.Replace(shopYAML, "labels: {app: web, version: v1}", "labels: {app: web, app.kubernetes.io/name: shop-web, service.istio.io/canonical-revision: r1}", 1)
	for manifests, want := range map[string]string{
		shopYAML: "web-v1;shop;web;v1;Kubernetes",
		labelled: "web-v1;shop;shop-web;r1;Kubernetes",
		strings.Replace(shopYAML, "{labels: {app: web, version: v1}}", "{labels: {app: web}}", 1): "web-v1;shop;web;latest;Kubernetes",
	} {
		a := endpointsOf(configOf(t, buildMesh(t, manifests, ""), "shop/curl"), "outbound|80||web.shop.svc.cluster.local")
		e := a.Endpoints[0].LbEndpoints[0]
		if got := e.Metadata.FilterMetadata["istio"].Fields["workload"].GetStringValue(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestAddresses: they depend on names alone (EC-122).
func TestAddresses(t *testing.T) {
	t.Parallel()
	address := func(manifests string) string {
		a := endpointsOf(configOf(t, buildMesh(t, manifests, ""), "shop/curl"), "outbound|80||web.shop.svc.cluster.local")
		text := ""
		for _, e := range a.Endpoints[0].LbEndpoints {
			text += e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress() + " "
		}
		return text
	}
	before := address(shopYAML)
	if !strings.HasPrefix(before, "10.244.") || len(strings.Fields(before)) != 3 {
		t.Errorf("addresses of pods: %s", before)
	}
	if after := address(shopYAML + "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: a}\nspec: {replicas: 9, template: {spec: {containers: [{name: c, image: x}]}}}\n"); after != before {
		t.Errorf("another workload moved them: %s, %s", before, after)
	}
	// An address that a manifest names is not given away.
	named := shopConfig(t, service("fixed", "10.96.1.2", "{name: tcp, port: 90}"))
	if listenerOf(named, "10.96.1.2_90") == nil {
		t.Errorf("listeners %v", outboundNames(named))
	}
}
