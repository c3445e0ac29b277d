package policy

import "github.com/meshctl/meshctl/pkg/mesh"

// Rule is one rule of an AuthorizationPolicy as a sidecar enforces it. It
// matches a request that some permission and some principal match.
type Rule struct {
	ID          string // as Envoy names it (CF-1)
	Policy      *mesh.AuthorizationPolicy
	Index       int // in spec.rules
	Permissions []Expr
	Principals  []Expr

	asks  attributes // that its expressions look at
	needs []need     // what a request must have, for the index
}

// prepare notes what sets of rules are indexed by. It is done once a rule,
// however many workloads have it.
func (r *Rule) prepare() {
	permission, principal := Expr{Op: One, Kids: r.Permissions}, Expr{Op: One, Kids: r.Principals}
	r.asks = permission.asks() | principal.asks()
	r.needs = bothNeeds(permission.needs(), principal.needs())
}

func (r *Rule) matches(f *facts) bool {
	return anyMatches(r.Permissions, f) && anyMatches(r.Principals, f)
}

func (r *Rule) judge(f *facts) truth {
	return min(anyOf(r.Permissions, f), anyOf(r.Principals, f))
}

// Stage is the RBAC filter of one action.
type Stage struct {
	// Enforced is nil if no policy of the action enforces anything; an ALLOW
	// stage with policies but without rules denies all (AP-59).
	Enforced *RuleSet
	// Shadow has the rules of dry-run policies (AP-68); nil without any.
	Shadow *RuleSet
}

// enforced are the rules that decide; nil if there is no such stage.
func (s *Stage) enforced() *RuleSet {
	if s == nil {
		return nil
	}
	return s.Enforced
}

func (s *Stage) shadow() *RuleSet {
	if s == nil {
		return nil
	}
	return s.Shadow
}

// RuleSet are the rules of one RBAC filter. Workloads share them: they are
// never changed.
type RuleSet struct {
	Rules []*Rule // sorted by ID, as Envoy looks at them (EV-7)
	// Policies are those that the rules are of, those without any rule left
	// among them (AP-59).
	Policies []*mesh.AuthorizationPolicy

	asks   attributes // that some rule looks at
	groups []*group   // of Rules
}

// newRuleSet joins groups; it is nil without any.
func newRuleSet(groups []*group) *RuleSet {
	if len(groups) == 0 {
		return nil
	}
	s := &RuleSet{groups: groups}
	var policies []placed
	for _, g := range groups {
		s.asks |= g.asks
		s.Rules = merge(s.Rules, g.rules, func(a, b *Rule) bool { return a.ID <= b.ID })
		policies = merge(policies, g.policies, func(a, b placed) bool { return a.position <= b.position })
	}
	for _, p := range policies {
		s.Policies = append(s.Policies, p.policy)
	}
	return s
}

// merge joins two lists, each in order.
func merge[T any](a, b []T, inOrder func(a, b T) bool) []T {
	if len(a) == 0 {
		return b
	}
	all := make([]T, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if inOrder(a[0], b[0]) {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// find is the rule that Envoy names: of those that match, the first by ID; nil
// for none. Where what is not known decides whether a rule matches, and none
// surely does, the rule is in doubt.
func (s *RuleSet) find(f *facts) (rule, doubt *Rule) {
	if s == nil {
		return nil, nil
	}
	for _, g := range s.groups {
		matching, open := g.find(f)
		if matching != nil && (rule == nil || matching.ID < rule.ID) {
			rule = matching
		}
		if open != nil && (doubt == nil || open.ID < doubt.ID) {
			doubt = open
		}
	}
	if rule != nil {
		return rule, nil
	}
	return nil, doubt
}
