package policy

import (
	"fmt"
	"testing"
)

// TestDecisionDoesNotAllocate: once a request is read, walking the rules costs
// no memory.
func TestDecisionDoesNotAllocate(t *testing.T) {
	set, f := manyRules(50)
	if got := testing.AllocsPerRun(100, func() { set.find(f) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// manyRules are n rules of everyday form, of which the request matches the
// last; half of them name no peer.
func manyRules(n int) (*RuleSet, *facts) {
	var g group
	for i := range n {
		peer, _ := principal(fmt.Sprintf("cluster.local/ns/shop/sa/client-%d", i))
		get, _ := header(":method", false)("GET")
		items, _ := pathMatch(fmt.Sprintf("/items/%d/*", i))
		who := Expr{Op: All, Kids: []Expr{{Op: One, Kids: []Expr{peer}}}}
		if i%2 == 0 {
			who = Expr{Op: Any}
		}
		what := Expr{Op: All, Kids: []Expr{{Op: One, Kids: []Expr{get}}, {Op: One, Kids: []Expr{items}}}}
		rule := Rule{ID: fmt.Sprintf("rule[%03d]", i), Permissions: []Expr{what}, Principals: []Expr{who}}
		g.rules = append(g.rules, &rule)
	}
	g.finish()
	last := fmt.Sprintf("/items/%d/x", n-1)
	return newRuleSet([]*group{&g}), &facts{
		peer:    newPeer(fmt.Sprintf("spiffe://cluster.local/ns/shop/sa/client-%d", n-1)),
		headers: newHeaders("GET", last, "app", 0), path: last, hasPath: true,
	}
}

func BenchmarkDecision(b *testing.B) {
	for _, n := range []int{1, 10, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			set, f := manyRules(n)
			if rule, _ := set.find(f); rule == nil {
				b.Fatal("no rule matches")
			}
			for b.Loop() {
				set.find(f)
			}
		})
	}
}
