// Package hygiene has the rules about the files themselves (MSH03xx, IST0106,
// IST0133): what a cluster would refuse, leave out or read otherwise than it
// was meant.
package hygiene

import (
	"encoding/json"
	"errors"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Rules are the rules of this package.
func Rules() []analyze.Rule {
	return []analyze.Rule{
		{Code: "IST0106", Slug: "schema", Severity: report.Error, Confidence: analyze.Certain, Hides: true, Check: unreadable},
		{Code: "IST0133", Slug: "schema-warning", Severity: report.Warning, Confidence: analyze.Certain, Check: validate},
		{Code: "MSH0301", Slug: "unknown-field", Severity: report.Error, Confidence: analyze.Certain, Hides: true, Check: strictly},
		{Code: "MSH0302", Slug: "unknown-kind", Severity: report.Error, Confidence: analyze.Certain, Hides: true},
		{Code: "MSH0303", Slug: "removed-kind", Severity: report.Error, Confidence: analyze.Certain, Hides: true},
		{Code: "MSH0304", Slug: "same-object-twice", Severity: report.Warning, Confidence: analyze.Certain, Check: duplicates},
		{Code: "MSH0305", Slug: "duplicate-key", Severity: report.Error, Confidence: analyze.Certain, Hides: true, Check: repeatedKeys},
		{Code: "MSH0306", Slug: "template-residue", Severity: report.Error, Confidence: analyze.Certain, Hides: true, Alone: true, Check: pasted},
		{Code: "MSH0307", Slug: "outside-spec", Severity: report.Error, Confidence: analyze.Certain, Hides: true, Check: misplaced},
		{Code: "MSH0308", Slug: "old-version", Severity: report.Info, Confidence: analyze.Certain, Check: versions},
		{Code: "MSH0309", Slug: "policy-of-empty-namespace", Severity: report.Warning, Confidence: analyze.NeedsInventory, Check: strangers},
		{Code: "MSH0310", Slug: "shared-default-account", Severity: report.Warning, Confidence: analyze.Certain, Check: sharedAccounts},
		{Code: "MSH0313", Slug: "host-network-sidecar", Severity: report.Warning, Confidence: analyze.Certain, Check: hostNetworks},
		{Code: "MSH0314", Slug: "typographic-quotes", Severity: report.Error, Confidence: analyze.Certain, Hides: true, Alone: true},
		{Code: "MSH0315", Slug: "non-breaking-space", Severity: report.Error, Confidence: analyze.Certain, Hides: true, Alone: true},
		{Code: "MSH0316", Slug: "tab-indentation", Severity: report.Error, Confidence: analyze.Certain, Hides: true},
		{Code: "MSH0317", Slug: "lost-indentation", Severity: report.Error, Confidence: analyze.Certain, Hides: true},
		{Code: "MSH0318", Slug: "refused-value", Severity: report.Error, Confidence: analyze.Certain, Hides: true},
		{Code: analyze.Unreadable, Slug: "unreadable", Severity: report.Error, Confidence: analyze.Certain, Hides: true},
		{Code: "MSH0321", Slug: "half-object", Severity: report.Error, Confidence: analyze.Certain, Hides: true, Check: halves},
		{Code: "MSH0323", Slug: "selector-of-other-pods", Severity: report.Error, Confidence: analyze.Certain, Check: ownSelectors},
		{Code: "MSH0324", Slug: "service-without-pods", Severity: report.Warning, Confidence: analyze.NeedsInventory, Check: podlessServices},
		{Code: analyze.UnusedSuppression, Slug: "unused-suppression", Severity: report.Warning, Confidence: analyze.Certain},
	}
}

// unreadable reports what the files and the mesh could not be read for.
func unreadable(p *analyze.Pass) {
	for _, fault := range p.Faults {
		p.ReportFault(analyze.Unreadable, fault)
	}
	for _, problem := range p.Problems {
		reportAll(p, problem)
	}
}

func reportAll(p *analyze.Pass, problem error) {
	for _, fault := range faults(problem) {
		var d *mesh.Defect
		var syntax *manifest.SyntaxError
		switch {
		case errors.As(fault, &syntax), noMapping(fault):
			p.ReportFault(analyze.Unreadable, fault)
		case !errors.As(fault, &d):
			p.ReportFault("IST0106", fault)
		case d.Class == mesh.UnknownField:
			unknown(p, d, fault.Hint)
		case d.Class == mesh.GoneKind:
			p.ReportFault("MSH0303", fault)
		default:
			p.ReportFault("MSH0302", fault)
		}
	}
}

// noMapping tells the fault of a document that is a text, a number or a list.
func noMapping(fault *report.InputError) bool {
	var mismatch *json.UnmarshalTypeError
	return errors.As(fault, &mismatch) && mismatch.Field == "" && fault.Subject == ""
}

// unknown reports a field that a kind of Istio's does not have.
func unknown(p *analyze.Pass, d *mesh.Defect, hint string) {
	if d.Under != "" {
		key := d.Path[len(d.Path)-1]
		p.ReportCode("MSH0317", d.Object, d.Path, "%s is empty and %s stands beside it: the indentation got lost. Indent %s", d.Under, key, key)
		return
	}
	r := p.ReportCode("MSH0301", d.Object, d.Path, "%v; %s", d, hint)
	if d.Near != "" {
		r.RenameKey(d.Path, d.Near)
	}
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
