package manifest_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

const object = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"

// tree writes files into a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// names are the streams that were read, relative to dir.
func names(dir string, loaded *manifest.Loaded) (read, skipped []string) {
	for _, s := range loaded.Streams {
		read = append(read, strings.TrimPrefix(filepath.ToSlash(s.Name), filepath.ToSlash(dir)+"/"))
	}
	for _, s := range loaded.Skipped {
		skipped = append(skipped, strings.TrimPrefix(filepath.ToSlash(s), filepath.ToSlash(dir)+"/"))
	}
	return read, skipped
}

// TestLoadWhole: what kustomizations make part of other objects, and what a
// chart makes of objects, is left out of directories, and read where it is named.
func TestLoadWhole(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": object, "base/patch.yaml": object,
		"over/kustomization.yaml": "resources: [../base]\npatches: [{path: patch.yaml}, {patch: 'a: b'}, {path: ../base/patch.yaml}]\npatchesStrategicMerge: [old.yaml, \"a: b\\n\"]\npatchesJson6902: [{path: six.yaml}]\nconfigMapGenerator: [{name: a, files: [x.yaml=data.yaml]}]\n",
		"over/patch.yaml":         object, "over/old.yaml": object, "over/six.yaml": object, "over/data.yaml": object, "over/new.yaml": object,
		"broken/Kustomization": "{", "broken/b.yaml": object,
		"chart/Chart.yaml": "apiVersion: v2\nname: a\n", "chart/values.yaml": "a: 1\n", "chart/templates/a.yaml": "apiVersion: v1\nkind: {{ .x }}\n", "chart/crds/c.yaml": object,
		"templates/t.yaml": object,
	})
	loaded, err := manifest.Loader{Recursive: true, Whole: true}.Load(context.Background(), []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	read, _ := names(dir, loaded)
	if diff := cmp.Diff([]string{"base/a.yaml", "broken/b.yaml", "chart/crds/c.yaml", "over/new.yaml", "templates/t.yaml"}, read); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "chart")}, loaded.Charts); diff != "" {
		t.Errorf("charts (-want +got):\n%s", diff)
	}
	if loaded, err := (manifest.Loader{Whole: true}).Load(context.Background(), []string{filepath.Join(dir, "over/patch.yaml")}); err != nil || len(loaded.Streams) != 1 {
		t.Errorf("a patch by its name: %+v, %v", loaded, err)
	}
	for want, files := range map[string]map[string]string{
		"-k builds its kustomization": {"kustomization.yaml": "patches: [{path: a.yaml}]\n", "a.yaml": object},
		"it is a Helm chart":          {"Chart.yaml": "apiVersion: v2\n", "templates/a.yaml": object},
	} {
		var fault *report.InputError
		_, err := manifest.Loader{Recursive: true, Whole: true}.Load(context.Background(), []string{tree(t, files)})
		if !errors.As(err, &fault) || !strings.Contains(fault.Hint, want) {
			t.Errorf("%v, want a hint that %s", err, want)
		}
	}
}

func TestLoadDirectory(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"b.yaml": object, "a.yml": object, "c.json": `{"apiVersion":"v1","kind":"Pod"}`, "values.yaml": "replicas: 1\n",
		"tsconfig.json": "{\"a\": 1, // no JSON\n}\n", "odd.yaml": "--- odd\n", "odd.json": "{\"a\":1} odd",
		"notes.txt": "kind: no", "kustomization.yaml": "resources: []\n", "sub/d.yaml": object, ".git/e.yaml": object,
	})
	for name, want := range map[string][]string{
		"flat":      {"a.yml", "b.yaml", "c.json"},
		"recursive": {"a.yml", "b.yaml", "c.json", "sub/d.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loaded, err := manifest.Loader{Recursive: name == "recursive"}.Load(context.Background(), []string{dir})
			if err != nil {
				t.Fatal(err)
			}
			read, skipped := names(dir, loaded)
			if diff := cmp.Diff(want, read); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"odd.json", "odd.yaml", "tsconfig.json", "values.yaml"}, skipped); diff != "" {
				t.Errorf("skipped (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"broken/a.yaml": "apiVersion: v1\nkind: Pod\n---\n--- x\n", "empty/x.txt": "x"})
	tests := []struct {
		name  string
		paths []string
		want  string
	}{
		{"missing", []string{dir + "/none.yaml"}, "open " + dir + "/none.yaml: no such file or directory"},
		{"empty directory", []string{dir + "/empty"}, dir + "/empty: no manifests in this directory"},
		{"twice standard input", []string{"-", "-"}, "standard input (-) can be read only once"},
		{"address", []string{"https://example.com/a.yaml"}, "https://example.com/a.yaml: addresses cannot be read here; download it and give the file"},
		{"bad separator (INJ-1)", []string{dir + "/broken"}, dir + "/broken/a.yaml:4:4: invalid Yaml document separator: x"},
		{"all faults together", []string{dir + "/none.yaml", dir + "/empty"}, "open " + dir + "/none.yaml: no such file or directory\n" + dir + "/empty: no manifests in this directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.Loader{Stdin: strings.NewReader(object)}.Load(context.Background(), tt.paths)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Load = %v, want %s", err, tt.want)
			}
		})
	}
}

func TestLoadAddress(t *testing.T) {
	t.Parallel()
	l := manifest.Loader{Fetch: func(_ context.Context, address string) (io.ReadCloser, error) {
		if strings.HasSuffix(address, "404") {
			return nil, errors.New("not there")
		}
		return io.NopCloser(strings.NewReader(object)), nil
	}}
	loaded, err := l.Load(context.Background(), []string{"https://example.com/a.yaml"})
	if err != nil || len(loaded.Streams) != 1 || loaded.Streams[0].Name != "https://example.com/a.yaml" {
		t.Errorf("Load = %v, %v", loaded, err)
	}
	if _, err := l.Load(context.Background(), []string{"https://example.com/404"}); err == nil || err.Error() != "not there" {
		t.Errorf("Load = %v", err)
	}
}

