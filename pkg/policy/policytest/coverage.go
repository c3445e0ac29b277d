package policytest

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

// coverage tells for each rule of the meshes' policies how many cases it
// matched a request of. A rule that several meshes read from one place is one.
func (r *run) coverage(suites []Suite) report.Coverage {
	cases := map[ruleKey]int{}
	for _, a := range r.answers {
		for _, key := range a.matched {
			cases[key]++
		}
	}
	type place struct {
		policy string
		rule   int
		at     report.Location
	}
	merged := map[place]report.RuleCoverage{}
	seen := map[*mesh.Snapshot]bool{}
	for _, s := range suites {
		if seen[s.Mesh] {
			continue
		}
		seen[s.Mesh] = true
		for _, rule := range rules(s.Mesh, r.simulator(s), cases) {
			at := place{rule.Policy, rule.Rule, rule.Location}
			merged[at] = join(merged[at], rule)
		}
	}
	var c report.Coverage
	for _, rule := range merged {
		c.Rules = append(c.Rules, rule)
	}
	slices.SortFunc(c.Rules, func(a, b report.RuleCoverage) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Location.String(), b.Location.String()))
	})
	return c
}

// join puts together what two meshes say of a rule: what one of them reaches is
// reached.
func join(a, b report.RuleCoverage) report.RuleCoverage {
	order := []report.Reach{"", report.Unselected, report.Unguarded, report.Dropped, report.Unexercised, report.Exercised}
	b.Cases += a.Cases
	if slices.Index(order, a.Reach) > slices.Index(order, b.Reach) {
		b.Reach = a.Reach
	}
	return b
}

// rules are those of a mesh's policies. Policies without rules have none to
// exercise.
func rules(s *mesh.Snapshot, simulator *policy.Simulator, cases map[ruleKey]int) []report.RuleCoverage {
	enforced := enforcement(s, simulator)
	var all []report.RuleCoverage
	for _, ns := range s.AuthorizationNamespaces() {
		for _, p := range s.AuthorizationPolicies(ns) {
			for i := range p.Spec.Rules {
				rule := report.RuleCoverage{
					Policy: p.Namespace + "/" + p.Name, Action: p.Spec.Action.String(), Rule: i,
					Location: p.Locate("spec", "rules", strconv.Itoa(i)), Cases: cases[ruleKey{p, i}],
				}
				rule.Reach = enforced.reach(ruleKey{p, i}, rule.Cases)
				all = append(all, rule)
			}
		}
	}
	return all
}

// enforced is what the sidecars of a mesh are told.
type enforced struct {
	selected map[*mesh.AuthorizationPolicy]bool // by some workload
	guarded  map[*mesh.AuthorizationPolicy]bool // by one with a sidecar
	rules    map[ruleKey]bool
}

func (e *enforced) reach(key ruleKey, cases int) report.Reach {
	switch {
	case cases > 0:
		return report.Exercised
	case !e.selected[key.policy]:
		return report.Unselected
	case !e.guarded[key.policy]:
		return report.Unguarded
	case !e.rules[key]:
		return report.Dropped
	}
	return report.Unexercised
}

func enforcement(s *mesh.Snapshot, simulator *policy.Simulator) *enforced {
	e := &enforced{selected: map[*mesh.AuthorizationPolicy]bool{}, guarded: map[*mesh.AuthorizationPolicy]bool{}, rules: map[ruleKey]bool{}}
	for _, w := range s.Workloads {
		guarded := w.Membership.Sidecar && !w.IsGateway()
		m := simulator.Model(w)
		for _, stages := range []policy.Stages{m.HTTP, m.TCP} {
			for _, set := range ruleSets(stages) {
				e.add(set, guarded)
			}
		}
	}
	return e
}

func (e *enforced) add(set *policy.RuleSet, guarded bool) {
	for _, p := range set.Policies {
		e.selected[p] = true
		e.guarded[p] = e.guarded[p] || guarded
	}
	for i := range set.Rules {
		e.rules[ruleKey{set.Rules[i].Policy, set.Rules[i].Index}] = true
	}
}

// ruleSets are all that there are of the stages.
func ruleSets(s policy.Stages) []*policy.RuleSet {
	var all []*policy.RuleSet
	for i := range s.Custom {
		all = append(all, s.Custom[i].Denied, s.Custom[i].Asks)
	}
	for _, stage := range []*policy.Stage{s.Audit, s.Deny, s.Allow} {
		if stage != nil {
			all = append(all, stage.Enforced, stage.Shadow)
		}
	}
	return slices.DeleteFunc(all, func(set *policy.RuleSet) bool { return set == nil })
}
