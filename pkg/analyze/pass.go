package analyze

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Pass is one rule's run over the inventory.
type Pass struct {
	*Inventory
	rule    Rule
	rules   map[string]Rule // all, by code
	reports []*Report
}

// Report adds a finding about an object. path leads to the value at fault: map
// keys and list numbers.
func (p *Pass) Report(o *mesh.Object, path []string, format string, args ...any) *Report {
	return p.ReportCode(p.rule.Code, o, path, format, args...)
}

// ReportCode is Report for a check that finds several codes.
func (p *Pass) ReportCode(code string, o *mesh.Object, path []string, format string, args ...any) *Report {
	return p.add(code, origin(o), o.Locate(path...), fmt.Sprintf(format, args...)).of(o)
}

// of makes the finding one of an object.
func (r *Report) of(o *mesh.Object) *Report {
	r.object, r.namespace, r.Origin = o, o.Namespace, origin(o)
	if o.Kind == "Namespace" {
		r.namespace = o.Name
	}
	return r
}

// ReportFaultOf is ReportFault for an error of decoding an object.
func (p *Pass) ReportFaultOf(code string, o *mesh.Object, fault *report.InputError) *Report {
	return p.ReportFault(code, fault).of(o)
}

// ReportAt is Report for a place that is in no object.
func (p *Pass) ReportAt(origin string, at report.Location, format string, args ...any) *Report {
	return p.ReportCodeAt(p.rule.Code, origin, at, format, args...)
}

// ReportCodeAt is ReportAt for a check that finds several codes.
func (p *Pass) ReportCodeAt(code, origin string, at report.Location, format string, args ...any) *Report {
	return p.add(code, origin, at, fmt.Sprintf(format, args...))
}

// ReportFault reports an error of reading the files.
func (p *Pass) ReportFault(code string, fault *report.InputError) *Report {
	message := fault.Err.Error()
	var syntax *manifest.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(fault, &syntax):
		message = "the document cannot be read: " + syntax.Problem + "; " + syntax.WayOut
	case errors.As(fault, &mismatch) && fault.Hint != "" && mismatch.Field != "":
		message = mismatch.Field + ": " + fault.Hint
	case errors.As(fault, &mismatch) && fault.Hint != "":
		message = fault.Hint
	case fault.Hint != "":
		message += "; " + fault.Hint
	}
	r := p.add(code, fault.Subject, fault.Location, message)
	r.namespace = namespaceOf(fault.Subject)
	return r
}

// namespaceOf is the namespace of an object as origins name it: "Kind
// namespace/name"; "" for none.
func namespaceOf(origin string) string {
	kind, name, _ := strings.Cut(origin, " ")
	if namespace, _, namespaced := strings.Cut(name, "/"); namespaced {
		return namespace
	}
	if kind == "Namespace" {
		return name
	}
	return ""
}

func (p *Pass) add(code, origin string, at report.Location, message string) *Report {
	rule, known := p.rules[code]
	if !known {
		panic("the check of " + p.rule.Code + " reports " + code + ", which is no rule")
	}
	r := &Report{Finding: report.Finding{Code: code, Severity: rule.severity(p.Complete), Origin: origin, Location: at, Message: visible(message)}}
	p.reports = append(p.reports, r)
	return r
}

// Report is a finding that more can be said about.
type Report struct {
	report.Finding
	object    *mesh.Object // nil for none
	namespace string       // "" for none
	changes   []change     // that fix it
}

// Because names an object that has to do with the finding.
func (r *Report) Because(o *mesh.Object, path []string, format string, args ...any) *Report {
	r.Related = append(r.Related, report.Related{Origin: origin(o), Location: o.Locate(path...), Message: visible(fmt.Sprintf(format, args...))})
	return r
}

// As gives the finding another severity than its rule's.
func (r *Report) As(severity report.Severity) *Report {
	r.Severity = severity
	return r
}

// SetValue fixes the finding: the value at path of its object becomes another
// one.
func (r *Report) SetValue(path []string, value any) *Report {
	r.changes = append(r.changes, change{path: path, value: value})
	return r
}

// RenameKey fixes the finding: the last key of path becomes another one.
func (r *Report) RenameKey(path []string, key string) *Report {
	r.changes = append(r.changes, change{path: path, key: key})
	return r
}

// Remove fixes the finding: what stands at path goes.
func (r *Report) Remove(path []string) *Report {
	r.changes = append(r.changes, change{path: path, remove: true})
	return r
}

// change is one step of a fix, of an object's tree.
type change struct {
	path   []string
	value  any    // the new value
	key    string // or the new name of the last key
	remove bool   // or nothing
}

// origin names an object as Istio's analyzers do: without the namespace that
// the manifest does not say.
func origin(o *mesh.Object) string {
	named := o.Object
	if o.Implied {
		named.Namespace = ""
	}
	return named.String()
}
