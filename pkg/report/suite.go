package report

import (
	"fmt"
	"strings"
	"time"
)

// Status is what became of a case: one of the three below. Anything else,
// such as none at all, counts as Unknown.
type Status string

// The statuses.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Unknown Status = "unknown" // something outside of the model decides
)

// Suite is a number of cases that belong together, usually those of one file.
type Suite struct {
	Name  string `json:"name"`
	File  string `json:"file,omitempty"`
	Cases []Case `json:"cases"`
}

// Case is one test and its result.
type Case struct {
	Name     string   `json:"name"`
	Location Location `json:"location,omitzero"`
	Status   Status   `json:"status"`
	Checks   []Check  `json:"checks,omitempty"`
	Message  string   `json:"message,omitempty"` // why, in one line
	Detail   string   `json:"detail,omitempty"`  // how it came to that, in several
	// Duration is zero where it was not measured, so that results stay the same.
	Duration time.Duration `json:"durationNanoseconds,omitempty"`
}

// Check is one thing that a case asks for: what it wants and what it got, in
// the words of the test.
type Check struct {
	Name string `json:"name"` // such as "verdict"
	Want string `json:"want"`
	Got  string `json:"got"`
	Met  bool   `json:"met"`
}

// Unmet lists the checks that are not met.
func (c Case) Unmet() []Check {
	var unmet []Check
	for _, check := range c.Checks {
		if !check.Met {
			unmet = append(unmet, check)
		}
	}
	return unmet
}

// Summary counts the suite's cases.
func (s Suite) Summary() Summary {
	var sum Summary
	for _, c := range s.Cases {
		switch c.Status {
		case Passed:
			sum.Passed++
		case Failed:
			sum.Failed++
		default:
			sum.Unknown++
		}
	}
	return sum
}

// Summary counts cases by what became of them.
type Summary struct{ Passed, Failed, Unknown int }

// Summarize counts the cases of all suites.
func Summarize(suites []Suite) Summary {
	var all Summary
	for _, s := range suites {
		sum := s.Summary()
		all.Passed += sum.Passed
		all.Failed += sum.Failed
		all.Unknown += sum.Unknown
	}
	return all
}

// Total is the number of all cases.
func (s Summary) Total() int { return s.Passed + s.Failed + s.Unknown }

// String is a line such as "3 cases: 2 passed, 1 failed", without the counts
// that are zero.
func (s Summary) String() string {
	var parts []string
	for _, p := range []struct {
		n      int
		status Status
	}{{s.Passed, Passed}, {s.Failed, Failed}, {s.Unknown, Unknown}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.status))
		}
	}
	switch s.Total() {
	case 0:
		return "no cases"
	case 1:
		return "1 case: " + parts[0]
	}
	return fmt.Sprintf("%d cases: %s", s.Total(), strings.Join(parts, ", "))
}
