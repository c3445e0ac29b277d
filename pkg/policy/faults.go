package policy

import (
	"errors"
	"strconv"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// fault is a value of a rule that istiod cannot compile for a kind of filter
// chain (AP-20, AP-58, AP-59a).
type fault struct {
	field string
	path  []string // that leads to the field, within the rule
	value string
	err   error // errHTTPOnly on chains without requests; nil for a condition with an unknown key
}

// faults are all such values of a rule.
func (c *compiler) faults(p *mesh.AuthorizationPolicy, index int) []fault {
	r := p.Spec.Rules[index]
	b := &ruleBuilder{compiler: c, namespace: p.Namespace}
	var fields []field
	for i, f := range r.GetFrom() {
		fields = append(fields, b.sourceFields(i, f.GetSource())...)
	}
	for i, t := range r.GetTo() {
		fields = append(fields, b.operationFields(i, t.GetOperation())...)
	}
	var all []fault
	for i, w := range r.GetWhen() {
		path := []string{"when", strconv.Itoa(i)}
		f, _, ok := b.condition(w)
		if !ok {
			all = append(all, fault{field: w.GetKey(), path: path})
			continue
		}
		f.name, f.notName, f.path = w.GetKey(), w.GetKey(), path
		fields = append(fields, f)
	}
	for _, f := range fields {
		all = append(all, f.faults()...)
	}
	return all
}

func (f *field) faults() []fault {
	var all []fault
	try := func(name string, values []string) {
		for _, v := range values {
			if _, err := f.generate(v); err != nil {
				all = append(all, fault{name, f.path, v, err})
			}
		}
	}
	try(f.name, f.values)
	try(f.notName, f.notValues)
	return all
}

// httpFields are the fields at fault because they look at requests.
func httpFields(all []fault) []string {
	var names []string
	for _, f := range all {
		if errors.Is(f.err, errHTTPOnly) {
			names = append(names, f.field)
		}
	}
	return unique(names)
}

// hasRequests tells whether a rule looks at what only requests have.
func hasRequests(p *mesh.AuthorizationPolicy, index int) bool {
	return len(httpFields((&compiler{tcp: true}).faults(p, index))) > 0
}
