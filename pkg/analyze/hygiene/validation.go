package hygiene

import (
	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/validation"
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
			code := "IST0106"
			if problem.Warning {
				code = "IST0133"
			}
			p.ReportCode(code, o, problem.Path, "%s", problem.Text)
		}
	}
}
