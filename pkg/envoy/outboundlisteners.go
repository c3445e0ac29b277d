package envoy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// mergedListener is a listener while services are added to it; several may
// share an address (EC-99).
type mergedListener struct {
	bind   bind
	port   uint32
	kind   listenerKind
	first  mesh.Protocol // of the port that it began with
	chains []*outboundChain
	// closed listeners take no more services: the user named those that it shall
	// have.
	closed bool
	onPod  bool
}

// listenerKind is what a listener takes its traffic for.
type listenerKind int

const (
	httpListener listenerKind = iota
	tcpListener
	sniffingListener
)

// bind is an address, and whether the operating system knows of it; otherwise
// connections are handed over by the virtual listener (EC-95).
type bind struct {
	address string // "" is the service's own
	real    bool
}

// listenerAddress tells listeners apart.
type listenerAddress struct {
	address string
	port    uint32
}

// listenerSet collects the listeners of a client.
type listenerSet struct {
	*outboundSide
	*client
	byAddress map[listenerAddress]*mergedListener
}

// serviceListener is one service on a listener.
type serviceListener struct {
	bind
	port    seenPort // the listener's, which may not be the service's
	service *seenService
	routes  []*mesh.VirtualService
	cidr    string // of the service, where the listener is for all addresses
	onPod   bool
}

// listeners go through the egress listeners in order (EC-95..EC-99).
func (o *outboundSide) listeners(c *client) *listenerSet {
	set := &listenerSet{o, c, map[listenerAddress]*mergedListener{}}
	for _, e := range c.egress {
		b := set.bindOf(e.IstioEgressListener)
		if e.Port != nil {
			set.addNamed(e, b)
			continue
		}
		for _, l := range set.byAddress {
			l.closed = true
		}
		for _, v := range e.services {
			for _, p := range v.Ports {
				set.addService(serviceListener{bind: b, port: p, service: v, routes: e.routes})
			}
		}
	}
	return set
}

// bindOf is where an egress listener is bound; on loopback if it is real and no
// address is named.
func (set *listenerSet) bindOf(l *networking.IstioEgressListener) bind {
	b := bind{l.Bind, set.interception == mesh.NoInterception || l.CaptureMode == networking.CaptureMode_NONE || isSocketPath(l.Bind)}
	if b.address == "" && b.real {
		b.address = loopback
	}
	return b
}

// addNamed adds the listener of a port that the user named, with the services
// that it shall have.
func (set *listenerSet) addNamed(e *egress, b bind) {
	port := seenPort{ServicePort: mesh.ServicePort{
		Name: e.Port.Name, Number: int32(e.Port.Number), Protocol: mesh.ParseProtocol(e.Port.Protocol), //nolint:gosec // a port
	}}
	if set.reserved(b, port) {
		return
	}
	for _, v := range e.services {
		for _, address := range set.bindsFor(b, v, port.Protocol) {
			set.add(address.on(serviceListener{port: port, service: v, routes: e.routes}))
		}
	}
}

// reserved tells whether the sidecar needs a port of all addresses itself.
func (set *listenerSet) reserved(b bind, p seenPort) bool {
	all := b.address == anyAddress || b.address == "" && p.Protocol != mesh.UDP && p.Protocol.Traffic() == mesh.HTTPTraffic
	own := []int32{15021, 15090, set.snapshot.Config.GetProxyListenPort(), set.snapshot.Config.GetProxyInboundListenPort()}
	return all && slices.Contains(own, p.Number)
}

// addService adds a port of a service. A headless one has a listener for each
// endpoint, unless its requests can be told apart by their host (EC-98).
func (set *listenerSet) addService(l serviceListener) {
	if set.reserved(l.bind, l.port) {
		return
	}
	traffic, addresses := l.port.Protocol.Traffic(), set.addresses.service(l.service.Service)
	headless := l.address == "" && l.service.Resolution == mesh.Passthrough && slices.Equal(addresses, []string{anyAddress})
	if headless && l.port.Protocol != mesh.UDP && traffic != mesh.HTTPTraffic {
		endpoints := set.snapshot.Endpoints(l.port.owner, l.port.ServicePort)
		if l.service.Entry == nil || len(endpoints) > 0 || len(l.service.Selector) > 0 {
			for _, e := range endpoints {
				set.addEndpoint(l, e)
			}
			return
		}
	}
	for _, address := range set.bindsFor(l.bind, l.service, l.port.Protocol) {
		set.add(address.on(l))
	}
}

func (set *listenerSet) addEndpoint(l serviceListener, e mesh.Endpoint) {
	for _, address := range set.addresses.endpoint(e) {
		if isAddress(address) {
			l.address, l.onPod = address, true
			set.add(l)
		}
	}
}

// boundAddress is one of the places where a service is listened for.
type boundAddress struct {
	bind
	cidr string
}

