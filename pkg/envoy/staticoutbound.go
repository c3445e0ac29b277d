package envoy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Outbound is where a sidecar takes what its workload sends. As OwnAddresses its
// listeners are really bound, as istiod's are where nothing is redirected
// (EC-102): requests are told apart by their host, byte streams by the address
// that they go to. What goes to addresses that no listener has cannot be sent.
//
// With ProxyProtocol there is one address, Address with the port of istiod's
// virtual listener, that hands connections to istiod's own listeners by what the
// PROXY line says, or passes them on to where they wanted to go (DP-4, DP-7).
type Outbound struct {
	Form StaticForm // OwnAddresses if empty
	// Address stands for all addresses, that is for listeners that tell requests
	// apart.
	Address netip.Addr
	// Services stand for the addresses of single services and pods, which are
	// those of Config.ListenerAddresses.
	Services map[string]netip.Addr
	// Peers are the addresses of workloads, by NAMESPACE/NAME. Endpoints that are
	// none of theirs are left out.
	Peers map[string]netip.Addr
	// Pods are the addresses of workloads by those of their pods. They go before
	// Peers: two workloads may have one name.
	Pods map[string]netip.Addr
	// Shift moves listeners from ports that only the superuser may take.
	Shift func(port uint32) uint32
}

// redirected tells whether a workload's sidecar takes all that it sends.
func (p *Place) redirected() bool { return p.Outbound != nil && p.Outbound.Form == ProxyProtocol }

