package diff_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy/diff"
)

// named makes a policy of another name.
func named(name, policy string) string {
	return strings.Replace(policy, "name: p,", "name: "+name+",", 1)
}

// dryRun makes a policy one that only shows what it would do.
func dryRun(policy string) string {
	return strings.Replace(policy, "namespace: prod}", "namespace: prod, annotations: {istio.io/dry-run: 'true'}}", 1)
}

// tagsOf are the tags of all lines, each once, in order.
func tagsOf(r *diff.Result) string {
	var all []string
	for _, w := range r.Workloads {
		for _, i := range w.Intents {
			all = append(all, string(i.Tag))
		}
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(all))), " ")
}

// TestMovedRule: a rule that moves to another action is new there and gone from
// where it was, whatever the rules of the other action are.
func TestMovedRule(t *testing.T) {
	t.Parallel()
	const everything, some, others = `[{}]`, `[{to: [{operation: {methods: [GET]}}]}]`, `[{to: [{operation: {methods: [POST]}}]}]`
	for _, tt := range []struct {
		before, after, rule, other string
		want                       string
	}{
		{"DENY", "AUDIT", everything, everything, "cosmetic looser"},
		{"AUDIT", "DENY", everything, everything, "cosmetic"},
		{"DENY", "AUDIT", some, others, "cosmetic looser"},
		{"AUDIT", "DENY", some, others, "cosmetic tighter"},
		{"DENY", "ALLOW", some, others, "looser"},
		{"ALLOW", "DENY", some, some, "cosmetic looser"},
	} {
		other := named("q", authz(tt.after, tt.other))
		r := diff.Compare(side(t, authz(tt.before, tt.rule)+other, ""), side(t, authz(tt.after, tt.rule)+other, ""))
		if got := tagsOf(r); got != tt.want {
			t.Errorf("%s %s to %s beside %s: %s, want %s\n%s", tt.before, tt.rule, tt.after, tt.other, got, tt.want, strings.Join(told(r), "\n"))
		}
	}
}

// TestDryRunEnds: what was shown only is enforced, or the other way round.
func TestDryRunEnds(t *testing.T) {
	t.Parallel()
	const get, post = `[{to: [{operation: {methods: [GET]}}]}]`, `[{to: [{operation: {methods: [POST]}}]}]`
	for _, tt := range []struct {
		name, beside, policy string
		starts, ends         string // dry run
	}{
		{"DENY", "", authz("DENY", get), "cosmetic looser", "cosmetic tighter"},
		{"DENY beside another", named("q", authz("DENY", post)), authz("DENY", get), "cosmetic looser", "cosmetic tighter"},
		{"DENY beside a dry run", named("q", dryRun(authz("DENY", post))), authz("DENY", get), "cosmetic looser", "cosmetic tighter"},
		{"DENY of the same", named("q", authz("DENY", get)), authz("DENY", get), "cosmetic", "cosmetic"},
		{"ALLOW", "", authz("ALLOW", get), "cosmetic looser", "cosmetic tighter"},
		{"ALLOW beside another", named("q", authz("ALLOW", post)), authz("ALLOW", get), "cosmetic tighter", "cosmetic looser"},
	} {
		enforced, shown := side(t, tt.beside+tt.policy, ""), side(t, tt.beside+dryRun(tt.policy), "")
		for _, way := range []struct {
			r    *diff.Result
			want string
		}{{diff.Compare(enforced, shown), tt.starts}, {diff.Compare(shown, enforced), tt.ends}} {
			if got := tagsOf(way.r); got != way.want || way.r.Looser() != strings.Contains(way.want, "looser") {
				t.Errorf("%s: %s, want %s\n%s", tt.name, got, way.want, strings.Join(told(way.r), "\n"))
			}
			if hidden := hiddenPart(way.r); hidden != "" {
				t.Errorf("%s: %s is looser, and in no line", tt.name, hidden)
			}
		}
	}
}
