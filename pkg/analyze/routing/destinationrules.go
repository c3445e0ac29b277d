package routing

import (
	"fmt"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// subsets finds DestinationRules of hosts that there are not, and subsets that
// no endpoint of their host is in.
func subsets(p *analyze.Pass) {
	x := hosts(p)
	nodes := nodeLabels(p)
	for _, r := range destinationRules(p) {
		if mesh.IsWildcard(r.Spec.Host) || r.Spec.Host == "" {
			continue
		}
		service := x.find(p, r.Spec.Host, r.Namespace, r.Spec.ExportTo)
		if service == nil {
			report := p.ReportCode("IST0174", r.Object, []string{"spec", "host"}, "host %q is no Service and no ServiceEntry that namespace %s sees: the rule has no effect%s",
				r.Spec.Host, r.Namespace, x.meant(p, r.Spec.Host, r.Namespace))
			hintUnless(p, report, x.spokenOf(p, r.Spec.Host, r.Namespace))
			continue
		}
		for i, s := range r.Spec.Subsets {
			if len(s.Labels) == 0 || inSubset(p, nodes, service, s.Labels) {
				continue
			}
			report := p.Report(r.Object, []string{"spec", "subsets", fmt.Sprint(i), "labels"}, "no endpoint of %q has the labels %s: requests to subset %s get 503", r.Spec.Host, selectorText(s.Labels), s.Name).
				Because(service.Object, nil, "is the host")
			hintUnless(p, report, service.Entry != nil || len(p.Selected(service)) > 0)
		}
	}
}

// inSubset tells whether an endpoint of a service, or of its namesakes, is in a
// subset.
func inSubset(p *analyze.Pass, nodes map[string]map[string]string, service *mesh.Service, wanted map[string]string) bool {
	if service.Resolution == mesh.Alias {
		return true // endpoints are those of another name
	}
	for _, v := range p.Namesakes(service) {
		for _, w := range workloads(p).in(v.Namespace, v.Selector) {
			if len(v.Selector) > 0 && fits(w, nodes, wanted) {
				return true
			}
		}
		for _, entry := range v.Entry.GetEndpoints() {
			if mesh.Selects(wanted, entry.Labels) {
				return true
			}
		}
		if v.Entry == nil && len(v.Selector) == 0 {
			return true // its Endpoints are kept by hand
		}
	}
	return false
}

// fits tells whether pods are in a subset. Those of a template may run at any
// node, so labels of nodes are taken to fit.
func fits(w *mesh.Workload, nodes map[string]map[string]string, wanted map[string]string) bool {
	var pod struct {
		Spec struct {
			NodeName string `json:"nodeName"`
		} `json:"spec"`
	}
	placed := w.Kind == "Pod" && w.Decode(&pod) == nil
	for key, value := range wanted {
		got, has := w.PodLabels[key]
		switch {
		case has:
		case !ofNode(key):
			return false
		case !placed:
			got = value
		case key == "kubernetes.io/hostname":
			got = pod.Spec.NodeName
		default:
			got = nodes[pod.Spec.NodeName][key]
		}
		if got != value || got == "" && !has {
			return false
		}
	}
	return true
}

// ofNode tells whether istiod adds a label to endpoints by their node.
func ofNode(key string) bool {
	return key == "kubernetes.io/hostname" || strings.HasPrefix(key, "topology.kubernetes.io/") || key == "topology.istio.io/subzone"
}

func nodeLabels(p *analyze.Pass) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, o := range p.Kind("", "Node") {
		all[o.Name] = o.Labels
	}
	return all
}
