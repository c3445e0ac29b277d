package policy_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// laws runs a law for many seeds.
func laws(t *testing.T, seeds uint64, law func(t *testing.T, d dice)) {
	t.Helper()
	t.Parallel()
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			law(t, roll(seed, 1))
		})
	}
}

const requestsPerLaw = 40

// same compares what a client and a reader of logs are told.
func same(a, b policy.Verdict) bool {
	return a.Outcome == b.Outcome && a.HTTPStatus == b.HTTPStatus && reflect.DeepEqual(a.GRPCStatus, b.GRPCStatus) && a.Stage == b.Stage && a.By == b.By && a.Custom == b.Custom
}

// TestOrderDoesNotMatter: policies in another order of documents decide the
// same (EV-7).
func TestOrderDoesNotMatter(t *testing.T) {
	laws(t, 60, func(t *testing.T, d dice) {
		all := slices.Concat(d.policies("ALLOW", 3), d.policies("DENY", 3), d.policies("AUDIT", 1), d.policies("CUSTOM", 2), d.more())
		base := model(t, docs(all...), randomConfig)
		d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		shuffled := model(t, docs(all...), randomConfig)
		for range requestsPerLaw {
			r := d.request()
			if v, w := base.Evaluate(r), shuffled.Evaluate(r); !same(v, w) || !reflect.DeepEqual(v.DryRun, w.DryRun) {
				t.Errorf("%+v, and in another order %+v", v, w)
			}
		}
	})
}

// TestDenyBeatsAllow: what DENY policies deny alone they deny beside any others,
// unless something before them ends the request (EV-5). One more DENY rule gives
// no access.
func TestDenyBeatsAllow(t *testing.T) {
	laws(t, 60, func(t *testing.T, d dice) {
		allows, denies := d.policies("ALLOW", 3), d.policies("DENY", 3)
		onlyDenies := model(t, docs(denies...), randomConfig)
		both := model(t, docs(slices.Concat(allows, denies)...), randomConfig)
		more := model(t, docs(slices.Concat(allows, denies, []string{ap("more", "action: DENY, rules: ["+d.rule()+"]")})...), randomConfig)
		for range requestsPerLaw {
			r := d.request()
			if v, w := onlyDenies.Evaluate(r), both.Evaluate(r); v.Outcome == policy.Deny && !same(v, w) {
				t.Errorf("ALLOW beats DENY: %+v, %+v", v, w)
			}
			if both.Evaluate(r).Outcome != policy.Allow && more.Evaluate(r).Outcome == policy.Allow {
				t.Error("one more DENY rule gives access")
			}
		}
	})
}

// TestAllowOnlyAdds: one more ALLOW rule, in a policy of its own or in another,
// takes no access away where some ALLOW policy is already (EV-5).
func TestAllowOnlyAdds(t *testing.T) {
	laws(t, 60, func(t *testing.T, d dice) {
		others := slices.Concat(d.policies("ALLOW", 2), d.policies("DENY", 2), d.policies("CUSTOM", 1), d.more())
		first, second := d.rule(), d.rule()
		base := model(t, docs(append(others, ap("first", "rules: ["+first+"]"))...), randomConfig)
		apart := model(t, docs(append(others, ap("first", "rules: ["+first+"]"), ap("second", "rules: ["+second+"]"))...), randomConfig)
		joined := model(t, docs(append(others, ap("first", "rules: ["+first+", "+second+"]"))...), randomConfig)
		for range requestsPerLaw {
			r := d.request()
			v := base.Evaluate(r)
			if v.Outcome == policy.Allow && (apart.Evaluate(r).Outcome != policy.Allow || joined.Evaluate(r).Outcome != policy.Allow) {
				t.Errorf("one more ALLOW rule takes access away from %+v", r)
			}
			if a, j := apart.Evaluate(r), joined.Evaluate(r); a.Outcome != j.Outcome {
				t.Errorf("in a policy of its own %s, beside another rule %s", a.Outcome, j.Outcome)
			}
		}
	})
}

// TestWatchersChangeNothing: dry-run policies and AUDIT never change a verdict
// (AP-68, EV-5); nor do policies for other workloads and namespaces (AP-1,
// AP-3).
func TestWatchersChangeNothing(t *testing.T) {
	laws(t, 60, func(t *testing.T, d dice) {
		enforced := slices.Concat(d.policies("ALLOW", 2), d.policies("DENY", 2), d.policies("CUSTOM", 1), d.more())
		watchers := []string{
			asDryRun(ap("watch-allow", d.rules())), asDryRun(ap("watch-deny", "action: DENY, "+d.rules())),
			ap("audit", "action: AUDIT, "+d.rules()), ap("other", "selector: {matchLabels: {app: other}}, action: DENY, rules: [{}]"),
			ap("nothing", "action: DENY"), ap("gold", "selector: {matchLabels: {app: app, tier: gold}}"),
		}
		base := model(t, docs(enforced...), randomConfig)
		watched := model(t, docs(append(enforced, watchers...)...), randomConfig)
		results := 0
		for range requestsPerLaw {
			r := d.request()
			v, w := base.Evaluate(r), watched.Evaluate(r)
			if !same(v, w) || v.DryRun != nil {
				t.Errorf("%+v, and watched %+v", v, w)
			}
			if w.DryRun != nil {
				results++
			}
		}
		if results == 0 {
			t.Error("no dry run has a result")
		}
	})
}

