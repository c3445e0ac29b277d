package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// dice throws what random rules and requests are made of. Both draw from the
// same few words, so that they often meet.
type dice struct{ *rand.Rand }

func (d dice) pick(choices ...string) string { return choices[d.IntN(len(choices))] }

// some are none to three draws.
func (d dice) some(choices ...string) []string {
	var all []string
	for range max(0, d.IntN(5)-1) {
		all = append(all, d.pick(choices...))
	}
	return all
}

var (
	accounts   = []string{"cluster.local/ns/a/sa/x", "cluster.local/ns/a/sa/y", "cluster.local/ns/b/sa/x", "cluster.local/ns/sa/sa/x", "cluster.local/ns/ns/sa/x", "ns/ns/a/sa/x", "old/ns/a/sa/x", "cluster.local/ns/a/sa/x/more", "cluster.local/x/ns/a/b/sa/x", "cluster.local/odd", "cluster.local/ns/a/sa/x\n"}
	namespaced = []string{"a", "b", "sa", "ns", "x", "a*", "*", "a/sa", "*a*", "", "c"}
	paths      = []string{"/", "/a", "/a/b", "/a/b/c", "/a/bc", "/b", ""}
	words      = []string{"v", "va", "vab", "w", ""}
)

// rule is a random rule.
func (d dice) rule() *security.Rule {
	forms := func(words []string) []string {
		var all []string
		for _, w := range words {
			all = append(all, w, w, w+"*", "*"+w)
		}
		return append(all, "*")
	}
	texts, places := forms(words), append(forms(paths), "/a/{*}", "/a/{**}", "{*}/b", "/{*}/b", "/a{x}/{*}")
	r := &security.Rule{}
	for range 1 + d.IntN(2) {
		r.From = append(r.From, &security.Rule_From{Source: &security.Source{
			Principals: d.some(forms(accounts)...), NotPrincipals: d.some(accounts...), Namespaces: d.some(namespaced...), NotNamespaces: d.some(namespaced...),
			ServiceAccounts: d.some("x", "y", "a/x", "b/x", "a/b/sa/x", "sa/x", "ns/x"), RequestPrincipals: d.some("v/v", "v/*", "*/va", "*", "va*"),
			IpBlocks: d.some("10.0.0.0/8", "10.0.0.1"), RemoteIpBlocks: d.some("10.0.0.2", "11.0.0.0/8"), TrustDomains: d.some("cluster.local", "*", "clu*", "old"),
		}})
	}
	for range 1 + d.IntN(2) {
		r.To = append(r.To, &security.Rule_To{Operation: &security.Operation{
			Hosts: d.some("V", "v*", "*b", "*"), NotHosts: d.some("V"), Methods: d.some("GET", "POST", "*", "P*"), NotMethods: d.some("POST"),
			Paths: d.some(places...), NotPaths: d.some(places...), Ports: d.some("80", "81"),
		}})
	}
	for range d.IntN(3) {
		key := d.pick("request.headers[x-a]", "request.headers[X-B]", "request.auth.claims[k]", "request.auth.claims[k][l]", "request.auth.audiences", "connection.sni", "source.namespace")
		r.When = append(r.When, &security.Condition{Key: key, Values: d.some(texts...), NotValues: d.some(texts...)})
	}
	return r
}

// set compiles random policies.
func (d dice) set() *RuleSet {
	b := &stageBuilder{compiler: &compiler{domains: []string{"cluster.local"}, tcp: d.IntN(4) == 0}}
	action := security.AuthorizationPolicy_Action(d.IntN(2))
	var groups []*group
	for i := range 1 + d.IntN(4) {
		p := &mesh.AuthorizationPolicy{
			Object: &mesh.Object{Object: report.Object{Name: fmt.Sprint(i), Namespace: "a"}},
			Spec:   &security.AuthorizationPolicy{Action: action},
		}
		for range d.IntN(30) {
			p.Spec.Rules = append(p.Spec.Rules, d.rule())
		}
		if i == 0 || d.IntN(2) == 0 {
			groups = append(groups, &group{})
		}
		last := groups[len(groups)-1]
		last.add(placed{i, p}, b.rules(p, "", ""))
	}
	for _, g := range groups {
		g.finish()
	}
	return newRuleSet(groups)
}

// facts are random ones.
func (d dice) facts() *facts {
	f := &facts{
		direct: netip.MustParseAddr(d.pick("10.0.0.1", "10.0.0.2", "11.0.0.1")), remote: netip.MustParseAddr(d.pick("10.0.0.2", "11.0.0.1")),
		port: uint32(80 + d.IntN(3)), sni: d.pick(words...), path: d.pick(paths...),
	}
	f.hasPath = d.IntN(5) > 0
	if d.IntN(4) > 0 {
		f.peer = newPeer("spiffe://" + d.pick(accounts...))
	}
	f.headers = newHeaders(d.pick("GET", "POST", "PUT"), f.path, d.pick("v", "V", "vab", "w"), 6)
	for _, name := range []string{"x-a", "x-b"} {
		for _, value := range d.some(words...) {
			f.headers = append(f.headers, Line{name, value})
		}
	}
	if d.IntN(2) > 0 {
		f.payload = map[string]any{
			"iss": d.pick(words...), "sub": d.pick(words...), "aud": []any{d.pick(words...), d.pick(words...), 1.0},
			"k": []any{map[string]any{"l": d.pick(words...)}, d.pick(words...), []any{"v", d.pick(words...)}, map[string]any{"l": "v"}}[d.IntN(4)],
		}
	}
	if d.IntN(3) == 0 {
		f.unknown = setOf(PeerAddress) | setOf(ClientAddress)
	}
	return f
}

