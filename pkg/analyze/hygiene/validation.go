package hygiene

import (
	"maps"
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/validation"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// validate reports what istiod's webhook refuses and warns about.
func validate(p *analyze.Pass) {
	for _, namespace := range namespaces(p) {
		for _, r := range p.AuthorizationPolicies(namespace) {
			tell(p, r.Object, validation.AuthorizationPolicy(r))
		}
		for _, r := range p.PeerAuthentications(namespace) {
			tell(p, r.Object, validation.PeerAuthentication(r))
		}
		for _, r := range p.RequestAuthentications(namespace) {
			tell(p, r.Object, validation.RequestAuthentication(r))
		}
		for _, r := range p.DestinationRules(namespace) {
			tell(p, r.Object, validation.DestinationRule(r))
		}
	}
}

// namespaces are those that objects are in, sorted.
func namespaces(p *analyze.Pass) []string {
	seen := map[string]bool{}
	for _, o := range p.Objects {
		seen[o.Namespace] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func tell(p *analyze.Pass, o *mesh.Object, problems []validation.Problem) {
	for _, problem := range problems {
		code := "IST0106"
		if problem.Warning {
			code = "IST0133"
		}
		p.ReportCode(code, o, problem.Path, "%s", problem.Text)
	}
}
