package catalog_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// TestMistakes: all fourteen mistakes of the example are found, each at the line
// where it is made.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const file = "../../../testdata/examples/mistakes/mistakes.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := manifest.Read("mistakes.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := analyze.Analyze(context.Background(), catalog.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{Profile: analyze.Baseline})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	mistakes := []struct{ code, line string }{
		{"MSH0201", "{name: b-disable, namespace: shop}"},
		{"MSH0204", "tls: {mode: DISABLE}"},
		{"MSH0122", "{methods: [GET]}"},
		{"IST0127", "{app: ordres}"},
		{"MSH0108", "notPaths"},
		{"MSH0120", `ports: ["80"]`},
		{"MSH0119", "methods: [post]"},
		{"MSH0115", "sa/wbe"},
		{"MSH0104", "namespaces: [billing]"},
		{"MSH0113", "spiffe://"},
		{"MSH0118", `principals: ["*"]`},
		{"MSH0102", "- to:"},
		{"MSH0210", "- issuer"},
		{"IST0106", "request.auth.claim[group]"},
	}
	if len(mistakes) != 14 {
		t.Fatal(len(mistakes))
	}
	for _, m := range mistakes {
		if !slices.ContainsFunc(findings, func(f report.Finding) bool {
			return f.Code == m.code && f.Line > 0 && strings.Contains(lines[f.Line-1], m.line)
		}) {
			t.Errorf("%s is not found at %s", m.code, m.line)
		}
	}
}

// TestFixes: every fix that an example offers leads to a run without its
// finding.
func TestFixes(t *testing.T) {
	t.Parallel()
	fixes := 0
	for _, r := range catalog.Rules() {
		page, err := catalog.ReadPage(r.Code)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found(t, r.Code, page.Bad) {
			if f.Fix == nil {
				continue
			}
			fixes++
			fixed := slices.Clone(page.Bad)
			for i, e := range fixed {
				if e.Name == f.File {
					text, made := analyze.Apply([]byte(e.Text), e.Name, []report.Finding{f})
					fixed[i].Text = string(text)
					if made != 1 || f.Fix.Description == "" {
						t.Errorf("%s: %d fixes made, %q", r.Code, made, f.Fix.Description)
					}
				}
			}
			if left := found(t, r.Code, fixed); len(left) > 0 {
				t.Errorf("%s: %+v is left after %s", r.Code, left, f.Fix.Description)
			}
		}
	}
	if fixes < 6 {
		t.Errorf("%d fixes only", fixes)
	}
}

// FuzzAnalyze: no text makes a rule panic.
func FuzzAnalyze(f *testing.F) {
	for _, r := range catalog.Rules() {
		page, err := catalog.ReadPage(r.Code)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range page.Bad {
			f.Add(e.Text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := manifest.Read("a.yaml", []byte(text))
		if err != nil {
			return
		}
		findings, err := analyze.Analyze(context.Background(), catalog.Rules(), analyze.Input{Streams: []*manifest.Stream{s}, Complete: true}, analyze.Options{Profile: analyze.Strict})
		if err != nil {
			t.Fatal(err)
		}
		analyze.Apply(s.Data, s.Name, findings)
	})
}
