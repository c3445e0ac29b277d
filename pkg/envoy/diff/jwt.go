package diff

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"

	"github.com/meshctl/meshctl/pkg/policy"
)

// providerChange is one thing that changes for the tokens of an issuer.
type providerChange struct {
	tag  Tag
	text string // after "tokens of issuer X"
}

// providerFields are those of a provider that providerChanges tells of.
func providerFields() []string {
	return []string{"audiences", "fromHeaders", "fromParams", "fromCookies", "localJwks", "forward", "claimToHeaders", "forwardPayloadHeader"}
}

// worded tells whether the change of a provider is one of fields that have words.
func worded(c *Change) bool {
	return c.Kind == "JWT provider" && c.Op == Changed && !slices.ContainsFunc(c.Fields, func(f Field) bool { return !slices.Contains(providerFields(), f.Path) })
}

// providerTopic is what lines on the changes of a provider are about.
func providerTopic(c *Change) string { return "provider " + c.issuer() }

// issuer is that of a provider that changes.
func (c *Change) issuer() string { return strings.TrimPrefix(c.Key[len(c.Key)-1], c.Kind+" ") }

// providerChanges compares two providers of one issuer; either is nil if it is not
// there, or not the only one of its issuer.
func (s *summary) providerChanges(old, now *jwtv3.JwtProvider) []providerChange {
	switch {
	case old == nil && now == nil:
		return nil
	case old == nil || now == nil: // told as a whole, but for the headers that rules look at
		var all []providerChange
		for _, name := range slices.Sorted(maps.Keys(outputs(cmp.Or(old, now)))) {
			all = append(all, s.headerChanges(name)...)
		}
		return all
	}
	all := audienceChanges(old.Audiences, now.Audiences)
	all = append(all, s.placeChanges(old, now)...)
	all = append(all, keyChanges(old.GetLocalJwks().GetInlineString(), now.GetLocalJwks().GetInlineString())...)
	if old.Forward != now.Forward {
		text := "are now passed on to the application"
		if !now.Forward {
			text = "are no longer passed on to the application"
		}
		all = append(all, providerChange{Cosmetic, text})
		for _, place := range placesOf(old) {
			if name, ok := strings.CutPrefix(place, "header "); ok {
				name, _, _ = strings.Cut(name, " ")
				all = append(all, s.headerChanges(name)...)
			}
		}
	}
	return append(all, s.outputChanges(outputs(old), outputs(now))...)
}

// audienceChanges compares whom tokens are for; an empty list is anybody.
func audienceChanges(old, now []string) []providerChange {
	words := func(all []string) string {
		if len(all) == 0 {
			return "any audience"
		}
		return "audience " + strings.Join(slices.Sorted(slices.Values(all)), " or ")
	}
	var all []providerChange
	if len(old) > 0 && (len(now) == 0 || len(common(now, old)) < len(now)) {
		all = append(all, providerChange{Looser, fmt.Sprintf("now count if they are for %s (was %s)", words(now), words(old))})
	}
	if len(now) > 0 && (len(old) == 0 || len(common(old, now)) < len(old)) {
		all = append(all, providerChange{Tighter, fmt.Sprintf("no longer count unless they are for %s (was %s)", words(now), words(old))})
	}
	return all
}

// placesOf are where a provider looks for tokens.
func placesOf(p *jwtv3.JwtProvider) []string {
	var all []string
	for _, h := range p.FromHeaders {
		text := "header " + strings.ToLower(h.Name)
		if h.ValuePrefix != "" {
			text += fmt.Sprintf(" after %q", h.ValuePrefix)
		}
		all = append(all, text)
	}
	for _, name := range p.FromParams {
		all = append(all, "parameter "+name)
	}
	for _, name := range p.FromCookies {
		all = append(all, "cookie "+name)
	}
	if all == nil { // Envoy's own (RA-4)
		all = []string{`header authorization after "Bearer "`, "parameter access_token"}
	}
	return all
}

// placeChanges compares where tokens are looked for. Where they are, bad ones are
// refused; good ones are for the rules that let in who has one.
func (s *summary) placeChanges(old, now *jwtv3.JwtProvider) []providerChange {
	was, is := placesOf(old), placesOf(now)
	var all []providerChange
	say := func(some, others []string, verb string, refuses, counts Tag) {
		places := slices.DeleteFunc(slices.Clone(some), func(p string) bool { return slices.Contains(others, p) })
		if len(places) == 0 {
			return
		}
		where := strings.Join(places, ", ")
		all = append(all, providerChange{refuses, "in " + where + " are " + verb + " verified"})
		if s.tokensLetIn() {
			all = append(all, providerChange{counts, "in " + where + " are " + verb + " found by the rules that let in, or spare, who has a token"})
		}
	}
	say(is, was, "now", Tighter, Looser)
	say(was, is, "no longer", Looser, Tighter)
	return all
}

