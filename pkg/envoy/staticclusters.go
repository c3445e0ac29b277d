package envoy

import (
	"net/netip"
	"strconv"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
)

// cluster leads to a socket on this machine, if one is given for it; it keeps
// its protocol.
func (b *staticBuilder) cluster(original *clusterv3.Cluster) (*clusterv3.Cluster, error) {
	to, ok := b.destination(original.Name)
	if !ok && b.Outbound != nil && strings.HasPrefix(original.Name, "outbound|") {
		return b.upstream(original, false)
	}
	c := proto.Clone(original).(*clusterv3.Cluster)
	c.Name = b.prefix + c.Name
	c.AltStatName = ""
	if ok {
		fix(c, to)
	} else if b.redirected() && original.Name == passthroughCluster {
		c.UpstreamBindConfig = b.fromHere()
	}
	return c, nil
}

// destination is where a cluster of istiod's name leads.
func (b *staticBuilder) destination(cluster string) (netip.AddrPort, bool) {
	if to, ok := b.asked[cluster]; ok {
		return to, to.IsValid()
	}
	port := uint64(0)
	if rest, ok := strings.CutPrefix(cluster, "inbound|"); ok {
		number, _, _ := strings.Cut(rest, "|")
		port, _ = strconv.ParseUint(number, 10, 16) // istiod's own names
	} else if cluster != inboundPassthrough {
		return netip.AddrPort{}, false
	}
	if to, ok := b.Applications[uint32(port)]; ok {
		return to, true
	}
	to, ok := b.Applications[0]
	return to, ok
}

// fix makes a cluster of one endpoint, which is reached in plaintext (DP-6).
func fix(c *clusterv3.Cluster, to netip.AddrPort) {
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LbPolicy, c.LbConfig, c.CleanupInterval, c.UpstreamBindConfig, c.EdsClusterConfig = clusterv3.Cluster_ROUND_ROBIN, nil, nil, nil, nil
	c.TransportSocket, c.TransportSocketMatches = nil, nil
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: c.Name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Address: socketAddress(to.Addr().String(), uint32(to.Port())),
		}}}},
	}}}
}

// socket takes certificates from files; the control plane's agent is not there.
func (b *staticBuilder) socket(s *corev3.TransportSocket) error {
	return edit(s.GetTypedConfig(), func(m proto.Message) error {
		if c, ok := m.(*tlsv3.DownstreamTlsContext); ok {
			b.secrets(c.CommonTlsContext)
		}
		return nil
	})
}

// secrets are the workload's certificate and the mesh's root (EC-90). What else
// is asked of the peer's certificate stays.
func (b *staticBuilder) secrets(c *tlsv3.CommonTlsContext) {
	c.TlsCertificateSdsSecretConfigs = nil
	c.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: fileSource(b.Certificate), PrivateKey: fileSource(b.Key)}}
	context := &tlsv3.CertificateValidationContext{}
	if wanted := c.GetCombinedValidationContext().GetDefaultValidationContext(); wanted != nil {
		context = wanted
	}
	context.TrustedCa = fileSource(b.Roots)
	c.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: context}
}

func fileSource(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}
