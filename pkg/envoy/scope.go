package envoy

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// scope is what the sidecars of a namespace see that one Sidecar, or none,
// shapes (EC-2, EC-3).
type scope struct {
	namespace string
	sidecar   *mesh.Sidecar // nil sees all that is exported to the namespace
	egress    []*egress
	services  []*seenService // of all egress listeners
	byHost    map[string]*seenService
	// unknown is the cluster that traffic to unknown destinations takes.
	unknown string
}

// egress is one listener of a Sidecar's egress side, and what it sees.
type egress struct {
	*networking.IstioEgressListener
	services []*seenService
	routes   []*mesh.VirtualService
	// specific is the VirtualService whose host fits a service's best.
	specific map[string]*mesh.VirtualService
}

// seenService is a service with those of its ports that are seen.
type seenService struct {
	*mesh.Service
	Ports   []seenPort
	Aliases []string // host names of ExternalName Services that stand for it
}

// seenPort may come from another object that has the same host name.
type seenPort struct {
	mesh.ServicePort
	owner *mesh.Service
}

// port finds a port that is seen.
func (v *seenService) port(number uint32) (seenPort, bool) {
	i := slices.IndexFunc(v.Ports, func(p seenPort) bool { return portNumber(p) == number })
	if i < 0 {
		return seenPort{}, false
	}
	return v.Ports[i], true
}

func portNumber(p seenPort) uint32 { return uint32(p.Number) } //nolint:gosec // a port

// only is the service with one port; nil if it does not have it.
func (v *seenService) only(number uint32) *seenService {
	p, ok := v.port(number)
	if !ok {
		return nil
	}
	return &seenService{v.Service, []seenPort{p}, v.Aliases}
}

// newScope collects what is seen from a namespace through a Sidecar.
func (o *outboundSide) newScope(namespace string, sidecar *mesh.Sidecar) *scope {
	sc := &scope{namespace: namespace, sidecar: sidecar, byHost: map[string]*seenService{}, unknown: o.unknownCluster(sidecar)}
	listeners := []*networking.IstioEgressListener{{Hosts: []string{"*/*"}}}
	if sidecar != nil && len(sidecar.Spec.Egress) > 0 {
		listeners = sidecar.Spec.Egress
	}
	visible, routes := o.seenBy(namespace), o.routes.For(namespace)
	for _, l := range listeners {
		sc.egress = append(sc.egress, newEgress(l, namespace, visible, routes))
	}
	at := map[string]int{}
	for _, e := range sc.egress {
		for _, v := range e.services {
			sc.add(at, v)
		}
		for _, r := range e.routes {
			o.addDestinations(sc, at, e, r)
		}
	}
	for _, v := range sc.services {
		sc.byHost[v.Hostname] = v
	}
	return sc
}

// unknownCluster is where traffic to unknown destinations goes (EC-95, EC-114).
func (o *outboundSide) unknownCluster(sidecar *mesh.Sidecar) string {
	mode := networking.OutboundTrafficPolicy_Mode(o.snapshot.Config.GetOutboundTrafficPolicy().GetMode())
	var proxy *networking.Destination
	if own := sidecarPolicy(sidecar); own != nil {
		mode, proxy = own.Mode, own.EgressProxy
	}
	switch {
	case mode != networking.OutboundTrafficPolicy_ALLOW_ANY:
		return blackHoleCluster
	case proxy != nil:
		return destinationCluster(proxy, nil, 0)
	}
	return passthroughCluster
}

func sidecarPolicy(sidecar *mesh.Sidecar) *networking.OutboundTrafficPolicy {
	if sidecar == nil {
		return nil
	}
	return sidecar.Spec.OutboundTrafficPolicy
}

// seenBy are the services that are exported to a namespace, whole.
func (o *outboundSide) seenBy(namespace string) []*seenService {
	var all []*seenService
	byHost := map[string][]*seenService{}
	for _, v := range o.snapshot.ServicesFor(namespace) {
		seen := whole(v)
		all = append(all, seen)
		byHost[v.Hostname] = append(byHost[v.Hostname], seen)
	}
	for _, v := range all {
		if v.Resolution == mesh.Alias {
			for _, target := range byHost[v.AliasOf] {
				target.Aliases = append(target.Aliases, v.Hostname)
			}
		}
	}
	return all
}

func whole(v *mesh.Service) *seenService {
	seen := &seenService{Service: v, Ports: make([]seenPort, len(v.Ports))}
	for i, p := range v.Ports {
		seen.Ports[i] = seenPort{p, v}
	}
	return seen
}

// imports are the hosts of an egress listener, by namespace.
type imports map[string]*importedHosts

type importedHosts struct {
	exact     map[string]bool
	wildcards []string
}

func readImports(hosts []string, namespace string) imports {
	all := imports{}
	for _, h := range hosts {
		ns, host, ok := strings.Cut(h, "/")
		if !ok {
			continue
		}
		if ns == "." {
			ns = namespace
		}
		if all[ns] == nil {
			all[ns] = &importedHosts{exact: map[string]bool{}}
		}
		if mesh.IsWildcard(host) {
			all[ns].wildcards = append(all[ns].wildcards, host)
		} else {
			all[ns].exact[host] = true
		}
	}
	return all
}