func (b boundAddress) on(l serviceListener) serviceListener {
	l.bind, l.cidr = b.bind, b.cidr
	return l
}

// bindsFor are the addresses of a service. Requests come in for all addresses:
// their host tells the service. Ranges do too, and are told by the chain
// (EC-96, EC-97).
func (set *listenerSet) bindsFor(b bind, v *seenService, p mesh.Protocol) []boundAddress {
	switch {
	case b.address != "":
		return []boundAddress{{bind: b}}
	case p.Traffic() == mesh.HTTPTraffic:
		return []boundAddress{{bind: bind{anyAddress, b.real}}}
	}
	var all []boundAddress
	for _, address := range set.addresses.service(v.Service) {
		if strings.Contains(address, "/") {
			all = append(all, boundAddress{bind{anyAddress, b.real}, address})
		} else {
			all = append(all, boundAddress{bind{address, b.real}, ""})
		}
	}
	return all
}

// add puts a service on a listener. Where HTTP meets a byte stream the listener
// looks at the bytes; of equal chains the first stays (EC-99).
func (set *listenerSet) add(l serviceListener) {
	if l.service.Resolution == mesh.Alias || l.port.Protocol == mesh.UDP {
		return
	}
	at := listenerAddress{l.address, portNumber(l.port)}
	current := set.byAddress[at]
	if current != nil && current.closed {
		return
	}
	kind, chains := set.chains(l)
	if l.port.Protocol == mesh.HTTPProxy {
		current = nil
	}
	switch {
	case current == nil, kind == sniffingListener && current.kind == httpListener:
		if kind == httpListener && l.address == anyAddress && l.port.Protocol != mesh.HTTPProxy {
			kind = sniffingListener // what is not HTTP passes through
		}
		if current == nil || !current.speaksFirst(l.port.Protocol) {
			begun := &mergedListener{bind: l.bind, port: at.port, kind: kind, first: l.port.Protocol, onPod: l.onPod}
			begun.merge(chains)
			set.byAddress[at] = begun
		}
	case current.kind != tcpListener && kind != tcpListener, current.speaksFirst(l.port.Protocol):
	default:
		current.merge(chains)
		if kind != current.kind {
			current.kind = sniffingListener
		}
	}
}

// speaksFirst tells whether, on either side of a conflict, the server speaks
// first: bytes cannot be looked at then.
func (m *mergedListener) speaksFirst(p mesh.Protocol) bool {
	first := func(p mesh.Protocol) bool { return p == mesh.Mongo || p == mesh.MySQL }
	return (first(p) || first(m.first)) && p != m.first
}

// merge adds the chains that match something else than those that are there.
func (m *mergedListener) merge(chains []*outboundChain) {
	for _, c := range chains {
		if !slices.ContainsFunc(m.chains, c.sameMatch) {
			m.chains = append(m.chains, c)
		}
	}
}

// addListeners renders the listeners, sorted by name, and the virtual one.
func (o *outboundSide) addListeners(c *client, config *outboundConfig) {
	set := o.listeners(c)
	config.onPods, config.asks = map[string]bool{}, map[string][]string{}
	for _, m := range set.byAddress {
		l := set.listener(m)
		config.listeners = append(config.listeners, l)
		config.onPods[l.Name] = m.onPod
		for _, chain := range m.chains {
			if chain.routes != "" {
				config.asks[l.Name] = append(config.asks[l.Name], chain.routes)
			}
		}
	}
	if proxy := set.httpProxy(); proxy != nil {
		config.listeners = append(config.listeners, proxy)
		config.asks[proxy.Name] = []string{httpProxyRoutes}
	}
	slices.SortFunc(config.listeners, func(a, b *listenerv3.Listener) int { return cmp.Compare(a.Name, b.Name) })
	if c.interception != mesh.NoInterception {
		config.listeners = append(config.listeners, set.virtualListener())
	}
}

func listenerName(address string, port uint32) string {
	if isSocketPath(address) {
		return address
	}
	return fmt.Sprintf("%s_%d", address, port)
}

// routesName is what a listener asks its routes by: its port, or, where bytes
// are looked at, the service and its port (EC-96, EC-98).
func (l *serviceListener) routesName() string {
	switch number := portNumber(l.port); {
	case number == 0:
		return l.address
	case l.port.Protocol.Traffic() == mesh.SniffedTraffic && l.address != anyAddress:
		return l.service.Hostname + ":" + strconv.FormatUint(uint64(number), 10)
	default:
		return strconv.FormatUint(uint64(number), 10)
	}
}

// narrow tells whether an address range leaves something out.
func narrow(cidr string) bool {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return isAddress(cidr) && cidr != anyAddress
	}
	return p.Bits() > 0 || p.Addr().String() != anyAddress
}
