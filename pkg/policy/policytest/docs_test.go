package policytest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "policy-tests.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocumentedFileIsOne: the file in the documentation can be read.
func TestDocumentedFileIsOne(t *testing.T) {
	t.Parallel()
	_, rest, _ := strings.Cut(page(t), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example")
	}
	files, err := parse(text)
	if err != nil || len(files) != 1 || files[0].Name != "ratings" {
		t.Errorf("%v %v", files, err)
	}
}

// TestEveryFieldIsDocumented: in the schema with a sentence, and on the page by
// its name.
func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := policytest.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	docs, seen := page(t), 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				for name, field := range properties {
					seen++
					description, _ := field.(map[string]any)["description"].(string)
					if !strings.HasSuffix(description, ".") || !strings.Contains(docs, name) {
						t.Errorf("%s: %q, or not on the page", name, description)
					}
				}
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(schema)
	if seen < 60 {
		t.Errorf("only %d fields", seen)
	}
}
