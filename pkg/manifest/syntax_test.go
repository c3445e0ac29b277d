package manifest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// TestExplain: each text that is no YAML has a place, what is wrong there, and a
// way out.
func TestExplain(t *testing.T) {
	t.Parallel()
	const bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"
	for text, want := range map[string]string{
		"a:\n\tb: c\n":                            "2:1 a tab cannot indent",
		"a: \"b\nc: d\n":                          `1:4 the " that opens here is not closed`,
		"a: 'b\n":                                 "1:4 the ' that opens here is not closed",
		"a: {b: c\nd: e\n":                        "1:4 the { that opens here is not closed",
		"a: [b, c\n":                              "1:4 the [ that opens here is not closed",
		`{"a": {"b": 1}`:                          "1:1 the { that opens here is not closed",
		"x: 1\na: b: c\n":                         `2:5 ": " begins the value`,
		"x: {a: b: c}\n":                          `1:9 ": " begins the value`,
		"a: @b\n":                                 "1:4 a text cannot begin with @",
		"a: %b\n":                                 "1:4 a text cannot begin with %",
		"a:\n  b: c\n d: e\n":                     "3:2 the indentation of this line fits none",
		"a:\n  b: c\n   d: e\n":                   "3:5 this key has no place here",
		"a:\n  b:c\n  d: e\n":                     "3:4 this key has no place here",
		"a:\n  - b\n  c: d\n":                     "3:3 the indentation of this line fits none",
		"a: b\nc:d\ne: f\n":                       "2:2 the colon of a key needs a blank behind it",
		"a: b\nc:\u00a0d\ne: f\n":                 "2:2 the colon of a key needs a blank behind it",
		"a: " + strings.Repeat("[", 20000):        "1:10004 values stand within values deeper than any reader goes",
		strings.Repeat("- ", 20000) + "a\n":       "1:1 values stand within values deeper than any reader goes",
		"a: \"b\" c\n":                            "1:8 there is more after the closing quote",
		"a: \"\\q\"\n":                            `1:5 what follows the \ is no escape`,
		"a: b\n<<<<<<< HEAD\nc: d\n=======\n":     "2:1 a merge conflict is left",
		"a: *b\n":                                 "1:4 *b stands for what &b names",
		"a:\n  <<: 3\n":                           "2:3 << takes over",
		"{a: b}: c\n":                             "1:1 the key of a mapping cannot be",
		"a: {{ .Values.a }}\n":                    "1:4 this is a template",
		"{a: ${A}}\n":                             "1:5 this is a template",
		"{{- if .Values.a }}\na: b\n{{- end }}\n": "1:1 this is a template",
		"a: |\n  {{ .x }}\nb: c: d\n":             `3:5 ": " begins the value`,
		"a: {b: c[d]}\n":                          "1:9 within brackets a text cannot have [",
		"a: - b: c\n":                             "1:4 a list cannot begin on the line",
		bomb:                                      "2:8 names (&a)",
	} {
		s, err := manifest.Read("a.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = new(manifest.Decoder).JSON(s.Documents[0].Text); err == nil {
			t.Errorf("%q can be read", text)
			continue
		}
		var fault *report.InputError
		var syntax *manifest.SyntaxError
		if err := s.Documents[0].Explain(err); !errors.As(err, &fault) || !errors.As(err, &syntax) {
			t.Errorf("%q: %v: expected a fault of syntax", text, err)
			continue
		}
		if got := fmt.Sprintf("%d:%d %s", fault.Location.Line, fault.Location.Column, syntax.Problem); !strings.HasPrefix(got, want) || fault.Hint == "" {
			t.Errorf("%q: %s (%s), want %s", text, got, fault.Hint, want)
		}
	}
}

// TestExplainJSON: what is too long to be searched is told as JSON has it.
func TestExplainJSON(t *testing.T) {
	t.Parallel()
	text := `{"a": [` + strings.Repeat(`"xxxxxxxx", `, 200_000) + "\n,,1]}"
	s, err := manifest.Read("a.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	_, err = new(manifest.Decoder).JSON(s.Documents[0].Text)
	if got := s.Documents[0].Explain(err).Error(); !strings.HasPrefix(got, "a.json:2:1: ") {
		t.Error(got)
	}
}

// TestExplainLong: a fault far down is found where it is, and soon.
func TestExplainLong(t *testing.T) {
	t.Parallel()
	for _, lines := range []int{100, 3000, 100_000} {
		text := strings.Repeat("- name: web\n", lines) + "- name: a: b\n" + strings.Repeat("- name: web\n", lines/2)
		s, err := manifest.Read("a.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = new(manifest.Decoder).JSON(s.Documents[0].Text)
		start := time.Now()
		var fault *report.InputError
		if err := s.Documents[0].Explain(err); !errors.As(err, &fault) || fault.Location.Line != lines+1 {
			t.Errorf("%d lines: %v", lines, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%d lines: %v", lines, took)
		} else {
			t.Log(lines, took)
		}
	}
}
