package envoy

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httpinspector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	originaldst "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	originalsrc "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_src/v3"
	tlsinspector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshctl/meshctl/pkg/policy"
)

// tproxyMark is set on connections that the proxy makes (EC-10).
const tproxyMark = 1337

// inspectorBuffer is how many bytes the TLS inspector reads at first (EC-35).
const inspectorBuffer = 512

// listenerFilters find out where a connection was going to and what it speaks
// (EC-35).
func (in *inbound) listenerFilters() []*listenerv3.ListenerFilter {
	filters := []*listenerv3.ListenerFilter{listenerFilter("envoy.filters.listener.original_dst", &originaldst.OriginalDst{}, nil)}
	if in.model.Workload.PodAnnotations["sidecar.istio.io/interceptionMode"] == "TPROXY" {
		filters = append(filters, listenerFilter("envoy.filters.listener.original_src", &originalsrc.OriginalSrc{Mark: tproxyMark}, nil))
	}
	seesTLS := func(p *policy.Port) bool { return p.SeesTLS }
	if disabled, needed := in.disabled(seesTLS); needed {
		filters = append(filters, listenerFilter("envoy.filters.listener.tls_inspector", &tlsinspector.TlsInspector{
			InitialReadBufferSize: wrapperspb.UInt32(inspectorBuffer),
		}, disabled))
	}
	seesHTTP := func(p *policy.Port) bool { return p.SeesHTTP }
	if disabled, needed := in.disabled(seesHTTP); needed {
		filters = append(filters, listenerFilter("envoy.filters.listener.http_inspector", &httpinspector.HttpInspector{}, disabled))
	}
	return filters
}

func listenerFilter(name string, config proto.Message, disabled *listenerv3.ListenerFilterChainMatchPredicate) *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name: name, FilterDisabled: disabled, ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed(config)},
	}
}

// disabled are the ports on which an inspector does not run; it is needed if it
// runs on some. Where the ports without chains of their own do not need it, it
// runs only on those that do.
func (in *inbound) disabled(sees func(*policy.Port) bool) (predicate *listenerv3.ListenerFilterChainMatchPredicate, needed bool) {
	off, on := []uint32{inboundPort}, []uint32{}
	undeclared, declared := in.ports()
	for _, p := range append(undeclared, declared...) {
		if sees(p) {
			on = append(on, p.Number)
		} else {
			off = append(off, p.Number)
		}
	}
	if sees(in.model.Passthrough) {
		return portPredicate(off), true
	}
	if len(on) == 0 {
		return nil, false
	}
	return &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_NotMatch{NotMatch: portPredicate(on)}}, true
}

// portPredicate matches any of some ports, in order.
func portPredicate(ports []uint32) *listenerv3.ListenerFilterChainMatchPredicate {
	sorted := sortedPorts(ports)
	var all []*listenerv3.ListenerFilterChainMatchPredicate
	for _, p := range sorted {
		all = append(all, &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange{
			DestinationPortRange: &typev3.Int32Range{Start: int32(p), End: int32(p) + 1}, //nolint:gosec // ports
		}})
	}
	if len(all) == 1 {
		return all[0]
	}
	return &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_OrMatch{
		OrMatch: &listenerv3.ListenerFilterChainMatchPredicate_MatchSet{Rules: all},
	}}
}
