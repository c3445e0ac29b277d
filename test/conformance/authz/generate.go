package authz

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes requests for a case.
type generator struct {
	*rand.Rand
	http bool
	// rules are those of both sides.
	rules []rule
	// pool are single changes: hits and near misses of every matcher, and the
	// values of the policies.
	pool []change
	// identities have all combinations of the parts that those of pool have.
	identities []string
}

// newGenerator makes requests for the rules of both sides, and the values of
// the policies. The same case gets the same requests.
func newGenerator(http bool, seed uint64, mined []change, sides ...map[string]table) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 2)), http: http, pool: mined}
	for _, tables := range sides {
		for _, name := range sortedKeys(tables) {
			g.rules = append(g.rules, tables[name]...)
		}
	}
	for _, r := range g.rules {
		for _, side := range [][]term{r.permissions, r.principals} {
			for i := range side {
				side[i].leaves(func(_ string, l *leaf) { g.pool = slices.Concat(g.pool, l.hits, l.near) })
			}
		}
	}
	g.identities = identitiesOf(g.pool)
	return g
}

// identitiesOf combines trust domains, namespaces and accounts: two matchers of
// one rule may ask for a part each.
func identitiesOf(changes []change) []string {
	parts := [3]map[string]bool{{}, {}, {}}
	for _, c := range changes {
		a := plain(true)
		c(a)
		rest, ok := strings.CutPrefix(a.identity, "spiffe://")
		domain, rest, hasNamespace := strings.Cut(rest, "/ns/")
		ns, account, hasAccount := strings.Cut(rest, "/sa/")
		if ok && hasNamespace && hasAccount {
			parts[0][domain], parts[1][ns], parts[2][account] = true, true, true
		}
	}
	var all []string
	for _, domain := range sortedKeys(parts[0]) {
		for _, ns := range sortedKeys(parts[1]) {
			for _, account := range sortedKeys(parts[2]) {
				all = append(all, "spiffe://"+domain+"/ns/"+ns+"/sa/"+account)
			}
		}
	}
	return all
}

// Requests of a case.
const (
	forMatcher  = 16 // of a rule, for each way through it
	mostForRule = 2500
	mostChanges = 1500 // alone
	fewest      = 600  // in all
)

// requests makes all requests of a case: around every rule, around every single
// value, and some at random.
func (g *generator) requests() []*attributes {
	var all []*attributes
	for _, r := range g.rules {
		for range r.budget() {
			all = append(all, g.around(&r))
		}
	}
	g.Shuffle(len(g.pool), func(i, j int) { g.pool[i], g.pool[j] = g.pool[j], g.pool[i] })
	for _, c := range g.pool[:min(len(g.pool), mostChanges)] {
		a := g.base()
		c(a)
		all = append(all, a)
	}
	for len(all) < fewest {
		all = append(all, g.base())
	}
	for _, a := range all {
		a.settle()
	}
	return all
}

// budget is how many requests a rule is worth.
func (r *rule) budget() int {
	matchers := func(terms []term) (n int) {
		for i := range terms {
			terms[i].leaves(func(string, *leaf) { n++ })
		}
		return n + 1
	}
	p, q := r.permissions, r.principals
	return min(mostForRule, forMatcher*(matchers(p)*max(1, len(q))+matchers(q)*max(1, len(p))))
}

// chance is true once in n times.
func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

// base is a plain request, or one with a few changes.
func (g *generator) base() *attributes {
	a := plain(g.http)
	if len(g.pool) == 0 {
		return a
	}
	for range g.IntN(4) {
		g.pool[g.IntN(len(g.pool))](a)
	}
	return a
}

// around is a request that matches a rule, or does not for one reason.
func (g *generator) around(r *rule) *attributes {
	a := plain(g.http)
	if g.chance(3) {
		a = g.base()
	}
	var wanted []term
	for _, side := range [][]term{r.permissions, r.principals} {
		if len(side) > 0 {
			wanted = append(wanted, side[g.IntN(len(side))])
		}
	}
	both := term{op: all, kids: wanted}
	g.satisfy(&both, a)
	g.identify(&both, a)
	switch g.IntN(5) {
	case 0: // as it is
	case 1:
		g.changed(a, g.pool)
	case 2:
		g.changed(a, g.hitsOf(&both))
	default:
		g.spoil(&both, a)
	}
	return a
}

// changed makes one of some changes.
func (g *generator) changed(a *attributes, changes []change) {
	if len(changes) > 0 {
		changes[g.IntN(len(changes))](a)
	}
}

// hitsOf are the hits of one matcher of a term: where two ask for one thing,
// the other one then does not match.
func (g *generator) hitsOf(t *term) []change {
	var all [][]change
	t.leaves(func(_ string, l *leaf) { all = append(all, l.hits) })
	if len(all) == 0 {
		return nil
	}
	return all[g.IntN(len(all))]
}

// attempts is how many identities are tried.
const attempts = 30

// identify looks for an identity that makes a request match.
func (g *generator) identify(t *term, a *attributes) {
	if len(g.identities) == 0 {
		return
	}
	was := a.identity
	for range attempts {
		if t.holds(a) {
			return
		}
		a.identity = g.identities[g.IntN(len(g.identities))]
	}
	if !t.holds(a) {
		a.identity = was
	}
}

// spoil changes a request so that one part of a term does not match.
func (g *generator) spoil(t *term, a *attributes) {
	switch {
	case t.op == not:
		g.satisfy(&t.kids[0], a)
	case t.op == test:
		g.changed(a, t.leaf.near)
	case len(t.kids) > 0:
		g.spoil(&t.kids[g.IntN(len(t.kids))], a)
	}
}

// rounds is how often the parts of a conjunction are gone through: what one of
// them asks for may undo what another got.
const rounds = 4

// satisfy changes a request to match a term, where that can be done.
func (g *generator) satisfy(t *term, a *attributes) {
	switch t.op {
	case all:
		for round := range rounds {
			for _, i := range g.Perm(len(t.kids)) {
				if round == 0 || !t.kids[i].holds(a) {
					g.satisfy(&t.kids[i], a)
				}
			}
		}
	case one:
		if len(t.kids) > 0 {
			g.satisfy(&t.kids[g.IntN(len(t.kids))], a)
		}
	case not:
		if t.kids[0].holds(a) {
			g.spoil(&t.kids[0], a)
		}
	case test:
		g.changed(a, t.leaf.hits)
	}
}
