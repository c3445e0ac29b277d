package routing

import (
	"google.golang.org/protobuf/proto"

	telemetryapi "istio.io/api/telemetry/v1alpha1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// selecting is an object that shapes the proxies of the workloads that it
// selects in its namespace.
type selecting struct {
	*mesh.Object
	selector map[string]string
	path     []string // to the labels
}

// conflicts finds selectors that select nothing, and workloads that two objects
// of a kind select.
func conflicts(p *analyze.Pass, all []selecting, what string) {
	byNamespace := map[string][]selecting{}
	for _, s := range all {
		if len(s.selector) == 0 {
			continue
		}
		byNamespace[s.Namespace] = append(byNamespace[s.Namespace], s)
		if (len(p.Workloads) > 0 || p.Complete) && len(workloads(p).in(s.Namespace, s.selector)) == 0 {
			path := s.path
			if len(s.selector) == 1 {
				path = within(path, sortedKeys(s.selector)[0])
			}
			p.ReportCode(notFound, s.Object, path, "selector %s selects no workload of namespace %s: the %s has no effect%s",
				selectorText(s.selector), s.Namespace, what, workloads(p).nearSelector(s.Namespace, s.selector))
		}
	}
	for _, ns := range sortedKeys(byNamespace) {
		selectors := mesh.NewSelectors(byNamespace[ns], func(s selecting) map[string]string { return s.selector })
		reported := map[*mesh.Object]bool{}
		for _, w := range workloads(p).in(ns, nil) {
			rivals := selectors.Of(w.PodLabels)
			if len(rivals) < 2 || inAmbient(w) {
				continue
			}
			for i, s := range rivals {
				if reported[s.Object] {
					continue
				}
				reported[s.Object] = true
				other := rivals[(i+1)%len(rivals)]
				p.Report(s.Object, s.path, "%s %s selects %s %s too: only one of them shapes its proxy", what, other.Name, w.Kind, w.Name).
					Because(other.Object, other.path, "selects it too").Because(w.Object, nil, "is selected twice")
			}
		}
	}
}

// twiceWithoutSelector finds objects that are for all of a namespace where
// another one is, too.
func twiceWithoutSelector(p *analyze.Pass, all []selecting, what string) {
	first := map[string][]selecting{}
	for _, s := range all {
		if len(s.selector) == 0 {
			first[s.Namespace] = append(first[s.Namespace], s)
		}
	}
	for _, ns := range sortedKeys(first) {
		for i, s := range first[ns] {
			if len(first[ns]) < 2 {
				continue
			}
			other := first[ns][(i+1)%len(first[ns])]
			p.Report(s.Object, nil, "%s %s has no selector either: only one of them holds for namespace %s; give one a selector, or make them one", what, other.Name, ns).
				Because(other.Object, nil, "has no selector either")
		}
	}
}

func sidecars(p *analyze.Pass) []selecting {
	var all []selecting
	for _, s := range allOf(p, networking, "Sidecar", p.Sidecars) {
		all = append(all, selecting{s.Object, s.Spec.GetWorkloadSelector().GetLabels(), []string{"spec", "workloadSelector", "labels"}})
	}
	return all
}

func sidecarSelectors(p *analyze.Pass) { conflicts(p, sidecars(p), "Sidecar") }

func sidecarsWithoutSelector(p *analyze.Pass) { twiceWithoutSelector(p, sidecars(p), "Sidecar") }

// sidecarsInAmbient finds Sidecars for workloads that have no sidecar, because
// they are in ambient mode.
func sidecarsInAmbient(p *analyze.Pass) {
	for _, s := range sidecars(p) {
		if len(s.selector) == 0 {
			if ns := namespaceObjects(p)[s.Namespace]; ns != nil && ns.Labels["istio.io/dataplane-mode"] == "ambient" {
				p.Report(s.Object, nil, "namespace %s is in ambient mode, which has no sidecars: this Sidecar has no effect", s.Namespace).
					Because(ns, []string{"metadata", "labels", "istio.io/dataplane-mode"}, "says so")
			}
			continue
		}
		for _, w := range workloads(p).in(s.Namespace, s.selector) {
			if inAmbient(w) {
				p.Report(s.Object, s.path, "%s %s is in ambient mode, which has no sidecars: this Sidecar has no effect there", w.Kind, w.Name).
					Because(w.Object, nil, "is in ambient mode")
				break
			}
		}
	}
}

// telemetryObject is a Telemetry that could be read.
type telemetryObject struct {
	*mesh.Object
	spec *telemetryapi.Telemetry
}

func telemetries(p *analyze.Pass) []telemetryObject {
	return analyze.Shared(p.Inventory, "routing.telemetries", func() []telemetryObject {
		var all []telemetryObject
		for _, o := range lastOnes(p.Kind(telemetry, "Telemetry")) {
			if spec := (&telemetryapi.Telemetry{}); decodes(o, spec) {
				all = append(all, telemetryObject{o, spec})
			}
		}
		return all
	})
}

// lastOnes leaves of objects of one kind and name the last, as kubectl apply
// does.
func lastOnes(objects []*mesh.Object) []*mesh.Object {
	last := map[string]*mesh.Object{}
	for _, o := range objects {
		last[o.Namespace+"/"+o.Name] = o
	}
	var all []*mesh.Object
	for _, o := range objects {
		if last[o.Namespace+"/"+o.Name] == o {
			all = append(all, o)
		}
	}
	return all
}

func decodes(o *mesh.Object, spec proto.Message) bool {
	readable, _ := mesh.DecodeSpec(o, spec) // what is wrong with it is found elsewhere
	return readable
}

func telemetriesSelecting(p *analyze.Pass) []selecting {
	var all []selecting
	for _, t := range telemetries(p) {
		if len(t.spec.TargetRefs) == 0 && t.spec.TargetRef == nil {
			all = append(all, selecting{t.Object, t.spec.GetSelector().GetMatchLabels(), []string{"spec", "selector", "matchLabels"}})
		}
	}
	return all
}

func telemetrySelectors(p *analyze.Pass) { conflicts(p, telemetriesSelecting(p), "Telemetry") }

func telemetriesWithoutSelector(p *analyze.Pass) {
	twiceWithoutSelector(p, telemetriesSelecting(p), "Telemetry")
}
