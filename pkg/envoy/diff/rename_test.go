package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/diff"
)

// told are all intents of a comparison.
func told(r *diff.Result) []string {
	var all []string
	for _, w := range r.Workloads {
		for _, i := range w.Intents {
			all = append(all, string(i.Tag)+": "+i.String())
		}
	}
	return all
}

// An object that is called another name enforces what it did.
func TestRenamedPolicy(t *testing.T) {
	t.Parallel()
	before := authz("ALLOW", `[{to: [{operation: {methods: [GET]}}]}]`)
	r := diff.Compare(side(t, before, ""), side(t, strings.Replace(before, "name: p,", "name: q,", 1), ""))
	want := []string{
		"cosmetic: ALLOW rule prod/p#0 on HTTP to prod/reviews is now called ns[prod]-policy[q]-rule[0], because AuthorizationPolicy prod/q rule 0, deploy.yaml:14",
	}
	if d := cmp.Diff(want, told(r)); d != "" || r.Looser() {
		t.Errorf("(-want +got):\n%s", d)
	}
	if c := r.Workloads[0].Changes[0]; c.Op != diff.Renamed || c.Cause == nil || c.Cause.Object != "AuthorizationPolicy prod/q" {
		t.Errorf("%+v", c)
	}
}

// Rules that are written in another way and match the same are cosmetic; what
// matches more or less is not.
func TestSameMeaning(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		before, after string
		same          bool
	}{
		{`[{to: [{operation: {methods: [GET]}}, {operation: {methods: [POST]}}]}]`, `[{to: [{operation: {methods: [GET, POST]}}]}]`, true},
		{`[{to: [{operation: {methods: [GET, POST]}}]}]`, `[{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {methods: [POST]}}]}]`, true},
		{`[{to: [{operation: {methods: [GET, POST], paths: [/a]}}]}]`, `[{to: [{operation: {methods: [GET], paths: [/a]}}, {operation: {methods: [POST], paths: [/a]}}]}]`, true},
		{`[{}]`, `[{}, {to: [{operation: {methods: [GET]}}]}]`, true},
		{`[{to: [{operation: {methods: [GET], paths: [/a]}}]}]`, `[{to: [{operation: {methods: [GET]}}]}]`, false},
		{`[{to: [{operation: {methods: [GET], paths: [/a]}}]}]`, `[{to: [{operation: {methods: [GET]}}, {operation: {paths: [/a]}}]}]`, false},
		{`[{to: [{operation: {notPaths: [/a]}}]}]`, `[{to: [{operation: {paths: [/a]}}]}]`, false},
	} {
		for _, action := range []string{"ALLOW", "DENY"} {
			r := diff.Compare(side(t, authz(action, tt.before), ""), side(t, authz(action, tt.after), ""))
			cosmetic := !slices.ContainsFunc(told(r), func(line string) bool { return !strings.HasPrefix(line, "cosmetic: ") })
			if r.Same() || cosmetic != tt.same {
				t.Errorf("%s %s, then %s: %v", action, tt.before, tt.after, told(r))
			}
			if tt.same && r.Looser() {
				t.Errorf("%s %s, then %s: %+v", action, tt.before, tt.after, r.Workloads[0].Changes)
			}
		}
	}
}

// Too many alternatives are not written out, and not taken for the same.
func TestMeaningLimit(t *testing.T) {
	t.Parallel()
	both := func(first, second string) string {
		var a, b []string
		for i := range 40 {
			a, b = append(a, fmt.Sprintf("m%d", i)), append(b, fmt.Sprintf("/%d", i))
		}
		return fmt.Sprintf(`[{to: [{operation: {methods: [%s], paths: [%s]}}]}, {to: [{operation: {hosts: [%s]}}, {operation: {hosts: [%s]}}]}]`, strings.Join(a, ", "), strings.Join(b, ", "), first, second)
	}
	r := diff.Compare(side(t, authz("ALLOW", both("a", "b")), ""), side(t, authz("ALLOW", both("a", "c")), ""))
	if !r.Looser() {
		t.Errorf("%v", told(r))
	}
}

// Resources and their parts that are called another name; a route that also has
// another place is more than that.
func TestRenamedParts(t *testing.T) {
	t.Parallel()
	read := func(text string) diff.Side {
		all, err := envoy.ParseConfig("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return diff.Side{Dumps: all}
	}
	routes := func(names ...string) string {
		var all []string
		for i, name := range names {
			all = append(all, fmt.Sprintf(`{"name": %q, "match": {"prefix": "/%s"}, "route": {"cluster": "c"}}`, name, string(names[i][0])))
		}
		return `[{"name": "80", "virtualHosts": [{"name": "all", "domains": ["*"], "routes": [` + strings.Join(all, ", ") + `]}]}]`
	}
	for _, tt := range []struct {
		name, before, after string
		want                []string
	}{
		{"cluster", `[{"name": "old", "connectTimeout": "1s"}]`, `[{"name": "new", "connectTimeout": "1s"}]`, []string{"routing: cluster old is now called new"}},
		{"cluster that is another", `[{"name": "old", "connectTimeout": "1s"}]`, `[{"name": "new", "connectTimeout": "2s"}]`, []string{"routing: cluster new is new", "routing: cluster old is gone"}},
		{"which of two", `[{"name": "a", "connectTimeout": "1s"}, {"name": "b", "connectTimeout": "1s"}]`, `[{"name": "c", "connectTimeout": "1s"}]`, []string{
			"routing: cluster a is gone", "routing: cluster b is gone", "routing: cluster c is new",
		}},
		{"route", routes("a", "b1"), routes("a", "b2"), []string{"cosmetic: route b1 is now called b2 (routes 80 / virtual host all)"}},
		{"route elsewhere", routes("a", "b1"), routes("b2", "a"), []string{
			"routing: route b1 is gone (routes 80 / virtual host all)", "routing: route b2 is new (routes 80 / virtual host all)",
		}},
		{"virtual host", routes("a"), strings.Replace(routes("a"), `"all"`, `"every"`, 1), []string{"cosmetic: virtual host all is now called every (routes 80)"}},
	} {
		if d := cmp.Diff(tt.want, told(diff.Compare(read(tt.before), read(tt.after)))); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}
