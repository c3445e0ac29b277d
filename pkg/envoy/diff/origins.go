package diff

import (
	"bytes"
	"net"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// origin is an object that differs between two versions of the manifests.
type origin struct {
	*mesh.Object
	gone    bool
	host    string        // that it is about; "" for none
	service *mesh.Service // of a Service
	pods    bool          // it runs a workload
}

func (o *origin) cause() *policy.Cause {
	c := &policy.Cause{Object: o.String(), At: o.Location}
	if o.gone {
		c.Object += " that is gone"
	}
	return c
}

// origins are the objects that differ, by what they are about.
type origins struct {
	hosts    map[string][]*origin // Services, ServiceEntries, rules and routes
	wild     []*origin            // those of hosts that stand for many
	pods     map[string][]*origin // by "namespace/name"
	services map[string][]*origin // by namespace
	peers    []*origin
	sidecars []*origin
	only     *policy.Cause // the one that differs at all
}

// findOrigins is nil unless both sides are manifests of one mesh configuration.
func findOrigins(before, after *mesh.Snapshot) *origins {
	if before == nil || after == nil || !proto.Equal(before.Config, after.Config) {
		return nil // the mesh's own configuration is no object, and may do all of it
	}
	olds, news := originsOf(before), originsOf(after)
	all := &origins{hosts: map[string][]*origin{}, pods: map[string][]*origin{}, services: map[string][]*origin{}}
	names := map[string]bool{}
	for _, key := range keysOf(olds, news) {
		o := news[key]
		if old := olds[key]; o == nil {
			o = old
			o.gone = true
		} else if old != nil && bytes.Equal(old.Text(), o.Text()) {
			continue
		}
		all.add(o)
		all.only = o.cause()
		names[o.String()] = true
	}
	if len(names) != 1 {
		all.only = nil
	}
	return all
}

func (all *origins) add(o *origin) {
	switch {
	case o.pods:
		all.pods[o.Namespace+"/"+o.Name] = append(all.pods[o.Namespace+"/"+o.Name], o)
	case o.Kind == "PeerAuthentication":
		all.peers = append(all.peers, o)
	case o.Kind == "Sidecar":
		all.sidecars = append(all.sidecars, o)
	case mesh.IsWildcard(o.host):
		all.wild = append(all.wild, o)
	default:
		all.hosts[o.host] = append(all.hosts[o.host], o)
	}
	if o.service != nil {
		all.services[o.Namespace] = append(all.services[o.Namespace], o)
	}
}

// originsOf are those of a mesh, by kind, name and host.
func originsOf(s *mesh.Snapshot) map[string]*origin {
	all := map[string]*origin{}
	add := func(o origin) { all[o.String()+" "+o.host] = &o }
	namespaces := map[string]bool{}
	for _, ns := range slices.Concat(s.Namespaces(), s.DestinationNamespaces(), s.PolicyNamespaces()) {
		namespaces[ns] = true
	}
	for _, w := range s.Workloads {
		namespaces[w.Namespace] = true
		add(origin{Object: w.Object, pods: true})
	}
	for _, v := range s.Services {
		namespaces[v.Namespace] = true
		add(origin{Object: v.Object, host: v.Hostname, service: v})
	}
	for ns := range namespaces {
		for _, r := range s.DestinationRules(ns) {
			add(origin{Object: r.Object, host: s.FullHost(r.Spec.GetHost(), ns)})
		}
		for _, v := range s.VirtualServices(ns) {
			for _, host := range v.Spec.GetHosts() {
				add(origin{Object: v.Object, host: s.FullHost(host, ns)})
			}
		}
		for _, x := range s.Sidecars(ns) {
			add(origin{Object: x.Object})
		}
		for _, p := range s.PeerAuthentications(ns) {
			add(origin{Object: p.Object})
		}
	}
	return all
}

// of finds the object that makes a change; nil where none does for sure. The kinds
// of objects come by how likely they are.
func (all *origins) of(c *Change, w *mesh.Workload) *policy.Cause {
	host, endpoint := subjectOf(c)
	named := func(kinds ...string) []*origin {
		var found []*origin
		for _, list := range [][]*origin{all.hosts[host], all.wild} {
			for _, o := range list {
				if host != "" && slices.Contains(kinds, o.Kind) && mesh.HostsMeet(o.host, host) {
					found = append(found, o)
				}
			}
		}
		return found
	}
	services, rules, routes := named("Service", "ServiceEntry"), named("DestinationRule"), named("VirtualService")
	order := [][]*origin{rules, services}
	switch at := c.Key[0]; {
	case endpoint != "":
		order = [][]*origin{all.pods[endpoint], services, rules}
	case strings.HasPrefix(at, "routes ") || strings.HasPrefix(at, "outbound listener "):
		order = [][]*origin{routes, services, rules}
	case strings.HasPrefix(at, "inbound listener ") || strings.HasPrefix(at, "cluster inbound|"):
		order = all.inbound(w)
	}
	namespace, _, _ := strings.Cut(endpoint, "/")
	if c.Kind != "route" && !strings.HasPrefix(c.Key[0], "inbound listener ") {
		order = append(order, within(all.peers, namespace))
	}
	if w != nil && c.Op != Changed {
		order = append(order, within(all.sidecars, w.Namespace))
	}
	for _, fits := range order {
		if len(fits) > 0 {
			if slices.ContainsFunc(fits, func(o *origin) bool { return o.String() != fits[0].String() }) {
				return nil
			}
			return fits[0].cause()
		}
	}
	return all.only
}

// inbound are the objects that say what a workload's ports are.
func (all *origins) inbound(w *mesh.Workload) [][]*origin {
	if w == nil {
		return nil
	}
	var services, pods []*origin
	for _, o := range all.services[w.Namespace] {
		if len(o.service.Selector) > 0 && mesh.Selects(o.service.Selector, w.PodLabels) {
			services = append(services, o)
		}
	}
	for _, o := range all.pods[w.Namespace+"/"+w.Name] {
		if o.String() == w.String() {
			pods = append(pods, o)
		}
	}
	return [][]*origin{services, pods}
}

// within are the objects of a namespace, or all for none.
func within(all []*origin, namespace string) []*origin {
	if namespace == "" {
		return all
	}
	var found []*origin
	for _, o := range all {
		if o.Namespace == namespace {
			found = append(found, o)
		}
	}
	return found
}

// subjectOf is the host that a change is about, and the workload of an endpoint;
// either is empty for none.
func subjectOf(c *Change) (host, endpoint string) {
	for _, key := range c.Key {
		kind, name, _ := strings.Cut(key, " ")
		switch {
		case kind == "endpoint":
			endpoint, _, _ = strings.Cut(name, ":")
		case kind == "cluster" || kind == "endpoints":
			if parts := strings.Split(name, "|"); len(parts) == 4 {
				host = parts[3]
			}
		case strings.HasPrefix(key, "virtual host "):
			host = strings.TrimPrefix(key, "virtual host ")
			if h, _, err := net.SplitHostPort(host); err == nil {
				host = h
			}
		case kind == "chain" && strings.Contains(key, " for "):
			_, host, _ = strings.Cut(key, " for ")
		}
	}
	return host, endpoint
}