// TestUnknownIsHonest: where addresses are not known, a verdict that is given
// all the same is the verdict for every address, and so are results of dry runs.
func TestUnknownIsHonest(t *testing.T) {
	laws(t, 80, func(t *testing.T, d dice) {
		all := slices.Concat(d.policies("ALLOW", 3), d.policies("DENY", 3), d.policies("CUSTOM", 1), d.more(),
			[]string{asDryRun(ap("watch-allow", d.rules())), asDryRun(ap("watch-deny", "action: DENY, "+d.rules()))})
		m := model(t, docs(all...), randomConfig)
		for range requestsPerLaw {
			open := *d.request()
			open.To.IP = "" // told below, like the client's
			if d.IntN(2) == 0 {
				open.To.IP = "10.0.0.9"
			}
			open.From.IP = ""
			v := m.Evaluate(&open)
			for _, client := range randomAddresses() {
				for _, pod := range []string{"10.0.0.9", "10.9.9.9", "2001:db8::1"} {
					told := open
					told.From.IP = client
					if open.To.IP == "" {
						told.To.IP = pod
					}
					agrees(t, v, m.Evaluate(&told), told)
				}
			}
		}
	})
}

// agrees holds a verdict without addresses to one with them.
func agrees(t *testing.T, open, told policy.Verdict, r policy.Request) {
	t.Helper()
	// An authorizer that may be asked, and whose answer nobody knows, leaves the
	// verdict unknown at once; if it is not reached it does not.
	asked := told.Outcome == policy.Unknown && told.Stage == policy.CustomAction
	if open.Outcome != policy.Unknown && !asked && (open.Outcome != told.Outcome || open.HTTPStatus != told.HTTPStatus || !reflect.DeepEqual(open.GRPCStatus, told.GRPCStatus)) {
		t.Errorf("%s %d (%s) without addresses, %s %d (%s) from %s to %s", open.Outcome, open.HTTPStatus, open.By, told.Outcome, told.HTTPStatus, told.By, r.From.IP, r.To.IP)
	}
	if open.DryRun == nil || told.DryRun == nil {
		return
	}
	for _, pair := range [][2]*policy.Shadow{{open.DryRun.Allow, told.DryRun.Allow}, {open.DryRun.Deny, told.DryRun.Deny}} {
		if pair[0] != nil && pair[1] != nil && pair[0].Result != "unknown" && pair[0].Result != pair[1].Result {
			t.Errorf("a dry run would be %s without addresses, %s from %s to %s", pair[0].Result, pair[1].Result, r.From.IP, r.To.IP)
		}
	}
}

// TestExplanationsAgree: an explanation has the same verdict, tells of the stage
// that decided, last if it ended the request, and of the rule that it names.
func TestExplanationsAgree(t *testing.T) {
	laws(t, 80, func(t *testing.T, d dice) {
		all := slices.Concat(d.policies("ALLOW", 3), d.policies("DENY", 3), d.policies("AUDIT", 1), d.policies("CUSTOM", 2), d.more(), []string{asDryRun(ap("watch", d.rules()))})
		m := model(t, docs(all...), randomConfig)
		for range requestsPerLaw {
			r := d.request()
			if d.IntN(3) == 0 {
				r.From.IP = ""
			}
			explained(t, m, r)
		}
	})
}

// TestPreparedAgrees: a request that is decided again and again is decided as the
// first time.
func TestPreparedAgrees(t *testing.T) {
	laws(t, 60, func(t *testing.T, d dice) {
		m := model(t, docs(slices.Concat(d.policies("ALLOW", 3), d.policies("DENY", 3), d.policies("AUDIT", 1), d.more())...), randomConfig)
		decided := 0
		for range requestsPerLaw {
			r := d.request()
			if d.IntN(3) == 0 {
				r.From.IP = ""
			}
			v := m.Evaluate(r)
			p, ok := m.Prepare(r)
			if v.Outcome == policy.Refused && v.Stage == policy.Transport {
				continue // perhaps by an application behind the rules
			}
			if reached := v.Outcome != policy.Refused && v.Outcome != policy.Rejected && v.Outcome != policy.Unauthenticated && v.Stage != policy.Authentication; ok != reached {
				t.Errorf("prepared %t, evaluated %+v", ok, v)
			}
			if !ok {
				continue
			}
			decided++
			for range 2 {
				if outcome, rule := p.Decide(); outcome != v.Outcome || outcome != policy.Unknown && rule != v.Rule {
					t.Errorf("decided %s by %v, evaluated %+v", outcome, rule, v)
				}
			}
		}
		if decided == 0 {
			t.Error("no request reaches the rules")
		}
	})
}

// explained holds a request's explanation to its verdict.
func explained(t *testing.T, m *policy.Model, r *policy.Request) {
	t.Helper()
	v := m.Evaluate(r)
	w, trace := m.Explain(r)
	if !reflect.DeepEqual(v, w) {
		t.Errorf("evaluated %+v, explained %+v", v, w)
	}
	if len(trace) == 0 {
		t.Fatalf("%+v is not explained", v)
	}
	if last := trace[len(trace)-1]; v.Outcome != policy.Unknown && last.Stage != v.Stage {
		t.Errorf("the stage %s decided (%s), the last step is %+v", v.Stage, v.Outcome, last)
	}
	if v.Rule == nil || v.Outcome == policy.Unknown {
		return
	}
	named := slices.ContainsFunc(trace, func(s policy.Step) bool {
		return s.Stage == v.Stage && slices.Contains(s.Matched, v.Rule) && slices.ContainsFunc(s.By, func(c policy.Cause) bool { return c.At.Line > 0 && c.Rule != nil && *c.Rule == v.Rule.Index })
	})
	if !named {
		t.Errorf("no step of stage %s names the rule %s", v.Stage, v.By)
	}
}
