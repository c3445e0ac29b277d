package envoy_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/meshctl/meshctl/internal/citation"
)

// TestEveryRuleIsCited: each rule about what istiod tells Envoy that can be
// observed has a test that cites it, and testdata/rules.txt says of each other why
// it has none. Rules are numbered statements about real istiod; a range of them
// cites none.
func TestEveryRuleIsCited(t *testing.T) {
	t.Parallel()
	rules := citation.Rules{
		List: filepath.Join("testdata", "rules.txt"), ID: regexp.MustCompile(`\bEC-\d+[a-z]?\b`),
		Root: filepath.Join("..", ".."), Folders: []string{"pkg/envoy", "pkg/policy", "pkg/mesh", "cmd/meshctl", "test"},
	}
	rules.Check(t)
}
