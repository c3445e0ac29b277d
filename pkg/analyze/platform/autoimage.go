package platform

import (
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// autoImages reports pods whose proxy has the image "auto", which only injection
// makes a real one, where nothing injects them.
func autoImages(p *analyze.Pass) {
	for _, one := range pods(p) {
		c, list, i := one.proxy()
		if c == nil || c.Image != "auto" || injectorTakes(p, one) {
			continue
		}
		code := "IST0146"
		if one.Kind == "Pod" {
			code = "IST0147"
		}
		p.ReportCode(code, one.Object, one.at("spec", list, itoa(i), "image"),
			"injection replaces the image \"auto\", and nothing injects these pods: label them sidecar.istio.io/inject=true, or their namespace istio-injection=enabled")
	}
}

// injectorTakes tells whether a webhook of the files injects a pod. Without any
// it is the usual one, and what the files do not show is for the best.
func injectorTakes(p *analyze.Pass, one *pod) bool {
	ns := namespaces(p)[one.Namespace]
	var labels map[string]string
	if ns != nil {
		labels = ns.Labels
	}
	if hooks := injectorHooks(p); len(hooks) > 0 {
		return slices.ContainsFunc(hooks, func(w *webhook) bool { return w.matches(labels, one.Metadata.Labels) })
	}
	return usuallyInjected(one, labels, ns == nil && !p.Complete)
}

// usuallyInjected is what the webhooks of an installation without revisions do.
func usuallyInjected(one *pod, namespace map[string]string, unknown bool) bool {
	if one.Spec.HostNetwork {
		return false
	}
	asked := one.Metadata.Labels[injectLabel]
	if asked == "false" || namespace[namespaceLabel] == "disabled" {
		return false
	}
	_, revision := one.Metadata.Labels[revisionLabel]
	return unknown || asked == "true" || revision || len(asksFor(&mesh.Object{Labels: namespace})) > 0
}
