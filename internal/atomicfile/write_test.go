package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meshctl/meshctl/internal/atomicfile"
)

// content of every file of a directory.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := atomicfile.Write(atomicfile.File{Name: a, Data: []byte("1"), Mode: 0o600}, atomicfile.File{Name: b, Data: []byte("2"), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	got := content(t, dir)
	if len(got) != 2 || got["a"] != "1" || got["b"] != "2" {
		t.Errorf("%v", got)
	}
	if info, err := os.Stat(a); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestWriteAllOrNone: when one file cannot be staged, none is replaced and no
// temporary file stays.
func TestWriteAllOrNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := filepath.Join(dir, "a")
	if err := os.WriteFile(a, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := atomicfile.Write(atomicfile.File{Name: a, Data: []byte("new"), Mode: 0o644}, atomicfile.File{Name: filepath.Join(dir, "none", "b"), Mode: 0o644})
	if err == nil {
		t.Fatal("no error")
	}
	if got := content(t, dir); len(got) != 1 || got["a"] != "old" {
		t.Errorf("%v", got)
	}
}

func TestExisting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", link); err != nil {
		t.Fatal(err)
	}
	f, err := atomicfile.Existing(link, []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(f); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is none any more: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 || content(t, dir)["target"] != "new" {
		t.Errorf("%v, %v, %v", info.Mode(), err, content(t, dir))
	}
	if _, err := atomicfile.Existing(filepath.Join(dir, "none"), nil); err == nil {
		t.Error("a file that is not there exists")
	}
}
