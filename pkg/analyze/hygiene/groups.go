package hygiene

import (
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// istioGroups are Istio's API groups, each with its versions.
func istioGroups() map[string][]string {
	return map[string][]string{
		"security.istio.io": {"v1", "v1beta1"}, "networking.istio.io": {"v1", "v1beta1", "v1alpha3"},
		"telemetry.istio.io": {"v1", "v1alpha1"}, "extensions.istio.io": {"v1alpha1"}, "install.istio.io": {"v1alpha1"},
	}
}

// onlyVersion is that of a kind which has not grown with its group.
func onlyVersion(kind string) string {
	return map[string]string{"EnvoyFilter": "v1alpha3", "ProxyConfig": "v1beta1"}[kind]
}

// strange reports an object whose group, version or kind is written like one of
// Istio's and is none. Groups of others are their own business. What the
// snapshot refuses is told by whoever reads it.
func strange(p *analyze.Pass, o *mesh.Object) {
	group, version, versioned := strings.Cut(o.APIVersion, "/")
	if !versioned {
		group, version = "", o.APIVersion
	}
	at, snapshots := []string{"apiVersion"}, group == "security.istio.io" || group == "networking.istio.io"
	kinds, served := kindsOf(group), istioGroups()[group]
	switch only := onlyVersion(o.Kind); {
	case snapshots && slices.Contains(served, version) && only != "" && version != only:
		p.ReportCode("MSH0302", o, at, "%s has the version %s only", o.Kind, only).SetValue(at, group+"/"+only)
	case snapshots || group == "install.istio.io":
	case served != nil && !slices.Contains(kinds, o.Kind):
		p.ReportCode("MSH0302", o, []string{"kind"}, "unknown kind %q of %s; %s", o.Kind, o.APIVersion, mesh.DidYouMean(o.Kind, kinds))
	case served != nil && !slices.Contains(served, version):
		p.ReportCode("MSH0302", o, at, "unknown version %q; expected %s/%s", o.APIVersion, group, strings.Join(served, ", "))
	case served == nil && builtin(p, o, group, version):
	case served == nil:
		misspelt(p, o, group)
	}
}

// misspelt reports an object of Istio's whose group is written wrong.
func misspelt(p *analyze.Pass, o *mesh.Object, group string) {
	meant := ""
	for name := range istioGroups() {
		if slices.Contains(kindsOf(name), o.Kind) {
			meant = name
		}
	}
	own := []string{"AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"}
	if meant == "" || slices.Contains(own, o.Kind) && (group == "" || strings.Contains(group, "istio")) {
		return // foreign, or told already
	}
	if group != "" && !strings.Contains(group, "istio") && mesh.Nearest(group, []string{meant}) == "" {
		return
	}
	version := onlyVersion(o.Kind)
	if version == "" {
		version = istioGroups()[meant][0]
	}
	at := []string{"apiVersion"}
	p.ReportCode("MSH0302", o, at, "%s is no kind of %q: write %s/%s", o.Kind, o.APIVersion, meant, version).SetValue(at, meant+"/"+version)
}

// kindsOf are the kinds of one of Istio's groups, sorted.
func kindsOf(group string) []string {
	var kinds []string
	for name := range istioSpecs() {
		if of, kind, _ := strings.Cut(name, "/"); of == group {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}
