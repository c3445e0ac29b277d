package authorization

import (
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// ambientHTTP finds rules that ztunnel, which sees no requests, cannot judge.
func ambientHTTP(p *analyze.Pass) {
	ambient := map[string]*mesh.Object{}
	for _, o := range p.Kind("", "Namespace") {
		if o.Labels["istio.io/dataplane-mode"] == "ambient" {
			ambient[o.Name] = o
		}
	}
	bare := map[string][]*mesh.Workload{} // those without a sidecar, by namespace
	for _, w := range p.Workloads {
		if ambient[w.Namespace] != nil && !w.Membership.Sidecar {
			bare[w.Namespace] = append(bare[w.Namespace], w)
		}
	}
	s := selected(p.Inventory)
	for _, r := range policies(p.Inventory) {
		namespace := ambient[r.Namespace]
		if namespace == nil || r.Spec.GetTargetRef() != nil || len(r.Spec.GetTargetRefs()) > 0 {
			continue
		}
		labels := r.Spec.GetSelector().GetMatchLabels()
		if len(s.workloads[r]) > 0 && !slices.ContainsFunc(bare[r.Namespace], func(w *mesh.Workload) bool { return mesh.Selects(labels, w.PodLabels) }) {
			continue // sidecars enforce it, and nothing else
		}
		all := fields(r)
		if i := slices.IndexFunc(all, field.isHTTP); i >= 0 {
			p.Report(r.Object, all[i].path, "in ambient mode a policy with a selector is enforced by ztunnel, which sees no requests: an ALLOW rule allows nothing, a DENY rule denies without asking for this. Attach the policy to a waypoint with targetRefs").
				Because(namespace, []string{"metadata", "labels"}, "is in ambient mode")
		}
	}
}
