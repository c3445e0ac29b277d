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
		{Code: "MSH0301", Slug: "unknown-field", Severity: report.Error, Confidence: analyze.Certain, Check: strictly},
		{Code: "MSH0302", Slug: "unknown-kind", Severity: report.Error, Confidence: analyze.Certain},
		{Code: "MSH0303", Slug: "removed-kind", Severity: report.Error, Confidence: analyze.Certain},
		{Code: "MSH0304", Slug: "same-object-twice", Severity: report.Warning, Confidence: analyze.Certain, Check: duplicates},
		{Code: "MSH0305", Slug: "duplicate-key", Severity: report.Error, Confidence: analyze.Certain, Check: repeatedKeys},
		{Code: "MSH0306", Slug: "template-residue", Severity: report.Error, Confidence: analyze.Certain, Check: pasted},
		{Code: "MSH0307", Slug: "outside-spec", Severity: report.Error, Confidence: analyze.Certain, Check: misplaced},
		{Code: "MSH0308", Slug: "old-version", Severity: report.Info, Confidence: analyze.Certain, Check: versions},
		{Code: "MSH0309", Slug: "policy-of-empty-namespace", Severity: report.Warning, Confidence: analyze.NeedsInventory, Check: strangers},
		{Code: "MSH0310", Slug: "shared-default-account", Severity: report.Warning, Confidence: analyze.Certain, Check: sharedAccounts},
		{Code: "MSH0313", Slug: "host-network-sidecar", Severity: report.Warning, Confidence: analyze.Certain, Check: hostNetworks},
		{Code: "MSH0314", Slug: "typographic-quotes", Severity: report.Error, Confidence: analyze.Certain},
		{Code: "MSH0315", Slug: "non-breaking-space", Severity: report.Error, Confidence: analyze.Certain},
		{Code: "MSH0316", Slug: "tab-indentation", Severity: report.Error, Confidence: analyze.Certain},
		{Code: "MSH0317", Slug: "lost-indentation", Severity: report.Error, Confidence: analyze.Certain},
		{Code: analyze.UnusedSuppression, Slug: "unused-suppression", Severity: report.Warning, Confidence: analyze.Certain},
	}
}

// unreadable reports what the mesh could not be read for.
func unreadable(p *analyze.Pass) {
	for _, problem := range p.Problems {
		reportAll(p, problem)
	}
}

func reportAll(p *analyze.Pass, problem error) {
	for _, fault := range faults(problem) {
		p.ReportFault(code(fault), fault)
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
