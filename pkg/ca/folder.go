package ca

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/pkg/certs"
)

// otherFolder holds identities that are not of Istio's form. No namespace has its
// name.
const otherFolder = "_spiffe"

// Folder is where an identity's files go, below the folder of all:
// NAMESPACE/ACCOUNT. It is made of valid names only (CA-62).
func Folder(id certs.ID) (string, error) {
	namespace, account, ok := id.Workload()
	if !ok {
		namespace, account = otherFolder, strings.ReplaceAll(strings.TrimPrefix(id.Path(), "/"), "/", "~")
	}
	for _, name := range []string{namespace, account} {
		if err := checkFolder(name); err != nil {
			return "", fmt.Errorf("%s: %w", id, err)
		}
	}
	return filepath.Join(namespace, account), nil
}

// checkFolder refuses names that mean something else somewhere.
func checkFolder(name string) error {
	const longest = 255
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	reserved := []string{"con", "prn", "aux", "nul"}
	device := len(base) == 4 && (strings.HasPrefix(base, "com") || strings.HasPrefix(base, "lpt")) && base[3] >= '0' && base[3] <= '9'
	switch {
	case name == "" || len(name) > longest:
		return fmt.Errorf("a folder's name has 1 to %d bytes", longest)
	case strings.HasPrefix(name, "-") || strings.HasPrefix(name, "."):
		return fmt.Errorf("%q cannot be the name of a folder: it begins with %q", name, name[:1])
	case slices.Contains(reserved, base) || device:
		return fmt.Errorf("%q cannot be the name of a folder: Windows has a device of this name", name)
	case strings.HasSuffix(name, "."):
		return fmt.Errorf("%q cannot be the name of a folder: it ends with a dot", name)
	}
	return nil
}

// folders finds the folder of each identity. Two must not share one, not even
// where case makes no difference (CA-62).
func folders(requests []Request) ([]string, error) {
	all, taken := make([]string, len(requests)), map[string]certs.ID{}
	for i := range requests {
		folder, err := Folder(requests[i].ID)
		if err != nil {
			return nil, err
		}
		if other, ok := taken[strings.ToLower(folder)]; ok {
			return nil, fmt.Errorf("%s and %s would share the folder %s", other, requests[i].ID, folder)
		}
		taken[strings.ToLower(folder)] = requests[i].ID
		all[i] = folder
	}
	return all, nil
}

// stagePrefix begins the names of folders in which files are made ready.
const stagePrefix = ".meshctl-new-"

// fewFolders is up to how many folders every file is synced by itself. For more,
// the disk is waited for once.
const fewFolders = 16

// writer puts folders into place.
type writer struct {
	disk  *atomicfile.Disk
	dir   string // of all folders
	stage string
	mode  os.FileMode // of files
	made  []string    // directories that were not there, the innermost first
}

// newWriter makes a folder for what is not complete. What earlier ones left that
// were stopped is removed: nothing else is in it.
func newWriter(dir string, n int, step func(what, name string) error) (*writer, error) {
	w := &writer{disk: &atomicfile.Disk{Step: step, Unsynced: n > fewFolders}, dir: dir, mode: fileMode}
	w.made = missing(dir)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagePrefix) {
			if err := w.disk.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	w.stage = filepath.Join(dir, fmt.Sprintf("%s%d", stagePrefix, os.Getpid()))
	err = w.disk.Mkdir(w.stage, dirMode)
	var path *os.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("%s: nothing can be written there: %w", dir, path.Err)
	}
	return w, err
}

// missing are a directory and those above it that are not there.
func missing(dir string) []string {
	var all []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, os.ErrNotExist) || at == filepath.Dir(at) {
			return all
		}
		all = append(all, at)
	}
}

// abandon takes away what a writer made that has nothing to put.
func (w *writer) abandon() error {
	err := w.disk.RemoveAll(w.stage)
	for _, dir := range w.made {
		err = errors.Join(err, w.disk.Remove(dir))
	}
	return err
}

// put writes folders, by their names below the folder of all. Each appears, or
// changes, in one step and complete (CA-54).
func (w *writer) put(folders []string, content [][]file) (err error) {
	defer func() { err = errors.Join(err, w.disk.RemoveAll(w.stage)) }()
	for i := range folders {
		if err := w.fill(w.staged(i), content[i]); err != nil {
			return err
		}
	}
	if w.disk.Unsynced {
		if err := atomicfile.SyncAll(w.stage); err != nil {
			return err
		}
	}
	for i, folder := range folders {
		if err := w.place(w.staged(i), filepath.Join(w.dir, folder)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) staged(i int) string { return filepath.Join(w.stage, fmt.Sprint(i)) }

func (w *writer) fill(dir string, content []file) error {
	if err := w.disk.Mkdir(dir, dirMode); err != nil {
		return err
	}
	for _, f := range content {
		if err := w.disk.Create(atomicfile.File{Name: filepath.Join(dir, f.name), Data: f.data, Mode: w.mode}); err != nil {
			return err
		}
	}
	return nil
}

// place moves a folder to where it belongs. One that is there changes places
// with it; files of others in it come along.
func (w *writer) place(fresh, target string) error {
	if err := w.disk.Mkdir(filepath.Dir(target), dirMode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	entries, err := os.ReadDir(target)
	if errors.Is(err, os.ErrNotExist) {
		return w.disk.Rename(fresh, target)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.carry(fresh, target, e); err != nil {
			return err
		}
	}
	return w.disk.Swap(fresh, target)
}

// carry takes a file along that is not ours.
func (w *writer) carry(fresh, target string, e os.DirEntry) error {
	to, from := filepath.Join(fresh, e.Name()), filepath.Join(target, e.Name())
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	if !e.Type().IsRegular() {
		return fmt.Errorf("%s: not a file: nothing of the folder was changed", from)
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from) //nolint:gosec // a file of the folder
	if err != nil {
		return err
	}
	return w.disk.Create(atomicfile.File{Name: to, Data: data, Mode: info.Mode().Perm()})
}
