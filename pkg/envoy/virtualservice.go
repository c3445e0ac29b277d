package envoy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// routedGroups are the routes of a VirtualService, for each port of the
// services that it is for. Its hosts that are no services go along; alone they
// are routed on port 80 only (EC-113).
func (b *hostBuilder) routedGroups(r *mesh.VirtualService) []hostGroup {
	routes := b.routes(r)
	if len(routes) == 0 {
		return nil
	}
	hosts, services := b.split(r)
	byPort := map[uint32][]*seenService{}
	for _, v := range services {
		for _, p := range v.Ports {
			if takesRequests(p.Protocol) {
				byPort[portNumber(p)] = append(byPort[portNumber(p)], v)
			}
		}
	}
	if len(byPort) == 0 && b.port == httpPort {
		byPort[httpPort] = nil
	}
	var all []hostGroup
	for _, port := range slices.Sorted(maps.Keys(byPort)) {
		all = append(all, hostGroup{port, byPort[port], hosts, routes})
	}
	return all
}

// split tells the hosts of a VirtualService that are services from others. A
// wildcard is for the services that no other fits better.
func (b *hostBuilder) split(r *mesh.VirtualService) (hosts []string, services []*seenService) {
	var wildcards []string
	for _, host := range r.Spec.Hosts {
		switch v := b.registry[host]; {
		case mesh.IsWildcard(host):
			wildcards = append(wildcards, host)
		case v != nil:
			services = append(services, v)
		default:
			hosts = append(hosts, host)
		}
	}
	for _, host := range wildcards {
		fits := false
		for _, v := range b.sortedRegistry() {
			if !mesh.HostsMeet(host, v.Hostname) {
				continue
			}
			fits = true
			if b.egress.specific[v.Hostname] == r {
				services = append(services, v)
			}
		}
		if !fits {
			hosts = append(hosts, host)
		}
	}
	return hosts, services
}

// routes are those of a VirtualService that may ever be taken by this client on
// this port. What comes after one that takes all is left out (EC-113).
func (b *hostBuilder) routes(r *mesh.VirtualService) []*routev3.Route {
	var all []*routev3.Route
	for _, h := range r.Spec.Http {
		if len(h.Match) == 0 {
			return append(all, b.route(r, h, nil))
		}
		for _, m := range h.Match {
			if !b.applies(m) {
				continue
			}
			route := b.route(r, h, m)
			all = append(all, route)
			if takesAllRequests(route.Match) {
				return all
			}
		}
	}
	return all
}

// applies tells whether the conditions of a match that do not depend on the
// request hold. One that names gateways looks at nothing else.
func (b *hostBuilder) applies(m *networking.HTTPMatchRequest) bool {
	if m.Port != 0 && m.Port != b.port {
		return false
	}
	if len(m.Gateways) > 0 {
		return slices.Contains(m.Gateways, mesh.MeshGateway)
	}
	return mesh.Selects(m.SourceLabels, b.Labels) && (m.SourceNamespace == "" || m.SourceNamespace == b.Namespace)
}

func takesAllRequests(m *routev3.RouteMatch) bool {
	return (m.GetPrefix() == "/" || m.GetSafeRegex().GetRegex() == ".*") &&
		len(m.Headers) == 0 && len(m.QueryParameters) == 0 && len(m.DynamicMetadata) == 0
}

