package authorization

import (
	"maps"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// routed are the workloads that a route leads to from a gateway, and one such
// route.
func routed(i *analyze.Inventory) map[*mesh.Workload]*mesh.Object {
	return analyze.Shared(i, "authorization.routed", func() map[*mesh.Workload]*mesh.Object {
		routes := map[string]*mesh.Object{} // by host
		seen := map[string]bool{}
		for _, o := range i.Kind("networking.istio.io", "VirtualService") {
			if seen[o.Namespace] {
				continue
			}
			seen[o.Namespace] = true
			for _, v := range i.VirtualServices(o.Namespace) {
				if fromGateway(v.Spec) {
					for _, d := range destinations(v.Spec) {
						routes[i.FullHost(d.GetHost(), v.Namespace)] = v.Object
					}
				}
			}
		}
		for _, kind := range []string{"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"} {
			for _, o := range i.Kind("gateway.networking.k8s.io", kind) {
				for _, host := range backends(i, o) {
					routes[host] = o
				}
			}
		}
		all := map[*mesh.Workload]*mesh.Object{}
		for _, host := range slices.Sorted(maps.Keys(routes)) {
			for _, service := range i.ServicesOf(host) {
				for _, w := range i.Selected(service) {
					if all[w] == nil && !w.IsGateway() {
						all[w] = routes[host]
					}
				}
			}
		}
		return all
	})
}

// fromGateway tells whether a gateway may use a VirtualService: it names one, or
// is the delegate of another.
func fromGateway(v *networking.VirtualService) bool {
	for _, name := range v.GetGateways() {
		if name != mesh.MeshGateway {
			return true
		}
	}
	return len(v.GetHosts())+len(v.GetGateways()) == 0
}

func destinations(v *networking.VirtualService) []*networking.Destination {
	var all []*networking.Destination
	for _, h := range v.GetHttp() {
		for _, r := range h.GetRoute() {
			all = append(all, r.GetDestination())
		}
	}
	for _, t := range v.GetTls() {
		for _, r := range t.GetRoute() {
			all = append(all, r.GetDestination())
		}
	}
	for _, t := range v.GetTcp() {
		for _, r := range t.GetRoute() {
			all = append(all, r.GetDestination())
		}
	}
	return all
}

// backends are the hosts that a route of the Gateway API leads to from gateways.
func backends(i *analyze.Inventory, o *mesh.Object) []string {
	type reference struct {
		Kind, Name, Namespace string
	}
	var route struct {
		Spec struct {
			ParentRefs []reference `json:"parentRefs"`
			Rules      []struct {
				BackendRefs []reference `json:"backendRefs"`
			} `json:"rules"`
		} `json:"spec"`
	}
	if err := o.Decode(&route); err != nil {
		return nil // the schema pass tells
	}
	gateway := false
	for _, parent := range route.Spec.ParentRefs {
		gateway = gateway || parent.Kind == "" || parent.Kind == "Gateway"
	}
	var all []string
	for _, rule := range route.Spec.Rules {
		for _, to := range rule.BackendRefs {
			if gateway && (to.Kind == "" || to.Kind == "Service") {
				if to.Namespace == "" {
					to.Namespace = o.Namespace
				}
				all = append(all, i.FullHost(to.Name, to.Namespace))
			}
		}
	}
	return all
}
