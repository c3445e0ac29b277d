package policy

import (
	"slices"
	"strings"
)

// group has those rules of one RBAC filter that workloads have together or not
// at all.
type group struct {
	policies []placed
	rules    []*Rule // sorted by ID
	asks     attributes
	index    index
}

// add takes a policy and its rules.
func (g *group) add(p placed, rules []Rule) {
	g.policies = append(g.policies, p)
	for i := range rules {
		g.rules = append(g.rules, &rules[i])
	}
}

// finish sorts and indexes the rules.
func (g *group) finish() {
	slices.SortStableFunc(g.rules, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	for _, r := range g.rules {
		r.prepare()
		g.asks |= r.asks
	}
	g.index = newIndex(g.rules)
}

// find is the first rule that matches and, if none surely does, the first in
// doubt.
func (g *group) find(f *facts) (rule, doubt *Rule) {
	q := search{rules: g.rules, facts: f, match: len(g.rules), doubt: len(g.rules), unsure: g.asks&f.unknown != 0}
	g.index.run(&q)
	if q.match < len(g.rules) {
		return g.rules[q.match], nil
	}
	if q.doubt < len(g.rules) {
		return nil, g.rules[q.doubt]
	}
	return nil, nil
}

// search looks for the first rule that matches.
type search struct {
	rules        []*Rule
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
		r := q.rules[i]
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
