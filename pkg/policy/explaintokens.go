package policy

import (
	"slices"
	"strconv"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// request explains a RequestAuthentication.
func (t *teller) request(p *mesh.RequestAuthentication) {
	selected := guarded(t.selection(p.Object, p.Spec.GetSelector(), targets(p.Spec.TargetRef, p.Spec.TargetRefs)))
	providers := t.shared.options.providers(p)
	if len(providers) == 0 {
		t.sayBy(OnEffect, causeOf(p.Object, "spec"), "It has no jwtRules: it does nothing.")
		return
	}
	for i := range providers {
		t.accepts(&providers[i], "Rule "+strconv.Itoa(providers[i].Index))
	}
	t.withoutToken(causeOf(p.Object), selected)
	t.badToken(causeOf(p.Object), providers)
	t.joined(p, selected)
	if streams := append(t.streamPorts(selected, mesh.TCPTraffic), t.streamPorts(selected, mesh.SniffedTraffic)...); len(streams) > 0 {
		t.say(OnStreams, "Tokens are looked for in HTTP requests only, and not in other bytes, such as on %s.", t.portList(streams))
	}
}

// accepts tells which tokens a rule takes, from where, and what it makes of them
// (RA-9..RA-19).
func (t *teller) accepts(p *Provider, name string) {
	r := p.Rule
	by := func(field string) Cause {
		return causeOf(p.Policy.Object, "spec", "jwtRules", strconv.Itoa(p.Index), field)
	}
	issuer := "of the issuer " + shown(r.Issuer)
	if r.Issuer == "" {
		issuer = "of any issuer"
	}
	audience := "for any audience"
	if len(r.Audiences) > 0 {
		audience = "for the audience " + either(allShown(r.Audiences))
	}
	t.sayBy(OnTokens, by("issuer"), "%s takes tokens %s, %s, that it finds in %s.", name, issuer, audience, either(p.places()))
	field, keys := p.keys()
	t.sayBy(OnTokens, by(field), "%s checks them with the keys %s.", name, keys)
	if p.KeysErr != nil {
		t.sayBy(OnCaution, by(field), "%s: its keys cannot be used (%v), so Envoy refuses the whole listener.", name, p.KeysErr)
	}
	if r.ForwardOriginalToken {
		t.sayBy(OnTokens, by("forwardOriginalToken"), "%s leaves a good token in the request.", name)
	} else {
		t.sayBy(OnTokens, by("issuer"), "%s takes a good token out of its header or parameter before policies and the workload see the request.", name)
	}
	t.outputs(p, name, by)
}

// places are where a rule looks for tokens (RA-10, RA-11).
func (p *Provider) places() []string {
	var all []string
	fromHeaders, params, cookies := p.locations()
	for _, h := range fromHeaders {
		place := "the header " + shown(h.GetName())
		if h.GetPrefix() != "" {
			place += " after " + strconv.Quote(h.GetPrefix())
		}
		all = append(all, place)
	}
	for _, name := range params {
		all = append(all, "the query parameter "+shown(name))
	}
	for _, name := range cookies {
		all = append(all, "the cookie "+shown(name))
	}
	return all
}

// keys are where a rule's keys come from (RA-19), and the field that says so.
func (p *Provider) keys() (field, words string) {
	switch {
	case p.Rule.Jwks != "":
		return "jwks", "in the policy itself"
	case p.Rule.JwksUri != "":
		return "jwksUri", "that " + shown(p.Rule.JwksUri) + " serves, which the files do not tell; while they cannot be fetched, every token is bad"
	}
	return "issuer", "that the issuer's discovery document names, which the files do not tell; while they cannot be fetched, every token is bad"
}

// outputs tell of headers that a good token sets (RA-15).
func (t *teller) outputs(p *Provider, name string, by func(string) Cause) {
	var names []string
	field := "outputClaimToHeaders"
	if header := p.Rule.OutputPayloadToHeader; header != "" {
		names, field = append(names, shown(header)), "outputPayloadToHeader"
	}
	for _, c := range p.Rule.OutputClaimToHeaders {
		names = append(names, shown(c.GetHeader()))
	}
	if names != nil {
		t.sayBy(OnTokens, by(field), "%s puts what a good token says into %s; what a client sends there is removed from every request.", name, plural("the header", names))
	}
}

// withoutToken tells that tokens are not needed, and whether some policy wants
// one (RA-4, T-16).
func (t *teller) withoutToken(by Cause, workloads []*mesh.Workload) {
	t.sayBy(OnTokens, by, "A request without a token passes, without a request principal; what must have one is for an AuthorizationPolicy to say, and gets 403 without.")
	var careless []*mesh.Workload
	for _, w := range workloads {
		if !t.looksAtTokens(w) {
			careless = append(careless, w)
		}
	}
	if careless != nil {
		t.sayBy(OnCaution, by, "No AuthorizationPolicy in force for %s looks at tokens: requests without one are treated like those with one.", named(careless))
	}
}

// looksAtTokens tells whether some enforced rule for a workload does.
func (t *teller) looksAtTokens(w *mesh.Workload) bool {
	stages := t.Model(w).HTTP
	return stages.Deny.looksAt(TokenClaim) || stages.Allow.looksAt(TokenClaim)
}

// looksAt tells whether some enforced rule looks at an attribute.
func (s *Stage) looksAt(a Attribute) bool {
	return s.enforced() != nil && s.Enforced.asks&setOf(a) != 0
}

// badToken tells what a token gets that is not good (RA-5, RA-8, T-17).
func (t *teller) badToken(by Cause, providers []Provider) {
	t.sayBy(OnTokens, by, "A bad token gets 401: a signature that does not verify, an expired token, an issuer that no rule names.")
	if slices.ContainsFunc(providers, func(p Provider) bool { return len(p.Rule.Audiences) > 0 }) {
		t.sayBy(OnTokens, by, "A token for another audience gets 403.")
	}
	for i := range providers {
		for _, h := range headersOf(&providers[i]) {
			if h.GetName() == "authorization" && h.GetPrefix() == "Bearer " {
				t.sayBy(OnCaution, by, "Any other bearer token in the header authorization gets 401 too, also one that is meant for the workload itself.")
			}
		}
	}
}

func headersOf(p *Provider) []*security.JWTHeader {
	fromHeaders, _, _ := p.locations()
	return fromHeaders
}

// joined tells of rules from other policies, which count together (RA-2, RA-8,
// T-26).
func (t *teller) joined(p *mesh.RequestAuthentication, workloads []*mesh.Workload) {
	for _, w := range workloads {
		requirement := t.Model(w).JWT
		var others []string
		for i := range requirement.Providers {
			if other := requirement.Providers[i].Policy; other != p {
				others = append(others, other.Namespace+"/"+other.Name)
			}
		}
		if others != nil {
			t.sayBy(OnEffect, causeOf(p.Object), "For %s the rules of %s hold as well: a token is good if any rule takes it.", w, few(unique(others)))
		}
		if requirement.scattered() {
			t.sayBy(OnCaution, causeOf(p.Object), "The rules for %s look for tokens in different places: a good token in one lets a bad one in another pass.", w)
		}
	}
}

// scattered tells whether rules look for tokens in different places (RA-8c).
func (r *Requirement) scattered() bool {
	for i := range r.Providers {
		if !slices.Equal(r.Providers[0].places(), r.Providers[i].places()) {
			return true
		}
	}
	return false
}