// ListenerAddresses are those of single services and pods that the sidecar
// listens on for its workload, sorted.
func (c *Config) ListenerAddresses() []string {
	all := map[string]bool{}
	for _, l := range c.Listeners {
		if at := l.GetAddress().GetSocketAddress(); isOutbound(l) && at.GetAddress() != anyAddress {
			all[at.GetAddress()] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// PodAddresses are those that endpoints have, and the workloads behind them, as
// NAMESPACE/NAME. In the static form each workload has one address.
func (c *Config) PodAddresses() map[string]string {
	all := map[string]string{}
	for _, a := range slices.Concat(c.Endpoints, c.direct) {
		for _, group := range a.Endpoints {
			for _, e := range group.LbEndpoints {
				if workload := endpointWorkload(e); workload != "" {
					all[e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress()] = workload
				}
			}
		}
	}
	return all
}

// ServiceAddress is where the sidecar listens for one port of a service only;
// empty if it has no such listener, which is so where requests are told apart by
// their host. Of a headless one it is the first pod's.
func (c *Config) ServiceAddress(host string, port uint32) string {
	if all := c.serviceAddresses(host, port); len(all) > 0 {
		return all[0]
	}
	return ""
}

// PodAddress is ServiceAddress for a workload, NAMESPACE/NAME, behind a headless
// service; empty if that has no listener for one of its pods.
func (c *Config) PodAddress(host string, port uint32, workload string) string {
	pods := c.PodAddresses()
	for _, address := range c.serviceAddresses(host, port) {
		if pods[address] == workload {
			return address
		}
	}
	return ""
}

func (c *Config) serviceAddresses(host string, port uint32) []string {
	cluster := outboundCluster(port, "", host)
	var all []string
	for _, l := range c.Listeners {
		at := l.GetAddress().GetSocketAddress()
		if isOutbound(l) && at.GetAddress() != anyAddress && at.GetPortValue() == port && leadsTo(l, cluster) {
			all = append(all, at.GetAddress())
		}
	}
	return all
}

func leadsTo(l *listenerv3.Listener, cluster string) bool {
	for _, chain := range append(slices.Clone(l.FilterChains), l.DefaultFilterChain) {
		for _, f := range chain.GetFilters() {
			proxy := &tcpproxyv3.TcpProxy{}
			if f.Name == tcpProxyFilter && f.GetTypedConfig().UnmarshalTo(proxy) == nil && proxy.GetCluster() == cluster {
				return true
			}
		}
	}
	return false
}

// Knows tells whether the sidecar is told of a port of a service: a Sidecar object
// may hide it.
func (c *Config) Knows(host string, port uint32) bool {
	name := outboundCluster(port, "", host)
	return slices.ContainsFunc(c.Clusters, func(cluster *clusterv3.Cluster) bool { return cluster.Name == name })
}

func isOutbound(l *listenerv3.Listener) bool {
	return l.TrafficDirection == corev3.TrafficDirection_OUTBOUND && l.Name != virtualOutbound
}

// outbound gives a listener its address; it is false for one that has no place
// here.
func (b *staticBuilder) outbound(original *listenerv3.Listener) (*listenerv3.Listener, bool, error) {
	at := original.GetAddress().GetSocketAddress()
	l := proto.Clone(original).(*listenerv3.Listener)
	l.Name = b.prefix + l.Name
	l.EnableReusePort = wrapperspb.Bool(false)
	switch {
	case original.Name == virtualOutbound:
		l.Address = socketAddress(b.Outbound.Address.String(), at.GetPortValue())
		l.ListenerFilters = append([]*listenerv3.ListenerFilter{listenerFilter(proxyProtocolFilter, &proxyprotocolv3.ProxyProtocol{}, nil)}, l.ListenerFilters...)
	case b.redirected():
		if address, ok := b.Outbound.Services[at.GetAddress()]; ok {
			l.Address = socketAddress(address.String(), at.GetPortValue())
		}
	default:
		address, ok := b.Outbound.Services[at.GetAddress()]
		if at.GetAddress() == anyAddress {
			address, ok = b.Outbound.Address, true
		}
		if !ok {
			return nil, false, nil
		}
		l.Address, l.BindToPort = socketAddress(address.String(), b.Outbound.Shift(at.GetPortValue())), nil
	}
	b.bound = at.GetAddress()
	return l, true, b.outboundChains(l)
}

// outboundChains leads the filters of a listener to what is here.
func (b *staticBuilder) outboundChains(l *listenerv3.Listener) error {
	if b.AccessLog != "" {
		l.AccessLog = append(l.AccessLog, accessLog(b.AccessLog, b.Config.Workload, ConnectionScope))
	}
	chains := l.FilterChains
	if l.DefaultFilterChain != nil {
		chains = append(chains[:len(chains):len(chains)], l.DefaultFilterChain)
	}
	for _, c := range chains {
		for _, f := range c.Filters {
			if err := edit(f.GetTypedConfig(), b.outboundFilter); err != nil {
				return fmt.Errorf("listener %s: filter %s: %w", l.Name, f.Name, err)
			}
		}
	}
	return nil
}

func (b *staticBuilder) outboundFilter(m proto.Message) error {
	switch f := m.(type) {
	case *hcmv3.HttpConnectionManager:
		return b.outboundManager(f)
	case *tcpproxyv3.TcpProxy:
		for _, w := range f.GetWeightedClusters().GetClusters() {
			w.Name = b.leadOut(w.Name)
		}
		if f.GetCluster() != "" {
			f.ClusterSpecifier = &tcpproxyv3.TcpProxy_Cluster{Cluster: b.leadOut(f.GetCluster())}
		}
	}
	return nil
}

// outboundManager has its routes in it: nobody is there to ask for them.
func (b *staticBuilder) outboundManager(m *hcmv3.HttpConnectionManager) error {
	name := m.GetRds().GetRouteConfigName()
	at := slices.IndexFunc(b.Config.Routes, func(r *routev3.RouteConfiguration) bool { return r.Name == name })
	if at < 0 {
		return fmt.Errorf("the routes %q are not there", name)
	}
	routes := proto.Clone(b.Config.Routes[at]).(*routev3.RouteConfiguration)
	for _, host := range routes.VirtualHosts {
		for _, r := range host.Routes {
			b.route(r)
		}
	}
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes}
	if b.AccessLog != "" {
		m.AccessLog = []*accesslogv3.AccessLog{accessLog(b.AccessLog, b.Config.Workload, ClientScope)}
	}
	return nil
}

// route leads to clusters that speak HTTP.
func (b *staticBuilder) route(r *routev3.Route) {
	action := r.GetRoute()
	if action == nil {
		return
	}
	if action.GetCluster() != "" {
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: b.leadHTTP(action.GetCluster())}
	}
	for _, w := range action.GetWeightedClusters().GetClusters() {
		w.Name = b.leadHTTP(w.Name)
	}
	for _, mirror := range action.RequestMirrorPolicies {
		mirror.Cluster = b.leadHTTP(mirror.Cluster)
	}
}

// leadHTTP is lead for requests. Without Istio's own filter, which chooses the
// protocol of each request, they need clusters of their own (EC-132).
func (b *staticBuilder) leadHTTP(cluster string) string {
	if pod, ok := b.leadPod(cluster, true); ok {
		return pod
	}
	b.requests[cluster] = true
	return b.prefix + cluster + requestSuffix
}

// requestSuffix tells the cluster that requests are sent by from the one for
// byte streams.
const requestSuffix = " (HTTP)"
