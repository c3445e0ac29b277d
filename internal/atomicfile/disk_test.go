package atomicfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/internal/atomicfile"
)

var errStopped = errors.New("stopped")

// stopAt is a disk that stops at a step and stays so.
func stopAt(n int, seen *int) *atomicfile.Disk {
	return &atomicfile.Disk{Step: func(string, string) error {
		if *seen++; *seen > n {
			return errStopped
		}
		return nil
	}}
}

// TestDiskStops: wherever a change stops, what it is about is as before or as
// after (CA-61).
func TestDiskStops(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(d *atomicfile.Disk, dir string) error
		allow  []string
	}{
		"replace": {
			func(d *atomicfile.Disk, dir string) error {
				return d.Replace(atomicfile.File{Name: filepath.Join(dir, "a"), Data: []byte("new"), Mode: 0o600})
			},
			[]string{"old", "new"},
		},
		"append": {
			func(d *atomicfile.Disk, dir string) error {
				f, err := os.OpenFile(filepath.Join(dir, "a"), os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					return err
				}
				return errors.Join(d.Append(f, []byte("++")), f.Close())
			},
			[]string{"old", "old+", "old++"},
		},
		"create": {
			func(d *atomicfile.Disk, dir string) error {
				return d.Create(atomicfile.File{Name: filepath.Join(dir, "b"), Data: []byte("new"), Mode: 0o600})
			},
			[]string{"old"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "a"), []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
				seen := 0
				err := tt.change(stopAt(n, &seen), dir)
				if got := content(t, dir)["a"]; !strings.Contains(fmt.Sprint(tt.allow), got) {
					t.Errorf("stopped at step %d: %q", n, got)
				}
				if err == nil {
					if n < 3 {
						t.Errorf("only %d steps", n)
					}
					return
				}
				if !errors.Is(err, errStopped) {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestDiskFails: a full disk leaves what was there, and no rest.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(a, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	writes := 0
	full := &atomicfile.Disk{Step: func(what, _ string) error {
		if what != "write" {
			return nil
		}
		if writes++; writes%2 == 0 {
			return errors.New("no space left on device")
		}
		return nil
	}}
	f, err := os.OpenFile(a, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := full.Append(f, []byte("++")); err == nil {
		t.Error("no error")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := full.Create(atomicfile.File{Name: b, Data: []byte("xx"), Mode: 0o600}); err == nil {
		t.Error("no error")
	}
	if err := full.Replace(atomicfile.File{Name: a, Data: []byte("new"), Mode: 0o600}); err == nil {
		t.Error("no error")
	}
	if got := content(t, dir); len(got) != 1 || got["a"] != "old" {
		t.Errorf("%v", got)
	}
	if err := (&atomicfile.Disk{}).Create(atomicfile.File{Name: a, Mode: 0o600}); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
}

// TestSwap: directories change places.
func TestSwap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	d := &atomicfile.Disk{}
	for _, name := range []string{a, b} {
		if err := d.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := d.Create(atomicfile.File{Name: filepath.Join(name, "f"), Data: []byte(filepath.Base(name)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Swap(a, b); err != nil {
		t.Fatal(err)
	}
	if content(t, a)["f"] != "b" || content(t, b)["f"] != "a" {
		t.Errorf("%v, %v", content(t, a), content(t, b))
	}
	if err := d.Swap(a, filepath.Join(dir, "none")); err == nil {
		t.Error("swapped with nothing")
	}
	if err := atomicfile.SyncAll(dir); err != nil {
		t.Error(err)
	}
	if err := d.RemoveAll(a); err != nil {
		t.Error(err)
	}
}
