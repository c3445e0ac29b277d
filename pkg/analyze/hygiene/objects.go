package hygiene

import (
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// isIstio tells an object of Istio's API.
func isIstio(o *mesh.Object) bool { return strings.HasSuffix(analyze.Group(o), ".istio.io") }

// duplicates finds objects that are in the files twice: the last one counts.
func duplicates(p *analyze.Pass) {
	first := map[string]*mesh.Object{}
	for _, o := range p.Objects {
		if o.Name == "" {
			continue
		}
		key := identity(o)
		if before := first[key]; before != nil {
			p.Report(o, nil, "%s is in the files twice, and the last one counts: keep one", o).Because(before, nil, "is the other")
		} else {
			first[key] = o
		}
	}
}

// versions finds old versions of Istio's API where there is v1. They are read
// alike.
func versions(p *analyze.Pass) {
	grown := map[string]bool{"security.istio.io": true, "networking.istio.io": true, "telemetry.istio.io": true}
	for _, o := range p.Objects {
		group, version, _ := strings.Cut(o.APIVersion, "/")
		if grown[group] && slices.Contains([]string{"v1alpha3", "v1beta1", "v1alpha1"}, version) && o.Kind != "EnvoyFilter" && o.Kind != "ProxyConfig" {
			p.Report(o, []string{"apiVersion"}, "%s is old, and v1 says the same", o.APIVersion).SetValue([]string{"apiVersion"}, group+"/v1")
		}
	}
}

// strangers finds policies for namespaces that have nothing in the files.
func strangers(p *analyze.Pass) {
	if !p.Complete {
		return
	}
	known := map[string]bool{p.RootNamespace(): true}
	for _, o := range p.Objects {
		if o.Kind == "Namespace" && analyze.Group(o) == "" {
			known[o.Name] = true
		} else if !isIstio(o) {
			known[o.Namespace] = true
		}
	}
	for _, o := range p.Objects {
		if analyze.Group(o) == "security.istio.io" && !known[o.Namespace] {
			p.Report(o, []string{"metadata", "namespace"}, "there is nothing in namespace %s: the policy guards nothing", o.Namespace)
		}
	}
}

// sharedAccounts finds workloads of unlike applications that run as the account
// "default": policies cannot tell them apart.
func sharedAccounts(p *analyze.Pass) {
	first := map[string]*mesh.Workload{}
	apps := map[string]map[string]bool{}
	app := func(w *mesh.Workload) string {
		for _, key := range []string{"app.kubernetes.io/name", "app"} {
			if name := w.PodLabels[key]; name != "" {
				return name
			}
		}
		return w.Name
	}
	for _, w := range p.Workloads {
		if w.ServiceAccount != "default" || !w.Membership.Sidecar {
			continue
		}
		if apps[w.Namespace] == nil {
			apps[w.Namespace], first[w.Namespace] = map[string]bool{}, w
		}
		if !apps[w.Namespace][app(w)] && len(apps[w.Namespace]) == 1 {
			p.Report(w.Object, nil, "it runs as the service account default, as another application does: no policy can tell the two apart. Give each its own").
				Because(first[w.Namespace].Object, nil, "runs as default too")
		}
		apps[w.Namespace][app(w)] = true
	}
}

// hostNetworks finds pods on the host's network that ask for a sidecar.
func hostNetworks(p *analyze.Pass) {
	for _, w := range p.Workloads {
		if w.Membership.Reason == mesh.HostNetwork && w.PodLabels["sidecar.istio.io/inject"] == "true" {
			r := p.Report(w.Object, nil, "the pod asks for a sidecar and is on the host's network, where none is put in: it runs without")
			r.Related = append(r.Related, report.Related{Origin: r.Origin, Location: w.Membership.At, Message: "puts it there"})
		}
	}
}
