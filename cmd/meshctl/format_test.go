package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// formatCmd is a command with -o that hands its results to emit; the returned
// buffer is its standard output.
func formatCmd(formats []format[string]) (*cobra.Command, *bytes.Buffer) {
	f := &formatFlag[string]{formats: formats}
	out := &bytes.Buffer{}
	cmd := &cobra.Command{Use: "test", RunE: func(cmd *cobra.Command, _ []string) error {
		if err := f.validate(cmd); err != nil {
			return err
		}
		return f.emit(out, "results")
	}}
	f.register(cmd.Flags())
	return cmd, out
}

// spelled writes the results behind the name of the format.
func spelled(names ...string) []format[string] {
	var all []format[string]
	for _, name := range names {
		all = append(all, format[string]{name, func(w io.Writer, results string) error {
			_, err := io.WriteString(w, name+" "+results)
			return err
		}})
	}
	return all
}

func TestFormatFlag(t *testing.T) {
	t.Parallel()
	const known = "expected table, json, junit or markdown"
	tests := []struct{ name, args, err, out string }{
		{"table is the default", "", "", "table results"},
		{"another format", "-o json", "", "json results"},
		{"long", "--output=json", "", "json results"},
		{"unknown", "-o sarif", `output "sarif": ` + known, ""},
		{"nothing", "--output=", `output "": ` + known, ""},
		{"a slip", "-o jnuit", `output "jnuit": ` + known + ": did you mean junit?", ""},
		{"another case", "-o JSON=x", `output "JSON=x": ` + known + ": did you mean json?", ""},
		{"the beginning", "-o j", `output "j": ` + known + ": did you mean json or junit?", ""},
		{"by comma", "-o json,table", `output "json,table": ` + known, ""},
		{"no file", "-o json=", `output "json=": expected a file after =`, ""},
		{"two on standard output", "-o json -o junit", `output "junit": standard output takes one format, and gets json: write the other to a file with -o junit=PATH`, ""},
		{"one twice", "-o json -o json", `output "json": standard output takes one format, and gets json: write the other to a file with -o json=PATH`, ""},
		{"two in one file", "-o json=./x -o junit=.//x", `output "junit=.//x": the file takes one format, and gets json`, ""},
		{"one by one", "-o files=dir", `output "files=dir": ` + known + ": this command has no items to write one by one; FORMAT=PATH writes one file", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd, out := formatCmd(spelled("table", "json", "junit", "markdown"))
			if err := parse(cmd, strings.Fields(tt.args)...); err != tt.err {
				t.Errorf("error %q, want %q", err, tt.err)
			}
			if out.String() != tt.out {
				t.Errorf("prints %q, want %q", out, tt.out)
			}
		})
	}
	cmd, _ := formatCmd(spelled("table"))
	if err := parse(cmd, "-o", "tabel"); err != `output "tabel": expected table: did you mean table?` {
		t.Errorf("a single format: %s", err)
	}
}

// written is what the directory holds.
func written(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

// TestFormatFiles: all files or none, and nothing on standard output if one
// fails. DIR in the arguments and messages is a directory with the files that
// the test names.
func TestFormatFiles(t *testing.T) {
	t.Parallel()
	type files = map[string]string
	tests := []struct {
		name, args, err, out string
		before, after        files
	}{
		{"the table stays", "-o junit=DIR/a.xml", "", "table results", nil, files{"a.xml": "junit results"}},
		{"several", "-o junit=DIR/a -o json -o json=DIR/b=c -o table=DIR/d", "", "json results", nil, files{"a": "junit results", "b=c": "json results", "d": "table results"}},
		{"nothing is overwritten", "-o json=DIR/new -o junit=DIR/a", "DIR/a: exists already: use --force to overwrite", "", files{"a": "dear"}, files{"a": "dear"}},
		{"but by force", "-o json=DIR/new -o junit=DIR/a --force", "", "table results", files{"a": "dear"}, files{"a": "junit results", "new": "json results"}},
		{"an empty file holds nothing", "-o junit=DIR/a", "", "table results", files{"a": ""}, files{"a": "junit results"}},
		{"no directory", "-o json=DIR/new -o junit=DIR/no/a", "stat DIR/no: no such file or directory", "", nil, files{}},
		{"a directory", "-o json=DIR/new -o junit=DIR --force", "DIR: cannot be written: it is not a file", "", nil, files{}},
		{"a device", "-o json=DIR/new -o junit=" + os.DevNull, os.DevNull + ": cannot be written: it is not a file", "", nil, files{}},
		{"a format fails", "-o json=DIR/new -o broken", "output broken: no way", "", nil, files{}},
		{"a format fails in a file", "-o json=DIR/new -o broken=DIR/x", "output broken: no way", "", nil, files{}},
	}
	broken := format[string]{"broken", func(w io.Writer, _ string) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, errors.New("no way"))
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range tt.before {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			in := func(text string) string { return strings.ReplaceAll(text, "DIR", dir) }
			cmd, out := formatCmd(append(spelled("table", "json", "junit"), broken))
			if err := parse(cmd, strings.Fields(in(tt.args))...); err != in(tt.err) {
				t.Errorf("error %q, want %q", err, in(tt.err))
			}
			if diff := cmp.Diff(tt.after, written(t, dir)); out.String() != tt.out || diff != "" {
				t.Errorf("prints %q, want %q; files (-want +got):\n%s", out, tt.out, diff)
			}
			if info, err := os.Stat(filepath.Join(dir, "a")); err == nil && tt.before != nil && info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v", info.Mode())
			}
		})
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestSuiteFormats: every format that is offered for results of tests says what
// failed, and a broken standard output is told.
func TestSuiteFormats(t *testing.T) {
	t.Parallel()
	suites := []meshreport.Suite{{Name: "shop", Cases: []meshreport.Case{{Name: "nobody deletes", Status: meshreport.Failed}}}}
	formats := suiteFormats("PolicyTestReport")
	if len(formats) != 7 || formats[0].name != "table" {
		t.Fatalf("%d formats, %s by default", len(formats), formats[0].name)
	}
	for _, one := range formats {
		f := &formatFlag[[]meshreport.Suite]{formats: formats, asked: []string{one.name}}
		if err := f.validate(&cobra.Command{}); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := f.emit(&out, suites); err != nil || !strings.Contains(out.String(), "nobody deletes") {
			t.Errorf("%s: %v: %s", one.name, err, out.String())
		}
		if err := f.emit(closedPipe{}, suites); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", one.name, err)
		}
		if document := one.name == "json" || one.name == "yaml"; document != strings.Contains(out.String(), "PolicyTestReport") {
			t.Errorf("%s: %s", one.name, out.String())
		}
	}
}
