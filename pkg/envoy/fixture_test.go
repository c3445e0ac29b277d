package envoy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// shopYAML is the mesh of most tests: the client shop/curl, and shop/web, of
// two versions with accounts of their own: HTTP on 80, TCP on 9000, 7000
// sniffed. Version two runs two pods.
const shopYAML = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports:
  - {name: http-web, port: 80, targetPort: 8080}
  - {name: tcp-raw, port: 9000}
  - {name: weird, port: 7000}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1, namespace: shop}
spec: {template: {metadata: {labels: {app: web, version: v1}}, spec: {serviceAccountName: web, containers: [{name: c, image: x}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v2, namespace: shop}
spec: {replicas: 2, template: {metadata: {labels: {app: web, version: v2}}, spec: {serviceAccountName: two, containers: [{name: c, image: x}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl, namespace: shop}
spec: {template: {metadata: {labels: {app: curl}}, spec: {serviceAccountName: curl, containers: [{name: c, image: x}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: far, namespace: other}
spec: {template: {metadata: {labels: {app: far}}, spec: {containers: [{name: c, image: x}]}}}
---
`

// buildMesh builds a mesh of manifests.
func buildMesh(t testing.TB, manifests, meshConfig string) *mesh.Snapshot {
	t.Helper()
	stream, err := manifest.Read("mesh.yaml", []byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	config, err := mesh.ParseConfig([]byte(meshConfig))
	if err != nil {
		t.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// configOf is the configuration of a workload, NAMESPACE/NAME. All that is made
// in tests is held to the laws of all configurations.
func configOf(t testing.TB, s *mesh.Snapshot, workload string) *envoy.Config {
	t.Helper()
	ns, name, _ := strings.Cut(workload, "/")
	w := s.Workload(ns, name)
	if w == nil {
		t.Fatalf("no workload %s", workload)
	}
	c, err := envoy.NewGenerator(s, policy.NewSimulator(s)).Config(w)
	if err != nil {
		t.Fatal(err)
	}
	checkLaws(t, c)
	return c
}

// shopConfig is that of shop/curl, with more manifests beside the shop's.
func shopConfig(t testing.TB, manifests string) *envoy.Config {
	t.Helper()
	return configOf(t, buildMesh(t, shopYAML+manifests, ""), "shop/curl")
}

func find[M any](all []M, is func(M) bool) (M, bool) {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	var none M
	return none, false
}

func clusterOf(c *envoy.Config, name string) *clusterv3.Cluster {
	found, _ := find(c.Clusters, func(c *clusterv3.Cluster) bool { return c.Name == name })
	return found
}

func endpointsOf(c *envoy.Config, name string) *endpointv3.ClusterLoadAssignment {
	found, _ := find(c.Endpoints, func(e *endpointv3.ClusterLoadAssignment) bool { return e.ClusterName == name })
	return found
}

func listenerOf(c *envoy.Config, name string) *listenerv3.Listener {
	found, _ := find(c.Listeners, func(l *listenerv3.Listener) bool { return l.Name == name })
	return found
}

func routesOf(c *envoy.Config, name string) *routev3.RouteConfiguration {
	found, _ := find(c.Routes, func(r *routev3.RouteConfiguration) bool { return r.Name == name })
	return found
}

func virtualHost(c *envoy.Config, routes, name string) *routev3.VirtualHost {
	found, _ := find(routesOf(c, routes).GetVirtualHosts(), func(h *routev3.VirtualHost) bool { return h.Name == name })
	return found
}

// unpack gives what an Any holds.
func unpack[M proto.Message](t testing.TB, packed interface {
	UnmarshalNew() (proto.Message, error)
},
) M {
	t.Helper()
	m, err := packed.UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	typed, ok := m.(M)
	if !ok {
		t.Fatalf("it holds a %T", m)
	}
	return typed
}

// tlsText is a socket in words.
func tlsText(t testing.TB, s *corev3.TransportSocket) string {
	t.Helper()
	if s == nil || !strings.HasSuffix(s.Name, ".tls") {
		return "plain"
	}
	c := unpack[*tlsv3.UpstreamTlsContext](t, s.GetTypedConfig())
	text := "tls sni=" + c.Sni + " alpn=" + strings.Join(c.CommonTlsContext.AlpnProtocols, ",")
	for _, secret := range c.CommonTlsContext.TlsCertificateSdsSecretConfigs {
		text += " cert=" + secret.Name
	}
	if v := c.CommonTlsContext.GetCombinedValidationContext(); v != nil {
		text += " ca=" + v.ValidationContextSdsSecretConfig.Name
		for _, san := range v.DefaultValidationContext.MatchSubjectAltNames { // // as istiod
			text += " san=" + san.GetExact()
		}
	}
	return text
}

// clusterText is a cluster in words.
func clusterText(t testing.TB, c *clusterv3.Cluster) string {
	t.Helper()
	if c == nil {
		return "none"
	}
	text := c.GetType().String() + " " + tlsText(t, c.TransportSocket)
	for _, m := range c.TransportSocketMatches {
		text += "; " + m.Name + ": " + tlsText(t, m.TransportSocket)
	}
	return text
}

// endpointText is where an endpoint leads, and whether it is marked for mTLS.
func endpointText(e *endpointv3.LbEndpoint) string {
	at := e.GetEndpoint().GetAddress()
	workload, _, _ := strings.Cut(e.Metadata.FilterMetadata["istio"].Fields["workload"].GetStringValue(), ";")
	text := fmt.Sprintf("%s:%d", workload, at.GetSocketAddress().GetPortValue())
	if pipe := at.GetPipe().GetPath(); pipe != "" {
		text = workload + ":" + pipe
	}
	if e.Metadata.FilterMetadata["envoy.transport_socket_match"].GetFields()["tlsMode"].GetStringValue() == "istio" {
		text += "*"
	}
	return text
}

func assignmentText(a *endpointv3.ClusterLoadAssignment) string {
	var all []string
	for _, group := range a.GetEndpoints() {
		for _, e := range group.LbEndpoints {
			all = append(all, endpointText(e))
		}
	}
	return strings.Join(all, " ")
}

// chainText is what a chain takes and where it leads.
func chainText(t testing.TB, c *listenerv3.FilterChain) string {
	t.Helper()
	m := c.GetFilterChainMatch()
	var words []string
	if len(m.GetApplicationProtocols()) > 0 {
		words = append(words, m.TransportProtocol+"/"+strings.Join(m.ApplicationProtocols, ","))
	}
	if len(m.GetServerNames()) > 0 {
		words = append(words, "sni="+strings.Join(m.ServerNames, ","))
	}
	for _, r := range m.GetPrefixRanges() {
		words = append(words, fmt.Sprintf("%s/%d", r.AddressPrefix, r.PrefixLen.Value))
	}
	last := c.Filters[len(c.Filters)-1].GetTypedConfig()
	if strings.HasSuffix(last.TypeUrl, "TcpProxy") {
		p := unpack[*tcpproxyv3.TcpProxy](t, last)
		to := p.GetCluster()
		for _, w := range p.GetWeightedClusters().GetClusters() {
			to += fmt.Sprintf("%s:%d,", w.Name, w.Weight)
		}
		return strings.Join(append(words, "-> "+strings.TrimSuffix(to, ",")), " ")
	}
	return strings.Join(append(words, "rds "+unpack[*hcmv3.HttpConnectionManager](t, last).GetRds().GetRouteConfigName()), " ")
}

// listenerText is a listener in words: its chains, then the last resort.
func listenerText(t testing.TB, l *listenerv3.Listener) string {
	t.Helper()
	if l == nil {
		return "none"
	}
	var all []string
	for _, c := range l.FilterChains {
		all = append(all, chainText(t, c))
	}
	if l.DefaultFilterChain != nil {
		all = append(all, "else "+chainText(t, l.DefaultFilterChain))
	}
	if l.BindToPort == nil {
		all = append(all, "bound")
	}
	return strings.Join(all, "; ")
}

// outboundNames are the outbound listeners but the virtual one, with the pods
// and services in place of addresses.
func outboundNames(c *envoy.Config) []string {
	var all []string
	for _, l := range c.Listeners {
		if l.TrafficDirection == corev3.TrafficDirection_OUTBOUND && l.Name != "virtualOutbound" {
			all = append(all, l.Name)
		}
	}
	slices.Sort(all)
	return all
}

// routeText is a route in words.
func routeText(r *routev3.Route) string {
	m := r.Match
	text := "?"
	switch p := m.PathSpecifier.(type) {
	case *routev3.RouteMatch_Prefix:
		text = p.Prefix + "*"
	case *routev3.RouteMatch_Path:
		text = p.Path
	case *routev3.RouteMatch_SafeRegex:
		text = "~" + p.SafeRegex.Regex
	}
	for _, h := range m.Headers {
		text += " " + h.Name
	}
	switch a := r.Action.(type) {
	case *routev3.Route_Redirect:
		return text + " redirect"
	case *routev3.Route_DirectResponse:
		return fmt.Sprintf("%s answer %d", text, a.DirectResponse.Status)
	}
	text += " -> " + r.GetRoute().GetCluster()
	for _, w := range r.GetRoute().GetWeightedClusters().GetClusters() {
		text += fmt.Sprintf("%s:%d,", w.Name, w.Weight.Value)
	}
	return strings.TrimSuffix(text, ",")
}

func hostText(h *routev3.VirtualHost) string {
	if h == nil {
		return "none"
	}
	var all []string
	for _, r := range h.Routes {
		all = append(all, routeText(r))
	}
	return strings.Join(all, "; ")
}

// domainText are the domains of a virtual host that are no addresses.
func domainText(h *routev3.VirtualHost) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(h.GetDomains()), func(d string) bool { return strings.HasPrefix(d, "10.") }), " ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
