package manifest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	loaded, err := Loader{}.Load(context.Background(), []string{dir, filepath.Join(dir, "none.yaml")})
	faults, rest := Faults(err)
	if len(loaded.Streams) != 1 || len(faults) != 2 || rest == nil {
		t.Fatalf("%d streams, faults %v, rest %v; expected 1, 2 and the missing file", len(loaded.Streams), faults, rest)
	}
	for _, f := range faults {
		if f.Location.Line != 3 {
			t.Errorf("%v: line %d, want 3", f, f.Location.Line)
		}
	}
	if faults, rest := Faults(nil); faults != nil || rest != nil {
		t.Errorf("nothing: %v, %v", faults, rest)
	}
}

// TestFaultsWithin: what is no text, a link that leads nowhere and a directory
// that cannot be looked into are faults of theirs, and the other files are read.
func TestFaultsWithin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.yaml":   "apiVersion: v1\nkind: Pod\n",
		"bin.yaml":    "\x00\xff\x01",
		"wide.yml":    "\xff\xfea\x00:\x00",
		"bare.json":   "{\x00}\x00\n\x00",
		"values.yaml": "a: 1\n",
		"text.yaml":   "caf\xe9\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dead.yaml")); err != nil {
		t.Fatal(err)
	}
	loaded, err := Loader{}.Load(context.Background(), []string{dir})
	faults, rest := Faults(err)
	if len(loaded.Streams) != 1 || len(loaded.Skipped) != 2 || rest != nil {
		t.Errorf("%d streams, %v skipped, rest %v", len(loaded.Streams), loaded.Skipped, rest)
	}
	var got []string
	for _, f := range faults {
		f.Location.File = filepath.Base(f.Location.File)
		got = append(got, f.Error()+"; "+f.Hint)
	}
	want := []string{
		"bare.json:1:1: UTF-16 text, without the mark that says so; " + saveUTF16,
		"bin.yaml:1:1: binary data, not YAML or JSON; compressed charts and archives must be unpacked or rendered first",
		"dead.yaml: no such file or directory; it is a link that leads nowhere: mend it, or take it away",
		"wide.yml:1:1: UTF-16 text; " + saveUTF16,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	w := walk{dir: dir, loaded: &Loaded{}}
	if err := w.visit(filepath.Join(dir, "shut"), nil, &fs.PathError{Op: "open", Path: "shut", Err: fs.ErrPermission}); !errors.Is(err, fs.SkipDir) || len(w.problems) != 1 {
		t.Errorf("a directory that is shut: %v, problems %v", err, w.problems)
	} else if faults, _ := Faults(w.problems[0]); len(faults) != 1 || faults[0].Err.Error() != fs.ErrPermission.Error() {
		t.Errorf("a directory that is shut: %v", w.problems)
	}
	if err := w.visit(dir, nil, fs.ErrPermission); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the named directory is shut: %v", err)
	}
}

// TestBarren: a stream is barren if it can be read and no object is in it.
func TestBarren(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "# nothing\n---\n": true, "a: 1\n": true, "null\n": true,
		"a: 1\n---\napiVersion: v1\nkind: Pod\n": false, "hello\n": false, "- a\n": false, "a: [\n": false,
	} {
		s, err := Read("x", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Barren(); got != want {
			t.Errorf("Barren(%q) = %t", text, got)
		}
	}
}
