package hygiene

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// halves finds documents that are meant as objects and lack kind or apiVersion.
func halves(p *analyze.Pass) {
	for _, h := range p.Halves {
		switch h.Missing {
		case "kind":
			p.Report(h.Object, nil, "the object has no kind: a cluster refuses it, and nothing in it was looked at%s", kindHint(h.Object))
		case "apiVersion":
			p.Report(h.Object, nil, "the object has no apiVersion: a cluster refuses it, and nothing in it was looked at%s", versionHint(h.Kind))
		case manifest.Neither:
			p.Report(h.Object, nil, "this has the form of an object, and neither apiVersion nor kind: a cluster refuses it").As(report.Warning)
		}
	}
}

// kindHint names the only kind of a group of Istio's whose spec reads so.
func kindHint(o *mesh.Object) string {
	group, _, _ := strings.Cut(o.APIVersion, "/")
	var spec struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	var fitting []string
	for _, kind := range kindsOf(group) {
		message := istioSpecs()[group+"/"+kind]()
		if readable, err := mesh.DecodeSpec(o, message); readable && err == nil {
			fitting = append(fitting, kind)
		}
	}
	if o.Decode(&spec) != nil || len(spec.Spec) == 0 || len(fitting) != 1 {
		return "; write kind: and what it is"
	}
	return "; by its spec it is of the kind " + fitting[0]
}

// versionHint names the apiVersions that have a kind.
func versionHint(kind string) string {
	var all []string
	for _, group := range homes(kind) {
		all = append(all, stableVersion(group))
	}
	for name := range istioSpecs() {
		if group, known, _ := strings.Cut(name, "/"); known == kind {
			version := onlyVersion(kind)
			if version == "" {
				version = istioGroups()[group][0]
			}
			all = append(all, group+"/"+version)
		}
	}
	if all == nil {
		return "; write apiVersion: and the group and version of its kind"
	}
	slices.Sort(all)
	return "; write apiVersion: " + strings.Join(all, " or ")
}
