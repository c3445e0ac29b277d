package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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

// holdsObjects tells whether any document names a kind. What cannot be read,
// but speaks of kinds, is taken for a manifest, so that its fault is told.
func (s *Stream) holdsObjects() bool {
	for _, d := range s.Documents {
		text, err := yaml.YAMLToJSON(d.Text)
		if err != nil && meansObjects(d.Text) || err == nil && isObject(text) {
			return true
		}
	}
	return false
}

// Barren tells whether a stream can be read, and there is no object in it: it is
// empty, or of another tool.
func (s *Stream) Barren() bool {
	for _, d := range s.Documents {
		text, err := yaml.YAMLToJSON(d.Text)
		if err != nil || isObject(text) || text[0] != '{' && string(text) != "null" {
			return false
		}
	}
	return true
}

// isObject tells whether a document, as JSON, names a kind, or is meant to.
func isObject(text []byte) bool {
	var head struct {
		APIVersion any `json:"apiVersion"`
		Kind       any `json:"kind"`
	}
	return json.Unmarshal(text, &head) == nil && (head.Kind != nil && head.APIVersion != nil || halfAnObject(text))
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

const saveUTF16 = "save the file as UTF-8, as an editor or iconv -f UTF-16 -t UTF-8 does"

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
		return fault(0, "UTF-16 text", saveUTF16)
	}
	if at := bytes.IndexByte(data, 0); at >= 0 {
		if half := bytes.Count(data, []byte{0}); utf8.Valid(data) && 2*half >= len(data)-1 && at < 2 {
			return fault(0, "UTF-16 text, without the mark that says so", saveUTF16)
		}
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