// covers tells whether a service's host is imported.
func (h *importedHosts) covers(host string) bool {
	return h.exact[host] || slices.ContainsFunc(h.wildcards, func(cover string) bool { return mesh.HostCovers(cover, host) })
}

// meets tells whether some host of a VirtualService's is imported.
func (h *importedHosts) meets(host string) bool {
	if h.exact[host] || slices.ContainsFunc(h.wildcards, func(other string) bool { return mesh.HostsMeet(other, host) }) {
		return true
	}
	if !mesh.IsWildcard(host) {
		return false
	}
	for exact := range h.exact {
		if mesh.HostCovers(host, exact) {
			return true
		}
	}
	return false
}

// of are the imports that hold for objects of a namespace.
func (i imports) of(namespace string) []*importedHosts {
	var all []*importedHosts
	for _, ns := range []string{namespace, "*"} {
		if hosts := i[ns]; hosts != nil {
			all = append(all, hosts)
		}
	}
	return all
}

func newEgress(l *networking.IstioEgressListener, namespace string, visible []*seenService, routes []*mesh.VirtualService) *egress {
	e, imported := &egress{IstioEgressListener: l}, readImports(l.Hosts, namespace)
	for _, v := range visible {
		for _, hosts := range imported.of(v.Namespace) {
			if !hosts.covers(v.Hostname) {
				continue
			}
			if port := e.onlyPort(); port != 0 {
				v = v.only(port)
			}
			if v = v.withAliases(hosts); v != nil {
				e.services = append(e.services, v)
			}
			break
		}
	}
	e.services = oneNamespace(e.services, namespace)
	for _, r := range routes {
		if slices.ContainsFunc(imported.of(r.Namespace), func(h *importedHosts) bool { return slices.ContainsFunc(r.Spec.Hosts, h.meets) }) {
			e.routes = append(e.routes, r)
		}
	}
	e.specific = mostSpecific(e.routes, e.services)
	return e
}

// withAliases keeps the aliases that are imported too.
func (v *seenService) withAliases(h *importedHosts) *seenService {
	if v == nil || !slices.ContainsFunc(v.Aliases, func(a string) bool { return !h.covers(a) }) {
		return v
	}
	kept := slices.DeleteFunc(slices.Clone(v.Aliases), func(a string) bool { return !h.covers(a) })
	return &seenService{v.Service, v.Ports, kept}
}

// onlyPort is the one port that the listener takes services for; 0 is all. A
// listener for HTTP proxying takes all.
func (e *egress) onlyPort() uint32 {
	if e.Port == nil || mesh.ParseProtocol(e.Port.Protocol) == mesh.HTTPProxy {
		return 0
	}
	return e.Port.Number
}

// oneNamespace picks the namespace of each host name that several have: the
// client's own, else that of a Kubernetes Service, else the first.
func oneNamespace(services []*seenService, own string) []*seenService {
	chosen := map[string]*seenService{}
	for _, v := range services {
		old := chosen[v.Hostname]
		kubernetes := old != nil && old.Entry != nil && v.Entry == nil && old.Namespace != own
		if old == nil || v.Namespace == own || kubernetes {
			chosen[v.Hostname] = v
		}
	}
	return slices.DeleteFunc(services, func(v *seenService) bool { return chosen[v.Hostname].Namespace != v.Namespace })
}

// mostSpecific finds for each service the VirtualService whose host fits best:
// the exact one, else the longest wildcard; the first of equals.
func mostSpecific(routes []*mesh.VirtualService, services []*seenService) map[string]*mesh.VirtualService {
	byHost, wildcards := map[string]*mesh.VirtualService{}, []string{}
	for _, r := range routes {
		for _, h := range r.Spec.Hosts {
			if byHost[h] == nil {
				byHost[h] = r
				if mesh.IsWildcard(h) {
					wildcards = append(wildcards, h)
				}
			}
		}
	}
	if len(byHost) == 0 {
		return nil
	}
	found := map[string]*mesh.VirtualService{}
	for _, v := range services {
		best := v.Hostname
		if byHost[best] == nil {
			for _, w := range wildcards {
				if mesh.HostCovers(w, v.Hostname) && (byHost[best] == nil || len(w) > len(best)) {
					best = w
				}
			}
		}
		if r := byHost[best]; r != nil {
			found[v.Hostname] = r
		}
	}
	return found
}

// add takes a service into the scope. Of several with one host name Kubernetes'
// own comes first, then the oldest; the ports of like ones are joined.
func (sc *scope) add(at map[string]int, v *seenService) {
	i, known := at[v.Hostname]
	if !known {
		at[v.Hostname] = len(sc.services)
		sc.services = append(sc.services, v)
		return
	}
	old := sc.services[i]
	switch {
	case old == v, old.Entry == nil && v.Entry != nil:
	case old.Entry != nil && v.Entry == nil:
		sc.services[i] = v
	case old.Namespace == v.Namespace && old.Resolution == v.Resolution:
		sc.services[i] = old.join(v)
	}
}

// join adds the ports that are new.
func (v *seenService) join(other *seenService) *seenService {
	added := slices.DeleteFunc(slices.Clone(other.Ports), func(p seenPort) bool {
		_, known := v.port(portNumber(p))
		return known
	})
	if len(added) == 0 {
		return v
	}
	return &seenService{v.Service, slices.Concat(v.Ports, added), v.Aliases}
}
