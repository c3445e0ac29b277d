package policy

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Requirement is what a workload's RequestAuthentications ask of tokens
// (RA-2, RA-7).
type Requirement struct {
	Providers []Provider
	now       time.Time
}

// Provider is one jwtRule.
type Provider struct {
	Policy *mesh.RequestAuthentication
	Index  int // in spec.jwtRules
	Rule   *security.JWTRule
	// Keys verify signatures; nil if neither the manifests nor Options have them
	// (RA-19).
	Keys *Keys
	// Where the provider looks for tokens, and which claims are lists of words.
	fromHeaders             []*security.JWTHeader
	params, cookies, spaced []string
	// KeysErr says why Envoy cannot use the rule's inline keys. It then refuses
	// the listener with all that is in it (DP-5).
	KeysErr error
}

// providers are the rules of a policy, with their keys.
func (o Options) providers(p *mesh.RequestAuthentication) []Provider {
	var all []Provider
	for i, rule := range p.Spec.JwtRules {
		if rule != nil {
			provider := Provider{Policy: p, Index: i, Rule: rule}
			provider.Keys, provider.KeysErr = o.keys(rule)
			provider.prepare()
			all = append(all, provider)
		}
	}
	return all
}

// prepare notes what is the same for all requests.
func (p *Provider) prepare() {
	p.fromHeaders, p.params, p.cookies = p.locations()
	p.spaced = append([]string{"scope", "permission"}, p.Rule.SpaceDelimitedClaims...)
}

// requirement sorts rules by issuer; nil without any.
func requirement(providers []Provider, o Options) *Requirement {
	if len(providers) == 0 {
		return nil
	}
	slices.SortStableFunc(providers, func(a, b Provider) int { return strings.Compare(a.Rule.Issuer, b.Rule.Issuer) })
	return &Requirement{Providers: providers, now: o.Now}
}

// verification is the state of one request in the JWT filter. Verified tokens
// are taken out of the request as they go (RUN-7).
type verification struct {
	headers headers
	tokens  map[string]*Token // those that are described, by their text
	now     time.Time
	// Of tokens whose keys are not here: what is assumed, and the first of which
	// nothing is.
	assumed map[unverified]bool
	pending *pending
	payload map[string]any
}

// verify applies the requirement as Envoy does: some provider succeeds, or all
// do with what is missing allowed (RA-7). It ends at once at a token whose
// keys are not here, unless an assumption is made.
func (r *Requirement) verify(v *verification) jwtStatus {
	r.sanitize(&v.headers)
	if isPreflight(v.headers) {
		return jwtOK
	}
	var statuses []jwtStatus
	if len(r.Providers) > 1 {
		for i := range r.Providers {
			status := r.Providers[i].verify(v)
			if status == jwtOK || v.pending != nil {
				return status
			}
			statuses = append(statuses, status)
		}
	}
	all := jwtOK
	for i := range r.Providers {
		if status := r.Providers[i].verify(v); status != jwtOK && status != jwtMissing {
			all = status
			break
		}
	}
	if all == jwtOK || v.pending != nil {
		return all
	}
	// The last status that says more than "not mine" is told.
	told := jwtUnknownIssuer
	for _, status := range append(statuses, all) {
		if status != jwtMissing && status != jwtUnknownIssuer {
			told = status
		}
	}
	return told
}

// sanitize removes what only a verified token may set (RA-15).
func (r *Requirement) sanitize(h *headers) {
	for _, p := range r.Providers {
		if name := p.Rule.OutputPayloadToHeader; name != "" {
			h.remove(strings.ToLower(name))
		}
		for _, c := range p.Rule.OutputClaimToHeaders {
			h.remove(strings.ToLower(c.GetHeader()))
		}
	}
}

// isPreflight tells a CORS preflight, which needs no token (RA-21).
func isPreflight(h headers) bool {
	return h.first(":method") == http.MethodOptions && h.first("origin") != "" && h.first("access-control-request-method") != ""
}

// found is a token where a provider looks for one.
type found struct {
	text   string
	header string // to be removed; "" for others
	param  string
}

// verify checks all tokens at the provider's locations, the last found first;
// each must be good (RA-8d, RA-12).
func (p *Provider) verify(v *verification) jwtStatus {
	tokens := p.find(v.headers)
	if len(tokens) == 0 {
		return jwtMissing
	}
	for _, t := range slices.Backward(tokens) {
		token := v.read(t.text)
		if status := p.check(v, &token); status != jwtOK {
			return status
		}
		p.accept(v, &token, t)
	}
	return jwtOK
}

