package report_test

import (
	"testing"

	"github.com/meshctl/meshctl/pkg/report"
)

// TestCoverage: rules out of reach do not count, and what is short of all is not
// rounded to all.
func TestCoverage(t *testing.T) {
	t.Parallel()
	rules := func(reached, missed, out int) report.Coverage {
		var c report.Coverage
		for reach, n := range map[report.Reach]int{report.Exercised: reached, report.Unexercised: missed, report.Dropped: out} {
			for range n {
				c.Rules = append(c.Rules, report.RuleCoverage{Reach: reach})
			}
		}
		return c
	}
	for want, c := range map[string]report.Coverage{
		"no rules to exercise":                                {},
		"no rules to exercise; 2 rules out of reach":          rules(0, 0, 2),
		"0 of 1 rule exercised, 0.0 %":                        rules(0, 1, 0),
		"1 of 1 rule exercised, 100.0 %":                      rules(1, 0, 0),
		"2 of 3 rules exercised, 66.6 %; 1 rule out of reach": rules(2, 1, 1),
		"2999 of 3000 rules exercised, 99.9 %":                rules(2999, 1, 0),
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if p := rules(2999, 1, 5).Percent(); p >= 100 || p < 99.96 {
		t.Errorf("%v percent", p)
	}
	for _, reach := range []report.Reach{report.Exercised, report.Unexercised, report.Unselected, report.Unguarded, report.Dropped} {
		if reach.Describe() == "" {
			t.Errorf("%s has no words", reach)
		}
	}
}
