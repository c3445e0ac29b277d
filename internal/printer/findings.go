package printer

import (
	"io"

	"github.com/meshctl/meshctl/pkg/report"
)

// FindingsDocument is the document around findings, for JSON and YAML.
func FindingsDocument(findings []report.Finding) any {
	return struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		Findings   []report.Finding `json:"findings"`
	}{APIVersion, "Findings", append([]report.Finding{}, findings...)}
}

// Findings writes a table of findings for each file, and the counts below it.
func Findings(w io.Writer, findings []report.Finding) error {
	for _, group := range byFile(findings) {
		var rows [][]string
		for _, f := range group {
			rows = append(rows, []string{"  " + linePlace(f.Location), f.Severity.String(), f.Code, oneLine(f.Origin), oneLine(f.Message)})
			for _, r := range f.Related {
				rows = append(rows, []string{"", "", "", oneLine(r.Origin), "see " + oneLine(r.String()+": "+r.Message)})
			}
		}
		if err := Lines(w, oneLine(group[0].File)); err != nil {
			return err
		}
		if err := Table(w, []string{"  PLACE", "SEVERITY", "CODE", "OBJECT", "FINDING"}, rows); err != nil {
			return err
		}
		if err := Lines(w, ""); err != nil {
			return err
		}
	}
	return Lines(w, report.CountFindings(findings))
}

// byFile cuts sorted findings where the file changes.
func byFile(findings []report.Finding) [][]report.Finding {
	var groups [][]report.Finding
	for i, f := range findings {
		if i == 0 || f.File != findings[i-1].File {
			groups = append(groups, nil)
		}
		last := &groups[len(groups)-1]
		*last = append(*last, f)
	}
	return groups
}

// linePlace is "line:column".
func linePlace(at report.Location) string {
	at.File = ""
	text := at.String()
	if text == "" {
		return "-"
	}
	return text[1:]
}

// FindingsGitHub writes GitHub's workflow commands that annotate the lines of
// findings, and the counts below them.
func FindingsGitHub(w io.Writer, findings []report.Finding) error {
	for _, f := range findings {
		level := f.Severity.String()
		if f.Severity == report.Info {
			level = "notice"
		}
		if err := Lines(w, Annotation(level, f.Location, f.Code+" "+f.Origin, f.Message)); err != nil {
			return err
		}
	}
	return Lines(w, report.CountFindings(findings))
}

// mostMarkdown is how many findings a comment shows; GitHub cuts off long ones.
const mostMarkdown = 200

// FindingsMarkdown writes the counts and, folded below them, a table.
func FindingsMarkdown(w io.Writer, findings []report.Finding) error {
	if err := Lines(w, "**"+report.CountFindings(findings)+"**"); err != nil || len(findings) == 0 {
		return err
	}
	lines := []string{"", "<details>", "<summary>Findings</summary>", "", "| AT | SEVERITY | CODE | OBJECT | FINDING |", "| --- | --- | --- | --- | --- |"}
	for i, f := range findings {
		if i == mostMarkdown {
			lines = append(lines, "", report.Count(len(findings)-i, "finding")+" more are not shown.")
			break
		}
		lines = append(lines, "| "+markdownCell(f.String())+" | "+f.Severity.String()+" | "+f.Code+" | "+markdownCell(f.Origin)+" | "+markdownCell(f.Message)+" |")
	}
	return Lines(w, append(lines, "", "</details>")...)
}

// FindingSuites are findings as results of tests: a suite for each file, a case
// for each finding. Hints pass, so that they do not fail a build.
func FindingSuites(findings []report.Finding) []report.Suite {
	var suites []report.Suite
	for _, group := range byFile(findings) {
		s := report.Suite{Name: group[0].File, File: group[0].File}
		if s.Name == "" {
			s.Name = "mesh"
		}
		for _, f := range group {
			status := report.Failed
			if f.Severity == report.Info {
				status = report.Passed
			}
			s.Cases = append(s.Cases, report.Case{Name: f.Code + " " + f.Origin, Location: f.Location, Status: status, Message: f.Severity.String() + ": " + f.Message})
		}
		suites = append(suites, s)
	}
	return suites
}
