package envoy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// webConfig is that of shop/web-v1, with more manifests beside the shop's.
func webConfig(t testing.TB, manifests, meshConfig string) *envoy.Config {
	t.Helper()
	return configOf(t, buildMesh(t, shopYAML+manifests, meshConfig), "shop/web-v1")
}

func peers(mode, ports string) string {
	return "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: shop}\nspec: {selector: {matchLabels: {app: web}}, mtls: {mode: " + mode + "}" + ports + "}\n"
}

// takenText is a chain in words: what it takes, whether it ends mTLS, and what
// it reads.
func takenText(t testing.TB, c *listenerv3.FilterChain) string {
	t.Helper()
	m := c.FilterChainMatch
	text := m.GetTransportProtocol()
	if text == "" {
		text = "any"
	}
	if len(m.GetApplicationProtocols()) > 0 {
		text += "/" + strings.Join(m.ApplicationProtocols, ",")
	}
	if c.TransportSocket != nil {
		text += " mTLS"
	}
	if manager(t, c) != nil {
		return text + " HTTP"
	}
	return text + " TCP"
}

func manager(t testing.TB, c *listenerv3.FilterChain) *hcmv3.HttpConnectionManager {
	t.Helper()
	last := c.Filters[len(c.Filters)-1].GetTypedConfig()
	if strings.HasSuffix(last.TypeUrl, "TcpProxy") {
		return nil
	}
	return unpack[*hcmv3.HttpConnectionManager](t, last)
}

// chainsOf are the inbound chains of a port; 0 is for those of no port.
func chainsOf(c *envoy.Config, port uint32) []*listenerv3.FilterChain {
	var all []*listenerv3.FilterChain
	for _, chain := range listenerOf(c, "virtualInbound").FilterChains {
		if chain.FilterChainMatch.GetDestinationPort().GetValue() == port {
			all = append(all, chain)
		}
	}
	return all
}

const (
	fiveNames  = "tls/istio,istio-peer-exchange,istio-http/1.0,istio-http/1.1,istio-h2 mTLS "
	threeNames = "tls/istio-http/1.0,istio-http/1.1,istio-h2 mTLS "
)

// TestInboundChains: which chains a port has, by its mode and by what it carries
// (EC-32, EC-34), and those of undeclared ports (EC-36).
func TestInboundChains(t *testing.T) {
	t.Parallel()
	auto := []string{threeNames + "HTTP", "raw_buffer/http/1.1,h2c HTTP", "tls/istio-peer-exchange,istio mTLS TCP", "raw_buffer TCP", "tls TCP"}
	tests := map[string]map[uint32][]string{
		peers("STRICT", ""): {
			8080: {"tls mTLS HTTP"}, 9000: {"tls mTLS TCP"}, 7000: {threeNames + "HTTP", "tls mTLS TCP"}, 0: {threeNames + "HTTP", "tls mTLS TCP"},
		},
		"": {
			8080: {fiveNames + "HTTP", "raw_buffer HTTP"}, 9000: {fiveNames + "TCP", "tls TCP", "raw_buffer TCP"}, 7000: auto, 0: auto,
		},
		peers("DISABLE", ""): {
			8080: {"raw_buffer HTTP"}, 9000: {"raw_buffer TCP"}, 7000: {"raw_buffer/http/1.1,h2c HTTP", "raw_buffer TCP"}, 0: {"raw_buffer/http/1.1,h2c HTTP", "raw_buffer TCP"},
		},
		peers("STRICT", ", portLevelMtls: {8080: {mode: DISABLE}, 7777: {mode: PERMISSIVE}}"): {
			8080: {"raw_buffer HTTP"}, 9000: {"tls mTLS TCP"}, 7777: auto, 0: {threeNames + "HTTP", "tls mTLS TCP"},
		},
	}
	for manifests, ports := range tests {
		c := webConfig(t, manifests, "")
		for port, want := range ports {
			var got []string
			for _, chain := range chainsOf(c, port) {
				got = append(got, takenText(t, chain))
			}
			want = slices.Sorted(slices.Values(want))
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%sport %d:\n got %q\nwant %q", manifests, port, got, want)
			}
		}
	}
}

