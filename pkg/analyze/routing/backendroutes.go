package routing

import (
	"fmt"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// backendRoute is a route of the Kubernetes Gateway API: where it hangs, and
// where it leads.
type backendRoute struct {
	*mesh.Object
	parents  []routeRef
	backends []routeRef
}

// routeRef is a reference of a route, and its place. Group and kind are what the
// API takes where there are none.
type routeRef struct {
	Group     *string `json:"group"`
	Kind      string  `json:"kind"`
	Name      string  `json:"name"`
	Namespace string  `json:"namespace"`
	Port      uint32  `json:"port"`
	path      []string
}

// is tells whether a reference is to a kind.
func (r routeRef) is(group, kind string) bool { return *r.Group == group && r.Kind == kind }

// host is the name of the host of a backend; "" for one that has none.
func (r routeRef) host(p *analyze.Pass) string {
	switch {
	case r.is("", "Service"):
		return r.Name + "." + r.Namespace + ".svc." + p.Domain
	case r.is(networking, "Hostname"):
		return r.Name
	}
	return ""
}

// backendRoutes are the routes of all kinds.
func backendRoutes(p *analyze.Pass) []backendRoute {
	return analyze.Shared(p.Inventory, "routing.backendroutes", func() []backendRoute {
		var all []backendRoute
		for _, kind := range []string{"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"} {
			for _, o := range lastOnes(p.Kind(gatewayAPI, kind)) {
				if r, ok := readBackendRoute(o); ok {
					all = append(all, r)
				}
			}
		}
		return all
	})
}

func readBackendRoute(o *mesh.Object) (backendRoute, bool) {
	var route struct {
		Spec struct {
			ParentRefs []routeRef `json:"parentRefs"`
			Rules      []struct {
				BackendRefs []routeRef `json:"backendRefs"`
				Filters     []struct {
					Mirror *struct {
						BackendRef routeRef `json:"backendRef"`
					} `json:"requestMirror"`
				} `json:"filters"`
			} `json:"rules"`
		} `json:"spec"`
	}
	if o.Decode(&route) != nil {
		return backendRoute{}, false // what is wrong with it is found elsewhere
	}
	read := func(r routeRef, group, kind string, path ...string) routeRef {
		if r.Group == nil {
			r.Group = &group
		}
		if r.Kind == "" {
			r.Kind = kind
		}
		if r.Namespace == "" {
			r.Namespace = o.Namespace
		}
		r.path = append([]string{"spec"}, path...)
		return r
	}
	all := backendRoute{Object: o}
	for i, r := range route.Spec.ParentRefs {
		all.parents = append(all.parents, read(r, gatewayAPI, "Gateway", "parentRefs", fmt.Sprint(i)))
	}
	for i, rule := range route.Spec.Rules {
		for j, r := range rule.BackendRefs {
			all.backends = append(all.backends, read(r, "", "Service", "rules", fmt.Sprint(i), "backendRefs", fmt.Sprint(j)))
		}
		for j, f := range rule.Filters {
			if f.Mirror != nil {
				all.backends = append(all.backends, read(f.Mirror.BackendRef, "", "Service", "rules", fmt.Sprint(i), "filters", fmt.Sprint(j), "requestMirror", "backendRef"))
			}
		}
	}
	return all, true
}
