package envoy

import (
	"fmt"
	"maps"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// destinations are the ports of the hosts to which a VirtualService leads,
// unless only from other namespaces; port 0 is any.
func destinations(spec *networking.VirtualService, namespace string) map[string]map[uint32]bool {
	all := map[string]map[uint32]bool{}
	add := func(d *networking.Destination) {
		if d == nil || d.Host == "" {
			return
		}
		if all[d.Host] == nil {
			all[d.Host] = map[uint32]bool{}
		}
		all[d.Host][d.GetPort().GetNumber()] = true
	}
	for _, h := range spec.Http {
		if !concerns(h.Match, namespace) {
			continue
		}
		for _, r := range h.Route {
			add(r.Destination)
		}
		add(h.Mirror)
		for _, m := range h.Mirrors {
			add(m.Destination)
		}
	}
	for _, t := range spec.Tls {
		for _, r := range t.Route {
			add(r.Destination)
		}
	}
	for _, t := range spec.Tcp {
		for _, r := range t.Route {
			add(r.Destination)
		}
	}
	return all
}

// concerns tells whether no condition is about source namespaces, or one names
// the given one.
func concerns(matches []*networking.HTTPMatchRequest, namespace string) bool {
	named := slices.DeleteFunc(slices.Clone(matches), func(m *networking.HTTPMatchRequest) bool { return m.SourceNamespace == "" })
	return len(named) == 0 || slices.ContainsFunc(named, func(m *networking.HTTPMatchRequest) bool { return m.SourceNamespace == namespace })
}

// addDestinations takes into the scope what a VirtualService that is seen leads
// to, whether or not the Sidecar names it: of the namespace itself, else of the
// first that exports it.
func (o *outboundSide) addDestinations(sc *scope, at map[string]int, e *egress, r *mesh.VirtualService) {
	leads := destinations(r.Spec, sc.namespace)
	for _, host := range slices.Sorted(maps.Keys(leads)) {
		v := o.destination(host, sc.namespace)
		if v == nil {
			continue
		}
		seen := whole(v)
		switch {
		case e.onlyPort() != 0:
			seen = seen.only(e.onlyPort())
		case !leads[host][0]:
			seen.Ports = slices.DeleteFunc(seen.Ports, func(p seenPort) bool { return !leads[host][portNumber(p)] })
		}
		if seen != nil && len(seen.Ports) > 0 {
			sc.add(at, seen)
		}
	}
}

func (o *outboundSide) destination(host, namespace string) *mesh.Service {
	byNamespace := map[string]*mesh.Service{}
	for _, v := range o.snapshot.ServicesOf(host) {
		if old := byNamespace[v.Namespace]; old == nil || old.Entry != nil && v.Entry == nil {
			byNamespace[v.Namespace] = v
		}
	}
	if own := byNamespace[namespace]; own != nil {
		return own
	}
	for _, ns := range slices.Sorted(maps.Keys(byNamespace)) {
		if o.snapshot.Sees(namespace, byNamespace[ns]) {
			return byNamespace[ns]
		}
	}
	return nil
}

// unknownService stands where a destination has no host.
const unknownService = "UnknownService"

// destinationCluster is the cluster of a route's destination. Without a port it
// is the service's only one, else that of the listener (EC-113).
func destinationCluster(d *networking.Destination, service *seenService, listenerPort uint32) string {
	if d.GetHost() == "" {
		return unknownService
	}
	host, port := d.Host, listenerPort
	if service != nil && service.Resolution == mesh.Alias && service.AliasOf != "" {
		host = service.AliasOf
	}
	if d.Port != nil {
		port = d.Port.Number
	} else if service != nil && len(service.Ports) == 1 {
		port = portNumber(service.Ports[0])
	}
	return outboundCluster(port, d.Subset, host)
}

// outboundCluster is the name of a cluster (EC-13).
func outboundCluster(port uint32, subset, host string) string {
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, host)
}
