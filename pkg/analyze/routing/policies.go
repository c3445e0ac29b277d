package routing

import (
	"fmt"
	"slices"
	"strings"

	extensions "istio.io/api/extensions/v1alpha1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

func authorizationPolicies(p *analyze.Pass) []*mesh.AuthorizationPolicy {
	return allOf(p, security, "AuthorizationPolicy", p.AuthorizationPolicies)
}

// policiesWithoutWorkloads finds AuthorizationPolicies that are for no workload
// of the mesh. Those that name their targets are no matter of selectors.
func policiesWithoutWorkloads(p *analyze.Pass) {
	x := workloads(p)
	if len(p.Workloads) == 0 && !p.Complete {
		return // workloads are kept elsewhere
	}
	for _, a := range authorizationPolicies(p) {
		if len(a.Spec.TargetRefs) > 0 || a.Spec.TargetRef != nil {
			continue
		}
		selector, namespace, where := a.Spec.GetSelector().GetMatchLabels(), a.Namespace, "namespace "+a.Namespace
		if a.Namespace == p.RootNamespace() {
			if a.Spec.Selector == nil {
				continue
			}
			namespace, where = "", "the mesh"
		}
		selected := x.in(namespace, selector)
		if slices.ContainsFunc(selected, func(w *mesh.Workload) bool { return !outside(p, w) }) {
			continue
		}
		if len(selected) > 0 {
			p.Report(a.Object, []string{"spec"}, "the workloads that it is for have no sidecar and are not in ambient mode: nothing enforces it").
				Because(selected[0].Object, nil, "is not in the mesh")
			continue
		}
		if len(selector) == 0 {
			hintUnless(p, p.Report(a.Object, []string{"spec"}, "%s has no workloads: nothing enforces it", where), false)
			continue
		}
		path := []string{"spec", "selector", "matchLabels"}
		if elsewhere := x.in("", selector); namespace != "" && len(elsewhere) > 0 {
			p.Report(a.Object, path, "selector %s selects no workload of %s: nothing enforces it; namespace %s has such workloads, and a policy is for its own namespace", selectorText(selector), where, elsewhere[0].Namespace).
				Because(elsewhere[0].Object, nil, "has these labels")
			continue
		}
		r := p.Report(a.Object, path, "selector %s selects no workload of %s: nothing enforces it%s", selectorText(selector), where, x.nearSelector(namespace, selector))
		hintUnless(p, r, len(x.in(namespace, nil)) > 0)
	}
}

// unknownNamespaces finds namespaces in the sources of AuthorizationPolicies that
// there are not.
func unknownNamespaces(p *analyze.Pass) {
	declared := namespaceObjects(p)
	if len(declared) == 0 && !p.Complete {
		return // Namespaces are kept elsewhere
	}
	known := map[string]bool{"default": true, p.RootNamespace(): true}
	for _, ns := range systemNamespaces() {
		known[ns] = true
	}
	for _, o := range p.Objects {
		known[o.Namespace] = true
	}
	for ns := range declared {
		known[ns] = true
	}
	delete(known, "")
	names := sortedKeys(known)
	for _, a := range authorizationPolicies(p) {
		for i, rule := range a.Spec.Rules {
			for j, from := range rule.From {
				at := []string{"spec", "rules", fmt.Sprint(i), "from", fmt.Sprint(j), "source"}
				for field, patterns := range map[string][]string{"namespaces": from.GetSource().GetNamespaces(), "notNamespaces": from.GetSource().GetNotNamespaces()} {
					for k, pattern := range patterns {
						if slices.ContainsFunc(names, func(ns string) bool { return fitsPattern(pattern, ns) }) {
							continue
						}
						hint := ""
						if near := nearest(pattern, known); near != "" {
							hint = "; did you mean " + near + "?"
						}
						where, unless := "no namespace is", ""
						if !p.Complete {
							where, unless = "no namespace in the files is", "unless it is kept elsewhere, "
						}
						r := p.Report(a.Object, within(at, field, fmt.Sprint(k)), "%s %q: %sthe value matches no request%s", where, pattern, unless, hint)
						hintUnless(p, r, hint != "")
					}
				}
			}
		}
	}
}

// fitsPattern tells whether a namespace fits a value of a policy: a name, a
// prefix with a star, or a suffix.
func fitsPattern(pattern, namespace string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok && !strings.HasPrefix(pattern, "*") {
		return strings.HasPrefix(namespace, prefix)
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return pattern == "*" || strings.HasSuffix(namespace, suffix)
	}
	return strings.EqualFold(pattern, namespace)
}

// gatewayName is the label of the pods of a Gateway of the Kubernetes Gateway
// API: it names the Gateway.
const gatewayName = "gateway.networking.k8s.io/gateway-name"

// selectorsOfGatewayPods finds policies that select pods of a Gateway of the
// Kubernetes Gateway API by their labels: such policies ought to name it.
func selectorsOfGatewayPods(p *analyze.Pass) {
	pods := map[string][]gatewayPods{}
	for _, w := range p.Workloads {
		if w.PodLabels[gatewayName] != "" {
			pods[w.Namespace] = append(pods[w.Namespace], gatewayPods{w.Namespace, w.PodLabels, w})
		}
	}
	for _, g := range gatewaysByName(p).kubernetes {
		if strings.HasPrefix(g.Spec.Class, "istio") {
			pods[g.Namespace] = append(pods[g.Namespace], gatewayPods{g.Namespace, map[string]string{gatewayName: g.Name}, nil})
		}
	}
	if len(pods) == 0 {
		return
	}
	for _, s := range policiesSelecting(p) {
		for _, pod := range pods[s.Namespace] {
			if len(s.selector) > 0 && mesh.Selects(s.selector, pod.labels) {
				p.Report(s.Object, s.path, "the selector selects pods of Gateway %s by their labels: policies for a Gateway of the Kubernetes Gateway API name it in targetRefs, and a waypoint does not heed selectors at all", pod.labels[gatewayName])
				break
			}
		}
	}
}

// policiesSelecting are the policies that select workloads and name no targets.
func policiesSelecting(p *analyze.Pass) []selecting {
	path := []string{"spec", "selector", "matchLabels"}
	all := telemetriesSelecting(p)
	for _, a := range authorizationPolicies(p) {
		if len(a.Spec.TargetRefs) == 0 && a.Spec.TargetRef == nil {
			all = append(all, selecting{a.Object, a.Spec.GetSelector().GetMatchLabels(), path})
		}
	}
	for _, r := range allOf(p, security, "RequestAuthentication", p.RequestAuthentications) {
		if len(r.Spec.TargetRefs) == 0 && r.Spec.TargetRef == nil {
			all = append(all, selecting{r.Object, r.Spec.GetSelector().GetMatchLabels(), path})
		}
	}
	for _, o := range lastOnes(p.Kind("extensions.istio.io", "WasmPlugin")) {
		spec := &extensions.WasmPlugin{}
		if decodes(o, spec) && len(spec.TargetRefs) == 0 && spec.TargetRef == nil {
			all = append(all, selecting{o, spec.GetSelector().GetMatchLabels(), path})
		}
	}
	return all
}