// locations are where a provider looks for tokens (RA-10), in its order.
func (p *Provider) locations() (fromHeaders []*security.JWTHeader, params, cookies []string) {
	r := p.Rule
	if len(r.FromHeaders) == 0 && len(r.FromParams) == 0 && len(r.FromCookies) == 0 {
		return []*security.JWTHeader{{Name: "authorization", Prefix: "Bearer "}}, []string{"access_token"}, nil
	}
	fromHeaders = slices.Clone(r.FromHeaders)
	slices.SortStableFunc(fromHeaders, func(a, b *security.JWTHeader) int {
		return strings.Compare(strings.ToLower(a.GetName())+"\x00"+a.GetPrefix(), strings.ToLower(b.GetName())+"\x00"+b.GetPrefix())
	})
	// Envoy keeps all three kinds sorted.
	return fromHeaders, slices.Sorted(slices.Values(r.FromParams)), slices.Sorted(slices.Values(r.FromCookies))
}

// find extracts the tokens: of headers, then of parameters, then of cookies
// (RA-11, RA-12).
func (p *Provider) find(h headers) []found {
	var all []found
	for _, l := range p.fromHeaders {
		name := strings.ToLower(l.GetName())
		for _, line := range h {
			if line.Name != name {
				continue
			}
			value := line.Value
			text := value
			if l.GetPrefix() != "" {
				at := strings.Index(value, l.GetPrefix())
				if at < 0 {
					continue
				}
				text = strings.TrimLeftFunc(value[at+len(l.GetPrefix()):], func(r rune) bool { return !isTokenRune(r) })
			}
			all = append(all, found{text: text, header: name})
		}
	}
	if _, query, has := strings.Cut(h.first(":path"), "?"); has && len(p.params) > 0 {
		given := parseQuery(query)
		for _, name := range p.params {
			if values, ok := given[name]; ok {
				all = append(all, found{text: values[0], param: name})
			}
		}
	}
	for _, name := range p.cookies {
		if text, ok := cookie(h, name); ok {
			all = append(all, found{text: text})
		}
	}
	return all
}

func isTokenRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

// parseQuery reads a query, percent escapes decoded.
func parseQuery(query string) map[string][]string {
	all := map[string][]string{}
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		all[unescape(key)] = append(all[unescape(key)], unescape(value))
	}
	return all
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

func cookie(h headers, name string) (string, bool) {
	for _, line := range h.values("cookie") {
		for part := range strings.SplitSeq(line, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if key == name && value != "" {
				return strings.Trim(value, `"`), true
			}
		}
	}
	return "", false
}

// accept records a good token and takes it out of the request unless it shall
// be forwarded (RA-14..RA-16).
func (p *Provider) accept(v *verification, t *credential, at found) {
	v.payload = p.normalized(t.claims)
	if !p.Rule.ForwardOriginalToken {
		switch {
		case at.header != "":
			v.headers.remove(at.header)
		case at.param != "":
			v.removeParam(at.param)
		}
	}
	if name := p.Rule.OutputPayloadToHeader; name != "" {
		v.headers.set(strings.ToLower(name), t.payload())
	}
	for _, c := range p.Rule.OutputClaimToHeaders {
		if text, ok := claimText(t.claims, strings.Split(c.GetClaim(), ".")); ok {
			v.headers.set(strings.ToLower(c.GetHeader()), text)
		}
	}
}

// removeParam cuts a parameter out of the query, which is then sorted and
// decoded (AP-53).
func (v *verification) removeParam(name string) {
	path, query, _ := strings.Cut(v.headers.first(":path"), "?")
	given := parseQuery(query)
	delete(given, name)
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(given)) {
		for _, value := range given[key] {
			parts = append(parts, key+"="+value)
		}
	}
	if parts != nil {
		path += "?" + strings.Join(parts, "&")
	}
	v.headers.set(":path", path)
}

// normalized is the payload with its space-delimited claims split (AP-42).
func (p *Provider) normalized(claims map[string]any) map[string]any {
	payload, cloned := claims, false
	for _, name := range p.spaced {
		text, ok := payload[name].(string)
		if !ok {
			continue
		}
		if !cloned {
			payload, cloned = maps.Clone(claims), true
		}
		words := []any{}
		for word := range strings.SplitSeq(text, " ") {
			if word != "" {
				words = append(words, word)
			}
		}
		if len(words) > 0 {
			payload[name] = words
		}
	}
	return payload
}

// claimText is a claim as a header has it.
func claimText(claims map[string]any, keys []string) (string, bool) {
	var value any = claims
	for _, key := range keys {
		m, ok := value.(map[string]any)
		if !ok {
			return "", false
		}
		if value, ok = m[key]; !ok {
			return "", false
		}
	}
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case map[string]any, []any:
		text, err := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text), err == nil
	}
	return "", false
}
