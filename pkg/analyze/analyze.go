package analyze

import (
	"context"
	"fmt"
	"slices"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/report"
)

// Options choose rules and findings.
type Options struct {
	Profile Profile
	Only    []string // codes or slugs; empty is all of the profile
	Skip    []string
	// Namespace keeps the findings of its objects and of those without one; ""
	// keeps all.
	Namespace string
	// Suppressions of the command line or the settings.
	Suppressions []Suppression
	// Foreign are codes that other tools report, and no rule does: suppressions may
	// name them.
	Foreign []string
}

// Profile is a choice of rules.
type Profile string

// The profiles.
const (
	// Baseline asks for what is correct.
	Baseline Profile = "baseline"
	// Strict asks for what is good practice, too.
	Strict Profile = "strict"
	// CI is Baseline without what only looks like a mistake.
	CI Profile = "ci"
)

// Profiles are all that there are.
func Profiles() []Profile { return []Profile{Baseline, Strict, CI} }

// Analyze runs rules over manifests. The findings come in the order of the
// files. It fails only if the context ends, or names of rules are unknown.
func Analyze(ctx context.Context, rules []Rule, in Input, o Options) ([]report.Finding, error) {
	chosen, err := choose(rules, o)
	if err != nil {
		return nil, err
	}
	known := map[string]Rule{}
	for _, r := range rules {
		known[r.Code] = r
	}
	inventory := newInventory(in)
	passes := make([]*Pass, 0, len(rules))
	for _, r := range rules {
		if r.Check != nil {
			passes = append(passes, &Pass{Inventory: inventory, rule: r, rules: known})
		}
	}
	if err := workers.Each(ctx, len(passes), 1, func(i int) error {
		passes[i].rule.Check(passes[i])
		return nil
	}); err != nil {
		return nil, err
	}
	var reports []*Report
	for _, p := range passes {
		reports = append(reports, p.reports...)
	}
	s := &suppressing{Inventory: inventory, codes: codes{rules, o.Foreign}, known: known, chosen: chosen, options: o.Suppressions}
	reports = alone(s.suppress(reports), known, chosen)
	inventory.fixes(reports)
	var findings []report.Finding
	for _, r := range reports {
		if chosen[r.Code] && (o.Namespace == "" || r.namespace == "" || r.namespace == o.Namespace) {
			findings = append(findings, r.Finding)
		}
	}
	slices.SortStableFunc(findings, report.Finding.Compare)
	return findings, nil
}

// Choose picks the rules that options run. It fails if a name is unknown.
func Choose(rules []Rule, o Options) ([]Rule, error) {
	chosen, err := choose(rules, o)
	return slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool { return !chosen[r.Code] }), err
}

// choose picks the codes to report.
func choose(rules []Rule, o Options) (map[string]bool, error) {
	known := codes{rules, o.Foreign}
	named := func(names []string) (map[string]bool, error) {
		found := map[string]bool{}
		for _, name := range names {
			r, err := known.named(name)
			if err != nil {
				return nil, err
			}
			found[r.Code] = true
		}
		return found, nil
	}
	for _, s := range o.Suppressions {
		if err := known.check(s.Code); err != nil {
			return nil, fmt.Errorf("suppression of %q: %w", s.Origin, err)
		}
	}
	only, err := named(o.Only)
	if err != nil {
		return nil, err
	}
	skip, err := named(o.Skip)
	if err != nil {
		return nil, err
	}
	chosen := map[string]bool{}
	for _, r := range rules {
		chosen[r.Code] = r.Code == Unreadable || !skip[r.Code] && (only[r.Code] || len(only) == 0 && o.Profile.has(r))
	}
	return chosen, nil
}

func (p Profile) has(r Rule) bool {
	switch p {
	case Strict:
		return true
	case CI:
		return !r.Strict && r.Confidence != Heuristic
	}
	return !r.Strict
}

// alone leaves, of the findings of a place that one of a rule says all about,
// that one.
func alone(reports []*Report, rules map[string]Rule, chosen map[string]bool) []*Report {
	told := map[report.Location]string{}
	for _, r := range reports {
		if rules[r.Code].Alone && chosen[r.Code] {
			told[r.Location] = r.Code
		}
	}
	return slices.DeleteFunc(reports, func(r *Report) bool {
		code, found := told[r.Location]
		return found && r.Code != code && r.Code != Unreadable
	})
}
