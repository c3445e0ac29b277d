package policytest_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

var update = flag.Bool("update", false, "write the goldens and the published schema anew")

// TestSchemaIsFresh: the published schema is the one of the tables that Parse
// reads by.
func TestSchemaIsFresh(t *testing.T) {
	t.Parallel()
	got, err := policytest.Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("..", "..", "..", "docs", "schema", "policytest.schema.json"), string(got))
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not fresh; go test -update writes it (-file +got):\n%s", file, diff)
	}
}
