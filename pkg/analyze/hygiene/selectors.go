package hygiene

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// ownSelectors finds controllers whose selector does not select the pods of
// their own template: a cluster refuses them.
func ownSelectors(p *analyze.Pass) {
	for _, w := range p.Workloads {
		path, ok := template(w.Object)
		if !ok || len(path) != 2 || w.Kind == "Job" {
			continue // pods have no selector, and those of jobs are generated
		}
		var controller struct {
			Spec struct {
				Selector struct {
					MatchLabels map[string]string `json:"matchLabels"`
				} `json:"selector"`
			} `json:"spec"`
		}
		if w.Decode(&controller) != nil {
			continue // one of another form
		}
		labels := controller.Spec.Selector.MatchLabels
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			if value, there := w.PodLabels[key]; !there || value != labels[key] {
				p.Report(w.Object, []string{"spec", "selector", "matchLabels", key}, "the selector wants %s=%s, and the pods of the template have %s: a cluster refuses the %s", key, labels[key], labelText(key, value, there), w.Kind)
				break
			}
		}
	}
}

func labelText(key, value string, there bool) string {
	if !there {
		return "no such label"
	}
	return key + "=" + value
}

// podlessServices finds Services that select no pods although their namespace
// has some in the files. Operators make pods that no file has: unless a label is
// nearly one of those that are there, it is a hint.
func podlessServices(p *analyze.Pass) {
	labels := map[string]map[string]map[string]bool{} // namespace, key, values
	for _, w := range p.Workloads {
		if labels[w.Namespace] == nil {
			labels[w.Namespace] = map[string]map[string]bool{}
		}
		for key, value := range w.PodLabels {
			if labels[w.Namespace][key] == nil {
				labels[w.Namespace][key] = map[string]bool{}
			}
			labels[w.Namespace][key][value] = true
		}
	}
	for _, v := range p.Services {
		if v.Entry != nil || len(v.Selector) == 0 || labels[v.Namespace] == nil || selectsAny(p, v, labels[v.Namespace]) {
			continue
		}
		hint := nearLabel(v.Selector, labels[v.Namespace])
		r := p.Report(v.Object, []string{"spec", "selector"}, "the Service selects no pods of namespace %s: nobody answers at it%s", v.Namespace, hint)
		if hint == "" && !p.Complete {
			r.As(report.Info)
		}
	}
}

// selectsAny tells whether a Service selects a workload. That each of its labels
// is there somewhere is looked at first: it is quick, and mostly enough.
func selectsAny(p *analyze.Pass, v *mesh.Service, labels map[string]map[string]bool) bool {
	for key, value := range v.Selector {
		if !labels[key][value] {
			return false
		}
	}
	return len(p.Selected(v)) > 0
}

// mostValues is how many values of a label are compared with one.
const mostValues = 200

func nearLabel(selector map[string]string, labels map[string]map[string]bool) string {
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		if values := labels[key]; len(values) <= mostValues && !values[selector[key]] {
			if near := mesh.Nearest(selector[key], slices.Sorted(maps.Keys(values))); near != "" {
				return fmt.Sprintf("; did you mean %s=%s?", key, near)
			}
		}
	}
	return ""
}
