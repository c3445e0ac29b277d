package envoy

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// passthroughCluster takes a connection to where it was going (EC-12).
const passthroughCluster = "PassthroughCluster"

const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// builtCluster is a cluster and, if the control plane lists them, its endpoints.
type builtCluster struct {
	cluster   *clusterv3.Cluster
	endpoints *endpointv3.ClusterLoadAssignment
	direct    *endpointv3.ClusterLoadAssignment // of Config.direct
}

// clusterKey has all that the clusters of a port depend on.
type clusterKey struct {
	service *mesh.Service
	port    int32
	rule    *policy.HostRule
}

// portClusters are the clusters of a port: its own, then one for each subset
// (EC-85). A name that is to be looked up, without any endpoint, has none.
func (o *outboundSide) portClusters(c *client, v *seenService, p seenPort) []builtCluster {
	if p.Protocol == mesh.UDP {
		return nil
	}
	rule := o.policy.Rule(c.Proxy, v.Service)
	return cached(&o.clusters, clusterKey{p.owner, p.Number, rule}, func() []builtCluster {
		var all []builtCluster
		for _, policyCluster := range o.policy.Clusters(c.Proxy, p.owner, p.ServicePort) {
			b, ok := o.cluster(policyCluster)
			if !ok && policyCluster.Subset == "" {
				return nil
			}
			if ok {
				all = append(all, b)
			}
		}
		return all
	})
}

// clusterBuilder holds a cluster with the parts that are packed last.
type clusterBuilder struct {
	*clusterv3.Cluster
	http *upstreamv3.HttpProtocolOptions // nil for none
}

// cluster renders a cluster; false if it has nowhere to lead.
func (o *outboundSide) cluster(c *policy.Cluster) (builtCluster, bool) {
	name := outboundCluster(uint32(c.Port.Number), c.Subset, c.Service.Hostname) //nolint:gosec // a port
	b := &clusterBuilder{Cluster: &clusterv3.Cluster{
		Name: name, AltStatName: name + ";", CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{}},
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: discovery(c)},
	}}
	switch b.GetType() {
	case clusterv3.Cluster_STRICT_DNS, clusterv3.Cluster_LOGICAL_DNS:
		if b.LoadAssignment = o.loadAssignment(c, name); len(b.LoadAssignment.Endpoints) == 0 {
			return builtCluster{}, false
		}
		b.lookUp(o.snapshot.Config.GetDnsRefreshRate())
	case clusterv3.Cluster_ORIGINAL_DST:
		if c.Service.Entry != nil && c.Service.Resolution == mesh.Passthrough && c.Port.Target.IntVal != c.Port.Number {
			b.LbConfig = &clusterv3.Cluster_OriginalDstLbConfig_{OriginalDstLbConfig: &clusterv3.Cluster_OriginalDstLbConfig{
				UpstreamPortOverride: wrapperspb.UInt32(uint32(c.Port.Target.IntVal)), //nolint:gosec // a port
			}}
		}
	}
	b.speak(c.Port.Protocol)
	b.apply(c.Policy, c.Port.Protocol, o.snapshot.Config)
	b.secure(c, o.snapshot.Config)
	b.describe(c)
	built := builtCluster{cluster: b.built()}
	switch b.GetType() {
	case clusterv3.Cluster_ORIGINAL_DST:
		built.direct = o.direct(c, name)
	case clusterv3.Cluster_EDS:
		b.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{ServiceName: name, EdsConfig: adsSource()}
		built.endpoints = o.loadAssignment(c, name)
	}
	return built, true
}

// discovery is how the endpoints of a cluster are found.
func discovery(c *policy.Cluster) clusterv3.Cluster_DiscoveryType {
	switch {
	case c.PassesThrough:
		return clusterv3.Cluster_ORIGINAL_DST
	case c.Service.Resolution == mesh.DNS:
		return clusterv3.Cluster_STRICT_DNS
	case c.Service.Resolution == mesh.DNSRoundRobin:
		return clusterv3.Cluster_LOGICAL_DNS
	}
	return clusterv3.Cluster_EDS
}

// adsSource is the stream on which all resources come.
func adsSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		InitialFetchTimeout:   durationpb.New(0), ResourceApiVersion: corev3.ApiVersion_V3,
	}
}

// lookUp asks a name server for the endpoints.
func (b *clusterBuilder) lookUp(refresh *durationpb.Duration) {
	const mostQueries, jitter = 100, 100 * time.Millisecond
	b.DnsLookupFamily = clusterv3.Cluster_V4_ONLY
	b.DnsRefreshRate, b.DnsJitter, b.RespectDnsTtl = refresh, durationpb.New(jitter), true // and here
	b.TypedDnsResolverConfig = &corev3.TypedExtensionConfig{Name: "envoy.network.dns_resolver.cares", TypedConfig: packed(
		&caresv3.CaresDnsResolverConfig{UdpMaxQueries: wrapperspb.UInt32(mostQueries)})}
}

