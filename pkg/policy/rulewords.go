package policy

import (
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// words say what a rule matches, as it is enforced: "GET to /x on port 80, when
// the caller is y". They name values as the policy has them; trust domains
// that istiod adds are not among them.
func (r *Rule) words() string {
	text := "everything"
	if what := r.operations(); what != "" {
		text = what
	}
	sources, conditions := r.sources(), r.conditions()
	switch {
	case sources == "" && conditions == "":
	case sources == "":
		text += ", when " + conditions
	case conditions == "":
		text += ", when " + sources
	default:
		text += ", when " + sources + ", provided that " + conditions
	}
	return text
}

// fieldsOf are the fields of a conjunction that come from one part of the
// rule: "from", "to" or "when".
func fieldsOf(e Expr, part string) []*Field {
	var all []*Field
	for i := range e.Kids {
		if f := e.Kids[i].Field; f != nil && f.Path[0] == part {
			all = append(all, f)
		}
	}
	return all
}

// operations are the entries of "to"; "" is any.
func (r *Rule) operations() string {
	var all []string
	for _, e := range r.Permissions {
		fields := fieldsOf(e, "to")
		if len(fields) == 0 {
			return ""
		}
		all = append(all, r.operationWords(fields))
	}
	return alternatives(unique(all))
}

// sources are the entries of "from"; "" is anyone.
func (r *Rule) sources() string {
	var all []string
	for _, e := range r.Principals {
		var clauses []string
		for _, f := range fieldsOf(e, "from") {
			clauses = append(clauses, r.callerWords(f.meaning(), f))
		}
		if clauses == nil {
			return ""
		}
		all = append(all, strings.Join(clauses, " and "))
	}
	return alternatives(unique(all))
}

// conditions are those of "when", in the policy's order; every entry of "from"
// or "to" repeats its side of them.
func (r *Rule) conditions() string {
	fields := append(fieldsOf(r.Permissions[0], "when"), fieldsOf(r.Principals[0], "when")...)
	at := func(f *Field) int { n, _ := strconv.Atoi(f.Path[1]); return n }
	slices.SortStableFunc(fields, func(a, b *Field) int { return at(a) - at(b) })
	var clauses []string
	for _, f := range fields {
		clauses = append(clauses, r.conditionWords(f))
	}
	return strings.Join(clauses, " and ")
}

// operationWords is one entry of "to": "GET or HEAD to /x for the host y on
// port 80".
func (r *Rule) operationWords(fields []*Field) string {
	values := map[string][]string{}
	for _, f := range fields {
		values[f.Name] = r.written(f)
	}
	text := methodWords(values["methods"], values["notMethods"])
	if text == "" {
		text = "anything"
		if len(values["paths"])+len(values["notPaths"])+len(values["hosts"])+len(values["notHosts"]) > 0 {
			text = "requests"
		}
	}
	text += limited(" to ", "any path", pathNouns(values["paths"]), pathNouns(values["notPaths"]))
	text += limited(" for ", "any host", hostNouns(values["hosts"]), hostNouns(values["notHosts"]))
	return text + portWords(values["ports"], values["notPorts"])
}

func methodWords(values, notValues []string) string {
	nouns := func(values []string) []string {
		f := formsOf(values)
		all := f.nouns("methods")
		if f.any {
			all = append(all, "requests of any method")
		}
		return all
	}
	text := either(nouns(values))
	if len(notValues) > 0 {
		if text == "" {
			text = "requests of any method"
		}
		text += " except " + either(nouns(notValues))
	}
	return text
}

// limited is a part of an operation: " to a or b except c".
func limited(preposition, anything string, some, none []string) string {
	if len(some) == 0 && len(none) == 0 {
		return ""
	}
	text := preposition + either(some)
	if len(some) == 0 {
		text = preposition + anything
	}
	if len(none) > 0 {
		text += " except " + either(none)
	}
	return text
}

func pathNouns(values []string) []string {
	var plain, templates []string
	for _, v := range values {
		if isTemplate(v) {
			templates = append(templates, shown(v))
		} else {
			plain = append(plain, v)
		}
	}
	f := formsOf(plain)
	all := f.nouns("paths")
	if templates != nil {
		all = append(all, "paths of the template "+either(templates))
	}
	if f.any {
		all = append(all, "any path")
	}
	return all
}

func isTemplate(path string) bool {
	return strings.Contains(path, "{*}") || strings.Contains(path, "{**}")
}

func hostNouns(values []string) []string {
	f := formsOf(values)
	var all []string
	if f.exact != nil {
		all = append(all, "the host "+either(f.exact))
	}
	all = append(all, forms{starts: f.starts, ends: f.ends}.nouns("hosts")...)
	if f.any {
		all = append(all, "any host")
	}
	return all
}

func portWords(values, notValues []string) string {
	noun := func(values []string) []string {
		if len(values) == 0 {
			return nil
		}
		if len(values) == 1 {
			return []string{"port " + shown(values[0])}
		}
		return []string{"ports " + either(allShown(values))}
	}
	return limited(" on ", "any port", noun(values), noun(notValues))
}

// written are a field's values as the policy has them, those left out that
// istiod cannot compile. It repeats identities for every trust domain of the
// mesh.
func (r *Rule) written(f *Field) []string {
	return slices.DeleteFunc(slices.Clone(r.given(f)), func(v string) bool {
		var err error
		switch f.meaning() {
		case "ipBlocks", "remoteIpBlocks", "destination.ip":
			_, err = block(PeerAddress)(v)
		case "ports", "destination.port":
			_, err = port(v)
		}
		return err != nil
	})
}

func (r *Rule) given(f *Field) []string {
	rule := r.Policy.Spec.Rules[r.Index]
	at, _ := strconv.Atoi(f.Path[1])
	switch f.Path[0] {
	case "from":
		source := rule.From[at].GetSource()
		switch f.Name {
		case "principals":
			return source.GetPrincipals()
		case "notPrincipals":
			return source.GetNotPrincipals()
		case "trustDomains":
			return source.GetTrustDomains()
		case "notTrustDomains":
			return source.GetNotTrustDomains()
		}
	case "when":
		if f.Negative {
			return rule.When[at].GetNotValues()
		}
		return rule.When[at].GetValues()
	}
	return f.Values
}

// verb is what a rule of an action does with a request.
func verb(action security.AuthorizationPolicy_Action, dry bool) string {
	word := map[security.AuthorizationPolicy_Action]string{
		security.AuthorizationPolicy_ALLOW: "allow", security.AuthorizationPolicy_DENY: "deny",
		security.AuthorizationPolicy_AUDIT: "note", security.AuthorizationPolicy_CUSTOM: "ask about",
	}[action]
	switch {
	case dry:
		return "would " + word
	case action == security.AuthorizationPolicy_DENY:
		return "denies"
	case action == security.AuthorizationPolicy_CUSTOM:
		return "asks about"
	}
	return word + "s"
}
