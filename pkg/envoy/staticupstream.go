package envoy

import (
	"net/netip"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
)

// upstream is a cluster to others: its endpoints are in it, as peers on
// loopback, and are called from the workload's own address (DP-8). One for
// requests offers the protocols that Istio's own filter would (EC-132).
func (b *staticBuilder) upstream(original *clusterv3.Cluster, requests bool) (*clusterv3.Cluster, error) {
	c := proto.Clone(original).(*clusterv3.Cluster)
	c.AltStatName = ""
	c.Name = b.prefix + c.Name
	if requests {
		c.Name += requestSuffix
	}
	if original.GetType() != clusterv3.Cluster_ORIGINAL_DST || !b.redirected() {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		c.EdsClusterConfig, c.TypedDnsResolverConfig = nil, nil
		c.DnsRefreshRate, c.DnsJitter, c.RespectDnsTtl, c.DnsLookupFamily = nil, nil, false, clusterv3.Cluster_AUTO // of names that are looked up
		c.LoadAssignment = b.peers(b.Config.assignment(original), c.Name)
	}
	if original.GetType() == clusterv3.Cluster_ORIGINAL_DST && !b.redirected() {
		// Nothing tells where the client wanted to go: who may be there is listed.
		c.LbPolicy, c.LbConfig, c.CleanupInterval = clusterv3.Cluster_ROUND_ROBIN, nil, nil
	}
	c.UpstreamBindConfig = b.fromHere()
	sockets := []*corev3.TransportSocket{c.TransportSocket}
	for _, m := range c.TransportSocketMatches {
		sockets = append(sockets, m.TransportSocket)
	}
	for _, s := range sockets {
		if err := b.upstreamSocket(s, c, requests); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// fromHere lets connections come from the workload's own address.
func (b *staticBuilder) fromHere() *corev3.BindConfig {
	return &corev3.BindConfig{SourceAddress: &corev3.SocketAddress{
		Address: b.Address.String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 0},
	}}
}

// peers keeps the endpoints that run here, with what says whether they speak
// mTLS.
func (b *staticBuilder) peers(original *endpointv3.ClusterLoadAssignment, name string) *endpointv3.ClusterLoadAssignment {
	a := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	for _, group := range original.GetEndpoints() {
		kept := proto.Clone(group).(*endpointv3.LocalityLbEndpoints)
		kept.LbEndpoints = nil
		seen := map[string]bool{} // several pods of a workload are one here
		for _, e := range group.LbEndpoints {
			at, ok := b.peer(e)
			if !ok {
				continue
			}
			moved := proto.Clone(e).(*endpointv3.LbEndpoint)
			moved.GetEndpoint().Address = socketAddress(at.String(), e.GetEndpoint().GetAddress().GetSocketAddress().GetPortValue())
			if key := moved.GetEndpoint().Address.String(); !seen[key] {
				seen[key] = true
				kept.LbEndpoints = append(kept.LbEndpoints, moved)
			}
		}
		if kept.LbEndpoints != nil {
			a.Endpoints = append(a.Endpoints, kept)
		}
	}
	return a
}

// peer is where the workload of an endpoint runs.
func (b *staticBuilder) peer(e *endpointv3.LbEndpoint) (netip.Addr, bool) {
	at, ok := b.Outbound.Pods[e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress()]
	if !ok {
		at, ok = b.Outbound.Peers[endpointWorkload(e)]
	}
	return at, ok
}

// endpointWorkload is NAMESPACE/NAME of an endpoint's workload, which its
// metadata names (EC-120); empty for one outside of the files.
func endpointWorkload(e *endpointv3.LbEndpoint) string {
	const nameAndNamespace = 2
	text := e.GetMetadata().GetFilterMetadata()["istio"].GetFields()["workload"].GetStringValue()
	parts := strings.Split(text, ";")
	if len(parts) < nameAndNamespace {
		return ""
	}
	return parts[1] + "/" + parts[0]
}

// upstreamSocket takes certificates from files. All that a DestinationRule names
// are the workload's own and the mesh's root: no others are here.
func (b *staticBuilder) upstreamSocket(s *corev3.TransportSocket, c *clusterv3.Cluster, requests bool) error {
	return edit(s.GetTypedConfig(), func(m proto.Message) error {
		t, ok := m.(*tlsv3.UpstreamTlsContext)
		if !ok {
			return nil
		}
		common := t.CommonTlsContext
		if len(common.TlsCertificateSdsSecretConfigs) > 0 {
			common.TlsCertificateSdsSecretConfigs = nil
			common.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: fileSource(b.Certificate), PrivateKey: fileSource(b.Key)}}
		}
		if combined := common.GetCombinedValidationContext(); combined != nil {
			wanted := combined.DefaultValidationContext
			if wanted == nil {
				wanted = &tlsv3.CertificateValidationContext{}
			}
			wanted.TrustedCa, wanted.Crl = fileSource(b.Roots), nil
			common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: wanted}
		}
		if requests && slices.Contains(common.AlpnProtocols, "istio") {
			alpn, err := requestProtocols(c)
			common.AlpnProtocols = alpn
			return err
		}
		return nil
	})
}

// requestProtocols are what a client offers for requests of a cluster. Where the
// client's version decides, no protocol is agreed on and the server looks at the
// bytes, so that one list serves both versions (DP-14).
func requestProtocols(c *clusterv3.Cluster) ([]string, error) {
	options := &upstreamv3.HttpProtocolOptions{}
	if packedOptions := c.TypedExtensionProtocolOptions[httpOptions]; packedOptions != nil {
		if err := packedOptions.UnmarshalTo(options); err != nil {
			return nil, err
		}
	}
	switch {
	case options.GetUseDownstreamProtocolConfig() != nil:
		return []string{"istio-http/1.1", "istio-h2", "istio"}, nil
	case options.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil:
		return []string{"istio-h2", "istio", "h2"}, nil
	}
	return []string{"istio-http/1.1", "istio", "http/1.1"}, nil
}
