package printer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/meshctl/meshctl/pkg/report"
)

// title names a case among those of all suites.
func title(s report.Suite, c report.Case) string {
	if s.Name == "" {
		return c.Name
	}
	return s.Name + ": " + c.Name
}

// account tells line by line why a case did not pass; there is always a line.
func account(c report.Case) []string {
	var lines []string
	if c.Message != "" {
		lines = append(lines, c.Message)
	}
	for _, check := range c.Unmet() {
		lines = append(lines, fmt.Sprintf("%s: expected %s, got %s", check.Name, check.Want, check.Got))
	}
	if len(lines) == 0 {
		lines = append(lines, string(outcome(c)))
	}
	return lines
}

// outcome is the case's status, and Unknown where it has none.
func outcome(c report.Case) report.Status {
	if c.Status == report.Passed || c.Status == report.Failed {
		return c.Status
	}
	return report.Unknown
}

// failureHeaders stand above what failures gives.
func failureHeaders() []string {
	return []string{"CASE", "CHECK", "EXPECTED", "GOT", "AT", "WHY"}
}

// failures has a row for each unmet check of the cases that did not pass, and
// one for a case without any. The first one of a case says why.
func failures(suites []report.Suite) [][]string {
	var rows [][]string
	for _, s := range suites {
		for _, c := range s.Cases {
			if c.Status == report.Passed {
				continue
			}
			unmet := c.Unmet()
			if len(unmet) == 0 {
				unmet = []report.Check{{Want: string(report.Passed), Got: string(outcome(c))}}
			}
			why := c.Message
			for _, check := range unmet {
				rows = append(rows, []string{title(s, c), check.Name, check.Want, check.Got, c.Location.String(), why})
				why = ""
			}
		}
	}
	return rows
}

// oneLine makes a text fit for one line of a terminal. What does not print is
// written as in Go: no name breaks a line or steers the terminal.
func oneLine(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}
