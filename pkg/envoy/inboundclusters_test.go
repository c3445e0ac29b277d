package envoy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
)

// inboundText is where an inbound cluster leads, and from where it asks.
func inboundText(c *clusterv3.Cluster) string {
	text := c.GetType().String()
	for _, g := range c.GetLoadAssignment().GetEndpoints() {
		at := g.LbEndpoints[0].GetEndpoint().GetAddress()
		if pipe := at.GetPipe(); pipe != nil {
			text += " " + pipe.Path
		} else {
			text += fmt.Sprintf(" %s:%d", at.GetSocketAddress().GetAddress(), at.GetSocketAddress().GetPortValue())
		}
	}
	if from := c.GetUpstreamBindConfig(); from != nil {
		text += " from " + from.SourceAddress.Address
	}
	return text
}

// TestInboundClusters: how a sidecar reaches its application (EC-38, EC-55,
// EC-57).
func TestInboundClusters(t *testing.T) {
	t.Parallel()
	sidecar := func(spec string) string {
		return "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: shop}\nspec: {" + spec + "}\n"
	}
	const wanted = "ORIGINAL_DST from 127.0.0.6"
	all := map[string]string{"inbound|8080||": wanted, "inbound|9000||": wanted, "inbound|7000||": wanted}
	tests := []struct {
		name, manifests, meshConfig string
		want                        map[string]string
	}{
		{"where the client wanted", "", "", all},
		{"on loopback", "", "inboundTrafficPolicy: {mode: LOCALHOST}", map[string]string{
			"inbound|8080||": "STATIC 127.0.0.1:8080", "inbound|9000||": "STATIC 127.0.0.1:9000", "inbound|7000||": "STATIC 127.0.0.1:7000",
		}},
		{"nowhere without interception", "", "defaultConfig: {interceptionMode: NONE}", map[string]string{}},
		{"as a Sidecar says", sidecar("ingress: [{port: {number: 1, protocol: HTTP, name: a}, defaultEndpoint: '127.0.0.1:8080'}, {port: {number: 2, protocol: HTTP, name: b}, defaultEndpoint: 'unix:///run/app'}, {port: {number: 3, protocol: HTTP, name: c}}]"), "defaultConfig: {interceptionMode: NONE}", map[string]string{
			"inbound|1||": "STATIC 127.0.0.1:8080", "inbound|2||": "STATIC /run/app from 127.0.0.6", "inbound|3||": wanted,
		}},
		{"a Sidecar without ingress changes nothing", sidecar("egress: [{hosts: ['*/*']}]"), "", all},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := configOf(t, buildMesh(t, shopYAML+tt.manifests, tt.meshConfig), "shop/web-v1")
			got := map[string]string{}
			for _, x := range c.Clusters {
				if strings.HasPrefix(x.Name, "inbound|") {
					got[x.Name] = inboundText(x)
				}
			}
			if !slices.Equal(sortedKeys(got), sortedKeys(tt.want)) {
				t.Errorf("clusters %v, want %v", sortedKeys(got), sortedKeys(tt.want))
			}
			for name, want := range tt.want {
				if got[name] != want {
					t.Errorf("%s: %s, want %s", name, got[name], want)
				}
			}
			if got := inboundText(clusterOf(c, "InboundPassthroughCluster")); got != wanted {
				t.Errorf("all other ports: %s", got)
			}
		})
	}
	pod := configOf(t, buildMesh(t, shopYAML+sidecar("ingress: [{port: {number: 1, protocol: HTTP, name: a}, defaultEndpoint: '0.0.0.0:81'}]"), ""), "shop/web-v1")
	if got := inboundText(clusterOf(pod, "inbound|1||")); !strings.HasPrefix(got, "STATIC 10.244.") || !strings.HasSuffix(got, ":81 from 127.0.0.6") {
		t.Errorf("the pod's own address: %s", got)
	}
}

// TestInboundPools: only a connection pool of a rule reaches the server's side,
// and one of the Sidecar goes before it (EC-57).
func TestInboundPools(t *testing.T) {
	t.Parallel()
	rule := destinationRule("trafficPolicy: {tls: {mode: SIMPLE}, loadBalancer: {simple: RANDOM}, outlierDetection: {consecutive5xxErrors: 3}, connectionPool: {tcp: {maxConnections: 5}}}")
	sidecar := "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: shop}\nspec: {inboundConnectionPool: {tcp: {maxConnections: 6}}}\n"
	selective := destinationRule("workloadSelector: {matchLabels: {app: web}}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}")
	const unlimited = 4294967295
	for _, tt := range []struct {
		name, manifests string
		want            uint32
	}{
		{"without a rule", "", unlimited},
		{"the rule's", rule, 5},
		{"the Sidecar's", rule + sidecar, 6},
		{"a rule for some clients is none for servers", selective, unlimited},
	} {
		c := clusterOf(configOf(t, buildMesh(t, shopYAML+tt.manifests, ""), "shop/web-v1"), "inbound|8080||")
		if got := c.CircuitBreakers.Thresholds[0].MaxConnections.Value; got != tt.want {
			t.Errorf("%s: %d connections, want %d", tt.name, got, tt.want)
		}
		if c.TransportSocket != nil || c.OutlierDetection != nil || c.LbPolicy != clusterv3.Cluster_CLUSTER_PROVIDED {
			t.Errorf("%s: more than the pool: %v", tt.name, c)
		}
	}
}