func TestLoadKustomization(t *testing.T) {
	t.Parallel()
	l := manifest.Loader{Build: func(dir string) ([]byte, error) {
		if dir == "bad" {
			return nil, errors.New("no kustomization file")
		}
		return []byte(object), nil
	}}
	if loaded, err := l.LoadKustomization("good"); err != nil || len(loaded.Streams[0].Documents) != 1 {
		t.Errorf("LoadKustomization = %v, %v", loaded, err)
	}
	if _, err := l.LoadKustomization("bad"); err == nil || err.Error() != "bad: no kustomization file" {
		t.Errorf("LoadKustomization = %v", err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want []string
	}{
		{"JSON stream: one document each (INJ-11)", "{\"a\":1}\n{\"b\":\n2} {\"c\":3}\n", []string{"{\"a\":1}\n", "{\"b\":\n2}\n", "{\"c\":3}\n"}},
		{"JSON stream behind a separator", "---\n{\"a\":1}\n{\"b\":2}\n", []string{"---\n{\"a\":1}\n", "{\"b\":2}\n"}},
		{"JSON then YAML", "{\"a\":1}\n---\nb: 2\n", []string{"{\"a\":1}\n", "b: 2\n"}},
		{"flow YAML is no JSON stream", "{a: 1}\n", []string{"{a: 1}\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := manifest.Read("x", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, d := range s.Documents {
				got = append(got, string(d.Text))
				if d.Index != i+1 {
					t.Errorf("document %d has index %d", i+1, d.Index)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRefusesWhatIsNotText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\xff\xfea":        "x:1:1: UTF-16 text",
		"a: 1\nb: \x00\n":  "x:2:4: a NUL byte (0x00), which no YAML or JSON has",
		"\xfe\x00\xfe\x00": "x:1:2: binary data, not YAML or JSON",
		"a: 1\nb: \xe9t\n": "x:2:4: invalid UTF-8",
	} {
		_, err := manifest.Read("x", []byte(in))
		var input *report.InputError
		if !errors.As(err, &input) || err.Error() != want || input.Hint == "" {
			t.Errorf("Read(%q) = %v, want %s with a hint", in, err, want)
		}
	}
}

// TestReadRefusesTextAfterTheEnd: readers of Kubernetes stop at the end of a
// document's value, so what stands behind it would be lost (INJ-1, INJ-11).
func TestReadRefusesTextAfterTheEnd(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a: 1\n...\nb: 2\n":                "x:3:1: ",
		"a: 1\n...\nb: [\n":                "x:3:1: ",
		"a: 1\n---\n{\"b\":2}\n{ bad":      "x:4:1: ",
		"{\"a\":1} trailing":               "x:1:9: ",
		"{\"a\":1},{\"a\":2}\n":            "x:1:8: ",
		"{\"a\":1}\n# c\n{\"a\":2}\n":      "x:3:1: ",
		"# c\n---\n{\"a\":1}\n{\"a\":,}\n": "x:4:1: ",
		"\"a\"\n...\nb: 1\n":               "x:3:1: ",
	} {
		_, err := manifest.Read("x", []byte(in))
		var input *report.InputError
		if !errors.As(err, &input) || err.Error() != want+"text after the end of the document" || input.Hint == "" {
			t.Errorf("Read(%q) = %v, want it at %s with a hint", in, err, want)
		}
	}
	for _, in := range []string{
		"a: 1\n...\n", "a: 1\n...\n# c\n\n", "{\"a\":1}\n# c\n", "{\"a\":1} # c\n", "...\n", "[1]\n", "'a'\n",
		"{{ .template }}\na: 1\n", "{a: 1\n", "a: |\n  x\n  ...\n  y\n", "# {\n", "",
	} {
		if _, err := manifest.Read("x", []byte(in)); err != nil {
			t.Errorf("Read(%q) = %v", in, err)
		}
	}
}

// FuzzRead: whatever comes in, its documents put together are it again.
func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"a\":1}{\"b\":2}\n---\n# c\n"))
	f.Add([]byte("# c\n---\n{\"a\":1} {\"b\":2}\n...\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := manifest.Read("x", data)
		if err != nil {
			return
		}
		if got := s.Splice(make([][]byte, len(s.Documents))); string(got) != string(data) {
			t.Errorf("Splice = %q, want %q", got, data)
		}
		for i := range s.Documents {
			s.Documents[i].Locate("spec", "template", "0", "x")
		}
	})
}

func TestLocate(t *testing.T) {
	t.Parallel()
	s, err := manifest.Read("app.yaml", []byte("a: 1\n---\n# comment\nkind: Pod\nspec:\n  containers:\n  - name: a\n  - name: b\n    image: x\n  ref: &r {deep: 1}\n  also: *r\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := s.Documents[1]
	for want, path := range map[string][]string{
		"app.yaml:4:1":   nil,
		"app.yaml:6:3":   {"spec"},
		"app.yaml:8:11":  {"spec", "containers", "1", "name"},
		"app.yaml:9:12":  {"spec", "containers", "image"},
		"app.yaml:10:18": {"spec", "also", "deep"},
		"app.yaml:7:11":  {"spec", "containers", "0", "name", "too", "deep"},
	} {
		if got := d.Locate(path...).String(); got != want {
			t.Errorf("Locate(%v) = %s, want %s", path, got, want)
		}
	}
}
