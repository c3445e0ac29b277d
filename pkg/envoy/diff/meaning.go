package diff

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	"google.golang.org/protobuf/proto"
)

// term is what must all hold: matchers that must match, with "+", and that must
// not, with "-". It is sorted.
type term []string

// Limits of what is written out: beyond them rules are compared as they stand.
const (
	maxTerms     = 256  // of one rule
	maxRuleTerms = 1024 // of a filter's rules
)

// logic is a matcher as far as it is and, or, not.
type logic struct {
	op   byte // '&', '|', '!', '1' for what always holds, or 0 for a matcher as it stands
	kids []logic
	leaf string
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
	old, understood := alternatives(before)
	now, alike := alternatives(after)
	if !understood || !alike {
		return incomparable
	}
	switch less, more := within(now, old), within(old, now); {
	case less && more:
		return equal
	case less:
		return narrower
	case more:
		return wider
	}
	return incomparable
}

// within tells whether all that alternatives match others match too: each asks
// for all that one of those does.
func within(some, others []term) bool {
	return !slices.ContainsFunc(some, func(t term) bool {
		return !slices.ContainsFunc(others, func(o term) bool { return includes(t, o) })
	})
}

// alternatives are what rules match. It is false for rules that it does not
// understand.
func alternatives(policies map[string]*rbacv3.Policy) ([]term, bool) {
	var all []term
	for id, p := range policies {
		if p.GetCondition() != nil || p.GetCheckedCondition() != nil || strings.HasPrefix(id, "istio-ext-authz-") {
			return nil, false // such ids lead to an authorizer
		}
		terms, ok := logic{op: '&', kids: []logic{
			{op: '|', kids: logics(p.GetPermissions(), permissionLogic)}, {op: '|', kids: logics(p.GetPrincipals(), principalLogic)},
		}}.terms(false)
		if all = append(all, terms...); !ok || len(all) > maxRuleTerms {
			return nil, false
		}
	}
	return absorbed(all), true
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
	return leaf("what", x)
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
	return leaf("who", x)
}

func leaf(of string, m proto.Message) logic {
	return logic{leaf: of + strconv.Quote(bytesOf(m))} // quoted: no sign of a term is in it
}

// terms are the alternatives, each of matchers. None at all never holds. It is
// false where there are too many.
func (l logic) terms(negated bool) ([]term, bool) {
	op := l.op
	if negated {
		if swapped, ok := map[byte]byte{'&': '|', '|': '&'}[op]; ok {
			op = swapped
		}
	}
	switch op {
	case '!':
		return l.kids[0].terms(!negated)
	case '1':
		if negated {
			return nil, true
		}
		return []term{{}}, true
	case '|':
		var all []term
		for _, k := range l.kids {
			some, ok := k.terms(negated)
			if all = append(all, some...); !ok || len(all) > maxTerms {
				return nil, false
			}
		}
		return all, true
	case '&':
		return l.product(negated)
	}
	sign := "+"
	if negated {
		sign = "-"
	}
	return []term{{sign + l.leaf}}, true
}

// product joins each alternative of each part with those of the others.
func (l logic) product(negated bool) ([]term, bool) {
	all := []term{{}}
	for _, k := range l.kids {
		some, ok := k.terms(negated)
		if !ok || len(all)*len(some) > maxTerms {
			return nil, false
		}
		var joined []term
		for _, a := range all {
			for _, b := range some {
				if t := slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b)))); !contradicts(t) {
					joined = append(joined, t)
				}
			}
		}
		all = joined
	}
	return all, true
}

// contradicts tells a matcher that must and must not match.
func contradicts(t term) bool {
	return slices.ContainsFunc(t, func(m string) bool { return m[0] == '+' && slices.Contains(t, "-"+m[1:]) })
}

// absorbed leaves out alternatives that others hold wherever they do.
func absorbed(all []term) []term {
	byText := map[string]term{}
	for _, t := range all {
		byText[strings.Join(t, "&")] = t
	}
	list := slices.SortedFunc(maps.Values(byText), func(a, b term) int { return len(a) - len(b) })
	var kept []term
	for _, t := range list {
		if !slices.ContainsFunc(kept, func(k term) bool { return includes(t, k) }) {
			kept = append(kept, t)
		}
	}
	return kept
}

// includes tells whether a term asks for all that another does.
func includes(t, part term) bool {
	for _, m := range part {
		if _, found := slices.BinarySearch(t, m); !found {
			return false
		}
	}
	return true
}
