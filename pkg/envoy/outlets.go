package envoy

import (
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
)

// Outlet is a listener for what a workload sends (EC-95).
type Outlet struct {
	// Address is that of a service or pod, as istiod knows it; empty for a listener
	// that takes what goes to any.
	Address string
	Port    uint32
	// Service is the host of the service that it is for; empty for one that tells
	// services apart by the host of a request, or the server name of TLS.
	Service string
}

// Outlets are the listeners for what the workload sends, in the order of their
// names.
func (c *Config) Outlets() []Outlet {
	var all []Outlet
	for _, l := range c.Listeners {
		at := l.GetAddress().GetSocketAddress()
		if !isOutbound(l) || at == nil {
			continue
		}
		o := Outlet{Port: at.GetPortValue()}
		if at.GetAddress() != anyAddress {
			o.Address = at.GetAddress()
		}
		if o.Address != "" || !tellsApart(l) {
			o.Service = serviceOf(l)
		}
		all = append(all, o)
	}
	return all
}

// tellsApart tells whether a listener has chains for some connections only.
func tellsApart(l *listenerv3.Listener) bool {
	return slices.ContainsFunc(l.FilterChains, func(c *listenerv3.FilterChain) bool { return c.FilterChainMatch != nil })
}

// serviceOf is the host of the service that a listener passes byte streams to.
func serviceOf(l *listenerv3.Listener) string {
	for _, chain := range append(slices.Clone(l.FilterChains), l.DefaultFilterChain) {
		for _, f := range chain.GetFilters() {
			proxy := &tcpproxyv3.TcpProxy{}
			if f.Name != tcpProxyFilter || f.GetTypedConfig().UnmarshalTo(proxy) != nil {
				continue
			}
			const parts = 4 // outbound|PORT|SUBSET|HOST
			if name := strings.SplitN(proxy.GetCluster(), "|", parts); len(name) == parts && name[0] == "outbound" {
				return name[parts-1]
			}
		}
	}
	return ""
}
