package envoy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// podsOnly is a Service whose clients pick a pod, on a port that the pods do not
// listen on too.
const podsOnly = `apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp-sql, port: 5432}, {name: http-web, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec: {replicas: 2, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: app, image: app:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl, namespace: shop}
spec: {template: {metadata: {labels: {app: curl}}, spec: {containers: [{name: app, image: app:1}]}}}
`

// TestStaticPods: without a packet filter the clusters of a headless Service list
// its pods: one cluster for each listener on a pod, and one for requests, at the
// port that clients call. Istiod sends none of that (DP-6, EC-85, EC-98).
func TestStaticPods(t *testing.T) {
	t.Parallel()
	c := configOf(t, buildMesh(t, podsOnly, ""), "shop/curl")
	pods := c.PodAddresses()
	if len(pods) != 2 || len(c.Endpoints) > 0 {
		t.Fatalf("pods %v, %d endpoints are sent", pods, len(c.Endpoints))
	}
	out := &envoy.Outbound{Address: netip.MustParseAddr("127.64.0.3"), Services: map[string]netip.Addr{}, Peers: map[string]netip.Addr{"shop/db": netip.MustParseAddr("127.64.0.2")}, Shift: func(port uint32) uint32 { return port }}
	var want []string
	for address, workload := range pods {
		out.Services[address] = netip.MustParseAddr("127.64.0.4")
		want = append(want, "outbound|5432||db.shop.svc.cluster.local ("+address+") STATIC ROUND_ROBIN 127.64.0.2:5432")
		if workload != "shop/db" {
			t.Errorf("%s is %s", address, workload)
		}
	}
	slices.Sort(want)
	want = append(want, "outbound|80||db.shop.svc.cluster.local (HTTP) STATIC ROUND_ROBIN 127.64.0.2:80")
	if own := c.PodAddress("db.shop.svc.cluster.local", 5432, "shop/db"); pods[own] != "shop/db" {
		t.Errorf("a pod's own listener is at %q", own)
	}
	if own := c.PodAddress("db.shop.svc.cluster.local", 80, "shop/db"); own != "" {
		t.Errorf("requests have a listener of their own at %q", own)
	}
	_, clusters := staticListener(t, envoy.Place{Config: c, Address: netip.MustParseAddr("127.64.0.9"), Outbound: out}, envoy.StaticOptions{Form: envoy.OwnAddresses, JWK: `{"kty":"oct","k":"eA"}`})
	var got []string
	for _, c := range clusters {
		if strings.HasPrefix(c.Name, "outbound|") {
			got = append(got, c.Name+" "+c.GetType().String()+" "+c.LbPolicy.String()+" "+endpointsText(c))
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func endpointsText(c *clusterv3.Cluster) string {
	var all []string
	for _, group := range c.LoadAssignment.GetEndpoints() {
		for _, e := range group.LbEndpoints {
			at := e.GetEndpoint().GetAddress().GetSocketAddress()
			all = append(all, netip.AddrPortFrom(netip.MustParseAddr(at.Address), uint16(at.GetPortValue())).String())
		}
	}
	return strings.Join(all, " ")
}
