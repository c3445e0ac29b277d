package authz

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshctl/meshctl/pkg/policy"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Comparison is what came of a case.
type Comparison struct {
	ID       string
	Requests int // made for the case
	Sent     int // of them, that a client can send
	// Misses are the requests on which the sides do not agree, in words.
	Misses []string
	// Fields are the parts of the filters' rules, and FieldMisses those that one
	// side has and the other has not: they may hide behind other parts that
	// never match.
	Fields      int
	FieldMisses []string
	// OneSided are matchers that every request, or none, matches: they were not
	// put to the test.
	OneSided []string
}

// Compare runs a case. It fails if the case cannot be read, or has a matcher
// that is not known here.
func (c *Case) Compare() (Comparison, error) {
	golden, err := c.golden()
	if err != nil {
		return Comparison{}, fmt.Errorf("case %s: %w", c.ID, err)
	}
	own, err := c.compile()
	if err != nil {
		return Comparison{}, fmt.Errorf("case %s: %w", c.ID, err)
	}
	return c.against(own, golden)
}

// against compares our side with filters.
func (c *Case) against(own *ours, filters []configuredFilter) (Comparison, error) {
	golden, err := readChain(filters)
	if err != nil {
		return Comparison{}, fmt.Errorf("case %s: %w", c.ID, err)
	}
	x := newComparer(c, own, golden.tables())
	x.compareTables(own.tables, golden.tables())
	x.compareFields(own.tables, golden.tables())
	x.compareAnswers(own.model, golden)
	golden.leaves(x.test)
	return x.Comparison, nil
}

// comparer compares the two sides over the requests of a case.
type comparer struct {
	Comparison
	requests []*attributes
}

// newComparer makes the requests of a case.
func newComparer(c *Case, own *ours, golden map[string]table) *comparer {
	g := newGenerator(c.http(), c.seed(), minePolicies(own.policies), golden, own.tables)
	x := &comparer{requests: g.requests()}
	x.ID, x.Requests = c.ID, len(x.requests)
	return x
}

func (x *comparer) miss(format string, args ...any) {
	x.Misses = append(x.Misses, fmt.Sprintf(format, args...))
}

// eachRule calls f with the rules of both sides, by table and ID; nil is a rule
// that is not there.
func eachRule(own, golden map[string]table, f func(name string, own, golden *rule)) {
	tables := maps.Clone(own)
	maps.Copy(tables, golden)
	for _, name := range sortedKeys(tables) {
		ids := map[string]bool{}
		for _, r := range slices.Concat(own[name], golden[name]) {
			ids[r.id] = true
		}
		for _, id := range sortedKeys(ids) {
			f(name+" "+id, own[name].find(id), golden[name].find(id))
		}
	}
}

// compareTables compares the rules of every action, each by its ID. Whether the
// table is there means something to ALLOW, which then denies all others, and to
// dry runs, which then have a result.
func (x *comparer) compareTables(own, golden map[string]table) {
	for _, name := range []string{"ALLOW", "ALLOW" + dryRunSuffix, "DENY" + dryRunSuffix} {
		if (own[name] == nil) != (golden[name] == nil) {
			x.miss("%s: ours is there: %t, golden is there: %t", name, own[name] != nil, golden[name] != nil)
		}
	}
	eachRule(own, golden, x.compareRules)
}

// compareRules finds the first request on which two rules do not agree. A rule
// that is not there matches nothing.
func (x *comparer) compareRules(name string, own, golden *rule) {
	for _, a := range x.requests {
		ours, theirs := own != nil && own.holds(a), golden != nil && golden.holds(a)
		if ours != theirs {
			x.miss("%s: request %s: ours matches: %t, golden matches: %t", name, a, ours, theirs)
			return
		}
	}
}

// compareFields compares the parts of all rules.
func (x *comparer) compareFields(own, golden map[string]table) {
	eachRule(own, golden, func(name string, a, b *rule) {
		if a == nil {
			a = &rule{}
		}
		if b == nil {
			b = &rule{}
		}
		x.compareParts(name+" permissions", a.permissions, b.permissions)
		x.compareParts(name+" principals", a.principals, b.principals)
	})
}

// compareParts compares the parts of terms as sets: two parts are the same if
// they match the same requests.
func (x *comparer) compareParts(name string, own, golden []term) {
	ours, theirs := x.byMeaning(own), x.byMeaning(golden)
	for _, meaning := range sortedKeys(ours) {
		if _, ok := theirs[meaning]; !ok {
			x.FieldMisses = append(x.FieldMisses, fmt.Sprintf("%s: only ours: %s", name, ours[meaning]))
		}
	}
	for _, meaning := range sortedKeys(theirs) {
		if _, ok := ours[meaning]; !ok {
			x.FieldMisses = append(x.FieldMisses, fmt.Sprintf("%s: only golden: %s", name, theirs[meaning]))
		}
		x.Fields++
	}
}

// byMeaning names the parts of terms by what each makes of all requests.
func (x *comparer) byMeaning(terms []term) map[string]string {
	named := map[string]string{}
	for i := range terms {
		for _, field := range terms[i].fields() {
			meaning := make([]byte, len(x.requests))
			for n, a := range x.requests {
				if field.holds(a) {
					meaning[n] = 1
				}
			}
			named[string(meaning)] = field.name
		}
	}
	return named
}

// compareAnswers sends what can be sent through both sides, with each answer
// of an external authorizer.
func (x *comparer) compareAnswers(m *policy.Model, golden chain) {
	// Whom the handshake lets in is not the filters' business (PA-18).
	m.TrustDomains = nil
	for _, a := range x.requests {
		if domain, ok := domainOf(a.identity); ok && !slices.Contains(m.TrustDomains, domain) {
			m.TrustDomains = append(m.TrustDomains, domain)
		}
	}
	for _, a := range x.requests {
		r, ok := a.request()
		if !ok {
			continue
		}
		x.Sent++
		for _, r.Custom = range []string{"allow", "deny", "error"} {
			ours, theirs := answerOf(m.Evaluate(r)), golden.run(a, r.Custom)
			if ours != theirs {
				x.miss("request %s, authorizers say %s: ours %+v, golden %+v", a, r.Custom, ours, theirs)
				return
			}
		}
	}
}

// answerOf is a verdict in what both sides can say.
func answerOf(v policy.Verdict) answer {
	a := answer{Outcome: v.Outcome, Status: v.HTTPStatus, By: v.By, Custom: v.Custom}
	if v.DryRun != nil && v.DryRun.Allow != nil {
		a.DryAllow, a.DryBy = v.DryRun.Allow.Result, v.DryRun.Allow.By
	}
	if v.DryRun != nil && v.DryRun.Deny != nil {
		a.DryDeny, a.DenyBy = v.DryRun.Deny.Result, v.DryRun.Deny.By
	}
	return a
}

// test notes a matcher that was not put to the test.
func (x *comparer) test(where, name string, l *leaf) {
	if l.dark {
		return
	}
	matched := 0
	for _, a := range x.requests {
		if l.holds(a) {
			matched++
		}
	}
	if matched == 0 || matched == len(x.requests) {
		x.OneSided = append(x.OneSided, fmt.Sprintf("%s: %s matches %d of %d requests", where, name, matched, len(x.requests)))
	}
}