// keyChanges compares who may sign, without showing keys.
func keyChanges(old, now string) []providerChange {
	if old == now {
		return nil
	}
	was, read := signers(old)
	is, too := signers(now)
	if !read || !too {
		return []providerChange{{Looser, "are verified by other keys"}}
	}
	var all []providerChange
	for _, key := range keysOf(was, is) {
		_, had := was[key]
		_, has := is[key]
		if has && !had {
			all = append(all, providerChange{Looser, "now count if they are signed by the new key " + is[key]})
		}
		if had && !has {
			all = append(all, providerChange{Tighter, "no longer count if they are signed by the old key " + was[key]})
		}
	}
	if all == nil {
		all = append(all, providerChange{Cosmetic, "are verified by the same keys, written in another way"})
	}
	return all
}

// signers are the names of keys, by all that they are.
func signers(text string) (map[string]string, bool) {
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if json.Unmarshal([]byte(text), &set) != nil {
		return nil, false
	}
	all := map[string]string{}
	for _, k := range set.Keys {
		whole, err := json.Marshal(k)
		if err != nil {
			return nil, false
		}
		name := "without an id"
		if id, ok := k["kid"].(string); ok {
			name = fmt.Sprintf("%q", id)
		}
		all[string(whole)] = name
	}
	return all, true
}

// outputs are the headers that a provider writes, and from what.
func outputs(p *jwtv3.JwtProvider) map[string]string {
	all := map[string]string{}
	for _, c := range p.ClaimToHeaders {
		all[strings.ToLower(c.HeaderName)] = "claim " + c.ClaimName
	}
	if p.ForwardPayloadHeader != "" {
		all[strings.ToLower(p.ForwardPayloadHeader)] = "the payload"
	}
	return all
}

// outputChanges compares the headers that tell applications of a token: clients
// cannot send such a header themselves. Rules that look at one may match more.
func (s *summary) outputChanges(was, is map[string]string) []providerChange {
	var all []providerChange
	for _, name := range keysOf(was, is) {
		old, now := was[name], is[name]
		switch {
		case old == now:
			continue
		case old == "":
			all = append(all, providerChange{Tighter, fmt.Sprintf("now set the header %s from %s: clients can no longer send it themselves", name, now)})
		case now == "":
			all = append(all, providerChange{Looser, fmt.Sprintf("no longer set the header %s from %s: clients can send it themselves", name, old)})
		default:
			all = append(all, providerChange{Looser, fmt.Sprintf("now set the header %s from %s (was %s)", name, now, old)})
		}
		all = append(all, s.headerChanges(name)...)
	}
	return all
}

// headerChanges tell that rules look at a header that is another now.
func (s *summary) headerChanges(name string) []providerChange {
	if !s.looksAtHeader(name) {
		return nil
	}
	return []providerChange{
		{Looser, "change the header " + name + ", by which rules may now let in more"},
		{Tighter, "change the header " + name + ", by which rules may now refuse more"},
	}
}

// looksAtHeader tells whether some rule that is enforced does.
func (s *summary) looksAtHeader(name string) bool {
	for key, p := range s.enforced {
		if s.rules[key].mentions(name) && policyLogic(p).asksHeader(name) {
			return true
		}
	}
	return false
}

// mentions tells whether a rule's words have a text, in any case.
func (r ruleText) mentions(text string) bool {
	return slices.ContainsFunc(slices.Concat(r.what, r.who), func(w string) bool { return strings.Contains(strings.ToLower(w), text) })
}

// asksHeader tells whether some matcher looks at a header; one that is not
// understood may.
func (l logic) asksHeader(name string) bool {
	if l.op == 0 {
		return l.leaf.test == nil || l.leaf.test.Attribute == policy.HeaderLine && l.leaf.test.Name == name
	}
	return slices.ContainsFunc(l.kids, func(k logic) bool { return k.asksHeader(name) })
}

// tokensLetIn tells whether some rule lets in, or spares, who has a token. Until
// tokens are read nobody has one.
func (s *summary) tokensLetIn() bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(s.enforced)), func(key ruleKey) bool {
		p := s.enforced[key]
		return conditional(p) || (s.rules[key].mentions("token's ") || s.rules[key].mentions("jwt_authn")) && policyLogic(p).asksTokens(key.action != "ALLOW", false)
	})
}

// conditional tells a rule with an expression of its own.
func conditional(p *rbacv3.Policy) bool {
	return p.GetCondition() != nil || p.GetCheckedCondition() != nil
}

// providers tells what changes for the tokens of issuers that stay.
func (n *narrator) providers(before, after *summary) {
	for _, issuer := range keysOf(before.providers, after.providers) {
		n.about("provider " + issuer)
		for _, c := range after.providerChanges(before.providers[issuer], after.providers[issuer]) {
			n.say(c.tag, issuerCause(n.after, issuer), "tokens of issuer %q %s, at %s", issuer, c.text, n.name)
		}
	}
}