// TestInboundListener: where it listens, how long it looks, the names and the
// order of its chains (EC-10, EC-11, EC-30, EC-31, EC-42).
func TestInboundListener(t *testing.T) {
	t.Parallel()
	l := listenerOf(webConfig(t, "", ""), "virtualInbound")
	at := l.Address.GetSocketAddress()
	if at.Address != "0.0.0.0" || at.GetPortValue() != 15006 || l.TrafficDirection.String() != "INBOUND" {
		t.Errorf("it is %s on %v", l.TrafficDirection, at)
	}
	if !l.ContinueOnListenerFiltersTimeout || l.ListenerFiltersTimeout.AsDuration() != 0 || l.MaxConnectionsToAcceptPerSocketEvent.GetValue() != 1 {
		t.Errorf("it waits %v and takes %v at once", l.ListenerFiltersTimeout, l.MaxConnectionsToAcceptPerSocketEvent)
	}
	var names []string
	for _, c := range l.FilterChains {
		if len(names) == 0 || names[len(names)-1] != c.Name {
			names = append(names, c.Name)
		}
	}
	const want = "virtualInbound-blackhole"
	if names[0] != want || names[len(names)-1] != "0.0.0.0_9000" || !slices.Contains(names, "virtualInbound-catchall-http") || !slices.Contains(names, "virtualInbound") {
		t.Errorf("chains %q", names)
	}
	first := l.FilterChains[0]
	to := unpack[*tcpproxyv3.TcpProxy](t, first.Filters[len(first.Filters)-1].GetTypedConfig()).GetCluster()
	if first.FilterChainMatch.DestinationPort.Value != 15006 || to != "BlackHoleCluster" {
		t.Errorf("what calls the listener itself goes to %s", to)
	}
	own := listenerOf(webConfig(t, "", "{proxyInboundListenPort: 16006, protocolDetectionTimeout: 5s}"), "virtualInbound")
	if own.Address.GetSocketAddress().GetPortValue() != 16006 || own.ListenerFiltersTimeout.AsDuration().Seconds() != 5 {
		t.Errorf("the mesh config says otherwise: %v, %v", own.Address, own.ListenerFiltersTimeout)
	}
}

