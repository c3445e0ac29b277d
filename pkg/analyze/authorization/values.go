package authorization

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// values looks at the values of rules, one by one.
func values(p *analyze.Pass) {
	accounts, domains := accountsOf(p.Inventory), trustedBy(p.Inventory)
	for _, r := range policies(p.Inventory) {
		for _, f := range fields(r) {
			for i, value := range f.values {
				v := spot{p, r, f, i, value}
				if v.never() {
					continue
				}
				switch f.name {
				case "paths":
					v.path()
				case "methods":
					v.method()
				case "hosts":
					v.host()
				case "principals", "source.principal":
					v.principal(accounts, domains)
				case "trustDomains", "source.trustDomain":
					v.trustDomain(value, domains)
				case "serviceAccounts", "source.serviceAccount":
					v.account(accounts)
				default:
					v.header()
				}
			}
		}
	}
}

// spot is one value of a rule.
type spot struct {
	*analyze.Pass
	policy *mesh.AuthorizationPolicy
	field
	index int
	value string
}

func (v spot) say(code, format string, args ...any) *analyze.Report {
	return v.ReportCode(code, v.policy.Object, v.at(v.index), format, args...)
}

// denies tells whether a match of the value refuses: of a DENY rule, or what an
// ALLOW rule excepts.
func (v spot) denies() bool {
	return v.policy.Spec.Action == deny && !v.not || v.policy.Spec.Action == allow && v.not
}

// path looks at a path (AP-50, DP-56, DP-57).
func (v spot) path() {
	template := strings.Contains(v.value, "{*}") || strings.Contains(v.value, "{**}")
	switch {
	case strings.ContainsAny(v.value, "“”„‘’"): // copied quotes, which are told of as such
	case template:
		v.template()
	case strings.ContainsAny(v.value, "?#"):
		v.say("MSH0111", "path %q: a query or a fragment is no part of the path that is compared, so that this matches nothing", v.value)
	case v.value != "" && !strings.HasPrefix(v.value, "/") && !strings.HasPrefix(v.value, "*"):
		v.say("MSH0111", "path %q has no slash in front, and every path of a request has one: it matches nothing", v.value).SetValue(v.at(v.index), "/"+v.value)
	case hasPlainStar(v.value):
		v.say("MSH0112", "path %q: only one star, in front or else at the end, stands for any text, and this one has a plain star. Write {*} for one segment, {**} for any", v.value)
	}
}

// template looks at a path template that the API takes.
func (v spot) template() {
	open := false
	for i, part := range strings.Split(v.value, "/") {
		switch {
		case i == 0 && part != "", i > 0 && part == "" && i != strings.Count(v.value, "/"):
			v.say("MSH0134", "template %q: Envoy's process ends when it reads a template without a slash in front, or with an empty segment: every selected workload goes down. Begin it with /, and leave no segment empty", v.value)
			return
		case open && strings.Contains(part, "*"):
			v.say("MSH0134", "template %q: Envoy's process ends when it reads a star behind {**}: every selected workload goes down", v.value)
			return
		case part != "{*}" && part != "{**}" && strings.Contains(part, "*"):
			v.say("MSH0135", "template %q: the star in %q repeats the letter before it, it does not stand for any text", v.value, part)
			return
		}
		open = open || part == "{**}"
	}
}

// methodNames are the methods of RFC 9110 and those that Envoy's codec knows
// beside them in common use.
func methodNames() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "PURGE", "REPORT", "SEARCH", "MERGE"}
}

func (v spot) method() {
	upper := strings.ToUpper(v.value)
	switch {
	case isPattern(v.value) || slices.Contains(methodNames(), v.value):
	case slices.Contains(methodNames(), upper):
		v.say("MSH0119", "method %q matches nothing: methods are compared letter by letter, and are in capitals", v.value).SetValue(v.at(v.index), upper)
	default:
		r := v.say("MSH0119", "method %q is none that is in use: %s", v.value, mesh.DidYouMean(v.value, methodNames()))
		if v.value == upper {
			r.As(report.Warning)
		}
	}
}

// host looks at a host: the client may add a port or a dot (DP-60).
func (v spot) host() {
	if v.value == "" || strings.HasSuffix(v.value, "*") || strings.Contains(v.value, ":") || strings.HasSuffix(v.value, ".") {
		return
	}
	if v.denies() {
		v.evadedHost()
		return
	}
	if !strings.HasPrefix(v.value, "*") && !v.any(v.value+":1") {
		v.say("MSH0121", "host %q does not match a client that names the port: add %q", v.value, v.value+":*")
	}
}

// evadedHost looks at a host that a rule refuses.
func (v spot) evadedHost() {
	if strings.HasPrefix(v.value, "*") {
		if !slices.ContainsFunc(v.values, func(other string) bool { return other == "*" || strings.HasPrefix(other, v.value+":") }) {
			v.say("MSH0136", "host %q is compared with what the client sends: with :80 or a dot at the end it passes this rule, and no value takes an end with any port. Name the hosts, or allow those that are good", v.value)
		}
		return
	}
	var lacking []string
	for _, form := range []struct{ sent, value string }{{":1", ":*"}, {".", "."}, {".:1", ".:*"}} {
		if !v.any(v.value + form.sent) {
			lacking = append(lacking, strconv.Quote(v.value+form.value))
		}
	}
	if lacking != nil {
		v.say("MSH0136", "host %q is compared with what the client sends: with a port, a dot at the end or both it passes this rule. Add %s", v.value, strings.Join(lacking, ", "))
	}
}

// any tells whether any value beside this one matches a text.
func (v spot) any(text string) bool {
	return slices.ContainsFunc(v.values, func(pattern string) bool { return matches(pattern, text) })
}

// header looks at a condition on a header (DP-65).
func (v spot) header() {
	if strings.HasPrefix(v.name, "request.headers[") && v.denies() && strings.Contains(v.value, ",") && !isPattern(v.value) {
		v.say("MSH0137", "%q is compared with each line of the header alone: a client that sends the list in several lines passes this rule. Deny the single values", v.value)
	}
}
