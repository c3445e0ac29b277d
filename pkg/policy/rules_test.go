package policy_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/meshctl/meshctl/internal/citation"
)

// TestEveryRuleIsCited: each rule of the policy reference that can be observed
// has a test that cites it, and testdata/rules.txt says of each other why it has
// none. Rules are numbered statements about real Istio; a range of them cites
// none.
func TestEveryRuleIsCited(t *testing.T) {
	t.Parallel()
	rules := citation.Rules{
		List: filepath.Join("testdata", "rules.txt"), ID: regexp.MustCompile(`\b(?:EV|AP|PA|RA|DR|RUN)-\d+[a-z]?\b`),
		Root: filepath.Join("..", ".."), Folders: []string{"pkg/policy", "pkg/mesh", "cmd/meshctl", "test"},
	}
	rules.Check(t)
}
