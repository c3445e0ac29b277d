package routing

import (
	"fmt"
	"strings"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// destination is where a route of a VirtualService goes.
type destination struct {
	*api.Destination
	path   []string
	mirror bool
	http   bool
}

// destinationsOf are all of a VirtualService.
func destinationsOf(v *mesh.VirtualService) []destination {
	var all []destination
	add := func(d *api.Destination, mirror, http bool, path ...string) {
		if d != nil {
			all = append(all, destination{Destination: d, path: append([]string{"spec"}, path...), mirror: mirror, http: http})
		}
	}
	for i, h := range v.Spec.Http {
		at := fmt.Sprint(i)
		for j, r := range h.Route {
			add(r.Destination, false, true, "http", at, "route", fmt.Sprint(j), "destination")
		}
		add(h.Mirror, true, true, "http", at, "mirror")
		for j, m := range h.Mirrors {
			add(m.Destination, true, true, "http", at, "mirrors", fmt.Sprint(j), "destination")
		}
	}
	for i, t := range v.Spec.Tcp {
		for j, r := range t.Route {
			add(r.Destination, false, false, "tcp", fmt.Sprint(i), "route", fmt.Sprint(j), "destination")
		}
	}
	for i, t := range v.Spec.Tls {
		for j, r := range t.Route {
			add(r.Destination, false, false, "tls", fmt.Sprint(i), "route", fmt.Sprint(j), "destination")
		}
	}
	return all
}

// destinations finds routes to hosts, ports and subsets that there are not, and
// such that leave a port open.
func destinations(p *analyze.Pass) {
	x, subsets := hosts(p), subsetsByHost(p)
	for _, v := range virtualServices(p) {
		for _, d := range destinationsOf(v) {
			destinationHost(p, x, v, d)
			destinationSubset(p, subsets, v, d)
		}
	}
}

func destinationHost(p *analyze.Pass, x *hostIndex, v *mesh.VirtualService, d destination) {
	if !x.any() && !p.Complete || d.Host == "" {
		return // services are kept elsewhere
	}
	what := "route"
	if d.mirror {
		what = "mirror"
	}
	service := x.find(p, d.Host, v.Namespace, v.Spec.ExportTo)
	if service == nil {
		r := p.ReportCode(notFound, v.Object, within(d.path, "host"), "%s to host %q, which is no Service and no ServiceEntry that namespace %s sees: requests get 503%s",
			what, d.Host, v.Namespace, x.meant(p, d.Host, v.Namespace))
		hintUnless(p, r, x.spokenOf(p, d.Host, v.Namespace))
		return
	}
	if d.Port == nil {
		if len(service.Ports) > 1 {
			p.Report(v.Object, within(d.path, "host"), "%s to host %q, which has the ports %s: say which with port.number", what, d.Host, portList(service)).
				Because(service.Object, []string{"spec", "ports"}, "has several ports")
		}
		return
	}
	if number := d.Port.Number; number != 0 && !servesPort(p, service, number) {
		p.ReportCode(notFound, v.Object, within(d.path, "port", "number"), "%s to port %d of host %q, which has only %s: requests get 503", what, number, d.Host, portList(service)).
			Because(service.Object, []string{"spec", "ports"}, "has the ports %s", portList(service))
	}
}

func servesPort(p *analyze.Pass, service *mesh.Service, number uint32) bool {
	for _, v := range p.ServicesOf(service.Hostname) {
		if _, ok := v.Port(fmt.Sprint(number)); ok {
			return true
		}
	}
	return false
}

func portList(v *mesh.Service) string {
	var numbers []string
	for _, port := range v.Ports {
		numbers = append(numbers, fmt.Sprint(port.Number))
	}
	if numbers == nil {
		return "no ports"
	}
	return strings.Join(numbers, ", ")
}

// hostSubsets are the subsets that DestinationRules define for hosts.
type hostSubsets struct {
	byHost    map[string]map[string]bool
	rules     map[string]*mesh.DestinationRule // one of each host
	wildcards []*mesh.DestinationRule
}

func subsetsByHost(p *analyze.Pass) *hostSubsets {
	x := &hostSubsets{byHost: map[string]map[string]bool{}, rules: map[string]*mesh.DestinationRule{}}
	for _, r := range destinationRules(p) {
		host := p.FullHost(r.Spec.Host, r.Namespace)
		if mesh.IsWildcard(host) {
			x.wildcards = append(x.wildcards, r)
		}
		if x.byHost[host] == nil {
			x.byHost[host] = map[string]bool{}
			x.rules[host] = r
		}
		for _, s := range r.Spec.Subsets {
			x.byHost[host][s.Name] = true
		}
	}
	return x
}

func destinationSubset(p *analyze.Pass, x *hostSubsets, v *mesh.VirtualService, d destination) {
	host := p.FullHost(d.Host, v.Namespace)
	if d.Subset == "" || x.byHost[host][d.Subset] {
		return
	}
	for _, r := range x.wildcards {
		if cover := p.FullHost(r.Spec.Host, r.Namespace); mesh.HostCovers(cover, host) && x.byHost[cover][d.Subset] {
			return
		}
	}
	rule, hint := x.rules[host], ""
	if rule != nil {
		if near := nearest(d.Subset, x.byHost[host]); near != "" {
			hint = "; did you mean " + near + "?"
		}
	}
	r := p.ReportCode(notFound, v.Object, within(d.path, "subset"), "subset %q of host %q is in no DestinationRule: requests get 503%s", d.Subset, d.Host, hint)
	if rule != nil {
		r.Because(rule.Object, []string{"spec", "subsets"}, "defines other subsets of the host")
	}
	hintUnless(p, r, rule != nil || len(p.ServicesOf(host)) > 0)
}

// subsetsOfMesh finds routes of gateways that go to all of a host, while routes
// of the mesh choose among its subsets: they do not hold for what comes in.
func subsetsOfMesh(p *analyze.Pass) {
	type chooser struct {
		v    *mesh.VirtualService
		path []string
	}
	choosers := map[string]chooser{}
	for _, v := range virtualServices(p) {
		for _, d := range destinationsOf(v) {
			if !d.http || d.mirror || d.Subset == "" {
				continue
			}
			host := p.FullHost(d.Host, v.Namespace)
			for _, own := range v.Spec.Hosts {
				if _, known := choosers[host]; !known && p.FullHost(own, v.Namespace) == host {
					choosers[host] = chooser{v, d.path}
				}
			}
		}
	}
	for _, v := range virtualServices(p) {
		if len(v.Spec.Gateways) == 0 {
			continue
		}
		for _, d := range destinationsOf(v) {
			c, known := choosers[p.FullHost(d.Host, v.Namespace)]
			if !d.http || d.mirror || d.Subset != "" || !known || c.v.Object == v.Object {
				continue
			}
			p.Report(v.Object, within(d.path, "host"), "the subsets that VirtualService %s/%s chooses for host %q do not hold for requests that come in here: they go to all of the host, unless this route names subsets too",
				c.v.Namespace, c.v.Name, d.Host).
				Because(c.v.Object, c.path, "chooses a subset, for clients within the mesh")
		}
	}
}
