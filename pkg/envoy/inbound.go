package envoy

import (
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshctl/meshctl/pkg/policy"
)

// Names that istiod gives to the parts of the inbound listener (EC-10..EC-12).
const (
	virtualInbound     = "virtualInbound"
	inboundPort        = 15006
	blackHoleCluster   = "BlackHoleCluster"
	inboundPassthrough = "InboundPassthroughCluster" //nolint:gosec // no credential
	catchAllHTTP       = "virtualInbound-catchall-http"
	inboundBlackHole   = "virtualInbound-blackhole"
	tcpProxyFilter     = "envoy.filters.network.tcp_proxy"
)

// inbound renders the listener that takes all that comes in to a workload
// (EC-30..EC-52).
type inbound struct {
	*Generator
	model *policy.Model
	// The filters that carry policy are the same on all chains of a kind.
	http, tcp []filter
	// tls has a context for HTTP chains, and one for byte streams.
	tls map[bool]*corev3.TransportSocket
}

func (g *Generator) newInbound(m *policy.Model) *inbound {
	in := &inbound{Generator: g, model: m, tls: map[bool]*corev3.TransportSocket{true: g.downstreamTLS(m, true), false: g.downstreamTLS(m, false)}}
	in.http, in.tcp = in.policyFilters(&m.HTTP, true), in.policyFilters(&m.TCP, false)
	return in
}

// virtualListener takes all connections that are redirected to the sidecar.
func (in *inbound) virtualListener() *listenerv3.Listener {
	chains := []*listenerv3.FilterChain{in.blackHole()}
	chains = append(chains, in.portChains(in.model.Passthrough)...)
	undeclared, declared := in.ports()
	for _, p := range append(undeclared, declared...) {
		chains = append(chains, in.portChains(p)...)
	}
	port := in.snapshot.Config.GetProxyInboundListenPort()
	return &listenerv3.Listener{
		Name: virtualInbound, Address: socketAddress("0.0.0.0", uint32(port)), FilterChains: chains, //nolint:gosec // a port
		ListenerFilters: in.listenerFilters(), TrafficDirection: corev3.TrafficDirection_INBOUND,
		ListenerFiltersTimeout: in.detectionTimeout(), ContinueOnListenerFiltersTimeout: true,
		MaxConnectionsToAcceptPerSocketEvent: wrapperspb.UInt32(1),
	}
}

// detectionTimeout is how long inspectors wait for bytes; zero is for ever.
func (g *Generator) detectionTimeout() *durationpb.Duration {
	if t := g.snapshot.Config.GetProtocolDetectionTimeout(); t != nil {
		return t
	}
	return durationpb.New(0)
}

// ports are those with chains of their own, in order: those that only a
// portLevelMtls names, then those that a Service declares (EC-31, EC-36).
func (in *inbound) ports() (undeclared, declared []*policy.Port) {
	for _, p := range in.model.Ports {
		if p.Declared == nil {
			undeclared = append(undeclared, p)
		} else {
			declared = append(declared, p)
		}
	}
	byNumber := func(a, b *policy.Port) int { return int(a.Number) - int(b.Number) }
	slices.SortFunc(undeclared, byNumber)
	slices.SortFunc(declared, byNumber)
	return undeclared, declared
}

// blackHole ends connections to the listener's own port, which would come back
// for ever (EC-42).
func (in *inbound) blackHole() *listenerv3.FilterChain {
	return &listenerv3.FilterChain{
		Name: inboundBlackHole, FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: wrapperspb.UInt32(inboundPort)},
		Filters: networkFilters(filter{tcpProxyFilter, tcpProxy(blackHoleCluster)}),
	}
}

// portChains are the chains of a port, or of all ports without any (EC-32).
func (in *inbound) portChains(p *policy.Port) []*listenerv3.FilterChain {
	var all []*listenerv3.FilterChain
	for i := range p.Chains {
		c := &p.Chains[i]
		chain := &listenerv3.FilterChain{Name: chainName(p, c), FilterChainMatch: chainMatch(p, c)}
		if c.Terminates {
			chain.TransportSocket = in.tls[c.HTTP]
		}
		if c.HTTP {
			chain.Filters = networkFilters(filter{connectionManager, in.inboundManager(p)})
		} else {
			chain.Filters = networkFilters(append(slices.Clone(in.tcp), filter{tcpProxyFilter, tcpProxy(inboundCluster(p))})...)
		}
		all = append(all, chain)
	}
	return all
}

// chainName is the same for several chains; their matches tell them apart
// (EC-11).
func chainName(p *policy.Port, c *policy.Chain) string {
	switch {
	case p.Declared != nil:
		return fmt.Sprintf("0.0.0.0_%d", p.Number)
	case c.HTTP:
		return catchAllHTTP
	}
	return virtualInbound
}

func chainMatch(p *policy.Port, c *policy.Chain) *listenerv3.FilterChainMatch {
	m := &listenerv3.FilterChainMatch{TransportProtocol: "raw_buffer", ApplicationProtocols: c.ALPN}
	if c.TLS {
		m.TransportProtocol = "tls"
	}
	if p.Number != 0 {
		m.DestinationPort = wrapperspb.UInt32(p.Number)
	}
	return m
}

// inboundCluster leads to the application (EC-13).
func inboundCluster(p *policy.Port) string {
	if p.Declared == nil {
		return inboundPassthrough
	}
	return fmt.Sprintf("inbound|%d||", p.Number)
}

func tcpProxy(cluster string) *tcpproxyv3.TcpProxy {
	return &tcpproxyv3.TcpProxy{StatPrefix: cluster, ClusterSpecifier: &tcpproxyv3.TcpProxy_Cluster{Cluster: cluster}}
}

// policyFilters are the filters that carry policy, in the order in which they
// run (EC-41, EC-45, EV-1). Byte streams have no tokens.
func (in *inbound) policyFilters(s *policy.Stages, http bool) []filter {
	all := in.customFilters(s.Custom, http)
	if http && in.model.JWT != nil {
		all = append(all, filter{jwtFilter, authentication(in.model.JWT)})
	}
	for _, stage := range []struct {
		*policy.Stage
		action rbacv3.RBAC_Action
	}{{s.Audit, rbacv3.RBAC_LOG}, {s.Deny, rbacv3.RBAC_DENY}, {s.Allow, rbacv3.RBAC_ALLOW}} {
		if rules := stageRules(stage.Stage, stage.action); rules != nil {
			all = append(all, filter{rbacName(http), rules.message(http, rules.shadowPrefix())})
		}
	}
	return all
}

func networkFilters(list ...filter) []*listenerv3.Filter {
	var all []*listenerv3.Filter
	for _, f := range list {
		all = append(all, &listenerv3.Filter{Name: f.name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(f.message)}})
	}
	return all
}

func socketAddress(address string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: address, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}