// route renders a route under one of its conditions; nil is none.
func (b *hostBuilder) route(r *mesh.VirtualService, h *networking.HTTPRoute, m *networking.HTTPMatchRequest) *routev3.Route {
	route := &routev3.Route{Name: h.Name, Match: routeMatch(m), Metadata: istioMetadata(metadataOf("virtual-service", r.Object))}
	if m.GetName() != "" {
		route.Name += "." + m.Name
	}
	route.StatPrefix = m.GetStatPrefix()
	changes := headerChanges(h.Headers)
	route.RequestHeadersToAdd, route.RequestHeadersToRemove = changes.addToRequest, changes.takeFromRequest
	route.ResponseHeadersToAdd, route.ResponseHeadersToRemove = changes.addToResponse, changes.takeFromResponse
	switch {
	case h.Redirect != nil:
		route.Action = redirect(h.Redirect, b.port)
	case h.DirectResponse != nil:
		route.Action = directResponse(h.DirectResponse)
	default:
		b.forward(route, h, changes.authority)
	}
	route.Decorator = &routev3.Decorator{Operation: operation(route, r.Name, b.port)}
	for name, config := range map[string]proto.Message{faultFilter: fault(h.Fault), corsFilter: crossOrigin(h.CorsPolicy)} {
		if config.ProtoReflect().IsValid() {
			if route.TypedPerFilterConfig == nil {
				route.TypedPerFilterConfig = newConfigs()
			}
			route.TypedPerFilterConfig[name] = packed(config)
		}
	}
	return route
}

// operation names a route in traces: its destination, if it has one, and path.
func operation(r *routev3.Route, name string, port uint32) string {
	path := "/*"
	switch p := r.Match.PathSpecifier.(type) {
	case *routev3.RouteMatch_Prefix:
		path = p.Prefix + "*"
	case *routev3.RouteMatch_Path:
		path = p.Path
	case *routev3.RouteMatch_SafeRegex:
		path = p.SafeRegex.GetRegex()
	}
	if host, number, ok := hostOf(r.GetRoute().GetCluster()); ok {
		name, port = host, number
	}
	return fmt.Sprintf("%s:%d%s", name, port, path)
}

// defaultRoute leads to a service that no VirtualService routes (EC-112). It is
// the same for all clients that follow the same rule.
func (b *hostBuilder) defaultRoute(v *seenService, p seenPort) *routev3.Route {
	rule := b.rule(b.outboundSide, v)
	return cached(&b.defaultRoutes, clusterKey{v.Service, p.Number, rule}, func() *routev3.Route {
		action := b.action(nil)
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: outboundCluster(portNumber(p), "", v.Hostname)}
		action.RetryPolicy = retries(b.snapshot.Config.GetDefaultHttpRetryPolicy(), false)
		if rule != nil {
			hash := rule.Policy.GetLoadBalancer().GetConsistentHash()
			if own := portHash(rule.Policy, portNumber(p)); own != nil {
				hash = own
			}
			if policy := hashPolicy(hash); policy != nil {
				action.HashPolicy = []*routev3.RouteAction_HashPolicy{policy}
			}
		}
		return &routev3.Route{
			Name: "default", Match: routeMatch(nil), Action: &routev3.Route_Route{Route: action},
			Decorator: &routev3.Decorator{Operation: traceName(v.Hostname, portNumber(p))},
		}
	})
}

// portHash is the hash of a policy's own settings for a port.
func portHash(p *networking.TrafficPolicy, port uint32) *networking.LoadBalancerSettings_ConsistentHashLB {
	for _, s := range p.GetPortLevelSettings() {
		if s.GetPort().GetNumber() == port {
			return s.GetLoadBalancer().GetConsistentHash()
		}
	}
	return nil
}

// destinationHash is by what requests to a destination are balanced: what its
// subset says for the port, or at all, before what the host does.
func (b *hostBuilder) destinationHash(d *networking.Destination) *networking.LoadBalancerSettings_ConsistentHashLB {
	rule := b.rule(b.outboundSide, b.byHost[d.GetHost()])
	if rule == nil {
		return nil
	}
	own := rule.Subset(d.GetSubset()).GetTrafficPolicy()
	var subsetPort, hostPort *networking.LoadBalancerSettings_ConsistentHashLB
	if d.GetPort() != nil {
		subsetPort, hostPort = portHash(own, d.Port.Number), portHash(rule.Policy, d.Port.Number)
	}
	return cmp.Or(subsetPort, own.GetLoadBalancer().GetConsistentHash(), hostPort, rule.Policy.GetLoadBalancer().GetConsistentHash())
}
