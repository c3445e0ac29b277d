package diff

import (
	"slices"
	"strconv"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// term is what must all hold, in order.
type term []literal

func (t term) String() string {
	words := make([]string, len(t))
	for i, l := range t {
		words[i] = l.String()
	}
	return strings.Join(words, "&")
}

// Limits of what is written out: beyond them rules are compared as they stand.
const (
	maxTerms     = 256  // of one rule
	maxRuleTerms = 1024 // of a filter's rules
)

// logic is a matcher as far as it is and, or, not.
type logic struct {
	op   byte // '&', '|', '!', '1' for what always holds, or 0 for a matcher as it stands
	kids []logic
	leaf literal
}

// relation is how what rules match now compares with what they matched.
type relation int

// The relations. The last three are proven; rules that are not understood, or too
// many, are incomparable.
const (
	incomparable relation = iota
	equal
	narrower // all that is matched now was matched before
	wider    // all that was matched before is matched now
)

// relate compares the rules of a filter, all together: as alternatives of
// matchers, whatever rules those stand in and however they are nested.
func relate(before, after map[string]*rbacv3.Policy) relation {
	if owner(before) != owner(after) {
		return incomparable
	}
	s := &scales{map[[2]string]bool{}}
	old, understood := s.alternatives(before)
	now, alike := s.alternatives(after)
	if !understood || !alike {
		return incomparable
	}
	switch less, more := s.within(now, old), s.within(old, now); {
	case less && more:
		return equal
	case less:
		return narrower
	case more:
		return wider
	}
	return incomparable
}

// owner is the authorizer whom the ids of CUSTOM rules lead to (EC-81); "" for
// none, "?" for several.
func owner(policies map[string]*rbacv3.Policy) string {
	found := map[string]bool{}
	for id := range policies {
		found[authorizer(id)] = true
	}
	if len(found) > 1 {
		return "?"
	}
	for name := range found {
		return name
	}
	return ""
}

// within tells whether all that alternatives match others match too: each asks
// for all that one of those does.
func (s *scales) within(some, others []term) bool {
	known := map[string]bool{}
	for _, o := range others {
		known[o.String()] = true
	}
	return !slices.ContainsFunc(some, func(t term) bool {
		return !known[t.String()] && !slices.ContainsFunc(others, func(o term) bool { return s.includes(t, o) })
	})
}

// alternatives are what rules match. It is false for rules that it does not
// understand.
func (s *scales) alternatives(policies map[string]*rbacv3.Policy) ([]term, bool) {
	var all []term
	for _, p := range policies {
		if conditional(p) {
			return nil, false
		}
		terms, ok := s.terms(policyLogic(p), false)
		if all = append(all, terms...); !ok || len(all) > maxRuleTerms {
			return nil, false
		}
	}
	return all, true
}

// policyLogic is what a rule matches, but for its conditions.
func policyLogic(p *rbacv3.Policy) logic {
	return logic{op: '&', kids: []logic{
		{op: '|', kids: logics(p.GetPermissions(), permissionLogic)}, {op: '|', kids: logics(p.GetPrincipals(), principalLogic)},
	}}
}

func logics[T any](all []T, read func(T) logic) []logic {
	var kids []logic
	for _, x := range all {
		kids = append(kids, read(x))
	}
	return kids
}

func permissionLogic(x *rbacv3.Permission) logic {
	switch r := x.GetRule().(type) {
	case *rbacv3.Permission_AndRules:
		return logic{op: '&', kids: logics(r.AndRules.GetRules(), permissionLogic)}
	case *rbacv3.Permission_OrRules:
		return logic{op: '|', kids: logics(r.OrRules.GetRules(), permissionLogic)}
	case *rbacv3.Permission_NotRule:
		return logic{op: '!', kids: []logic{permissionLogic(r.NotRule)}}
	case *rbacv3.Permission_Any:
		if r.Any {
			return logic{op: '1'}
		}
	}
	return leaf("what", x, envoy.ReadPermission(x))
}

func principalLogic(x *rbacv3.Principal) logic {
	switch r := x.GetIdentifier().(type) {
	case *rbacv3.Principal_AndIds:
		return logic{op: '&', kids: logics(r.AndIds.GetIds(), principalLogic)}
	case *rbacv3.Principal_OrIds:
		return logic{op: '|', kids: logics(r.OrIds.GetIds(), principalLogic)}
	case *rbacv3.Principal_NotId:
		return logic{op: '!', kids: []logic{principalLogic(r.NotId)}}
	case *rbacv3.Principal_Any:
		if r.Any {
			return logic{op: '1'}
		}
	}
	return leaf("who", x, envoy.ReadPrincipal(x))
}

// leaf is a matcher as it is read or, if it is not understood, as it stands.
func leaf(of string, m proto.Message, read policy.Expr) logic {
	if l, ok := exprLogic(&read); ok {
		return l
	}
	return logic{leaf: literal{id: of + strconv.Quote(bytesOf(m))}}
}

// exprLogic is false for what is not understood.
func exprLogic(e *policy.Expr) (logic, bool) {
	l := logic{op: map[policy.Op]byte{policy.Any: '1', policy.All: '&', policy.One: '|', policy.Not: '!'}[e.Op]}
	if e.Op == policy.Is {
		l.leaf = literal{id: testID(&e.Test), test: &e.Test}
		return l, e.Test.Attribute != policy.Unread
	}
	for i := range e.Kids {
		kid, ok := exprLogic(&e.Kids[i])
		if !ok {
			return logic{}, false
		}
		l.kids = append(l.kids, kid)
	}
	return l, true
}

// terms are the alternatives, each of matchers. None at all never holds. It is
// false where there are too many.
func (s *scales) terms(l logic, negated bool) ([]term, bool) {
	op := l.op
	if negated {
		if swapped, ok := map[byte]byte{'&': '|', '|': '&'}[op]; ok {
			op = swapped
		}
	}
	switch op {
	case '!':
		return s.terms(l.kids[0], !negated)
	case '1':
		if negated {
			return nil, true
		}
		return []term{{}}, true
	case '|':
		var all []term
		for _, k := range l.kids {
			some, ok := s.terms(k, negated)
			if all = append(all, some...); !ok || len(all) > maxTerms {
				return nil, false
			}
		}
		return all, true
	case '&':
		return s.product(l, negated)
	}
	one := l.leaf
	one.not = negated
	return []term{{one}}, true
}

// product joins each alternative of each part with those of the others.
func (s *scales) product(l logic, negated bool) ([]term, bool) {
	all := []term{{}}
	for _, k := range l.kids {
		some, ok := s.terms(k, negated)
		if !ok || len(all)*len(some) > maxTerms {
			return nil, false
		}
		var joined []term
		for _, a := range all {
			for _, b := range some {
				if t := joint(a, b); !s.contradicts(t) {
					joined = append(joined, t)
				}
			}
		}
		all = joined
	}
	return all, true
}

// joint is a term of all that two ask for.
func joint(a, b term) term {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y literal) int { return strings.Compare(x.String(), y.String()) })
	return slices.CompactFunc(all, func(x, y literal) bool { return x.String() == y.String() })
}

// contradicts tells whether no request can fit a term: one of its matchers rules
// out another.
func (s *scales) contradicts(t term) bool {
	for _, l := range t {
		if !l.not && slices.ContainsFunc(t, func(m literal) bool {
			return s.implies(l, literal{!m.not, m.id, m.test})
		}) {
			return true
		}
	}
	return false
}

// includes tells whether a term asks for all that another does.
func (s *scales) includes(t, part term) bool {
	return !slices.ContainsFunc(part, func(m literal) bool {
		return !slices.ContainsFunc(t, func(l literal) bool { return s.implies(l, m) })
	})
}

// asksTokens tells whether some matcher of a token must match or, if not, must
// not. One that is not understood is taken for both.
func (l logic) asksTokens(not, negated bool) bool {
	switch l.op {
	case '!':
		return l.kids[0].asksTokens(not, !negated)
	case 0:
		if l.leaf.test == nil {
			return strings.Contains(l.leaf.id, ".jwt_authn")
		}
		return l.leaf.test.Attribute == policy.TokenClaim && not == negated
	}
	return slices.ContainsFunc(l.kids, func(k logic) bool { return k.asksTokens(not, negated) })
}
