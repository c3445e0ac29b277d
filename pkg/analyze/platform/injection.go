package platform

import (
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// namespaceLabels reports namespaces that ask for nothing, or for several things
// at once.
func namespaceLabels(p *analyze.Pass) {
	byDefault, askThemselves := injectedByDefault(p), askingPods(p)
	for _, ns := range p.Kind("", "Namespace") {
		if isSystem(p, ns.Name) {
			continue
		}
		if asked := asksFor(ns); len(asked) > 1 {
			r := p.ReportCode("IST0123", ns, []string{"metadata", "labels", asked[1]}, "the labels %s contradict each other, and which of them counts depends on how Istio is installed: keep one", strings.Join(asked, " and "))
			r.Because(ns, []string{"metadata", "labels", asked[0]}, "the other label")
			continue
		}
		if saysSomething(ns) {
			continue
		}
		at := []string{"metadata", "labels"}
		if byDefault == nil && askThemselves[ns.Name] {
			continue
		}
		if byDefault == nil {
			p.ReportCode("IST0102", ns, at, "no label of the namespace asks for sidecars: add istio-injection=enabled or istio.io/rev=REVISION, or istio-injection=disabled if none are meant")
			continue
		}
		p.ReportCode("IST0148", ns, at, "pods of the namespace get sidecars because the installation injects by default (enableNamespacesByDefault): add istio-injection=enabled or =disabled to say what is meant").
			Because(byDefault, []string{"data", "values"}, "says so")
	}
}

// askingPods are the namespaces whose pods all say for themselves whether they
// want a sidecar, as those of gateways do.
func askingPods(p *analyze.Pass) map[string]bool {
	all := map[string]bool{}
	for _, one := range pods(p) {
		_, inject := one.Metadata.Labels[injectLabel]
		_, revision := one.Metadata.Labels[revisionLabel]
		before, seen := all[one.Namespace]
		all[one.Namespace] = (inject || revision) && (before || !seen)
	}
	return all
}

// asksFor are the labels by which a namespace asks for proxies of some kind. One
// that turns injection off leaves the others without a rival.
func asksFor(ns *mesh.Object) []string {
	if value, ok := ns.Labels[namespaceLabel]; ok && value != "enabled" {
		return nil
	}
	var asked []string
	if ns.Labels[namespaceLabel] != "" {
		asked = append(asked, namespaceLabel)
	}
	if _, ok := ns.Labels[revisionLabel]; ok {
		asked = append(asked, revisionLabel)
	}
	if ns.Labels[dataplaneLabel] == "ambient" {
		asked = append(asked, dataplaneLabel)
	}
	return asked
}

// saysSomething tells whether the labels say what is meant, be it nothing.
func saysSomething(ns *mesh.Object) bool {
	for _, label := range []string{namespaceLabel, revisionLabel, dataplaneLabel} {
		if _, ok := ns.Labels[label]; ok {
			return true
		}
	}
	return false
}

// podsWithoutProxy reports Pods that should have got a sidecar.
func podsWithoutProxy(p *analyze.Pass) {
	for _, one := range podsOf(p, "Pod") {
		ns := namespaces(p)[one.Namespace]
		if ns == nil || isSystem(p, ns.Name) || one.Spec.HostNetwork || optsOut(one) {
			continue
		}
		asked := asksFor(ns)
		if len(asked) != 1 || asked[0] == dataplaneLabel {
			continue
		}
		if proxy, _, _ := one.proxy(); proxy == nil {
			p.Report(one.Object, []string{"spec", "containers"}, "the Pod has no container istio-proxy although its namespace asks for sidecars: if it runs, create it again; label it sidecar.istio.io/inject=false if none is meant").
				Because(ns, []string{"metadata", "labels", asked[0]}, "asks for sidecars")
		}
	}
}

// optsOut tells a pod that says that it wants no sidecar; its label counts before
// its annotation.
func optsOut(one *pod) bool {
	value, ok := one.Metadata.Labels[injectLabel]
	if !ok {
		value = one.Metadata.Annotations[injectLabel]
	}
	return strings.EqualFold(value, "false")
}
