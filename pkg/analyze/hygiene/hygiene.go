// Package hygiene has the rules about the files themselves (MSH03xx, IST0106,
// IST0133): what a cluster would refuse, leave out or read otherwise than it
// was meant.
package hygiene

import (
	"errors"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Rules are the rules of this package.
func Rules() []analyze.Rule {
	return []analyze.Rule{
		{Code: "IST0106", Slug: "schema", Severity: report.Error, Confidence: analyze.Certain, Check: unreadable},
		{Code: "IST0133", Slug: "schema-warning", Severity: report.Warning, Confidence: analyze.Certain, Check: validate},
		{Code: "MSH0301", Slug: "unknown-field", Severity: report.Error, Confidence: analyze.Certain},
		{Code: "MSH0302", Slug: "unknown-kind", Severity: report.Error, Confidence: analyze.Certain},
		{Code: "MSH0303", Slug: "removed-kind", Severity: report.Error, Confidence: analyze.Certain},
		{Code: analyze.UnusedSuppression, Slug: "unused-suppression", Severity: report.Warning, Confidence: analyze.Certain},
	}
}

// unreadable reports what the mesh could not be read for.
func unreadable(p *analyze.Pass) {
	for _, problem := range p.Problems {
		for _, fault := range faults(problem) {
			p.ReportFault(code(fault), fault)
		}
	}
}

func code(fault *report.InputError) string {
	var d *mesh.Defect
	if !errors.As(fault, &d) {
		return "IST0106"
	}
	return map[mesh.Class]string{
		mesh.UnknownField: "MSH0301", mesh.UnknownKind: "MSH0302", mesh.UnknownVersion: "MSH0302", mesh.GoneKind: "MSH0303",
	}[d.Class]
}

// faults takes joined errors apart.
func faults(err error) []*report.InputError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*report.InputError
		for _, e := range joined.Unwrap() {
			all = append(all, faults(e)...)
		}
		return all
	}
	var fault *report.InputError
	if !errors.As(err, &fault) {
		fault = &report.InputError{Err: err}
	}
	return []*report.InputError{fault}
}
