package manifest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// TestFaults: a file that cannot be read leaves the others loaded, and its fault
// has a place; a path that is not there is no fault of a file.
func TestFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.yaml": "apiVersion: v1\nkind: Pod\n",
		"utf.yaml":  "apiVersion: v1\nkind: Pod\n\xff",
		"cut.yaml":  "apiVersion: v1\nkind: Pod\n--- more\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := manifest.Loader{}.Load(context.Background(), []string{dir, filepath.Join(dir, "none.yaml")})
	faults, rest := manifest.Faults(err)
	if len(loaded.Streams) != 1 || len(faults) != 2 || rest == nil {
		t.Fatalf("%d streams, faults %v, rest %v; expected 1, 2 and the missing file", len(loaded.Streams), faults, rest)
	}
	for _, f := range faults {
		if f.Location.Line != 3 {
			t.Errorf("%v: line %d, want 3", f, f.Location.Line)
		}
	}
	if faults, rest := manifest.Faults(nil); faults != nil || rest != nil {
		t.Errorf("nothing: %v, %v", faults, rest)
	}
}
