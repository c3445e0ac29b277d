package certs_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/meshctl/meshctl/internal/citation"
	"github.com/meshctl/meshctl/pkg/certs"
)

// TestEveryRuleIsCited: each rule about certificates and authorities that can be
// observed has a test that cites it, and testdata/rules.txt says of each other why
// it has none. A range of rules cites none.
func TestEveryRuleIsCited(t *testing.T) {
	t.Parallel()
	rules := citation.Rules{
		List: filepath.Join("testdata", "rules.txt"), ID: regexp.MustCompile(`\bCA-\d+[a-z]?\b`),
		Root: filepath.Join("..", ".."), Folders: []string{"pkg/certs", "pkg/ca", "cmd/meshctl", "test"},
	}
	rules.Check(t)
}

// TestCodes: each kind of problem has a slug of its own, a rule of the reference
// and words.
func TestCodes(t *testing.T) {
	t.Parallel()
	slug, rule := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), regexp.MustCompile(`^CA-\d+$`)
	seen := map[string]bool{}
	for _, c := range certs.Codes() {
		if seen[c.Slug] || !slug.MatchString(c.Slug) || !rule.MatchString(c.Rule) || c.Meaning == "" {
			t.Errorf("%+v", c)
		}
		seen[c.Slug] = true
	}
	if (certs.Problem{Code: "nothing"}).Rule() != "" {
		t.Error("a code that is not there has a rule")
	}
}
