package envoy

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// routeSet collects the routes of a client's listeners.
type routeSet struct {
	*outboundSide
	*client
	byPort map[uint32][]*routev3.VirtualHost
}

// routeConfigurations are those of the given names (EC-110).
func (o *outboundSide) routeConfigurations(c *client, names []string) []*routev3.RouteConfiguration {
	set := &routeSet{o, c, map[uint32][]*routev3.VirtualHost{}}
	var all []*routev3.RouteConfiguration
	for _, name := range names {
		all = append(all, set.configuration(name))
	}
	return all
}

const mostDirectBody = 1 << 20 // bytes

// configuration is named by a port, by a host and a port, or by the socket that
// it is for. What is for one host takes all requests; otherwise those to hosts
// that nobody knows go where unknown traffic goes (EC-98, EC-114).
func (set *routeSet) configuration(name string) *routev3.RouteConfiguration {
	c := &routev3.RouteConfiguration{
		Name: name, ValidateClusters: wrapperspb.Bool(false), IgnorePortInHostMatching: true,
		MaxDirectResponseBodySizeBytes: wrapperspb.UInt32(mostDirectBody),
	}
	host, text, single := strings.Cut(name, ":")
	if !single || isSocketPath(name) {
		host, text, single = "", name, false
	}
	number, _ := strconv.ParseUint(text, 10, 32) // 0 is for a socket or the proxy port: all ports
	hosts := set.hosts(uint32(number), name)
	if single {
		c.VirtualHosts = onlyHost(hosts, host)
		return c
	}
	c.VirtualHosts = append(hosts[:len(hosts):len(hosts)], set.catchAll())
	return c
}

// onlyHost is the virtual host of a service, for all requests.
func onlyHost(hosts []*routev3.VirtualHost, host string) []*routev3.VirtualHost {
	for _, h := range hosts {
		if slices.Contains(h.Domains, host) {
			return []*routev3.VirtualHost{{Name: h.Name, Domains: []string{"*"}, Routes: h.Routes, IncludeRequestAttemptCount: h.IncludeRequestAttemptCount}}
		}
	}
	return nil
}

// catchAll is for hosts that nobody knows (EC-114).
func (set *routeSet) catchAll() *routev3.VirtualHost {
	route := &routev3.Route{Name: "allow_any", Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}}
	if set.unknown == blackHoleCluster {
		const badGateway = 502
		route.Name = "block_all"
		route.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: badGateway}}
	} else {
		route.Action = &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: set.unknown}, Timeout: durationpb.New(0),
			MaxGrpcTimeout: durationpb.New(0), // istiod writes the older field
		}}
	}
	return &routev3.VirtualHost{Name: route.Name, Domains: []string{"*"}, Routes: []*routev3.Route{route}, IncludeRequestAttemptCount: set.countsAttempts()}
}

func (set *routeSet) countsAttempts() bool {
	return !set.snapshot.Config.GetDefaultConfig().GetProxyHeaders().GetAttemptCount().GetDisabled().GetValue()
}

// hosts are the virtual hosts of a port, sorted by name.
func (set *routeSet) hosts(port uint32, name string) []*routev3.VirtualHost {
	if known, ok := set.byPort[port]; ok && port != 0 {
		return known
	}
	e := set.listenerOf(port, name)
	if e == nil {
		return nil
	}
	if e.Port != nil && mesh.ParseProtocol(e.Port.Protocol) == mesh.HTTPProxy {
		port = 0
	}
	b := &hostBuilder{routeSet: set, egress: e, port: port, seen: map[string]bool{}, full: map[string]bool{}, names: map[string]bool{}, registry: map[string]*seenService{}}
	hosts := b.build()
	slices.SortFunc(hosts, func(a, b *routev3.VirtualHost) int { return cmp.Compare(a.Name, b.Name) })
	set.byPort[port] = hosts
	return hosts
}

// listenerOf is the egress listener of a port or socket: the first that is for
// it, or for all.
func (set *routeSet) listenerOf(port uint32, name string) *egress {
	for _, e := range set.egress {
		if e.Port == nil || e.Port.Number == port && (port != 0 || e.Bind == name) {
			return e
		}
	}
	return nil
}

// hostBuilder makes the virtual hosts of one listener.
type hostBuilder struct {
	*routeSet
	egress   *egress
	port     uint32 // 0 is all
	registry map[string]*seenService
	names    map[string]bool // of virtual hosts
	seen     map[string]bool // domains, in lower case
	full     map[string]bool // names of services
}

// hostGroup is a set of routes and whom they are for (EC-113).
type hostGroup struct {
	port     uint32
	services []*seenService
	hosts    []string // that are no services
	routes   []*routev3.Route
}

func (b *hostBuilder) build() []*routev3.VirtualHost {
	for _, v := range b.egress.services {
		if b.port == 0 {
			b.registry[v.Hostname] = v
		} else if only := v.only(b.port); only != nil {
			b.registry[v.Hostname] = only
		}
	}
	groups := b.groups()
	for _, g := range groups {
		for _, v := range g.services {
			b.full[v.Hostname], b.full[withPort(v.Hostname, g.port)] = true, true
		}
	}
	var all []*routev3.VirtualHost
	for _, g := range groups {
		for _, host := range g.hosts {
			all = append(all, b.host(host, g, []string{bracketed(host)}, nil)...)
		}
		for _, v := range g.services {
			domains, others := b.domains(v, g.port)
			all = append(all, b.host(v.Hostname, g, domains, others)...)
		}
	}
	return all
}

