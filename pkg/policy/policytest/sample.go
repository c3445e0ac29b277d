package policytest

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// sample is a request that rules of some workload look for.
type sample struct{ method, path, host string }

// maxSamples limits the requests to one port.
const maxSamples = 200

// samples are the requests that the rules of a workload name, one for each
// pattern, with a method and a path besides that none names: every method with
// every path, and hosts with those of their rules.
func samples(m *policy.Model) []sample {
	var methods, paths, hosts words
	methods.add("GET")
	paths.add("/")
	hosts.add("")
	wanted := map[sample]bool{}
	for _, o := range operations(m) {
		ms := orElse(samplesOf(slices.Concat(o.Methods, o.NotMethods), sampleMethod), "GET")
		ps := orElse(samplesOf(slices.Concat(o.Paths, o.NotPaths), samplePath), "/")
		hs := samplesOf(slices.Concat(o.Hosts, o.NotHosts), sampleText)
		methods.add(ms...)
		paths.add(ps...)
		hosts.add(hs...)
		for _, host := range hs {
			for _, method := range ms {
				for _, path := range ps {
					wanted[sample{method, path, host}] = true
				}
			}
		}
	}
	if len(wanted) > 0 || len(methods) > 1 || len(paths) > 1 {
		methods.add(otherMethod(methods))
	}
	var all []sample
	for _, host := range hosts {
		for _, method := range methods {
			for _, path := range paths {
				if s := (sample{method, path, host}); (host == "" || wanted[s]) && len(all) < maxSamples {
					all = append(all, s)
				}
			}
		}
	}
	return all
}

// otherMethod is one that is not listed, or GET.
func otherMethod(listed []string) string {
	for _, m := range commonMethods() {
		if !slices.Contains(listed, m) {
			return m
		}
	}
	return "GET"
}

func commonMethods() []string {
	return []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
}

// words are different texts in the order in which they came.
type words []string

func (w *words) add(all ...string) {
	for _, one := range all {
		if !slices.Contains(*w, one) {
			*w = append(*w, one)
		}
	}
}

func orElse(all []string, otherwise string) []string {
	if len(all) == 0 {
		return []string{otherwise}
	}
	return all
}

func samplesOf(patterns []string, sample func(string) string) []string {
	var all words
	for _, p := range patterns {
		if s := sample(p); s != "" {
			all.add(s)
		}
	}
	return all
}

// sampleText puts something in place of a pattern's star.
func sampleText(pattern string) string {
	if pattern == "*" {
		return ""
	}
	return strings.ReplaceAll(pattern, "*", "x")
}

// sampleMethod is a common method that a pattern matches.
func sampleMethod(pattern string) string {
	if !strings.Contains(pattern, "*") {
		return pattern
	}
	for _, m := range commonMethods() {
		if strings.HasPrefix(m, strings.TrimSuffix(pattern, "*")) || strings.HasSuffix(m, strings.TrimPrefix(pattern, "*")) {
			return m
		}
	}
	return ""
}

// samplePath is a path that a pattern or a template matches.
func samplePath(pattern string) string {
	path := sampleText(strings.NewReplacer("{**}", "x", "{*}", "x").Replace(pattern))
	if path != "" && path[0] != '/' {
		return "/" + path
	}
	return path
}

// operations are those of the rules that a workload's sidecar enforces.
func operations(m *policy.Model) []*security.Operation {
	var all []*security.Operation
	for _, r := range specRules(m) {
		for _, to := range r.To {
			if o := to.GetOperation(); o != nil {
				all = append(all, o)
			}
		}
	}
	return all
}

// specRules are the rules of the policies of a workload, as they are written.
func specRules(m *policy.Model) []*security.Rule {
	var all []*security.Rule
	seen := map[*mesh.AuthorizationPolicy]bool{}
	for _, set := range ruleSets(m.HTTP) {
		for _, p := range set.Policies {
			if !seen[p] {
				seen[p] = true
				all = append(all, slices.DeleteFunc(slices.Clone(p.Spec.Rules), func(r *security.Rule) bool { return r == nil })...)
			}
		}
	}
	return all
}

// bracketed finds the names of claims in a condition's key.
var bracketed = regexp.MustCompile(`\[([^\[\]]+)\]`)

