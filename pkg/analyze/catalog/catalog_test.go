package catalog_test

import (
	"context"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// TestRules: every rule has a code and a name of its own, and a page; every page
// has a rule.
func TestRules(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^(IST0[01]\d\d|MSH0[1-4]\d\d)$`)
	slug := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	for _, r := range catalog.Rules() {
		if !form.MatchString(r.Code) || !slug.MatchString(r.Slug) || seen[r.Code] || seen[r.Slug] {
			t.Errorf("%s %q: expected a code and a slug, and that nothing else has them", r.Code, r.Slug)
		}
		if r.Severity < report.Info || r.Severity > report.Error || !slices.Contains([]analyze.Confidence{analyze.Certain, analyze.NeedsInventory, analyze.Heuristic}, r.Confidence) {
			t.Errorf("%s: severity %v, confidence %q", r.Code, r.Severity, r.Confidence)
		}
		seen[r.Code], seen[r.Slug] = true, true
		if p, err := catalog.ReadPage(r.Code); err != nil || p.Title == "" || len(p.Text) < 60 || len(p.Bad) == 0 || len(p.Good) == 0 {
			t.Errorf("%s: page %+v, %v: expected a title, text, a bad and a good example", r.Code, p, err)
		}
	}
	pages, err := fs.Glob(os.DirFS("pages"), "*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		if code := strings.TrimSuffix(page, ".md"); !seen[code] {
			t.Errorf("page %s is about no rule", page)
		}
	}
}

// TestExamples: the bad example of each rule is found once, or once at each side
// of a conflict, and nothing of the kind in the good one.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, r := range catalog.Rules() {
		t.Run(r.Code, func(t *testing.T) {
			t.Parallel()
			p, err := catalog.ReadPage(r.Code)
			if err != nil {
				t.Fatal(err)
			}
			bad, sides := found(t, r.Code, p.Bad), map[string]bool{}
			for _, f := range bad {
				sides[f.Origin] = true
				if f.Line == 0 || f.Message == "" || len(bad) > 1 && len(f.Related) == 0 {
					t.Errorf("bad example: %+v, expected a place, a message and, of two, the other side", f)
				}
			}
			if len(bad) == 0 || len(sides) != len(bad) {
				t.Errorf("bad example: %+v, expected one finding of an object", bad)
			}
			if good := found(t, r.Code, p.Good); len(good) != 0 {
				t.Errorf("good example: %+v", good)
			}
		})
	}
}

// found are the findings of a code in the files of an example.
func found(t *testing.T, code string, files []catalog.Example) []report.Finding {
	t.Helper()
	in := analyze.Input{Complete: true}
	for _, f := range files {
		switch f.Name {
		case "mesh.yaml":
			config, err := mesh.ParseConfig([]byte(f.Text))
			if err != nil {
				t.Fatal(err)
			}
			in.Options.Config, in.ConfigGiven = config, true
			in.ConfigFile, in.ConfigText = f.Name, []byte(f.Text)
		case "networks.yaml":
			networks, err := mesh.ParseNetworks([]byte(f.Text))
			if err != nil {
				t.Fatal(err)
			}
			in.Networks, in.NetworksFile, in.NetworksText = networks, f.Name, []byte(f.Text)
		default:
			s, err := manifest.Read(f.Name, []byte(f.Text))
			if err != nil {
				t.Fatal(err)
			}
			in.Streams = append(in.Streams, s)
		}
	}
	findings, err := analyze.Analyze(context.Background(), catalog.Rules(), in, analyze.Options{Profile: analyze.Strict})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(findings, func(f report.Finding) bool { return f.Code != code })
}
