package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// randomMesh has workloads and policies of every kind, whose selectors overlap.
func (d dice) randomMesh(t *testing.T) *mesh.Snapshot {
	t.Helper()
	var out strings.Builder
	labels := func() string {
		var all []string
		for _, key := range []string{"app", "tier", "version"} {
			if d.IntN(3) == 0 {
				all = append(all, fmt.Sprintf("%s: v%d", key, d.IntN(2)))
			}
		}
		return strings.Join(all, ", ")
	}
	namespace := func() string { return d.pick("a", "b", "istio-system") }
	for i := range 8 {
		fmt.Fprintf(&out, "apiVersion: v1\nkind: Pod\nmetadata: {name: w-%d, namespace: %s, labels: {%s}}\nspec: {containers: [{name: c}]}\n---\n", i, namespace(), labels())
	}
	for i := range 12 {
		annotations, extra := d.pick("", "istio.io/dry-run: 'true'"), d.pick("action: ALLOW", "action: DENY", "action: AUDIT", "action: CUSTOM, provider: {name: p1}", "action: CUSTOM, provider: {name: p2}", "targetRefs: [{kind: Gateway, name: g}]")
		fmt.Fprintf(&out, "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p-%d, namespace: %s, annotations: {%s}}\nspec: {%s, selector: {matchLabels: {%s}}, rules: [{}, {to: [{operation: {paths: [/%d]}}]}]}\n---\n",
			i, namespace(), annotations, extra, labels(), i)
		fmt.Fprintf(&out, "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: r-%d, namespace: %s}\nspec: {selector: {matchLabels: {%s}}, jwtRules: [{issuer: i-%d, jwks: '{\"keys\":[]}'}]}\n---\n", i, namespace(), labels(), i%3)
		fmt.Fprintf(&out, "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: t-%d, namespace: %s}\nspec: {selector: {matchLabels: {%s}}, mtls: {mode: %s}}\n---\n", i, namespace(), labels(), d.pick("STRICT", "DISABLE", "UNSET"))
	}
	stream, err := manifest.Read("mesh.yaml", []byte(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWorkloadsShare: a workload that is compiled with others is the same as one
// that is compiled alone, and has the policies that select it, in order
// (AP-1..AP-8, RA-1, PA-1..PA-8).
func TestWorkloadsShare(t *testing.T) {
	t.Parallel()
	shared := 0
	for seed := range uint64(60) {
		d := dice{rand.New(rand.NewPCG(seed, 6))}
		s := d.randomMesh(t)
		simulator := NewSimulator(s)
		var all sync.WaitGroup
		for _, w := range s.Workloads {
			all.Go(func() { simulator.Model(w) })
		}
		all.Wait()
		stages := map[*Stage]bool{}
		for _, w := range s.Workloads {
			together, alone := simulator.Model(w), Compile(s, w)
			if got, want := outline(together), outline(alone); got != want {
				t.Errorf("seed %d, %s: with others\n%s\nalone\n%s", seed, w, got, want)
			}
			checkSelection(t, s, together)
			checkTokens(t, s, together)
			for _, stage := range []*Stage{together.TCP.Audit, together.TCP.Deny, together.TCP.Allow} {
				checkBytes(t, s, stage.enforced())
				checkBytes(t, s, stage.shadow())
			}
			if stages[together.HTTP.Allow] {
				shared++
			}
			stages[together.HTTP.Allow] = together.HTTP.Allow != nil
		}
	}
	if shared < 20 {
		t.Errorf("%d workloads share their rules: that says little", shared)
	}
}

// outline is what a model enforces.
func outline(m *Model) string {
	var out strings.Builder
	fmt.Fprintln(&out, m.TLS.Mode, m.TLS.From, m.TLS.Ports)
	if m.JWT != nil {
		for _, p := range m.JWT.Providers {
			fmt.Fprintln(&out, p.Policy, p.Rule.Issuer)
		}
	}
	for _, stages := range []Stages{m.HTTP, m.TCP} {
		for _, c := range stages.Custom {
			fmt.Fprintln(&out, c.Provider, ids(c.Denied), ids(c.Asks))
		}
		for _, s := range []*Stage{stages.Audit, stages.Deny, stages.Allow} {
			fmt.Fprintln(&out, ids(s.enforced()), ids(s.shadow()))
		}
	}
	return out.String()
}

func ids(s *RuleSet) []string {
	var all []string
	if s != nil {
		for _, r := range s.Rules {
			all = append(all, r.ID)
		}
		if !slices.IsSorted(all) {
			all = append(all, "NOT SORTED")
		}
	}
	return all
}

// checkSelection compares the policies of the stages with those that select the
// workload.
func checkSelection(t *testing.T, s *mesh.Snapshot, m *Model) {
	t.Helper()
	want := authorizations(s, m.Workload)
	position := func(p *mesh.AuthorizationPolicy) int { return slices.Index(want, p) }
	var got []*mesh.AuthorizationPolicy
	add := func(set *RuleSet) {
		if set != nil {
			if !slices.IsSortedFunc(set.Policies, func(a, b *mesh.AuthorizationPolicy) int { return position(a) - position(b) }) {
				t.Errorf("%s: policies are not in order", m.Workload)
			}
			got = append(got, set.Policies...)
		}
	}
	for _, c := range m.HTTP.Custom {
		add(c.Denied)
		add(c.Asks)
	}
	for _, stage := range []*Stage{m.HTTP.Audit, m.HTTP.Deny, m.HTTP.Allow} {
		add(stage.enforced())
		add(stage.shadow())
	}
	slices.SortFunc(got, func(a, b *mesh.AuthorizationPolicy) int { return position(a) - position(b) })
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d policies, want %d", m.Workload, len(got), len(want))
	}
}

// checkTokens compares the order in which tokens are looked for with that of the
// policies: the workload's own namespace comes first (RA-1).
func checkTokens(t *testing.T, s *mesh.Snapshot, m *Model) {
	t.Helper()
	var want, got []Provider
	for _, ns := range []string{m.Workload.Namespace, s.RootNamespace()} {
		for _, p := range s.RequestAuthentications(ns) {
			if mesh.Selects(p.Spec.GetSelector().GetMatchLabels(), m.Workload.PodLabels) {
				want = append(want, Options{}.providers(p)...)
			}
		}
		if ns == s.RootNamespace() {
			break
		}
	}
	slices.SortStableFunc(want, func(a, b Provider) int { return strings.Compare(a.Rule.Issuer, b.Rule.Issuer) })
	if m.JWT != nil {
		got = m.JWT.Providers
	}
	if !slices.EqualFunc(got, want, func(a, b Provider) bool { return a.Policy == b.Policy }) {
		t.Errorf("%s: %d providers, want %d, or another order", m.Workload, len(got), len(want))
	}
}

// checkBytes compares rules for byte streams with those that each policy has
// there (AP-57, AP-58).
func checkBytes(t *testing.T, s *mesh.Snapshot, set *RuleSet) {
	t.Helper()
	if set == nil {
		return
	}
	var want []string
	for _, p := range set.Policies {
		for _, r := range (&compiler{domains: s.TrustDomains(), tcp: true}).rules(p, "", "") {
			want = append(want, r.ID)
		}
	}
	slices.Sort(want)
	if got := ids(set); !slices.Equal(got, want) {
		t.Errorf("rules for byte streams: %v, want %v", got, want)
	}
}
