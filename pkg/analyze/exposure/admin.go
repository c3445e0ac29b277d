package exposure

import (
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// adminNames begin paths that are usually not for everybody.
func adminNames() []string {
	return []string{"/admin", "/manage", "/management", "/actuator", "/debug", "/metrics", "/internal", "/console"}
}

// looksInternal tells a path whose first part is one of those.
func looksInternal(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(path), "/"), "/")
	return slices.Contains(adminNames(), "/"+first)
}

// adminPaths finds routes from a gateway to paths that look internal, and that no
// policy guards: neither at the gateway nor at the workloads.
func adminPaths(p *analyze.Pass) {
	seen := map[string]bool{}
	for _, o := range p.Kind("networking.istio.io", "VirtualService") {
		if seen[o.Namespace] {
			continue
		}
		seen[o.Namespace] = true
		for _, v := range p.VirtualServices(o.Namespace) {
			if !slices.ContainsFunc(v.Spec.Gateways, func(name string) bool { return name != mesh.MeshGateway }) {
				continue
			}
			for i, route := range v.Spec.Http {
				for j, m := range route.GetMatch() {
					path := m.GetUri().GetPrefix() + m.GetUri().GetExact()
					if looksInternal(path) && len(route.GetRoute()) > 0 && !guarded(p, v, route) {
						p.Report(v.Object, []string{"spec", "http", strconv.Itoa(i), "match", strconv.Itoa(j), "uri"}, "%s looks internal, a gateway leads the outside there, and no AuthorizationPolicy guards it", path)
					}
				}
			}
		}
	}
}

// guarded tells whether policies are for all workloads that a route leads to, or
// for the gateways that it comes from.
func guarded(p *analyze.Pass, v *mesh.VirtualService, route *networking.HTTPRoute) bool {
	unguarded := slices.ContainsFunc(v.Spec.Gateways, func(name string) bool {
		return name != mesh.MeshGateway && !guardedGateway(p, v.Namespace, name)
	})
	if !unguarded {
		return true
	}
	workloads := 0
	for _, d := range route.GetRoute() {
		for _, service := range p.ServicesOf(p.FullHost(d.GetDestination().GetHost(), v.Namespace)) {
			for _, w := range p.Selected(service) {
				workloads++
				if !applies(p, w.Namespace, w.PodLabels) && !applies(p, p.RootNamespace(), w.PodLabels) {
					return false
				}
			}
		}
	}
	return workloads > 0
}

// guardedGateway tells whether a policy selects what a Gateway does. Where its
// pods are need not be in the files, so that any namespace counts.
func guardedGateway(p *analyze.Pass, namespace, reference string) bool {
	name := reference
	if in, rest, ok := strings.Cut(reference, "/"); ok {
		namespace, name = in, rest
	}
	i := slices.IndexFunc(p.Gateways(namespace), func(g *mesh.Gateway) bool { return g.Name == name })
	if i < 0 {
		return false
	}
	labels := p.Gateways(namespace)[i].Spec.GetSelector()
	return slices.ContainsFunc(p.AuthorizationNamespaces(), func(in string) bool {
		return slices.ContainsFunc(p.AuthorizationPolicies(in), func(r *mesh.AuthorizationPolicy) bool {
			wanted := r.Spec.GetSelector().GetMatchLabels()
			return enforced(r) && (len(wanted) > 0 || in == p.RootNamespace()) && mesh.Selects(wanted, labels)
		})
	})
}

// applies tells whether a policy of a namespace selects labels.
func applies(p *analyze.Pass, namespace string, labels map[string]string) bool {
	return slices.ContainsFunc(p.AuthorizationPolicies(namespace), func(r *mesh.AuthorizationPolicy) bool {
		attached := r.Spec.GetTargetRef() != nil || len(r.Spec.GetTargetRefs()) > 0
		return enforced(r) && !attached && mesh.Selects(r.Spec.GetSelector().GetMatchLabels(), labels)
	})
}

// enforced tells a policy that is more than tried, and does more than log.
func enforced(r *mesh.AuthorizationPolicy) bool {
	tried, err := strconv.ParseBool(r.Annotations["istio.io/dry-run"])
	return (err != nil || !tried) && r.Spec.Action != security.AuthorizationPolicy_AUDIT
}