// speak sets the protocol of requests: HTTP/2 where the port says so, that of
// the client where the port says nothing (EC-91).
func (b *clusterBuilder) speak(p mesh.Protocol) {
	switch p {
	case mesh.HTTP2, mesh.GRPC, mesh.GRPCWeb:
		b.speakHTTP2()
	case mesh.Unsupported:
		b.speakAsClient()
	}
}

func (b *clusterBuilder) options() *upstreamv3.HttpProtocolOptions {
	if b.http == nil {
		b.http = &upstreamv3.HttpProtocolOptions{}
	}
	return b.http
}

func (b *clusterBuilder) speakHTTP2() {
	b.options().UpstreamProtocolOptions = &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}},
		},
	}
}

func (b *clusterBuilder) speakAsClient() { b.options().UpstreamProtocolOptions = asClient() }

func asClient() *upstreamv3.HttpProtocolOptions_UseDownstreamProtocolConfig {
	return &upstreamv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
		UseDownstreamProtocolConfig: &upstreamv3.HttpProtocolOptions_UseDownstreamHttpConfig{
			HttpProtocolOptions: &corev3.Http1ProtocolOptions{}, Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
		},
	}
}

// isHTTP2 tells whether requests go out as HTTP/2 whatever they came in as.
func (b *clusterBuilder) isHTTP2() bool {
	return b.http.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil
}

// built packs the HTTP options, which need some protocol.
func (b *clusterBuilder) built() *clusterv3.Cluster {
	if b.http == nil {
		return b.Cluster
	}
	if b.http.UpstreamProtocolOptions == nil {
		b.http.UpstreamProtocolOptions = &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}},
			},
		}
	}
	b.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptions: packed(b.http)}
	return b.Cluster
}

// describe says which service and DestinationRule a cluster is of.
func (b *clusterBuilder) describe(c *policy.Cluster) {
	fields := map[string]*structpb.Value{"services": serviceList(c.Service)}
	if c.Service.External && c.Subset == "" {
		fields["external"] = structpb.NewBoolValue(true)
	}
	if c.Rule != nil {
		fields["config"] = configPath("destination-rule", c.Rule.Rules[0].Object)
		switch c.Policy.GetTls().GetMode() {
		case networking.ClientTLSSettings_SIMPLE, networking.ClientTLSSettings_MUTUAL:
			fields["alpn_override"] = structpb.NewStringValue("false") // EC-87
		}
	}
	if c.Subset != "" {
		fields["subset"] = structpb.NewStringValue(c.Subset)
	}
	b.Metadata = istioMetadata(fields)
}

func serviceList(services ...*mesh.Service) *structpb.Value {
	list := &structpb.ListValue{}
	for _, v := range services {
		name := v.Name
		if v.Entry != nil {
			name = v.Hostname
		}
		list.Values = append(list.Values, structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
			"host": structpb.NewStringValue(v.Hostname), "name": structpb.NewStringValue(name), "namespace": structpb.NewStringValue(v.Namespace),
		}}))
	}
	return structpb.NewListValue(list)
}

// configPath names the object that a part comes from (EC-113).
func configPath(kind string, o *mesh.Object) *structpb.Value {
	return structpb.NewStringValue("/apis/networking.istio.io/v1/namespaces/" + o.Namespace + "/" + kind + "/" + o.Name)
}

func istioMetadata(fields map[string]*structpb.Value) *corev3.Metadata {
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"istio": {Fields: fields}}}
}

// newFixedClusters makes those that lead nowhere, to where a connection was
// going, and the same for what comes in: there the application is asked from an
// address that the packet filter knows (EC-12, EC-16).
func newFixedClusters(config *meshconfig.MeshConfig) fixedClusters {
	const idle = 5 * time.Minute
	b := &clusterBuilder{Cluster: &clusterv3.Cluster{
		Name: passthroughCluster, AltStatName: passthroughCluster + ";",
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST}, LbPolicy: clusterv3.Cluster_CLUSTER_PROVIDED,
	}}
	b.limit(nil, config)
	b.speakAsClient()
	b.http.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(idle)}
	passthrough := b.built()
	inbound := proto.Clone(passthrough).(*clusterv3.Cluster)
	inbound.Name, inbound.UpstreamBindConfig = inboundPassthrough, passthroughSource()
	return fixedClusters{
		blackHole: &clusterv3.Cluster{
			Name: blackHoleCluster, AltStatName: blackHoleCluster + ";", ConnectTimeout: config.GetConnectTimeout(),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		},
		passthrough: passthrough, inboundPassthrough: inbound,
	}
}

func passthroughSource() *corev3.BindConfig {
	const source = "127.0.0.6"
	return &corev3.BindConfig{SourceAddress: &corev3.SocketAddress{Address: source, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 0}}}
}
