package manifest

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/report"
)

func (l Loader) loadDirectory(loaded *Loaded, dir string) error {
	files, problems, err := l.list(dir, loaded)
	if err != nil {
		return err
	}
	found := false
	for _, file := range files {
		one := &Loaded{}
		if err := l.loadPath(one, file); err != nil {
			if mentionsObjects(file) {
				problems = append(problems, within(file, err))
			} else {
				loaded.Skipped = append(loaded.Skipped, file)
			}
			continue
		}
		for _, s := range one.Streams {
			if s.holdsObjects() {
				loaded.Streams = append(loaded.Streams, s)
				found = true
			} else {
				loaded.Skipped = append(loaded.Skipped, s.Name)
			}
		}
	}
	if !found && problems == nil {
		hint := "it has no *.yaml, *.yml or *.json file with Kubernetes objects"
		if !l.Recursive {
			hint += "; -R looks into its subdirectories too"
		}
		if slices.ContainsFunc(kustomizationNames(), func(name string) bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil }) {
			hint = "-k builds its kustomization"
		}
		if len(loaded.Charts) > 0 {
			hint = "it is a Helm chart: render it first, as helm template does"
		}
		return &report.InputError{Location: report.Location{File: dir}, Err: errors.New("no manifests in this directory"), Hint: hint}
	}
	return errors.Join(problems...)
}

// mentionsObjects tells whether a file that cannot be read as a manifest may
// be meant as one, or is no text at all: others, such as JSON with comments, are
// nobody's business.
func mentionsObjects(file string) bool {
	text, err := os.ReadFile(file) //nolint:gosec // found in a directory that the user names
	return err != nil || meansObjects(text) || bytes.IndexByte(text, 0) >= 0
}

func meansObjects(text []byte) bool {
	return bytes.Contains(text, []byte("apiVersion")) && bytes.Contains(text, []byte("kind"))
}

// Unopened is why a file or directory within one that was named cannot be opened.
// The others are read all the same.
type Unopened struct{ Err error }

func (e *Unopened) Error() string { return e.Err.Error() }

// Unwrap is the system's error.
func (e *Unopened) Unwrap() error { return e.Err }

// within makes an error of opening what stands in a directory a fault of it.
func within(path string, err error) error {
	var fault *report.InputError
	if errors.As(err, &fault) {
		return err
	}
	cause := err
	var system *fs.PathError
	switch {
	case errors.As(err, &system):
		cause = system.Err
	case errors.Unwrap(err) != nil:
		cause = errors.Unwrap(err)
	}
	hint := "mend it, or take it away"
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		hint = "it is a link that leads nowhere: " + hint
	}
	return &report.InputError{Location: report.Location{File: path}, Err: &Unopened{cause}, Hint: hint}
}

// list gives the manifests of a directory, sorted, and what it could not look
// into.
func (l Loader) list(dir string, loaded *Loaded) (files []string, problems []error, err error) {
	w := walk{Loader: l, dir: dir, loaded: loaded, part: map[string]bool{}}
	err = filepath.WalkDir(dir, w.visit)
	return slices.DeleteFunc(w.files, func(file string) bool {
		if w.part[filepath.Clean(file)] {
			loaded.Skipped = append(loaded.Skipped, file)
		}
		return w.part[filepath.Clean(file)]
	}), w.problems, err
}

// walk is a search through a directory.
type walk struct {
	Loader
	dir      string
	loaded   *Loaded
	part     map[string]bool // files that kustomizations make part of objects
	files    []string
	problems []error
}

// visit looks at one entry. Kustomization files steer -k and are not applied
// themselves.
func (w *walk) visit(path string, entry fs.DirEntry, err error) error {
	switch {
	case err != nil && path == w.dir:
		return err
	case err != nil:
		w.problems = append(w.problems, within(path, err))
		return fs.SkipDir
	case entry.IsDir():
		return w.enter(path, entry.Name())
	case slices.Contains(kustomizationNames(), entry.Name()):
		if w.Whole {
			maps.Copy(w.part, parts(filepath.Dir(path)))
		}
	case slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
		w.files = append(w.files, path)
	}
	return nil
}

// enter tells whether to look into a directory.
func (w *walk) enter(path, name string) error {
	switch {
	case path == w.dir:
		return nil
	case !w.Recursive || strings.HasPrefix(name, "."):
		return fs.SkipDir
	case w.Whole && name == "templates" && isChart(filepath.Dir(path)):
		w.loaded.Charts = append(w.loaded.Charts, filepath.Dir(path))
		return fs.SkipDir
	}
	return nil
}
