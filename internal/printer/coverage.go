package printer

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/report"
)

func coverageHeaders() []string { return []string{"RULE", "ACTION", "STATUS", "CASES", "AT"} }

func coverageRow(r report.RuleCoverage) []string {
	return []string{r.Name(), r.Action, r.Reach.Describe(), strconv.Itoa(r.Cases), r.Location.String()}
}

// Coverage writes a table of rules and which of them tests exercise, and the
// share of them below it.
func Coverage(w io.Writer, c report.Coverage) error {
	var rows [][]string
	for _, r := range c.Rules {
		row := coverageRow(r)
		for i := range row {
			row[i] = oneLine(row[i])
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		if err := Table(w, coverageHeaders(), rows); err != nil {
			return err
		}
		if err := Lines(w, ""); err != nil {
			return err
		}
	}
	return Lines(w, c.String())
}

// CoverageDocument is the coverage for JSON and YAML.
func CoverageDocument(c report.Coverage) any {
	exercised, total := c.Counts()
	return struct {
		APIVersion string                `json:"apiVersion"`
		Kind       string                `json:"kind"`
		Rules      int                   `json:"rules"` // that can be exercised
		Exercised  int                   `json:"exercised"`
		Percent    float64               `json:"percent"`
		Items      []report.RuleCoverage `json:"items"`
	}{APIVersion, "PolicyCoverage", total, exercised, c.Percent(), append([]report.RuleCoverage{}, c.Rules...)}
}

// CoverageGitHub writes GitHub's workflow commands that annotate the rules
// without a test, and the share of the others below them.
func CoverageGitHub(w io.Writer, c report.Coverage) error {
	for _, r := range missed(c) {
		message := report.Case{Location: r.Location, Status: report.Unknown, Message: r.Reach.Describe()}
		if err := Lines(w, githubCommand(r.Name(), message)); err != nil {
			return err
		}
	}
	return Lines(w, c.String())
}

// CoverageMarkdown writes the share of rules that are exercised and, folded
// below it, the others.
func CoverageMarkdown(w io.Writer, c report.Coverage) error {
	rules := missed(c)
	if err := Lines(w, "**"+c.String()+"**"); err != nil || len(rules) == 0 {
		return err
	}
	lines := []string{
		"",
		"<details>",
		fmt.Sprintf("<summary>Not exercised: %d</summary>", len(rules)),
		"",
		"| " + strings.Join(coverageHeaders(), " | ") + " |",
		strings.Repeat("| --- ", len(coverageHeaders())) + "|",
	}
	for _, r := range rules {
		row := coverageRow(r)
		for i := range row {
			row[i] = markdownCell(row[i])
		}
		lines = append(lines, "| "+strings.Join(row, " | ")+" |")
	}
	return Lines(w, append(lines, "", "</details>")...)
}

// missed are the rules without a test.
func missed(c report.Coverage) []report.RuleCoverage {
	var all []report.RuleCoverage
	for _, r := range c.Rules {
		if r.Reach != report.Exercised {
			all = append(all, r)
		}
	}
	return all
}