// TestIndexLeavesNothingOut: what the index finds is what looking at every rule
// finds (EV-7).
func TestIndexLeavesNothingOut(t *testing.T) {
	t.Parallel()
	cases, matched, doubted, filed := 0, 0, 0, 0
	for seed := range uint64(150) {
		d := dice{rand.New(rand.NewPCG(seed, 2))}
		set := d.set()
		for _, g := range set.groups {
			filed += len(g.index.shelves)
		}
		for range 150 {
			f := d.facts()
			want, wantDoubt := plainFind(set, f)
			got, doubt := set.find(f)
			if got != want || doubt != wantDoubt {
				t.Fatalf("seed %d: %v, %v; looking at every rule finds %v, %v\nfacts %+v", seed, name(got), name(doubt), name(want), name(wantDoubt), f)
			}
			cases++
			if got != nil {
				matched++
			}
			if doubt != nil {
				doubted++
			}
		}
	}
	if cases < 20_000 || matched < cases/10 || matched > cases*9/10 || doubted < 100 || filed < 200 {
		t.Errorf("%d cases, %d matched, %d in doubt, %d shelves: these say little", cases, matched, doubted, filed)
	}
}

func name(r *Rule) string {
	if r == nil {
		return "none"
	}
	return r.ID
}

// plainFind looks at every rule.
func plainFind(s *RuleSet, f *facts) (rule, doubt *Rule) {
	for _, r := range s.Rules {
		switch r.judge(f) {
		case yes:
			return r, nil
		case maybe:
			if doubt == nil {
				doubt = r
			}
		}
	}
	return nil, doubt
}

// TestGappedTexts: what is matched as text with gaps is what its regular
// expression matches.
func TestGappedTexts(t *testing.T) {
	t.Parallel()
	matched := 0
	for seed := range uint64(5000) {
		d := dice{rand.New(rand.NewPCG(seed, 3))}
		text := func() string {
			var out strings.Builder
			for range d.IntN(6) {
				out.WriteString(d.pick("/ns/", "sa/", "a", "b", "/", "*", ".", "é", "\xff", "spiffe://", "\n"))
			}
			return out.String()
		}
		value := strings.ToValidUTF8(text(), "")
		for _, generate := range []generator{namespace, principal, serviceAccount("a")} {
			e, _ := generate(value)
			m := e.Test.String
			if m.gapped == nil {
				continue
			}
			subject := "spiffe://" + d.pick("", "d/ns/", "d/ns/a/", text()) + d.pick("", "", "sa/", text()) + strings.ReplaceAll(value, "*", d.pick("", "b", text())) + d.pick("", "/", text())
			want := regexp.MustCompile("^(?:" + m.Value + ")$").MatchString(subject)
			if got := m.matches(subject); got != want {
				t.Fatalf("%q on %q: %v, the regular expression says %v", m.Value, subject, got, want)
			}
			if want {
				matched++
			}
		}
	}
	if matched < 300 {
		t.Errorf("%d matched: that says little", matched)
	}
}

// TestPrefixes: the longest prefix and its parents are all prefixes of a text.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		d := dice{rand.New(rand.NewPCG(seed, 4))}
		text := func() string {
			var out strings.Builder
			for range d.IntN(6) {
				out.WriteString(d.pick("a", "b", "/"))
			}
			return out.String()
		}
		begin := map[string][]int{}
		for i := range d.IntN(12) {
			begin[text()] = []int{i}
		}
		all, of := newPrefixes(begin), text()
		var got []string
		for at := all.longest(of); at >= 0; at = all[at].parent {
			got = append(got, all[at].text)
		}
		var want []string
		for text := range begin {
			if strings.HasPrefix(of, text) {
				want = append(want, text)
			}
		}
		slices.SortFunc(want, func(a, b string) int { return len(b) - len(a) })
		if !slices.Equal(got, want) {
			t.Fatalf("prefixes of %q among %v: %v, want %v", of, begin, got, want)
		}
	}
}

// TestNeeds: a request that a rule matches has all that the rule is said to
// need.
func TestNeeds(t *testing.T) {
	t.Parallel()
	anything := &Rule{Permissions: []Expr{{Op: Any}}, Principals: []Expr{{Op: Any}}}
	checked := map[aspect]int{}
	for seed := range uint64(10_000) {
		d := dice{rand.New(rand.NewPCG(seed, 5))}
		b := &ruleBuilder{compiler: &compiler{domains: []string{"cluster.local"}}, namespace: "a"}
		r := d.rule()
		r.From, r.To, r.When = r.From[:1], r.To[:1], r.When[:min(1, len(r.When))]
		rule, _ := b.build(r)
		rule.prepare()
		for range 30 {
			f := d.facts()
			f.unknown = 0
			for _, side := range [][]Expr{rule.Permissions, rule.Principals} {
				if !side[0].matches(f) {
					continue
				}
				for _, n := range side[0].needs() {
					q := search{rules: []*Rule{anything}, facts: f, match: 1}
					s := newShelf([]filing{{0, n}})
					s.run(&q)
					if q.match != 0 {
						t.Fatalf("seed %d: %+v is not found in %+v", seed, n, f)
					}
					checked[n.aspect]++
				}
			}
		}
	}
	for a, n := range checked {
		if n < 5 {
			t.Errorf("%+v: %d cases say little", a, n)
		}
	}
	if len(checked) < 14 {
		t.Errorf("%d aspects, want more: %v", len(checked), checked)
	}
}
