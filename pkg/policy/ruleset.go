package policy

import (
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
)

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
	r.needs = both(permission.needs(), principal.needs())
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

// RuleSet is sorted by rule ID, as Envoy looks at it (EV-7).
type RuleSet struct {
	Rules []Rule
	// Policies are those that the rules are of, those without any rule left
	// among them (AP-59).
	Policies []*mesh.AuthorizationPolicy

	asks  attributes // that some rule looks at
	index index
}

// compiled is a policy with its rules.
type compiled struct {
	policy *mesh.AuthorizationPolicy
	rules  []Rule
}

// newRuleSet joins the rules of policies; it is nil without policies.
func newRuleSet(all []compiled) *RuleSet {
	if len(all) == 0 {
		return nil
	}
	s := &RuleSet{}
	for _, c := range all {
		s.Policies = append(s.Policies, c.policy)
		s.Rules = append(s.Rules, c.rules...)
	}
	slices.SortStableFunc(s.Rules, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	for i := range s.Rules {
		s.asks |= s.Rules[i].asks
	}
	s.index = newIndex(s.Rules)
	return s
}

// find is the rule that Envoy names: of those that match, the first by ID; nil
// for none. Where what is not known decides whether a rule matches, and none
// surely does, the rule is in doubt.
func (s *RuleSet) find(f *facts) (rule, doubt *Rule) {
	if s == nil {
		return nil, nil
	}
	q := search{rules: s.Rules, facts: f, match: len(s.Rules), doubt: len(s.Rules), unsure: s.asks&f.unknown != 0}
	s.index.run(&q)
	if q.match < len(s.Rules) {
		return &s.Rules[q.match], nil
	}
	if q.doubt < len(s.Rules) {
		return nil, &s.Rules[q.doubt]
	}
	return nil, nil
}

// search looks for the first rule that matches.
type search struct {
	rules        []Rule
	facts        *facts
	match, doubt int  // positions of the first of each so far
	unsure       bool // some rule looks at what is not known
}

// try looks at some of the rules, in their order, as long as one of them could
// come before what was found.
func (q *search) try(positions []int) {
	for _, i := range positions {
		if i >= q.match {
			return
		}
		r := &q.rules[i]
		if !q.unsure {
			if r.matches(q.facts) {
				q.match = i
				return
			}
			continue
		}
		switch r.judge(q.facts) {
		case yes:
			q.match = i
			return
		case maybe:
			q.doubt = min(q.doubt, i)
		}
	}
}