// TestInboundInspectors: connections are looked at only on ports whose chains ask
// for it (EC-35).
func TestInboundInspectors(t *testing.T) {
	t.Parallel()
	for manifests, want := range map[string]string{
		"":                   "original_dst tls_inspector http_inspector",
		peers("STRICT", ""):  "original_dst tls_inspector",
		peers("DISABLE", ""): "original_dst http_inspector",
	} {
		var names []string
		for _, f := range listenerOf(webConfig(t, manifests, ""), "virtualInbound").ListenerFilters {
			names = append(names, strings.TrimPrefix(f.Name, "envoy.filters.listener."))
			if strings.HasSuffix(f.Name, "inspector") && !strings.Contains(fmt.Sprint(f.FilterDisabled), "15006") {
				t.Errorf("%s%s looks at the listener's own port", manifests, f.Name)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s%s, want %s", manifests, got, want)
		}
	}
}

// TestInboundFilters: what chains do, in which order, and that undeclared ports
// are no way around (EC-36, EC-40, EC-41, EC-45, EC-71).
func TestInboundFilters(t *testing.T) {
	t.Parallel()
	c := webConfig(t, strings.TrimPrefix(staticMesh, shopYAML), grpcProvider)
	short := func(name string) string { return name[strings.LastIndex(name, ".")+1:] }
	for _, port := range []uint32{8080, 9000, 7000, 0} {
		for _, chain := range chainsOf(c, port) {
			var network, requests []string
			for _, f := range chain.Filters {
				network = append(network, short(f.Name))
			}
			m := manager(t, chain)
			for _, f := range m.GetHttpFilters() {
				requests = append(requests, short(f.Name))
			}
			got := strings.Join(network, " ") + ": " + strings.Join(requests, " ")
			want := "rbac ext_authz rbac rbac rbac tcp_proxy: "
			if m != nil {
				want = "http_connection_manager: rbac ext_authz jwt_authn rbac rbac rbac grpc_stats fault cors router"
			}
			if got != want {
				t.Errorf("port %d: %s\nwant %s", port, got, want)
			}
		}
	}
}

// TestInboundManager: how requests are read, and that forwarded addresses are
// believed (EC-46, EC-47, EC-48, EC-50, EC-15).
func TestInboundManager(t *testing.T) {
	t.Parallel()
	m := manager(t, chainsOf(webConfig(t, "", ""), 8080)[0])
	if m.UseRemoteAddress.GetValue() || m.XffNumTrustedHops != 0 {
		t.Error("forwarded addresses are not believed")
	}
	if m.ServerName != "istio-envoy" || m.StatPrefix != "inbound_0.0.0.0_8080;" || m.GetRds() != nil || m.ForwardClientCertDetails.String() != "APPEND_FORWARD" {
		t.Errorf("%s, %s, %v, %s", m.ServerName, m.StatPrefix, m.GetRds(), m.ForwardClientCertDetails)
	}
	host := m.GetRouteConfig().VirtualHosts[0]
	route := host.Routes[0]
	if host.Name != "inbound|http|80" || len(m.GetRouteConfig().VirtualHosts) != 1 || host.Domains[0] != "*" || routeText(route) != "/* -> inbound|8080||" || route.Name != "default" {
		t.Errorf("%s: %s", host.Name, hostText(host))
	}
	if route.GetRoute().Timeout.AsDuration() != 0 || route.GetRoute().RetryPolicy.GetRetryOn() != "reset-before-request" || route.Decorator.GetOperation() != "web.shop.svc.cluster.local:80/*" {
		t.Errorf("%v", route)
	}
	for mode, want := range map[string]string{
		"NONE": "false false KEEP_UNCHANGED", "BASE": "true false KEEP_UNCHANGED", "DEFAULT": "true false KEEP_UNCHANGED",
		"MERGE_SLASHES": "true true KEEP_UNCHANGED", "DECODE_AND_MERGE_SLASHES": "true true UNESCAPE_AND_FORWARD",
	} {
		m := manager(t, chainsOf(webConfig(t, "", "pathNormalization: {normalization: "+mode+"}"), 8080)[0])
		if got := fmt.Sprint(m.NormalizePath.GetValue(), m.MergeSlashes, m.PathWithEscapedSlashesAction); got != want {
			t.Errorf("%s: %s, want %s", mode, got, want)
		}
	}
}

// TestInboundTLS: who is let in: clients of the mesh's trust domain and its
// aliases, with the mesh's ciphers (EC-89).
func TestInboundTLS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		port       uint32
		meshConfig string
		want       string
	}{
		{8080, "", "true TLSv1_2 TLSv1_3 6 h2,http/1.1 default ROOTCA spiffe://cluster.local/"},
		{9000, "", "true TLSv1_2 TLSv1_3 6 istio-peer-exchange,h2,http/1.1 default ROOTCA spiffe://cluster.local/"},
		{8080, "{trustDomain: a.example, trustDomainAliases: [old], meshMTLS: {minProtocolVersion: TLSV1_3}}", "true TLSv1_3 TLSv1_3 6 h2,http/1.1 default ROOTCA spiffe://a.example/ spiffe://old/"},
	} {
		i := slices.IndexFunc(chainsOf(webConfig(t, "", tt.meshConfig), tt.port), func(c *listenerv3.FilterChain) bool { return c.TransportSocket != nil })
		c := unpack[*tlsv3.DownstreamTlsContext](t, chainsOf(webConfig(t, "", tt.meshConfig), tt.port)[i].TransportSocket.GetTypedConfig())
		p, v := c.CommonTlsContext.TlsParams, c.CommonTlsContext.GetCombinedValidationContext()
		got := fmt.Sprint(c.RequireClientCertificate.GetValue(), " ", p.TlsMinimumProtocolVersion, " ", p.TlsMaximumProtocolVersion, " ", len(p.CipherSuites), " ",
			strings.Join(c.CommonTlsContext.AlpnProtocols, ","), " ", c.CommonTlsContext.TlsCertificateSdsSecretConfigs[0].Name, " ", v.ValidationContextSdsSecretConfig.Name)
		for _, san := range v.DefaultValidationContext.MatchSubjectAltNames {
			got += " " + san.GetPrefix()
		}
		if got != tt.want {
			t.Errorf("port %d, %q:\n got %s\nwant %s", tt.port, tt.meshConfig, got, tt.want)
		}
	}
}

