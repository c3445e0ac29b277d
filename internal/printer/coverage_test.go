package printer_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/report"
)

// coverageFormats are those of coverage, each with its golden.
func coverageFormats() map[string]func(io.Writer, report.Coverage) error {
	return map[string]func(io.Writer, report.Coverage) error{
		"coverage.txt":    printer.Coverage,
		"coverage.github": printer.CoverageGitHub,
		"coverage.md":     printer.CoverageMarkdown,
		"coverage.json": func(w io.Writer, c report.Coverage) error {
			return printer.JSON(w, printer.CoverageDocument(c))
		},
		"coverage.yaml": func(w io.Writer, c report.Coverage) error {
			return printer.YAML(w, printer.CoverageDocument(c))
		},
	}
}

// rules have one of each reach.
func rules() report.Coverage {
	at := func(line int) report.Location {
		return report.Location{File: "deploy/policies.yaml", Line: line, Column: 5}
	}
	return report.Coverage{Rules: []report.RuleCoverage{
		{Policy: "shop/readers", Action: "ALLOW", Rule: 0, Location: at(8), Reach: report.Exercised, Cases: 3},
		{Policy: "shop/readers", Action: "ALLOW", Rule: 1, Location: at(12), Reach: report.Unexercised},
		{Policy: "shop/gone", Action: "DENY", Location: at(31), Reach: report.Unselected},
		{Policy: "shop/outside", Action: "AUDIT", Location: at(41), Reach: report.Unguarded},
		{Policy: "shop/odd|\n", Action: "CUSTOM", Location: at(51), Reach: report.Dropped},
	}}
}

func TestCoverageGolden(t *testing.T) {
	t.Parallel()
	for name, write := range coverageFormats() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			if err := write(&got, rules()); err != nil {
				t.Fatal(err)
			}
			golden(t, name, got.Bytes())
		})
	}
}

// TestCoverageOfNothing: no rules are no error, and nothing is left out.
func TestCoverageOfNothing(t *testing.T) {
	t.Parallel()
	all := report.Coverage{Rules: rules().Rules[:1]}
	for name, want := range map[string][2]string{
		"coverage.txt":    {"no rules to exercise\n", "RULE             ACTION   STATUS      CASES   AT\nshop/readers#0   ALLOW    exercised   3       deploy/policies.yaml:8:5\n\n1 of 1 rule exercised, 100.0 %\n"},
		"coverage.github": {"no rules to exercise\n", "1 of 1 rule exercised, 100.0 %\n"},
		"coverage.md":     {"**no rules to exercise**\n", "**1 of 1 rule exercised, 100.0 %**\n"},
		"coverage.yaml":   {"apiVersion: meshctl.dev/v1alpha1\nexercised: 0\nitems: []\nkind: PolicyCoverage\npercent: 100\nrules: 0\n", ""},
	} {
		for i, c := range []report.Coverage{{}, all} {
			var got strings.Builder
			if err := coverageFormats()[name](&got, c); err != nil || want[i] != "" && got.String() != want[i] {
				t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got.String(), want[i])
			}
		}
	}
}

// TestCoverageOnFullDisk: wherever the space ends, it is an error.
func TestCoverageOnFullDisk(t *testing.T) {
	t.Parallel()
	for name, write := range coverageFormats() {
		var whole bytes.Buffer
		if err := write(&whole, rules()); err != nil {
			t.Fatal(err)
		}
		for size := range whole.Len() {
			space := disk(size)
			if write(&space, rules()) == nil {
				t.Fatalf("%s: %d of %d bytes are written, and no error", name, size, whole.Len())
			}
		}
	}
}
