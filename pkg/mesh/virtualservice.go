package mesh

import (
	"slices"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
)

// MeshGateway is the name by which a VirtualService means all sidecars.
const MeshGateway = "mesh"

// SidecarRoutes are the VirtualServices that sidecars follow, as istiod reads
// them: host names are complete and delegates stand where they are called for.
type SidecarRoutes struct {
	routes    []*VirtualService
	audiences []audience
}

// NewSidecarRoutes prepares the VirtualServices of a mesh. Those of the
// snapshot are not changed.
func NewSidecarRoutes(s *Snapshot) *SidecarRoutes {
	var all []*VirtualService
	for _, list := range s.virtuals {
		for _, v := range list {
			all = append(all, s.completed(v))
		}
	}
	slices.SortFunc(all, func(a, b *VirtualService) int { return older(a.Object, b.Object) })
	defaults := s.Config.GetDefaultVirtualServiceExportTo()
	delegates := map[place]*VirtualService{}
	for _, v := range all {
		if len(v.Spec.Hosts) == 0 {
			delegates[place{v.Namespace, v.Name}] = v
		}
	}
	r := &SidecarRoutes{}
	for _, v := range all {
		if len(v.Spec.Hosts) == 0 || len(v.Spec.Gateways) > 0 && !slices.Contains(v.Spec.Gateways, MeshGateway) {
			continue
		}
		v.Spec.Http = delegated(v, delegates, defaults)
		r.routes = append(r.routes, v)
		r.audiences = append(r.audiences, audienceOf(v.Spec.ExportTo, defaults, v.Namespace))
	}
	return r
}

// For are the VirtualServices that are exported to a namespace: its private
// ones, those that others export to it, then the public ones, each oldest first.
func (r *SidecarRoutes) For(namespace string) []*VirtualService {
	var ranked [3][]*VirtualService
	for i, v := range r.routes {
		if rank, seen := r.audiences[i].rank(v.Namespace, namespace); seen {
			ranked[rank] = append(ranked[rank], v)
		}
	}
	return slices.Concat(ranked[0], ranked[1], ranked[2])
}

// completed is a copy with all host names complete (EC-17).
func (s *Snapshot) completed(v *VirtualService) *VirtualService {
	spec := proto.Clone(v.Spec).(*networking.VirtualService)
	for i, host := range spec.Hosts {
		spec.Hosts[i] = s.FullHost(host, v.Namespace)
	}
	complete := func(d *networking.Destination) {
		if d != nil {
			d.Host = s.FullHost(d.Host, v.Namespace)
		}
	}
	for _, h := range spec.Http {
		for _, route := range h.Route {
			complete(route.Destination)
		}
		complete(h.Mirror)
		for _, mirror := range h.Mirrors {
			complete(mirror.Destination)
		}
	}
	for _, t := range spec.Tls {
		for _, route := range t.Route {
			complete(route.Destination)
		}
	}
	for _, t := range spec.Tcp {
		for _, route := range t.Route {
			complete(route.Destination)
		}
	}
	return &VirtualService{Object: v.Object, Spec: spec}
}

// delegated are the HTTP routes with those of delegates in place. A delegate
// that is not there, or not exported to the namespace that calls for it, leaves
// a gap.
func delegated(root *VirtualService, delegates map[place]*VirtualService, defaults []string) []*networking.HTTPRoute {
	var all []*networking.HTTPRoute
	for _, route := range root.Spec.Http {
		to := route.Delegate
		if to == nil {
			all = append(all, route)
			continue
		}
		at := place{to.Namespace, to.Name}
		if at.namespace == "" {
			at.namespace = root.Namespace
		}
		delegate := delegates[at]
		if delegate == nil {
			continue
		}
		if _, seen := audienceOf(delegate.Spec.ExportTo, defaults, delegate.Namespace).rank(delegate.Namespace, root.Namespace); !seen {
			continue
		}
		for _, own := range delegate.Spec.Http {
			if merged := delegatedRoute(route, own); merged != nil {
				all = append(all, merged)
			}
		}
	}
	return all
}

// delegatedRoute is a delegate's route under the conditions of its root, whose
// settings hold where it has none; nil if the two contradict each other.
func delegatedRoute(root, delegate *networking.HTTPRoute) *networking.HTTPRoute {
	matches, fit := delegatedMatches(root.Match, delegate.Match)
	if !fit {
		return nil
	}
	merged := proto.Clone(root).(*networking.HTTPRoute)
	own := proto.Clone(delegate).(*networking.HTTPRoute)
	own.Match, own.Delegate, own.Name = nil, nil, joinNames(root.Name, delegate.Name)
	merged.Match, merged.Delegate, merged.Route, merged.Redirect = nil, nil, nil, nil
	// Fields are taken whole: what a delegate sets hides what its root says.
	to, from := merged.ProtoReflect(), own.ProtoReflect()
	for i := range from.Descriptor().Fields().Len() {
		if field := from.Descriptor().Fields().Get(i); from.Has(field) {
			to.Set(field, from.Get(field))
		}
	}
	merged.Match = matches
	return merged
}

func joinNames(root, delegate string) string {
	switch {
	case delegate == "":
		return root
	case root == "":
		return delegate
	}
	return root + "-" + delegate
}