// groups are those of VirtualServices, then the services that none routes, by
// name.
func (b *hostBuilder) groups() []hostGroup {
	var all []hostGroup
	routed := map[string]bool{}
	for _, r := range b.egress.routes {
		if b.port != httpPort && !slices.ContainsFunc(r.Spec.Hosts, b.knows) {
			continue
		}
		for _, g := range b.routedGroups(r) {
			all = append(all, g)
			for _, v := range g.services {
				routed[v.Hostname] = true
			}
		}
	}
	for _, v := range b.sortedRegistry() {
		if routed[v.Hostname] || v.Resolution == mesh.Alias {
			continue
		}
		for _, p := range v.Ports {
			if takesRequests(p.Protocol) {
				all = append(all, hostGroup{portNumber(p), []*seenService{v}, nil, []*routev3.Route{b.defaultRoute(v, p)}})
			}
		}
	}
	return all
}

func (b *hostBuilder) sortedRegistry() []*seenService {
	all := make([]*seenService, 0, len(b.registry))
	for _, v := range b.registry {
		all = append(all, v)
	}
	slices.SortFunc(all, func(x, y *seenService) int { return cmp.Compare(x.Hostname, y.Hostname) })
	return all
}

// httpPort is where VirtualServices may have hosts that are no services.
const httpPort = 80

// knows tells whether a VirtualService's host is that of some service.
func (b *hostBuilder) knows(host string) bool {
	if b.registry[host] != nil {
		return true
	}
	for known := range b.registry {
		if (mesh.IsWildcard(host) || mesh.IsWildcard(known)) && mesh.HostsMeet(host, known) {
			return true
		}
	}
	return false
}

func takesRequests(p mesh.Protocol) bool {
	return p != mesh.UDP && p.Traffic() != mesh.TCPTraffic
}

// host makes a virtual host unless there is one of its name, or all its domains
// are taken.
func (b *hostBuilder) host(host string, g hostGroup, domains, others []string) []*routev3.VirtualHost {
	name := withPort(host, g.port)
	if b.names[name] {
		return nil
	}
	b.names[name] = true
	var free []string
	for _, d := range domains {
		lower := strings.ToLower(d)
		if b.seen[lower] || b.full[d] && slices.Contains(others, d) {
			continue
		}
		b.seen[lower] = true
		free = append(free, d)
	}
	if b.port == 0 && g.port != httpPort {
		// Where ports are told by the host alone, it must name them.
		free = slices.DeleteFunc(free, func(d string) bool { return !strings.Contains(d, ":") })
	}
	if len(free) == 0 {
		return nil
	}
	return []*routev3.VirtualHost{{Name: name, Domains: free, Routes: g.routes, IncludeRequestAttemptCount: b.countsAttempts()}}
}

// domains are the names of a service, and which of them are not its full one
// (EC-111).
func (b *hostBuilder) domains(v *seenService, port uint32) (domains, others []string) {
	if b.port != 0 {
		port = 0 // ports are left out of hosts
	}
	for _, name := range append([]string{v.Hostname}, v.Aliases...) {
		other := b.otherNames(name, port, b.Namespace)
		domains = append(append(domains, ported(name, port)...), other...)
		others = append(others, other...)
	}
	if v.Headless() {
		for _, d := range slices.Clone(domains) {
			domains = append(domains, "*."+d)
		}
	}
	for _, address := range b.addresses.service(v.Service) {
		if address != anyAddress {
			domains = append(domains, ported(address, port)...)
		}
	}
	return domains, others
}

// otherNames are those of a host beside its full one: with a dot at the end,
// and, for a Service of the cluster, what pods of a namespace may leave out.
func (o *outboundSide) otherNames(host string, port uint32, namespace string) []string {
	var all []string
	add := func(name string) { all = append(all, ported(name, port)...) }
	if !isAddress(host) {
		add(host + ".")
	}
	short, ok := strings.CutSuffix(host, ".svc."+o.snapshot.Domain)
	name, ns, dotted := strings.Cut(short, ".")
	if !ok || !dotted || ns == "" {
		return all
	}
	if ns == namespace {
		add(name)
		add(short + ".svc")
		add(short)
	} else {
		add(short)
		add(short + ".svc")
	}
	return all
}

// ported is a name, and the name with a port if there is one.
func ported(name string, port uint32) []string {
	if port == 0 {
		return []string{bracketed(name)}
	}
	return []string{bracketed(name), withPort(name, port)}
}

func withPort(host string, port uint32) string {
	return net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10))
}

// bracketed is an IPv6 address as a host.
func bracketed(name string) string {
	if a, err := netip.ParseAddr(name); err == nil && a.Is6() {
		return "[" + name + "]"
	}
	return name
}

func traceName(host string, port uint32) string { return fmt.Sprintf("%s:%d/*", host, port) }
