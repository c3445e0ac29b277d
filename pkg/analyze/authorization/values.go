package authorization

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// values looks at the values of rules, one by one.
func values(p *analyze.Pass) {
	accounts := accountsOf(p.Inventory)
	for _, r := range policies(p.Inventory) {
		for _, f := range fields(r) {
			for i, value := range f.values {
				v := spot{p, r, f, i, value}
				switch f.name {
				case "paths":
					v.path()
				case "methods":
					v.method()
				case "hosts":
					v.host()
				case "principals", "source.principal":
					v.principal(accounts)
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
	inner := strings.TrimSuffix(strings.TrimPrefix(v.value, "*"), "*")
	switch {
	case strings.ContainsAny(v.value, "“”„‘’"): // copied quotes, which are told of as such
	case template:
		v.template()
	case strings.ContainsAny(v.value, "?#"):
		v.say("MSH0111", "path %q: a query or a fragment is no part of the path that is compared, so that this matches nothing", v.value)
	case v.value != "" && !strings.HasPrefix(v.value, "/") && !strings.HasPrefix(v.value, "*"):
		v.say("MSH0111", "path %q has no slash in front, and every path of a request has one: it matches nothing", v.value).SetValue(v.at(v.index), "/"+v.value)
	case strings.Contains(inner, "*"):
		v.say("MSH0112", "path %q: a star within is a plain star. Write {*} for one segment, {**} for any, or end with the star", v.value)
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
	for _, other := range v.values {
		if strings.HasPrefix(other, v.value) && strings.HasSuffix(other, "*") {
			return // the forms with a port are there
		}
	}
	if v.denies() {
		v.say("MSH0136", "host %q is compared with what the client sends: with :80 or a dot at the end it passes this rule. Add %q", v.value, v.value+"*")
		return
	}
	if !strings.HasPrefix(v.value, "*") {
		v.say("MSH0121", "host %q does not match a client that names the port: add %q", v.value, v.value+":*")
	}
}

// header looks at a condition on a header (DP-65).
func (v spot) header() {
	if strings.HasPrefix(v.name, "request.headers[") && v.denies() && strings.Contains(v.value, ",") && !isPattern(v.value) {
		v.say("MSH0137", "%q is compared with each line of the header alone: a client that sends the list in several lines passes this rule. Deny the single values", v.value)
	}
}

// accounts are the service accounts of the files.
type accounts struct {
	names map[string]map[string]bool // by namespace
	used  map[string]bool            // "namespace/name" that a workload runs as
}

func accountsOf(i *analyze.Inventory) accounts {
	a := accounts{map[string]map[string]bool{}, map[string]bool{}}
	add := func(namespace, name string) {
		if a.names[namespace] == nil {
			a.names[namespace] = map[string]bool{"default": true}
		}
		a.names[namespace][name] = true
	}
	for _, o := range i.Kind("", "ServiceAccount") {
		add(o.Namespace, o.Name)
	}
	for _, w := range i.Workloads {
		if w.ServiceAccount != "" {
			add(w.Namespace, w.ServiceAccount)
			a.used[w.Namespace+"/"+w.ServiceAccount] = true
		}
	}
	return a
}

// principal looks at a peer's name (AP-20).
func (v spot) principal(known accounts) {
	name, prefixed := strings.CutPrefix(v.value, "spiffe://")
	if prefixed {
		v.say("MSH0113", "principal %q never matches: the scheme is put in front by itself. Leave spiffe:// out", v.value).SetValue(v.at(v.index), name)
		return
	}
	if isPattern(v.value) {
		if !strings.Contains(v.value, "/sa/") && (v.value != "*" || !v.not) {
			v.say("MSH0118", "principal %q is everybody with a certificate of the mesh%s: is that meant?", v.value, within(v.value))
		}
		return
	}
	domain, rest, _ := strings.Cut(v.value, "/")
	parts := strings.Split(rest, "/")
	if len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" || domain == "" || parts[1] == "" || parts[3] == "" {
		v.say("MSH0114", "principal %q is not of the form TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT that Istio gives: it matches nobody", v.value)
		return
	}
	if domains := v.TrustDomains(); (v.ConfigGiven || v.Complete) && domain != "cluster.local" && !slices.Contains(domains, domain) {
		v.say("MSH0117", "trust domain %q is neither the mesh's nor an alias of it: %s", domain, mesh.DidYouMean(domain, domains))
		return
	} else if domain != "cluster.local" && !slices.Contains(domains, domain) {
		return // another mesh's, for all that is known
	}
	v.exists(known, parts[1], parts[3])
}

func within(pattern string) string {
	if strings.Trim(pattern, "*") == "" {
		return ""
	}
	return " whose name fits"
}

// account looks at "account" or "namespace/account".
func (v spot) account(known accounts) {
	if name, prefixed := strings.CutPrefix(v.value, "spiffe://"); prefixed {
		v.say("MSH0113", "service account %q: expected ACCOUNT or NAMESPACE/ACCOUNT, not the name of a certificate (%s)", v.value, name)
		return
	}
	namespace, name, both := strings.Cut(v.value, "/")
	if !both {
		namespace, name = v.policy.Namespace, v.value
	}
	if name != "" && !strings.Contains(v.value, "*") {
		v.exists(known, namespace, name)
	}
}

// exists reports an account that is not there, or that nobody runs as. Without
// all files it says so only of namespaces whose accounts are in them.
func (v spot) exists(known accounts, namespace, name string) {
	in := known.names[namespace]
	switch {
	case in[name] && !known.used[namespace+"/"+name]:
		v.say("MSH0116", "no workload runs as the service account %s/%s", namespace, name)
	case in[name] || !v.Complete && len(in) == 0:
	default:
		var near []string
		for other := range in {
			near = append(near, other)
		}
		hint := "the namespace has none in the files"
		if len(near) > 0 {
			hint = mesh.DidYouMean(name, near)
		}
		v.say("MSH0115", "no service account %s: nobody can be this caller; %s", fmt.Sprintf("%s/%s", namespace, name), hint)
	}
}
