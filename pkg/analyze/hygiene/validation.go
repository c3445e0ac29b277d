package hygiene

import (
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/validation"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// validate reports what istiod's webhook refuses and warns about. It looks at
// each object by itself, also at one that a later one of its name replaces.
func validate(p *analyze.Pass) {
	all := specs(p.Inventory)
	for _, o := range p.Objects {
		if all[o].spec == nil {
			continue
		}
		for _, problem := range validation.Check(o, all[o].spec) {
			tell(p, o, problem)
		}
	}
}

// tell reports a problem. IST0106 and IST0133 are said of the kinds whose
// validation recordings of the real one prove; MSH0318 of the others.
func tell(p *analyze.Pass, o *mesh.Object, problem validation.Problem) {
	proven := slices.Contains([]string{"AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication", "DestinationRule"}, o.Kind)
	switch {
	case proven && problem.Warning:
		p.ReportCode("IST0133", o, problem.Path, "%s", problem.Text)
	case proven:
		p.ReportCode("IST0106", o, problem.Path, "%s", problem.Text)
	case problem.Warning:
		p.ReportCode("MSH0318", o, problem.Path, "%s", problem.Text).As(report.Warning)
	default:
		p.ReportCode("MSH0318", o, problem.Path, "%s", problem.Text)
	}
}