// TestInboundAddress: what a sidecar sends its application comes from an address
// of its own, so that no packet filter takes it back; clusters have the workload's
// port in their names (EC-13, EC-16).
func TestInboundAddress(t *testing.T) {
	t.Parallel()
	c := webConfig(t, "", "")
	for _, name := range []string{"inbound|8080||", "inbound|9000||", "InboundPassthroughCluster"} {
		if got := clusterOf(c, name).GetUpstreamBindConfig().GetSourceAddress().GetAddress(); got != "127.0.0.6" {
			t.Errorf("%s calls from %q", name, got)
		}
	}
	if clusterOf(c, "outbound|80||web.shop.svc.cluster.local") == nil || clusterOf(c, "inbound|8080||").AltStatName != "inbound|8080||;" {
		t.Error("clusters have other names")
	}
}

// TestOutboundManager: what is done to requests that a workload sends: no policy
// is its own sidecar's to enforce (EC-100, EC-101).
func TestOutboundManager(t *testing.T) {
	t.Parallel()
	l := listenerOf(shopConfig(t, strings.TrimPrefix(staticMesh, shopYAML)), "0.0.0.0_80")
	m := manager(t, l.FilterChains[0])
	var names []string
	for _, f := range m.HttpFilters {
		names = append(names, strings.TrimPrefix(f.Name, "envoy.filters.http."))
	}
	if got := strings.Join(names, " "); got != "grpc_stats fault cors router" {
		t.Error(got)
	}
	if m.ServerName != "" || m.StatPrefix != "outbound_0.0.0.0_80;" || m.GetRds().GetConfigSource().GetInitialFetchTimeout().AsDuration() != 0 || m.UseRemoteAddress.GetValue() {
		t.Errorf("%v", m)
	}
	if got := l.FilterChains[0].TransportSocketConnectTimeout.AsDuration().Seconds(); got != 15 {
		t.Errorf("a handshake may take %v seconds", got)
	}
}

// TestRouteConfiguration: the routes of a port have a host for each service that
// takes requests there, by name, and the last resort at the end (EC-15, EC-110).
func TestRouteConfiguration(t *testing.T) {
	t.Parallel()
	more := service("a", "10.96.0.1", "{name: grpc, port: 80}") + service("b", "10.96.0.2", "{name: tcp, port: 80}") + service("z", "10.96.0.3", "{name: odd, port: 80}")
	r := routesOf(shopConfig(t, more), "80")
	var names []string
	for _, h := range r.VirtualHosts {
		names = append(names, h.Name)
		if !h.IncludeRequestAttemptCount {
			t.Errorf("%s does not count attempts", h.Name)
		}
	}
	const want = "a.shop.svc.cluster.local:80 web.shop.svc.cluster.local:80 z.shop.svc.cluster.local:80 allow_any"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if r.ValidateClusters.GetValue() || !r.IgnorePortInHostMatching || r.MaxDirectResponseBodySizeBytes.GetValue() != 1<<20 {
		t.Errorf("%v, %t, %v", r.ValidateClusters, r.IgnorePortInHostMatching, r.MaxDirectResponseBodySizeBytes)
	}
}
