package authorization

import (
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// field is a list of values of a rule, and where it stands.
type field struct {
	rule   int
	name   string // without "not"; of a condition its key
	not    bool
	values []string
	path   []string // to the list
	group  string   // of the source or the operation that it is of, or of all conditions: what must hold together
}

func (f field) at(i int) []string { return append(f.path[:len(f.path):len(f.path)], strconv.Itoa(i)) }

// fields are all lists of a policy's rules that have values.
func fields(r *mesh.AuthorizationPolicy) []field {
	var all []field
	for i, rule := range r.Spec.Rules {
		all = append(all, ruleFields(rule, i)...)
	}
	return all
}

func ruleFields(rule *security.Rule, n int) []field {
	var all []field
	add := func(name string, not bool, values []string, path ...string) {
		if len(values) == 0 {
			return
		}
		key := name
		if path[0] == "when" {
			key = "values"
		}
		if not {
			key = "not" + strings.ToUpper(key[:1]) + key[1:]
		}
		whole := append([]string{"spec", "rules", strconv.Itoa(n)}, path...)
		group := strings.Join(whole, "/")
		if path[0] == "when" {
			group = strings.Join(whole[:4], "/")
		}
		all = append(all, field{n, name, not, values, append(whole, key), group})
	}
	for i, from := range rule.GetFrom() {
		s, at := from.GetSource(), []string{"from", strconv.Itoa(i), "source"}
		for _, l := range []struct {
			name     string
			yes, not []string
		}{
			{"principals", s.GetPrincipals(), s.GetNotPrincipals()},
			{"requestPrincipals", s.GetRequestPrincipals(), s.GetNotRequestPrincipals()},
			{"namespaces", s.GetNamespaces(), s.GetNotNamespaces()},
			{"serviceAccounts", s.GetServiceAccounts(), s.GetNotServiceAccounts()},
			{"trustDomains", s.GetTrustDomains(), s.GetNotTrustDomains()},
			{"ipBlocks", s.GetIpBlocks(), s.GetNotIpBlocks()},
			{"remoteIpBlocks", s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks()},
		} {
			add(l.name, false, l.yes, at...)
			add(l.name, true, l.not, at...)
		}
	}
	for i, to := range rule.GetTo() {
		o, at := to.GetOperation(), []string{"to", strconv.Itoa(i), "operation"}
		for _, l := range []struct {
			name     string
			yes, not []string
		}{
			{"ports", o.GetPorts(), o.GetNotPorts()},
			{"methods", o.GetMethods(), o.GetNotMethods()},
			{"paths", o.GetPaths(), o.GetNotPaths()},
			{"hosts", o.GetHosts(), o.GetNotHosts()},
		} {
			add(l.name, false, l.yes, at...)
			add(l.name, true, l.not, at...)
		}
	}
	for i, when := range rule.GetWhen() {
		add(when.GetKey(), false, when.GetValues(), "when", strconv.Itoa(i))
		add(when.GetKey(), true, when.GetNotValues(), "when", strconv.Itoa(i))
	}
	return all
}

// isIdentity tells a field that asks who calls by mTLS (AP-26).
func (f field) isIdentity() bool {
	switch f.name {
	case "principals", "namespaces", "serviceAccounts", "trustDomains", "source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain":
		return true
	}
	return false
}

// isHTTP tells a field that only requests have (AP-57).
func (f field) isHTTP() bool {
	switch f.name {
	case "methods", "paths", "hosts", "requestPrincipals":
		return true
	}
	return strings.HasPrefix(f.name, "request.")
}

// matches compares with a value that may begin or end with a star.
func matches(pattern, text string) bool {
	switch {
	case pattern == "*":
		return text != ""
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(text, pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(text, strings.TrimSuffix(pattern, "*"))
	}
	return pattern == text
}

// isPattern tells a value that stands for many.
func isPattern(value string) bool {
	return strings.HasPrefix(value, "*") || strings.HasSuffix(value, "*")
}

// hasPlainStar tells a value with a star that stands for itself: of a value with
// a star in front all others do, and one within always does (AP-22).
func hasPlainStar(value string) bool {
	if rest, ok := strings.CutPrefix(value, "*"); ok {
		return strings.Contains(rest, "*")
	}
	return strings.Contains(strings.TrimSuffix(value, "*"), "*")
}
