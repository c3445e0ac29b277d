package routing

import (
	"fmt"
	"strings"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
)

// egressNamespaces finds Sidecars that let hosts of namespaces in that there are
// not. Without all files it tells of names only that nearly are one of them.
func egressNamespaces(p *analyze.Pass) {
	if len(p.Kind(networking, "Sidecar")) == 0 {
		return
	}
	known := map[string]bool{"default": true, p.RootNamespace(): true}
	for _, o := range p.Objects {
		known[o.Namespace] = true
		if o.Kind == "Namespace" {
			known[o.Name] = true
		}
	}
	delete(known, "")
	for _, ns := range namespacesOf(p, networking, "Sidecar") {
		for _, s := range p.Sidecars(ns) {
			for i, egress := range s.Spec.Egress {
				for j, host := range egress.GetHosts() {
					name, _, ok := strings.Cut(host, "/")
					if !ok || strings.ContainsAny(name, "*~.") || name == "" || known[name] {
						continue
					}
					near := nearest(name, known)
					switch path := []string{"spec", "egress", fmt.Sprint(i), "hosts", fmt.Sprint(j)}; {
					case near != "":
						hintUnless(p, p.Report(s.Object, path, "no namespace is %q: the Sidecar lets nothing of it in; did you mean %s?", name, near), false)
					case p.Complete:
						p.Report(s.Object, path, "no namespace is %q: the Sidecar lets nothing of it in", name)
					}
				}
			}
		}
	}
}

// entriesWithoutEndpoints finds ServiceEntries whose endpoints are listed, and
// none is.
func entriesWithoutEndpoints(p *analyze.Pass) {
	for _, v := range serviceEntries(p) {
		if v.Entry.Resolution == api.ServiceEntry_STATIC && len(v.Entry.Endpoints) == 0 && v.Entry.WorkloadSelector == nil {
			p.Report(v.Object, []string{"spec", "resolution"}, "the resolution is STATIC, and there are no endpoints and no workloadSelector: requests get 503; list endpoints, or write DNS")
		}
	}
}
