package envoy

import (
	"cmp"
	"maps"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httpinspector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	tlsinspector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// inboundListeners are those that take what comes in: the virtual one, unless
// nothing is intercepted, and those of a Sidecar that are bound for real
// (EC-38, EC-102).
func (g *Generator) inboundListeners(m *policy.Model, a *addresses) []*listenerv3.Listener {
	isBound := func(p *policy.Port) bool {
		return p.Declared != nil && p.Declared.Ingress != nil && g.snapshot.BoundIngress(m.Workload, p.Declared.Ingress)
	}
	in := g.newInbound(m)
	var bound []*listenerv3.Listener
	_, declared := in.ports()
	for _, p := range declared {
		if isBound(p) {
			bound = append(bound, in.boundListener(p, cmp.Or(p.Declared.Ingress.Bind, a.workload(m.Workload), anyAddress)))
		}
	}
	if g.snapshot.Interception(m.Workload) == mesh.NoInterception {
		return bound
	}
	if bound != nil {
		rest := *m
		rest.Ports = maps.Clone(m.Ports)
		maps.DeleteFunc(rest.Ports, func(_ uint32, p *policy.Port) bool { return isBound(p) })
		in.model = &rest
	}
	return append([]*listenerv3.Listener{in.virtualListener()}, bound...)
}

// boundListener is for one port alone: its chains need not ask for it, and it
// knows where connections were going.
func (in *inbound) boundListener(p *policy.Port, address string) *listenerv3.Listener {
	l := &listenerv3.Listener{
		Name: listenerName(address, p.Number), Address: socketAddress(address, p.Number), TrafficDirection: corev3.TrafficDirection_INBOUND,
		ContinueOnListenerFiltersTimeout: true, ListenerFiltersTimeout: in.detectionTimeout(), FilterChains: in.portChains(p),
	}
	for _, c := range l.FilterChains {
		c.Name, c.FilterChainMatch.DestinationPort = l.Name, nil
	}
	if p.SeesTLS {
		l.ListenerFilters = append(l.ListenerFilters, listenerFilter("envoy.filters.listener.tls_inspector", &tlsinspector.TlsInspector{
			InitialReadBufferSize: wrapperspb.UInt32(inspectorBuffer),
		}, nil))
	}
	if p.SeesHTTP {
		l.ListenerFilters = append(l.ListenerFilters, listenerFilter("envoy.filters.listener.http_inspector", &httpinspector.HttpInspector{}, nil))
	}
	return l
}
