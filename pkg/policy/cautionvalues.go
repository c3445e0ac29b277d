package policy

import (
	"slices"
	"strconv"
	"strings"
)

// oddity is what is odd about a value.
type oddity struct {
	never bool // it matches nothing
	why   string
}

func neverMatches(why string) *oddity { return &oddity{true, why} }

// valueCautions warn of values that match nothing, or something else than they
// seem to.
func (t *teller) valueCautions(r *Rule, f *Field) {
	for _, v := range r.written(f) {
		o := t.odd(f.meaning(), v)
		switch {
		case o == nil:
		case !o.never:
			t.caution(r, f, "%s %s: %s.", f.Name, shown(v), o.why)
		case f.Negative:
			t.caution(r, f, "%s %s excludes nothing: %s.", f.Name, shown(v), o.why)
		default:
			t.caution(r, f, "%s %s never matches: %s.", f.Name, shown(v), o.why)
		}
	}
}

// odd looks at a value; nil finds nothing wrong with it.
func (t *teller) odd(meaning, v string) *oddity {
	switch {
	case meaning == "principals":
		return t.oddPrincipal(v)
	case meaning == "requestPrincipals":
		return oddRequestPrincipal(v)
	case meaning == "serviceAccounts":
		if strings.Contains(v, "*") {
			return neverMatches("a star stands for itself in a service account")
		}
		return nil
	case meaning == "methods":
		if strings.ToUpper(v) != v {
			return neverMatches("methods are compared letter by letter, and come in capitals")
		}
	case meaning == "paths":
		return oddPath(v)
	case meaning == "connection.sni":
		return oddServerName(v)
	case strings.HasPrefix(meaning, "request.auth."):
		if _, err := strconv.ParseFloat(v, 64); err == nil || v == "true" || v == "false" {
			return &oddity{why: "only claims that are text are compared; numbers and booleans never match"}
		}
	case meaning == "trustDomains":
		return t.oddTrustDomain(v)
	case slices.Contains([]string{"namespaces", "ipBlocks", "remoteIpBlocks", "ports", "destination.ip", "destination.port"}, meaning):
		return nil
	}
	return oddStars(v)
}

// oddStars looks at stars that are no wildcards (AP-22).
func oddStars(v string) *oddity {
	if v == "*" || !strings.Contains(v, "*") {
		return nil
	}
	m := stringForm(v)
	if !strings.Contains(m.Value, "*") {
		return nil
	}
	if m.Form == Suffix {
		return &oddity{why: "a star counts at one end only, so this wants a text that ends in " + shown(m.Value)}
	}
	return &oddity{why: "a star in the middle stands for itself"}
}

// oddPrincipal looks at identities (AP-29, AP-73..AP-76, T-19, T-20).
func (t *teller) oddPrincipal(v string) *oddity {
	if strings.HasPrefix(v, "spiffe://") {
		return neverMatches("identities are written without spiffe://")
	}
	if o := oddStars(v); o != nil || strings.HasPrefix(v, "*") {
		return o
	}
	domains := t.snapshot.TrustDomains()
	domain, rest, divided := strings.Cut(v, "/")
	expanded := (&compiler{domains: domains}).principals([]string{v})
	switch {
	case !divided && !strings.HasSuffix(v, "*"), !strings.Contains(v, "*") && strings.Count(v, "/") != 4:
		return neverMatches("identities of the mesh look like " + domains[0] + "/ns/NAMESPACE/sa/ACCOUNT")
	case !divided || strings.Contains(domain, "*"):
		return nil
	case !slices.ContainsFunc(expanded, func(e string) bool { d, _, _ := strings.Cut(e, "/"); return slices.Contains(domains, d) }):
		return neverMatches("its trust domain is not the mesh's (" + both(domains) + "), so its connections are refused")
	case len(domains) > 1 && len(expanded) == 1:
		return &oddity{why: "it is not repeated for the mesh's other trust domains, as " + shown(rest) + " is no whole ns/NAMESPACE/sa/ACCOUNT"}
	}
	return nil
}

// oddTrustDomain looks at trust domains (PA-18, AP-77).
func (t *teller) oddTrustDomain(v string) *oddity {
	e, err := trustDomain(v)
	domains := t.snapshot.TrustDomains()
	ours := func(domain string) bool { return e.Test.String.matches("spiffe://" + domain + "/ns/a/sa/b") }
	if err != nil || slices.ContainsFunc(domains, ours) {
		return nil
	}
	return neverMatches("it is not the mesh's (" + both(domains) + "), so its connections are refused")
}

// oddRequestPrincipal looks at issuer and subject (AP-37, AP-38, T-16).
func oddRequestPrincipal(v string) *oddity {
	e, _ := requestPrincipal(v)
	issuer, subject := e.Kids[0].Test.String, e.Kids[1].Test.String
	switch {
	case issuer.Value == "https:/" || issuer.Value == "http:/":
		return neverMatches("what follows the last slash is taken for the subject; write " + v + "/SUBJECT, or " + v + "/* for any")
	case subject.Form == Exact && subject.Value == "":
		return neverMatches("it names no subject; write ISSUER/SUBJECT, or ISSUER/* for any")
	case subject.Form == Exact && strings.Contains(subject.Value, "*"):
		return neverMatches("it wants a subject that is " + shown(subject.Value) + " letter by letter; write * for any token")
	}
	return nil
}

// oddPath looks at paths (AP-46, AP-48..AP-50).
func oddPath(v string) *oddity {
	switch {
	case strings.ContainsAny(v, "?#"):
		return neverMatches("paths are compared without query and fragment; ? and # are in none")
	case isTemplate(v) && !strings.HasPrefix(v, "/"):
		return &oddity{why: "a template that does not begin with / makes Envoy fail on every workload that the policy selects"}
	case isTemplate(v):
		return nil
	case !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "*"):
		return neverMatches("paths begin with /")
	}
	return oddStars(v)
}

// oddServerName looks at the names that clients ask for in TLS (AP-55, RUN-6).
func oddServerName(v string) *oddity {
	switch {
	case strings.ToLower(v) != v:
		return neverMatches("server names come in small letters")
	case !strings.Contains(v, "*") && !strings.HasPrefix(v, "outbound_."):
		return &oddity{why: "clients in the mesh send names such as outbound_.80_._." + v + "; *." + v + " matches them"}
	}
	return oddStars(v)
}
