package printer_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/report"
)

var update = flag.Bool("update", false, "write the goldens anew")

type writer func(io.Writer, []report.Suite) error

// formats are those of results of tests, each with its golden.
func formats() map[string]writer {
	return map[string]writer{
		"suites.txt":    printer.Failures,
		"cases.txt":     printer.Cases,
		"suites.xml":    printer.JUnit,
		"suites.tap":    printer.TAP,
		"suites.github": printer.GitHub,
		"suites.md":     printer.Markdown,
		"suites.json": func(w io.Writer, suites []report.Suite) error {
			return printer.JSON(w, printer.List("PolicyTestReport", suites))
		},
		"suites.yaml": func(w io.Writer, suites []report.Suite) error {
			return printer.YAML(w, printer.List("PolicyTestReport", suites))
		},
	}
}

// examples have a case of each kind, and names that every format must escape.
func examples() []report.Suite {
	at := func(line int) report.Location {
		return report.Location{File: "tests/shop.meshtest.yaml", Line: line, Column: 5}
	}
	return []report.Suite{
		{Name: "shop", File: "tests/shop.meshtest.yaml", Cases: []report.Case{
			{Name: "the front reads", Location: at(8), Status: report.Passed, Checks: []report.Check{{Name: "verdict", Want: "allow", Got: "allow", Met: true}}},
			{
				Name: "nobody deletes", Location: at(12), Status: report.Failed,
				Checks: []report.Check{
					{Name: "verdict", Want: "deny", Got: "allow"},
					{Name: "by", Want: "shop/no-deletes#0", Got: "shop/viewer#1"},
					{Name: "stage", Want: "allow", Got: "allow", Met: true},
				},
				Message: "shop/viewer#1 (policies.yaml:31:5) allows every method",
				Detail:  "transport: mutual TLS\ndeny: no rule matches\nallow: shop/viewer#1 matches",
			},
			{
				Name: "external: asks, 100% | `it` # SKIP", Location: at(20), Status: report.Unknown,
				Checks:  []report.Check{{Name: "verdict", Want: "allow", Got: "unknown"}},
				Message: "provider \"ext-authz\" decides; say what it answers",
			},
		}},
		{Name: "ledger", Cases: []report.Case{
			{Name: "takes\nits time", Status: report.Passed, Duration: 1500 * time.Millisecond},
			{Name: "no workload 🛒", Status: report.Failed, Duration: 20 * time.Microsecond},
		}},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, write := range formats() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			if err := write(&got, examples()); err != nil {
				t.Fatal(err)
			}
			golden(t, name, got.Bytes())
		})
	}
}

// golden holds what was written to a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNothingFailed: without failures there is no table of them, and no cases
// are no error.
func TestNothingFailed(t *testing.T) {
	t.Parallel()
	passed := []report.Suite{{Name: "a", Cases: []report.Case{{Name: "b", Status: report.Passed}}}}
	const header = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	for name, want := range map[string][2]string{
		"suites.txt":    {"no cases\n", "1 case: 1 passed\n"},
		"suites.github": {"no cases\n", "1 case: 1 passed\n"},
		"suites.md":     {"**no cases**\n", "**1 case: 1 passed**\n"},
		"suites.tap":    {"TAP version 14\n1..0\n", "TAP version 14\n1..1\nok 1 - a: b\n"},
		"suites.xml": {
			header + `<testsuites tests="0" failures="0" errors="0"></testsuites>` + "\n",
			header + `<testsuites tests="1" failures="0" errors="0">
  <testsuite name="a" tests="1" failures="0" errors="0">
    <testcase name="b" classname="a"></testcase>
  </testsuite>
</testsuites>
`,
		},
		"suites.yaml": {
			"apiVersion: meshctl.dev/v1alpha1\nitems: []\nkind: PolicyTestReport\n",
			"apiVersion: meshctl.dev/v1alpha1\nitems:\n- cases:\n  - name: b\n    status: passed\n  name: a\nkind: PolicyTestReport\n",
		},
	} {
		for i, suites := range [][]report.Suite{nil, passed} {
			var got strings.Builder
			if err := formats()[name](&got, suites); err != nil || got.String() != want[i] {
				t.Errorf("%s: %v, (-want +got):\n%s", name, err, cmp.Diff(want[i], got.String()))
			}
		}
	}
}

// disk takes so many bytes, and no more.
type disk int

func (d *disk) Write(p []byte) (int, error) {
	if len(p) > int(*d) {
		return 0, errors.New("no space")
	}
	*d -= disk(len(p))
	return len(p), nil
}

// TestFullDisk: wherever the space ends, it is an error.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for name, write := range formats() {
		var whole bytes.Buffer
		if err := write(&whole, examples()); err != nil {
			t.Fatal(err)
		}
		for size := range whole.Len() {
			space := disk(size)
			if write(&space, examples()) == nil {
				t.Fatalf("%s: %d of %d bytes are written, and no error", name, size, whole.Len())
			}
		}
	}
}
