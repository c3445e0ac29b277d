package envoy

import (
	"cmp"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	grpcwebv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	httpinspector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	tlsinspector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Names that istiod gives to outbound listeners and their parts (EC-10, EC-11).
const (
	virtualOutbound     = "virtualOutbound"
	outboundBlackHole   = "virtualOutbound-blackhole"
	outboundCatchAll    = "virtualOutbound-catchall-tcp"
	passthroughChain    = "PassthroughFilterChain"
	httpProxyRoutes     = "http_proxy"
	chainConnectTimeout = 15 * time.Second // EC-101
)

// listener renders a listener. A chain that takes all is the last resort, where
// there are others; without one the rest goes where unknown traffic goes.
func (set *listenerSet) listener(m *mergedListener) *listenerv3.Listener {
	name := listenerName(m.bind.address, m.port)
	l := &listenerv3.Listener{
		Name: name, Address: socketAddress(m.bind.address, m.port), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		ContinueOnListenerFiltersTimeout: true,
	}
	if isSocketPath(m.bind.address) {
		l.Address = pipe(m.bind.address)
	}
	if !m.bind.real {
		l.BindToPort = wrapperspb.Bool(false)
	}
	set.inspect(l, m.chains)
	for _, c := range m.chains {
		chain := set.filterChain(c, name)
		if chain.FilterChainMatch == nil {
			l.DefaultFilterChain = chain
		} else {
			l.FilterChains = append(l.FilterChains, chain)
		}
	}
	switch {
	case len(l.FilterChains) == 0:
		l.FilterChains, l.DefaultFilterChain = []*listenerv3.FilterChain{l.DefaultFilterChain}, nil
	case l.DefaultFilterChain == nil:
		l.DefaultFilterChain = &listenerv3.FilterChain{
			Name: passthroughChain, FilterChainMatch: &listenerv3.FilterChainMatch{}, Filters: networkFilters(filter{tcpProxyFilter, set.proxyTo(set.unknown, "", nil)}),
		}
	}
	return l
}

// inspect adds the listener filters that the chains' matches need.
func (set *listenerSet) inspect(l *listenerv3.Listener, chains []*outboundChain) {
	seesNames, seesHTTP := false, false
	for _, c := range chains {
		seesNames, seesHTTP = seesNames || len(c.serverNames) > 0, seesHTTP || c.sniffed
	}
	if seesNames {
		l.ListenerFilters = append(l.ListenerFilters, listenerFilter("envoy.filters.listener.tls_inspector", &tlsinspector.TlsInspector{
			InitialReadBufferSize: wrapperspb.UInt32(inspectorBuffer),
		}, nil))
	}
	l.ListenerFiltersTimeout = durationpb.New(0)
	if seesHTTP {
		l.ListenerFilters = append(l.ListenerFilters, listenerFilter("envoy.filters.listener.http_inspector", &httpinspector.HttpInspector{}, nil))
		l.ListenerFiltersTimeout = cmp.Or(set.snapshot.Config.GetProtocolDetectionTimeout(), l.ListenerFiltersTimeout)
	}
}

func (set *listenerSet) filterChain(c *outboundChain, listener string) *listenerv3.FilterChain {
	chain := &listenerv3.FilterChain{FilterChainMatch: c.match(), TransportSocketConnectTimeout: durationpb.New(chainConnectTimeout)}
	if c.from != nil {
		chain.Metadata = istioMetadata(metadataOf("virtual-service", c.from))
	}
	if c.proxy != nil {
		chain.Filters = networkFilters(filter{tcpProxyFilter, c.proxy})
	} else {
		chain.Filters = networkFilters(filter{connectionManager, set.manager(c, listener)})
	}
	return chain
}

// manager is the HTTP connection manager of a listener; it asks for its routes
// by name (EC-100). Istio's own extensions are left out (EC-140).
func (set *listenerSet) manager(c *outboundChain, listener string) *hcmv3.HttpConnectionManager {
	m := newManager(set.paths)
	m.StatPrefix = statPrefix(listener)
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: adsSource(), RouteConfigName: c.routes}}
	if set.idle > 0 {
		m.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(set.idle)}
	}
	if set.snapshot.Config.GetDefaultConfig().GetProxyHeaders().GetRequestId().GetDisabled().GetValue() {
		m.GenerateRequestId = wrapperspb.Bool(false)
	}
	filters := commonFilters()
	if c.protocol == mesh.GRPCWeb {
		filters = append([]filter{{"envoy.filters.http.grpc_web", &grpcwebv3.GrpcWeb{}}}, filters...)
	}
	m.HttpFilters = httpFilters(filters...)
	return m
}

// httpProxy is the listener of the mesh's HTTP proxy port; nil without one.
func (set *listenerSet) httpProxy() *listenerv3.Listener {
	port := set.snapshot.Config.GetProxyHttpPort()
	if port <= 0 {
		return nil
	}
	name := listenerName(loopback, uint32(port))
	m := set.manager(&outboundChain{routes: httpProxyRoutes}, name)
	m.HttpProtocolOptions = &corev3.Http1ProtocolOptions{AllowAbsoluteUrl: wrapperspb.Bool(true)}
	return &listenerv3.Listener{
		Name: name, Address: socketAddress(loopback, uint32(port)), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		ContinueOnListenerFiltersTimeout: true, ListenerFiltersTimeout: durationpb.New(0),
		FilterChains: []*listenerv3.FilterChain{{
			Filters: networkFilters(filter{connectionManager, m}), TransportSocketConnectTimeout: durationpb.New(chainConnectTimeout),
		}},
	}
}

// virtualListener takes all outbound connections, and hands those over that
// another listener is for (EC-95).
func (set *listenerSet) virtualListener() *listenerv3.Listener {
	port := uint32(set.snapshot.Config.GetProxyListenPort()) //nolint:gosec // a port
	l := &listenerv3.Listener{
		Name: virtualOutbound, Address: socketAddress(anyAddress, port), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		UseOriginalDst: wrapperspb.Bool(true), MaxConnectionsToAcceptPerSocketEvent: wrapperspb.UInt32(1),
		FilterChains: []*listenerv3.FilterChain{
			{
				Name: outboundBlackHole, FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: wrapperspb.UInt32(port)},
				Filters: networkFilters(filter{tcpProxyFilter, tcpProxy(blackHoleCluster)}),
			},
			{Name: outboundCatchAll, Filters: networkFilters(filter{tcpProxyFilter, set.proxyTo(set.unknown, "", nil)})},
		},
	}
	if set.interception == mesh.TransparentWay {
		l.Transparent = wrapperspb.Bool(true)
	}
	return l
}
