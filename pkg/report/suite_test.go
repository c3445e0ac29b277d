package report_test

import (
	"fmt"
	"testing"

	"github.com/meshctl/meshctl/pkg/report"
)

// cases are some of each status.
func cases(passed, failed, unknown int) []report.Case {
	var all []report.Case
	for status, n := range map[report.Status]int{report.Passed: passed, report.Failed: failed, report.Unknown: unknown} {
		for range n {
			all = append(all, report.Case{Status: status})
		}
	}
	return all
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for want, suites := range map[string][]report.Suite{
		"no cases":                     nil,
		"1 case: 1 unknown":            {{Cases: []report.Case{{}}}}, // no status is no pass
		"2 cases: 2 passed":            {{Cases: cases(2, 0, 0)}, {}},
		"3 cases: 3 failed":            {{Cases: cases(0, 3, 0)}},
		"9 cases: 2 passed, 7 unknown": {{Cases: cases(1, 0, 4)}, {Cases: cases(1, 0, 3)}},
		"6 cases: 3 passed, 2 failed, 1 unknown": {
			{Cases: cases(1, 2, 0)}, {Cases: cases(2, 0, 1)},
		},
	} {
		if got := report.Summarize(suites).String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func ExampleCase_Unmet() {
	c := report.Case{
		Name:   "nobody deletes",
		Status: report.Failed,
		Checks: []report.Check{
			{Name: "verdict", Want: "deny", Got: "allow"},
			{Name: "stage", Want: "allow", Got: "allow", Met: true},
		},
	}
	for _, check := range c.Unmet() {
		fmt.Printf("%s: expected %s, got %s\n", check.Name, check.Want, check.Got)
	}
	// Output: verdict: expected deny, got allow
}
