package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/report"
)

// maxBytes limits one input: more is a mistake, or an attack.
const maxBytes = 256 << 20

// Loader reads manifests from where a user keeps them. The zero value reads
// files and directories.
type Loader struct {
	// Stdin is what "-" reads.
	Stdin io.Reader
	// Fetch opens an http or https address; nil refuses them.
	Fetch func(ctx context.Context, address string) (io.ReadCloser, error)
	// Build renders a kustomization directory; nil refuses them.
	Build func(dir string) ([]byte, error)
	// Recursive descends into subdirectories.
	Recursive bool
	// Whole leaves out of directories what is no object by itself: patches and
	// data of kustomizations, and templates of Helm charts.
	Whole bool
}

// Loaded is what was found.
type Loaded struct {
	Streams []*Stream
	// Skipped are the files of directories that hold no Kubernetes objects.
	Skipped []string
	// Charts are the directories of Helm charts whose templates were left out.
	Charts []string
}

// Load reads every path: a file, a directory, an http(s) address, or "-". It
// reports what is wrong with any of them.
func (l Loader) Load(ctx context.Context, paths []string) (*Loaded, error) {
	loaded := &Loaded{}
	var problems []error
	usedStdin := false
	for _, path := range paths {
		var err error
		switch {
		case path == "-" && usedStdin:
			err = errors.New("standard input (-) can be read only once")
		case path == "-":
			usedStdin = true
			err = l.loadReader(loaded, "-", l.Stdin)
		case strings.HasPrefix(path, "http://"), strings.HasPrefix(path, "https://"):
			err = l.loadAddress(ctx, loaded, path)
		default:
			err = l.loadPath(loaded, path)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return loaded, errors.Join(problems...)
}

// LoadKustomization renders a kustomization directory.
func (l Loader) LoadKustomization(dir string) (*Loaded, error) {
	if l.Build == nil {
		return nil, fmt.Errorf("%s: kustomizations cannot be built here", dir)
	}
	data, err := l.Build(dir)
	if err != nil {
		return nil, &report.InputError{Location: report.Location{File: dir}, Err: err}
	}
	s, err := Read(dir, data)
	if err != nil {
		return nil, err
	}
	return &Loaded{Streams: []*Stream{s}}, nil
}

func (l Loader) loadAddress(ctx context.Context, loaded *Loaded, address string) error {
	if l.Fetch == nil {
		return fmt.Errorf("%s: addresses cannot be read here; download it and give the file", address)
	}
	body, err := l.Fetch(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // read to its end or failed already
	return l.loadReader(loaded, address, body)
}

func (l Loader) loadReader(loaded *Loaded, name string, r io.Reader) error {
	if r == nil {
		return fmt.Errorf("%s: nothing to read", name)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	s, err := Read(name, data)
	if err != nil {
		return err
	}
	loaded.Streams = append(loaded.Streams, s)
	return nil
}

func (l Loader) loadPath(loaded *Loaded, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, errors.Unwrap(err))
	}
	if info.IsDir() {
		return l.loadDirectory(loaded, path)
	}
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	return l.loadReader(loaded, path, f)
}

func (l Loader) loadDirectory(loaded *Loaded, dir string) error {
	files, err := l.list(dir, loaded)
	if err != nil {
		return err
	}
	found := false
	var problems []error
	for _, file := range files {
		one := &Loaded{}
		if err := l.loadPath(one, file); err != nil {
			if mentionsObjects(file) {
				problems = append(problems, err)
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
// be meant as one: others, such as JSON with comments, are nobody's business.
func mentionsObjects(file string) bool {
	text, err := os.ReadFile(file) //nolint:gosec // found in a directory that the user names
	return err != nil || meansObjects(text)
}

func meansObjects(text []byte) bool {
	return bytes.Contains(text, []byte("apiVersion")) && bytes.Contains(text, []byte("kind"))
}

// list gives the manifests of a directory, sorted. Kustomization files steer
// -k and are not applied themselves.
func (l Loader) list(dir string, loaded *Loaded) ([]string, error) {
	var files []string
	part := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != dir && (!l.Recursive || strings.HasPrefix(entry.Name(), ".")) {
				return filepath.SkipDir
			}
			if l.Whole && path != dir && entry.Name() == "templates" && isChart(filepath.Dir(path)) {
				loaded.Charts = append(loaded.Charts, filepath.Dir(path))
				return filepath.SkipDir
			}
			return nil
		}
		if slices.Contains(kustomizationNames(), entry.Name()) {
			if l.Whole {
				maps.Copy(part, parts(filepath.Dir(path)))
			}
			return nil
		}
		if slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			files = append(files, path)
		}
		return nil
	})
	return slices.DeleteFunc(files, func(file string) bool {
		if part[filepath.Clean(file)] {
			loaded.Skipped = append(loaded.Skipped, file)
		}
		return part[filepath.Clean(file)]
	}), err
}

// holdsObjects tells whether any document names a kind. What cannot be read,
// but speaks of kinds, is taken for a manifest, so that its fault is told.
func (s *Stream) holdsObjects() bool {
	for _, d := range s.Documents {
		var head struct {
			APIVersion any `json:"apiVersion"`
			Kind       any `json:"kind"`
		}
		text, err := yaml.YAMLToJSON(d.Text)
		if err != nil && meansObjects(d.Text) {
			return true
		}
		if err == nil && json.Unmarshal(text, &head) == nil && (head.Kind != nil && head.APIVersion != nil || halfAnObject(text)) {
			return true
		}
	}
	return false
}

func halfAnObject(text []byte) bool {
	missing := MissingHead(text)
	return missing != "" && missing != Neither
}

// Read cuts data into documents like Split, and a document of several JSON
// values into one each (INJ-11). It refuses what is not text, and text after
// the end of a document, which would be lost.
func Read(name string, data []byte) (*Stream, error) {
	if err := checkText(name, data); err != nil {
		return nil, err
	}
	s, err := Split(name, data)
	if err != nil {
		return nil, err
	}
	var documents []Document
	for _, d := range s.Documents {
		documents = append(documents, d.jsonValues(data)...)
	}
	s.Documents = documents
	var problems []error
	for i := range s.Documents {
		s.Documents[i].Index = i + 1
		if err := s.Documents[i].checkEnd(); err != nil {
			problems = append(problems, err)
		}
	}
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	return s, nil
}

// checkText refuses binary and oversized input, and text that is not UTF-8.
func checkText(name string, data []byte) error {
	fault := func(at int, problem, hint string) error {
		line := 1 + bytes.Count(data[:at], []byte("\n"))
		column := at - bytes.LastIndexByte(data[:at], '\n')
		return &report.InputError{Location: report.Location{File: name, Line: line, Column: column}, Err: errors.New(problem), Hint: hint}
	}
	if len(data) > maxBytes {
		return &report.InputError{Location: report.Location{File: name}, Err: fmt.Errorf("more than %d MiB", maxBytes>>20), Hint: "split the input"}
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fault(0, "UTF-16 text", "save the file as UTF-8")
	}
	if at := bytes.IndexByte(data, 0); at >= 0 {
		if utf8.Valid(data) {
			return fault(at, "a NUL byte (0x00), which no YAML or JSON has", "take it out; archives must be unpacked first")
		}
		return fault(at, "binary data, not YAML or JSON", "compressed charts and archives must be unpacked or rendered first")
	}
	if utf8.Valid(data) {
		return nil
	}
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return fault(at, "invalid UTF-8", "save the file as UTF-8")
		}
		at += size
	}
	return nil
}
