package printer_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/report"
)

func someFindings() []report.Finding {
	at := report.Location{File: "deploy/a.yaml", Line: 3, Column: 5}
	return []report.Finding{
		{
			Code: "MSH0001", Severity: report.Error, Origin: "Pod shop/a", Message: "one\nline | of `it`", Location: at,
			Related: []report.Related{{Origin: "Service shop/a", Message: "leads here", Location: at}},
			Fix:     &report.Fix{Description: "set x", Edits: []report.Edit{{File: at.File, Start: 4, End: 9, Text: "y"}}},
		},
		{Code: "MSH0001", Severity: report.Error, Origin: "Pod shop/a", Message: "one\nline | of `it`", Location: report.Location{File: at.File, Line: 9}},
		{Code: "MSH0002", Severity: report.Info, Origin: "Namespace shop", Message: "a hint", Location: report.Location{File: "b.yaml"}},
		{Code: "MSH0003", Severity: report.Warning, Message: "no place"},
	}
}

// TestSARIF: what is written is valid by the schema of SARIF 2.1.0, has a
// fingerprint of its own for each result, which does not move with lines.
func TestSARIF(t *testing.T) {
	t.Parallel()
	rules := []printer.Rule{{Code: "MSH0001", Name: "one", Title: "a rule", Help: "What to do.", Severity: report.Error}}
	for _, findings := range [][]report.Finding{nil, someFindings()} {
		var text bytes.Buffer
		if err := printer.SARIF(&text, "1.2.3", rules, findings); err != nil {
			t.Fatal(err)
		}
		log, err := sarif.FromBytes(text.Bytes(), sarif.WithStrictValidation())
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Validate(); err != nil {
			t.Errorf("%v\n%s", err, text.String())
		}
		if got := len(log.Runs[0].Results); got != len(findings) || len(log.Runs[0].Tool.Driver.Rules) != 1 {
			t.Errorf("%d results of %d findings", got, len(findings))
		}
		seen := map[string]bool{}
		for _, r := range log.Runs[0].Results {
			for _, print := range r.PartialFingerprints {
				seen[print] = true
			}
		}
		if len(seen) != len(findings) {
			t.Errorf("%d fingerprints of %d findings", len(seen), len(findings))
		}
	}
}

// TestSARIFAddresses: a file's name is a reference, whatever letters it has.
func TestSARIFAddresses(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"./deploy/a b#%c?.yaml": "deploy/a%20b%23%25c%3F.yaml", "a:b.yaml": "./a:b.yaml", "/x/ä.yaml": "/x/%C3%A4.yaml", "https://example.com/a%20b.yaml": "https://example.com/a%20b.yaml",
	} {
		var text bytes.Buffer
		f := report.Finding{Code: "MSH0001", Location: report.Location{File: file, Line: 1}, Fix: &report.Fix{Edits: []report.Edit{{File: file}}}}
		if err := printer.SARIF(&text, "1.2.3", nil, []report.Finding{f}); err != nil || strings.Count(text.String(), `"uri": "`+want+`"`) != 2 {
			t.Errorf("%s: %v, want %s twice in %s", file, err, want, text.String())
		}
	}
}

// TestFindingsFormats: a format keeps each finding, and no text of it can break
// the format.
func TestFindingsFormats(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	write := func(err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer text.Reset()
		return text.String()
	}
	var entries []map[string]any
	if err := json.Unmarshal([]byte(write(printer.FindingsGitLab(&text, someFindings()))), &entries); err != nil || len(entries) != 4 {
		t.Error(entries, err)
	}
	if got := write(printer.FindingsGitHub(&text, someFindings())); strings.Count(got, "\n") != 5 || !strings.HasPrefix(got, "::error file=deploy/a.yaml,line=3,col=5,title=") || !strings.Contains(got, "::notice") {
		t.Error(got)
	}
	if got := write(printer.FindingsMarkdown(&text, someFindings())); strings.Count(got, "| MSH") != 4 || strings.Count(got, "\n| ") != 6 {
		t.Error(got)
	}
	got := write(printer.Findings(&text, someFindings()))
	for _, want := range []string{"deploy/a.yaml\n", "3:5", "MSH0003", "see deploy/a.yaml:3:5: leads here", "2 errors, 1 warning, 1 hint\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := write(printer.Findings(&text, nil)); got != "nothing found\n" {
		t.Error(got)
	}
	many := make([]report.Finding, 500)
	if got := write(printer.FindingsMarkdown(&text, many)); !strings.Contains(got, "300 findings more are not shown") {
		t.Error(got[len(got)-200:])
	}
}