// sampleTokens are a token of each issuer that a workload knows, with the
// subject and the claims that its rules look for.
func sampleTokens(m *policy.Model) []token {
	if m.JWT == nil {
		return nil
	}
	var all []token
	for _, p := range m.JWT.Providers {
		if p.Rule.Issuer == "" {
			continue
		}
		t := token{Token: policy.Token{In: "header", Name: "authorization", Valid: true, Claims: sampleClaims(m)}}
		here := node{Node: &yaml.Node{}}
		t.issuer, t.subject = located[string]{p.Rule.Issuer, here}, located[string]{sampleSubject(m, p.Rule.Issuer), here}
		t.audiences = p.Rule.Audiences[:min(1, len(p.Rule.Audiences))]
		switch r := p.Rule; {
		case len(r.FromHeaders) > 0:
			t.Name, t.prefix = r.FromHeaders[0].GetName(), located[string]{r.FromHeaders[0].GetPrefix(), here}
		case len(r.FromParams) > 0:
			t.In, t.Name = "param", r.FromParams[0]
		case len(r.FromCookies) > 0:
			t.In, t.Name = "cookie", r.FromCookies[0]
		}
		all = append(all, t)
	}
	return all
}

// sampleSubject is one that a rule wants of an issuer.
func sampleSubject(m *policy.Model, issuer string) string {
	for _, r := range specRules(m) {
		for _, from := range r.From {
			for _, p := range from.GetSource().GetRequestPrincipals() {
				if subject, ok := strings.CutPrefix(p, issuer+"/"); ok && sampleText(subject) != "" {
					return sampleText(subject)
				}
			}
		}
	}
	return "someone"
}

// sampleClaims are the claims that conditions want.
func sampleClaims(m *policy.Model) map[string]any {
	claims := map[string]any{}
	for _, r := range specRules(m) {
		for _, w := range r.When {
			rest, ok := strings.CutPrefix(w.GetKey(), "request.auth.claims")
			if !ok || len(w.Values) == 0 || sampleText(w.Values[0]) == "" {
				continue
			}
			at := claims
			keys := bracketed.FindAllStringSubmatch(rest, -1)
			for i, key := range keys {
				if i == len(keys)-1 {
					if _, given := at[key[1]]; !given {
						at[key[1]] = sampleText(w.Values[0])
					}
					break
				}
				next, ok := at[key[1]].(map[string]any)
				if !ok {
					next = map[string]any{}
					at[key[1]] = next
				}
				at = next
			}
		}
	}
	for _, name := range []string{"iss", "sub", "aud"} {
		delete(claims, name)
	}
	return claims
}

// strangers are the SPIFFE IDs that rules name and that no account of the files
// has.
func strangers(s *mesh.Snapshot) []string {
	var all words
	add := func(id string) {
		parts := strings.Split(id, "/") // DOMAIN/ns/NAMESPACE/sa/ACCOUNT
		if strings.Contains(id, "*") || len(parts) != 5 || slices.Contains(parts, "") || s.FindAccount(parts[2], parts[4]) == nil {
			return
		}
		all.add("spiffe://" + id)
	}
	for _, ns := range s.AuthorizationNamespaces() {
		for _, p := range s.AuthorizationPolicies(ns) {
			for _, r := range p.Spec.Rules {
				for _, from := range r.GetFrom() {
					for _, id := range named(from.GetSource(), s.Config.TrustDomain, ns) {
						add(id)
					}
				}
			}
		}
	}
	return all
}

// named are the identities that a source names, an account for each namespace.
func named(source *security.Source, domain, ns string) []string {
	all := slices.Concat(source.GetPrincipals(), source.GetNotPrincipals())
	for _, account := range slices.Concat(source.GetServiceAccounts(), source.GetNotServiceAccounts()) {
		if !strings.Contains(account, "/") {
			account = ns + "/" + account
		}
		namespace, name, _ := strings.Cut(account, "/")
		all = append(all, domain+"/ns/"+namespace+"/sa/"+name)
	}
	for _, namespace := range slices.Concat(source.GetNamespaces(), source.GetNotNamespaces()) {
		all = append(all, domain+"/ns/"+namespace+"/sa/default")
	}
	return all
}
