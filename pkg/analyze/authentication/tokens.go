package authentication

import (
	"encoding/json"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// want is a place of an AuthorizationPolicy that asks for something of a token.
type want struct {
	path   []string
	key    string // the condition, or "requestPrincipals"
	values []string
	not    bool
}

// wants are those of a policy, in order.
func wants(r *mesh.AuthorizationPolicy) []want {
	var all []want
	for i, rule := range r.Spec.Rules {
		path := at([]string{"spec", "rules"}, i)
		for j, from := range rule.GetFrom() {
			source := at(path, "from", j, "source")
			if values := from.GetSource().GetRequestPrincipals(); len(values) > 0 {
				all = append(all, want{at(source, "requestPrincipals"), "requestPrincipals", values, false})
			}
			if values := from.GetSource().GetNotRequestPrincipals(); len(values) > 0 {
				all = append(all, want{at(source, "notRequestPrincipals"), "requestPrincipals", values, true})
			}
		}
		for j, when := range rule.GetWhen() {
			if strings.HasPrefix(when.GetKey(), "request.auth.") {
				all = append(all, want{at(path, "when", j, "key"), when.GetKey(), when.GetValues(), len(when.GetValues()) == 0})
			}
		}
	}
	return all
}

// tokenRules are the RequestAuthentications of a mesh with rules.
func tokenRules(p *analyze.Pass) []*mesh.RequestAuthentication {
	var all []*mesh.RequestAuthentication
	for _, namespace := range namespaces(p.Inventory) {
		for _, r := range p.RequestAuthentications(namespace) {
			if len(r.Spec.JwtRules) > 0 {
				all = append(all, r)
			}
		}
	}
	return all
}

// optionalTokens finds RequestAuthentications whose workloads no policy asks for
// a token: a request without one gets through (RA-4).
func optionalTokens(p *analyze.Pass) {
	required, open := map[*mesh.RequestAuthentication]bool{}, map[*mesh.RequestAuthentication]*mesh.Workload{}
	for _, w := range p.Workloads {
		a := policies(p.Inventory)[w]
		asked := slices.ContainsFunc(a.access, func(r *mesh.AuthorizationPolicy) bool { return len(wants(r)) > 0 })
		for _, r := range a.tokens {
			required[r] = required[r] || asked
			if open[r] == nil {
				open[r] = w
			}
		}
	}
	for _, r := range tokenRules(p) {
		if w := open[r]; w != nil && !required[r] {
			p.Report(r.Object, []string{"spec", "jwtRules"}, "a bad token is refused, and a request without any gets through: no AuthorizationPolicy of its workloads asks for a token. Add one that denies notRequestPrincipals [\"*\"]").
				Because(w.Object, nil, "takes requests without a token")
		}
	}
}

// tokensNobodyReads finds policies that ask for a token where no
// RequestAuthentication reads one, or none of the issuer that is asked for.
func tokensNobodyReads(p *analyze.Pass) {
	readers, selected := map[*mesh.AuthorizationPolicy][]*mesh.RequestAuthentication{}, map[*mesh.AuthorizationPolicy]*mesh.Workload{}
	for _, w := range p.Workloads {
		a := policies(p.Inventory)[w]
		for _, r := range a.access {
			selected[r] = w
			for _, t := range a.tokens {
				if !slices.Contains(readers[r], t) && len(readers[r]) < 16 {
					readers[r] = append(readers[r], t)
				}
			}
		}
	}
	for _, namespace := range namespaces(p.Inventory) {
		for _, r := range p.AuthorizationPolicies(namespace) {
			w := selected[r]
			if w == nil {
				continue
			}
			for _, asked := range wants(r) {
				switch {
				case len(readers[r]) > 0:
					unknownIssuer(p, r, asked, readers[r])
				case asked.not:
					p.Report(r.Object, asked.path, "no RequestAuthentication reads tokens for the selected workloads: this is true of every request").Because(w.Object, nil, "is selected")
				default:
					p.Report(r.Object, asked.path, "no RequestAuthentication reads tokens for the selected workloads: no request can have what is asked for").Because(w.Object, nil, "is selected")
				}
			}
		}
	}
}

// unknownIssuer reports what no token of the issuers can have (RA-10).
func unknownIssuer(p *analyze.Pass, r *mesh.AuthorizationPolicy, asked want, readers []*mesh.RequestAuthentication) {
	if asked.key != "requestPrincipals" && asked.key != "request.auth.principal" && asked.key != "request.auth.claims[iss]" {
		return
	}
	for i, value := range asked.values {
		fits := func(rule *security.JWTRule) bool {
			if rule.GetIssuer() == "" {
				return true // any issuer
			}
			if asked.key == "request.auth.claims[iss]" {
				return matches(value, rule.Issuer)
			}
			return mayBeOf(value, rule.Issuer)
		}
		if slices.ContainsFunc(readers, func(t *mesh.RequestAuthentication) bool { return slices.ContainsFunc(t.Spec.JwtRules, fits) }) {
			continue
		}
		path := asked.path
		if asked.key == "requestPrincipals" {
			path = at(path, i)
		}
		p.ReportCode("MSH0212", r.Object, path, "%q is of no issuer that the workloads read tokens of: expected ISSUER/SUBJECT", value).
			Because(readers[0].Object, []string{"spec", "jwtRules"}, "names the issuers")
	}
}

// matches compares with a value that may begin or end with a star.
func matches(pattern, text string) bool {
	switch {
	case pattern == "*":
		return true
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(text, pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(text, strings.TrimSuffix(pattern, "*"))
	}
	return pattern == text
}

// mayBeOf tells whether a pattern of ISSUER/SUBJECT can match a subject of an
// issuer.
func mayBeOf(pattern, issuer string) bool {
	begin, open := strings.CutSuffix(pattern, "*")
	switch {
	case strings.HasPrefix(pattern, "*"):
		return true // any issuer can have such a subject
	case open:
		return strings.HasPrefix(begin, issuer+"/") || strings.HasPrefix(issuer+"/", begin)
	}
	return strings.HasPrefix(pattern, issuer+"/")
}

// usualClaims are those that issuers commonly send (RFC 7519 section 4.1, OpenID
// Connect Core 5.1, RFC 8693, RFC 9068).
func usualClaims() []string {
	return []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "scope", "scp", "groups", "roles", "email", "name", "client_id", "tenant", "permissions", "preferred_username"}
}

// claimKeys finds keys of claims that look mistyped.
func claimKeys(p *analyze.Pass) {
	for _, namespace := range namespaces(p.Inventory) {
		for _, r := range p.AuthorizationPolicies(namespace) {
			for _, asked := range wants(r) {
				claim, ok := strings.CutPrefix(asked.key, "request.auth.claims[")
				if !ok || strings.Contains(claim, "][") {
					continue
				}
				claim = strings.TrimSuffix(claim, "]")
				nested := strings.ReplaceAll(claim, ".", "][")
				switch near := nearClaim(claim); {
				case near != "":
					p.Report(r.Object, asked.path, "claim %q: did you mean %q?", claim, near)
				case strings.Contains(claim, ".") && !strings.ContainsAny(claim, ":/"):
					p.Report(r.Object, asked.path, "claim %q is one whose name has dots: one within another is request.auth.claims[%s]", claim, nested)
				}
			}
		}
	}
}

// nearClaim is a usual claim that a name misses by a letter, "" for none.
func nearClaim(claim string) string {
	usual := usualClaims()
	if len(claim) < 4 || slices.Contains(usual, claim) {
		return ""
	}
	near := mesh.Nearest(claim, usual)
	if len(near) < 4 || abs(len(near)-len(claim)) > 1 || near == "name" {
		return ""
	}
	return near
}

func abs(n int) int { return max(n, -n) }

// uncheckedAudiences finds rules that take tokens for anybody (RA-7).
func uncheckedAudiences(p *analyze.Pass) {
	checks := map[*mesh.RequestAuthentication]bool{}
	for _, a := range policies(p.Inventory) {
		asks := slices.ContainsFunc(a.access, func(r *mesh.AuthorizationPolicy) bool {
			return slices.ContainsFunc(wants(r), func(w want) bool { return w.key == "request.auth.audiences" || w.key == "request.auth.claims[aud]" })
		})
		for _, r := range a.tokens {
			checks[r] = checks[r] || asks
		}
	}
	for _, r := range tokenRules(p) {
		for i, rule := range r.Spec.JwtRules {
			if len(rule.GetAudiences()) == 0 && !checks[r] {
				p.Report(r.Object, at([]string{"spec", "jwtRules"}, i), "tokens of issuer %q are taken whomever they are for: name the audiences", rule.GetIssuer())
			}
		}
	}
}

// keySources finds keys that come over plain HTTP, keys that are no secret any
// more, and sets without a key.
func keySources(p *analyze.Pass) {
	for _, r := range tokenRules(p) {
		for i, rule := range r.Spec.JwtRules {
			path := at([]string{"spec", "jwtRules"}, i)
			if strings.HasPrefix(strings.ToLower(rule.GetJwksUri()), "http://") && !ofMesh(p, rule.JwksUri) {
				p.Report(r.Object, at(path, "jwksUri"), "the keys come over plain HTTP: whoever is on the way can put in their own. Use https")
			}
			if rule.GetJwks() == "" {
				continue
			}
			if hasPrivate(rule.Jwks) {
				p.Report(r.Object, at(path, "jwks"), "the key set has private parts: whoever reads this file can sign tokens. Put in the public keys only").As(warning)
			}
			if _, err := policy.ParseKeys([]byte(rule.Jwks)); err != nil {
				p.ReportCode("MSH0219", r.Object, at(path, "jwks"), "%v: Envoy refuses the whole inbound listener, and the workload keeps its old configuration or gets none", err)
			}
		}
	}
}

// ofMesh tells whether an address is that of a Service: the control plane
// fetches keys, and does so without the mesh's mTLS all the same, but not
// through a network of others.
func ofMesh(p *analyze.Pass, address string) bool {
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	host, _, _ = strings.Cut(host, ":")
	return len(p.ServicesOf(host)) > 0 || strings.HasSuffix(host, ".svc."+p.Domain) || strings.HasSuffix(host, ".svc")
}

func hasPrivate(jwks string) bool {
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if json.Unmarshal([]byte(jwks), &set) != nil {
		return false
	}
	return slices.ContainsFunc(set.Keys, func(k map[string]any) bool { return k["d"] != nil || k["kty"] == "oct" })
}

// forwardedTokens finds rules that hand tokens on.
func forwardedTokens(p *analyze.Pass) {
	for _, r := range tokenRules(p) {
		for i, rule := range r.Spec.JwtRules {
			if rule.GetForwardOriginalToken() {
				p.Report(r.Object, at([]string{"spec", "jwtRules"}, i, "forwardOriginalToken"), "the application gets the token, and can use it as the caller: forward it only where it is needed")
			}
		}
	}
}
