package envoy

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// outboundChain is a filter chain of an outbound listener: what it takes, and
// either the routes of its requests or the proxy of its bytes.
type outboundChain struct {
	serverNames []string
	ranges      []string // of addresses
	sniffed     bool     // takes plain HTTP only
	routes      string
	protocol    mesh.Protocol
	proxy       *tcpproxyv3.TcpProxy
	from        *mesh.Object // the VirtualService that made it; nil for none
}

// takesAll tells a chain that any connection fits.
func (c *outboundChain) takesAll() bool {
	return (len(c.serverNames) == 0 || slices.Contains(c.serverNames, "*")) && len(c.ranges) == 0 && !c.sniffed
}

// sameMatch compares what two chains take.
func (c *outboundChain) sameMatch(other *outboundChain) bool {
	return c.sniffed == other.sniffed && slices.Equal(nameSet(c.serverNames), nameSet(other.serverNames)) &&
		slices.Equal(rangeSet(c.ranges), rangeSet(other.ranges))
}

func nameSet(names []string) []string {
	sorted := slices.Sorted(slices.Values(names))
	return slices.DeleteFunc(slices.Compact(sorted), func(n string) bool { return n == "*" })
}

func rangeSet(ranges []string) []string {
	var all []string
	for _, r := range ranges {
		if p, ok := parseRange(r); ok && narrow(r) {
			all = append(all, p.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// parseRange reads an address or a range of them.
func parseRange(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// chains are those that a service brings to a listener, and what the listener
// is then for (EC-96..EC-98).
func (set *listenerSet) chains(l serviceListener) (listenerKind, []*outboundChain) {
	http := &outboundChain{routes: l.routesName(), protocol: l.port.Protocol}
	switch {
	case l.port.Protocol == mesh.HTTPProxy:
		return httpListener, []*outboundChain{http}
	case l.port.Protocol.Traffic() == mesh.HTTPTraffic:
		http.sniffed = l.address == anyAddress
		return httpListener, []*outboundChain{http}
	case l.port.Protocol.Traffic() == mesh.TCPTraffic:
		return tcpListener, set.byteChains(l)
	}
	http.sniffed = true
	return sniffingListener, append(set.byteChains(l), http)
}

// byteChains are those that look at no requests.
func (set *listenerSet) byteChains(l serviceListener) []*outboundChain {
	var routes []*mesh.VirtualService
	for _, r := range l.routes {
		if slices.ContainsFunc(r.Spec.Hosts, func(h string) bool { return mesh.HostsMeet(h, l.service.Hostname) }) {
			routes = append(routes, r)
		}
	}
	var ranges []string
	if l.cidr != "" {
		ranges = []string{l.cidr}
	}
	if p := l.port.Protocol; p == mesh.TLS || p == mesh.HTTPS {
		return set.tlsChains(l, routes, ranges)
	}
	return set.tcpChains(l, routes, ranges)
}

// applies tells whether a condition that does not depend on the connection
// holds for this client and listener.
func (set *listenerSet) applies(gateways []string, labels map[string]string, port uint32, namespace string, l serviceListener) bool {
	return (len(gateways) == 0 || slices.Contains(gateways, mesh.MeshGateway)) && mesh.Selects(labels, set.Labels) &&
		(port == 0 || port == portNumber(l.port)) && (namespace == "" || namespace == set.Namespace)
}

// tlsChains are told by server names: those of VirtualServices, else the host
// where its address does not tell it (EC-97).
func (set *listenerSet) tlsChains(l serviceListener, routes []*mesh.VirtualService, ranges []string) []*outboundChain {
	var all []*outboundChain
	handled := map[string]bool{}
	for _, r := range routes {
		for _, t := range r.Spec.Tls {
			for _, m := range t.Match {
				if !set.applies(m.Gateways, m.SourceLabels, m.Port, m.SourceNamespace, l) || len(t.Route) == 0 {
					continue
				}
				if len(m.DestinationSubnets) > 0 && l.port.Number > 0 {
					ranges = m.DestinationSubnets
				}
				if key := strings.Join(m.SniHosts, ",") + "|" + strings.Join(m.DestinationSubnets, ","); !handled[key] {
					handled[key] = true
					all = append(all, &outboundChain{serverNames: m.SniHosts, ranges: ranges, proxy: set.routed(t.Route, l, r.Object), from: r.Object})
				}
			}
		}
	}
	if all != nil {
		return all
	}
	c := &outboundChain{ranges: ranges, proxy: set.direct(l)}
	if len(ranges) > 0 || l.address == anyAddress && slices.Contains(set.addresses.service(l.service.Service), anyAddress) {
		c.serverNames = []string{l.service.Hostname}
		for _, alias := range l.service.Aliases {
			c.serverNames = append(append(c.serverNames, alias), set.otherNames(alias, 0, set.Namespace)...)
		}
	}
	return []*outboundChain{c}
}

// tcpChains are told by addresses at most. The first route without a condition
// on them ends the list.
func (set *listenerSet) tcpChains(l serviceListener, routes []*mesh.VirtualService, ranges []string) []*outboundChain {
	var all []*outboundChain
	for _, r := range routes {
		for _, t := range r.Spec.Tcp {
			if len(t.Route) == 0 {
				continue
			}
			ends := len(t.Match) == 0
			var subnets []string
			for _, m := range t.Match {
				if !set.applies(m.Gateways, m.SourceLabels, m.Port, m.SourceNamespace, l) {
					continue
				}
				if ends = len(m.DestinationSubnets) == 0 || l.port.Number == 0; ends {
					break
				}
				subnets = append(subnets, m.DestinationSubnets...)
			}
			if ends {
				return append(all, &outboundChain{ranges: ranges, proxy: set.routed(t.Route, l, r.Object), from: r.Object})
			}
			if len(subnets) == 0 {
				continue
			}
			all = append(all, &outboundChain{ranges: subnets, proxy: set.routed(t.Route, l, r.Object)})
			if slices.Equal(slices.Sorted(slices.Values(subnets)), slices.Sorted(slices.Values(ranges))) {
				return all
			}
		}
	}
	return append(all, &outboundChain{ranges: ranges, proxy: set.direct(l)})
}

// direct leads to the service itself: on a listener of the user's own to its
// only port, whatever its number.
func (set *listenerSet) direct(l serviceListener) *tcpproxyv3.TcpProxy {
	port := portNumber(l.port)
	if len(l.service.Ports) == 1 {
		port = portNumber(l.service.Ports[0])
	}
	return set.proxyTo(outboundCluster(port, "", l.service.Hostname), "", set.rule(set.outboundSide, l.service))
}

// rule is the DestinationRule that a client follows for a service; nil for
// none.
func (c *client) rule(o *outboundSide, v *seenService) *policy.HostRule {
	if v == nil {
		return nil
	}
	return o.policy.Rule(c.Proxy, v.Service)
}

// routed leads to where a route says.
func (set *listenerSet) routed(routes []*networking.RouteDestination, l serviceListener, from *mesh.Object) *tcpproxyv3.TcpProxy {
	to := routes[0].GetDestination()
	rule := set.rule(set.outboundSide, set.byHost[to.GetHost()])
	if len(routes) == 1 {
		return set.proxyTo(destinationCluster(to, set.byHost[to.GetHost()], portNumber(l.port)), to.GetSubset(), rule)
	}
	weighted := &tcpproxyv3.TcpProxy_WeightedCluster{}
	for _, r := range routes {
		if r.Weight > 0 {
			weighted.Clusters = append(weighted.Clusters, &tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight{
				Name: destinationCluster(r.Destination, set.byHost[r.GetDestination().GetHost()], portNumber(l.port)), Weight: uint32(r.Weight),
			})
		}
	}
	if len(weighted.Clusters) == 0 {
		return set.proxyTo(blackHoleCluster, "", nil)
	}
	proxy := set.proxyTo(from.Name+"."+from.Namespace, "", rule)
	proxy.ClusterSpecifier = &tcpproxyv3.TcpProxy_WeightedClusters{WeightedClusters: weighted}
	return proxy
}

// proxyTo passes bytes to a cluster as a DestinationRule says.
func (set *listenerSet) proxyTo(cluster, subset string, rule *policy.HostRule) *tcpproxyv3.TcpProxy {
	proxy := tcpProxy(cluster)
	if set.idle > 0 {
		proxy.IdleTimeout = durationpb.New(set.idle)
	}
	if rule == nil {
		return proxy
	}
	tcp := rule.Policy.GetConnectionPool().GetTcp()
	if tcp.GetIdleTimeout() != nil {
		proxy.IdleTimeout = tcp.GetIdleTimeout()
	}
	proxy.MaxDownstreamConnectionDuration = tcp.GetMaxConnectionDuration()
	own := rule.Subset(subset).GetTrafficPolicy()
	lb := rule.Policy.GetLoadBalancer()
	if own.GetLoadBalancer() != nil {
		lb = own.GetLoadBalancer()
	}
	if lb.GetConsistentHash().GetUseSourceIp() {
		proxy.HashPolicy = []*typev3.HashPolicy{{PolicySpecifier: &typev3.HashPolicy_SourceIp_{SourceIp: &typev3.HashPolicy_SourceIp{}}}}
	}
	if t := cmp.Or(own.GetTunnel(), rule.Policy.GetTunnel()); t != nil {
		proxy.TunnelingConfig = &tcpproxyv3.TcpProxy_TunnelingConfig{
			Hostname: net.JoinHostPort(t.TargetHost, strconv.FormatUint(uint64(t.TargetPort), 10)), UsePost: t.Protocol == "POST",
		}
	}
	return proxy
}

// match renders what a chain takes; nil is all.
func (c *outboundChain) match() *listenerv3.FilterChainMatch {
	if c.takesAll() {
		return nil
	}
	m := &listenerv3.FilterChainMatch{}
	if c.sniffed {
		m.TransportProtocol, m.ApplicationProtocols = "raw_buffer", []string{"http/1.1", "h2c"}
	}
	if !slices.Contains(c.serverNames, "*") {
		m.ServerNames = slices.Sorted(slices.Values(c.serverNames))
	}
	for _, r := range slices.Sorted(slices.Values(c.ranges)) {
		if p, ok := parseRange(r); ok && narrow(r) {
			m.PrefixRanges = append(m.PrefixRanges, cidr(p))
		}
	}
	return m
}

// metadataOf names the VirtualService that made a part.
func metadataOf(kind string, o *mesh.Object) map[string]*structpb.Value {
	return map[string]*structpb.Value{"config": configPath(kind, o)}
}

func statPrefix(listener string) string { return fmt.Sprintf("outbound_%s;", listener) }
