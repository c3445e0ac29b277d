package validation

import (
	"net/netip"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// virtualService checks a VirtualService. One without hosts is a delegate.
func (c *checker) virtualService(at path, namespace string, v *networking.VirtualService) {
	inMesh := len(v.Gateways) == 0 || slices.Contains(v.Gateways, "mesh")
	if len(v.Hosts) == 0 {
		c.delegate(at, v)
	}
	c.virtualHosts(at, v.Hosts, inMesh)
	c.gatewayNames(at, v.Gateways)
	if len(v.Http) == 0 && len(v.Tls) == 0 && len(v.Tcp) == 0 {
		c.refuse(at, "a VirtualService without routes: give it http, tls or tcp")
	}
	for i, route := range v.Http {
		c.httpRoute(at.item("http", i), route, len(v.Hosts) == 0)
	}
	for i, route := range v.Tls {
		c.tlsRoute(at.item("tls", i), route, v.Hosts)
	}
	for i, route := range v.Tcp {
		for j, m := range route.GetMatch() {
			c.connection(at.item("tcp", i).item("match", j), m)
		}
		c.tcpDestinations(at.item("tcp", i), "TCP", route.GetRoute())
	}
	c.exportTo(v.ExportTo, namespace, false)
}

// delegate checks what a VirtualService without hosts cannot have.
func (c *checker) delegate(at path, v *networking.VirtualService) {
	for name, n := range map[string]int{"gateways": len(v.Gateways), "tls": len(v.Tls), "tcp": len(v.Tcp)} {
		if n > 0 {
			c.refuse(at.to(name), "a VirtualService without hosts is a delegate, which has no %s: take it away, or give it hosts", name)
		}
	}
}

func (c *checker) virtualHosts(at path, hosts []string, inMesh bool) {
	for i, host := range hosts {
		item := at.item("hosts", i)
		if _, err := netip.ParseAddr(host); err == nil {
			continue
		}
		if host == "*" && inMesh {
			c.refuse(item, "host * is for gateways, and this VirtualService is for the mesh too: name the hosts, or gateways only")
		}
		c.host(item, host)
		for _, before := range hosts[:i] {
			if overlap(before, host) {
				c.refuse(item, "%s and %s are the same or overlap: keep one", before, host)
				break
			}
		}
	}
}

// overlap tells whether two hosts, perhaps with stars, have one in common.
func overlap(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	endA, starA := strings.CutPrefix(a, "*")
	endB, starB := strings.CutPrefix(b, "*")
	switch {
	case starA && starB:
		return strings.HasSuffix(endA, endB) || strings.HasSuffix(endB, endA)
	case starA:
		return strings.HasSuffix(b, endA)
	case starB:
		return strings.HasSuffix(a, endB)
	}
	return a == b
}

func (c *checker) gatewayNames(at path, names []string) {
	for i, name := range names {
		namespace, gateway, qualified := strings.Cut(name, "/")
		switch item := at.item("gateways", i); {
		case name == "":
			c.refuse(item, "an empty gateway: name it or take it away")
		case strings.Contains(gateway, "/") || qualified && (!hostLabel.MatchString(namespace) || gateway == ""):
			c.refuse(item, "gateway %q: expected NAME or NAMESPACE/NAME", name)
		}
	}
}

// match is what conditions of TLS and TCP routes have in common.
type match interface {
	GetDestinationSubnets() []string
	GetGateways() []string
	GetPort() uint32
}

func (c *checker) connection(at path, m match) {
	for i, subnet := range m.GetDestinationSubnets() {
		c.address(subnet, at.item("destinationSubnets", i))
	}
	c.gatewayNames(at, m.GetGateways())
	c.number(at.to("port"), m.GetPort(), true)
}

func (c *checker) tlsRoute(at path, r *networking.TLSRoute, hosts []string) {
	if len(r.GetMatch()) == 0 {
		c.refuse(at, "a TLS route without a match: give it match with sniHosts")
	}
	for i, m := range r.GetMatch() {
		item := at.item("match", i)
		if len(m.GetSniHosts()) == 0 {
			c.refuse(item, "a TLS match without sniHosts: name them")
		}
		for j, name := range m.GetSniHosts() {
			c.host(item.item("sniHosts", j), name)
			if !slices.ContainsFunc(hosts, func(h string) bool { return within(name, h) }) {
				c.refuse(item.item("sniHosts", j), "%s is in none of the hosts of the VirtualService: name it there", name)
			}
		}
		c.connection(item, m)
	}
	c.tcpDestinations(at, "TLS", r.GetRoute())
}

// within tells whether all that a host with a star may be is in another one.
func within(name, outer string) bool {
	if end, star := strings.CutPrefix(strings.ToLower(outer), "*"); star {
		return strings.HasSuffix(strings.ToLower(name), end)
	}
	return strings.EqualFold(name, outer)
}

func (c *checker) tcpDestinations(at path, what string, routes []*networking.RouteDestination) {
	if len(routes) == 0 {
		c.refuse(at, "a %s route that leads nowhere: give it route", what)
	}
	var weights []int32
	for i, r := range routes {
		c.routeTo(at.item("route", i).to("destination"), r.GetDestination())
		weights = append(weights, r.GetWeight())
	}
	c.weights(at, weights)
}

// weights checks how a route divides its traffic.
func (c *checker) weights(at path, weights []int32) {
	total := int32(0)
	for i, w := range weights {
		c.notNegative(at.item("route", i).to("weight"), w)
		total += w
	}
	if len(weights) > 1 && total == 0 {
		c.refuse(at.to("route"), "no destination has a weight: give them weights")
	}
}

// routeTo checks where traffic goes.
func (c *checker) routeTo(at path, d *networking.Destination) {
	if d == nil {
		c.refuse(at, "no destination: name a host")
		return
	}
	c.plainHost(at.to("host"), d.Host)
	if d.Subset != "" && !hostLabel.MatchString(d.Subset) {
		c.refuse(at.to("subset"), "subset %q: expected letters, digits and dashes", d.Subset)
	}
	if d.Port != nil {
		c.number(at.to("port", "number"), d.Port.Number, false)
	}
}
