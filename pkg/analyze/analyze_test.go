package analyze_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// labelled finds Namespaces with a label "old", and knows the new one; it is the
// rule that the framework is tried with.
func labelled() []analyze.Rule {
	return []analyze.Rule{
		{Code: "MSH0001", Slug: "old-label", Severity: report.Error, Confidence: analyze.NeedsInventory, Check: func(p *analyze.Pass) {
			for _, o := range p.Kind("", "Namespace") {
				path := []string{"metadata", "labels", "old"}
				if value, ok := o.Labels["old"]; ok {
					r := p.Report(o, path, "the label old is %s", value).Because(o, nil, "of this namespace")
					switch value {
					case "hide":
						r.Code = "MSH0003"
					case "rename":
						r.RenameKey(path, "new")
					case "set":
						r.SetValue(path, "done: yes").RenameKey(path, "new")
					case "remove":
						r.Remove(path)
					}
				}
			}
		}},
		{Code: "MSH0002", Slug: "any-namespace", Severity: report.Info, Confidence: analyze.Heuristic, Strict: true, Check: func(p *analyze.Pass) {
			for _, o := range p.Kind("", "Namespace") {
				p.Report(o, nil, "a namespace")
			}
		}},
		{Code: "MSH0003", Slug: "hides", Severity: report.Error, Confidence: analyze.Certain, Hides: true},
		{Code: analyze.UnusedSuppression, Slug: "unused-suppression", Severity: report.Warning, Confidence: analyze.Certain},
	}
}

func namespace(label string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop # kept\n  labels:\n    \"old\": " + label + "\n    tier: web\n"
}

func run(t *testing.T, text string, in analyze.Input, o analyze.Options) []report.Finding {
	t.Helper()
	s, err := manifest.Read("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	in.Streams, o.Foreign = []*manifest.Stream{s}, []string{"IST0143"}
	findings, err := analyze.Analyze(context.Background(), labelled(), in, o)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

func codes(findings []report.Finding) string {
	var all []string
	for _, f := range findings {
		all = append(all, f.Code)
	}
	return strings.Join(all, " ")
}

// TestChoice: profiles and names choose rules; what rests on absent objects is
// an error only if the files are complete.
func TestChoice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    analyze.Options
		want string
	}{
		{analyze.Options{Profile: analyze.Baseline}, "MSH0001"},
		{analyze.Options{Profile: analyze.Strict}, "MSH0002 MSH0001"},
		{analyze.Options{Profile: analyze.CI}, "MSH0001"},
		{analyze.Options{Only: []string{"any-namespace"}}, "MSH0002"},
		{analyze.Options{Profile: analyze.Strict, Skip: []string{"msh0002"}}, "MSH0001"},
		{analyze.Options{Profile: analyze.Strict, Namespace: "other"}, ""},
	} {
		if got := codes(run(t, namespace("x"), analyze.Input{}, tt.o)); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.o, got, tt.want)
		}
	}
	if _, err := analyze.Analyze(context.Background(), labelled(), analyze.Input{}, analyze.Options{Only: []string{"nothing"}}); err == nil {
		t.Error("an unknown rule is no error")
	}
	for complete, want := range map[bool]report.Severity{false: report.Warning, true: report.Error} {
		f := run(t, namespace("x"), analyze.Input{Complete: complete}, analyze.Options{})[0]
		if f.Severity != want || f.Line != 6 || f.Column != 12 || f.Origin != "Namespace shop" || len(f.Related) != 1 {
			t.Errorf("complete %v: %+v", complete, f)
		}
	}
}

// TestSuppression: by comment with a reason, on its line or above it; by
// annotation; by option. Comments that suppress nothing are told.
func TestSuppression(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		o    analyze.Options
		want string
	}{
		"on the line":            {strings.Replace(namespace("x"), "old\": x", "old\": x # meshctl:ignore MSH0001 it must stay", 1), analyze.Options{}, ""},
		"above the line":         {strings.Replace(namespace("x"), "    \"old", "    # meshctl:ignore msh0001,MSH0002 it must stay\n    # and more\n    \"old", 1), analyze.Options{}, ""},
		"no reason":              {strings.Replace(namespace("x"), "old\": x", "old\": x # meshctl:ignore MSH0001", 1), analyze.Options{}, "MSH0001 MSH0320"},
		"another line":           {"# meshctl:ignore MSH0001 it must stay\n" + namespace("x"), analyze.Options{}, "MSH0320 MSH0001"},
		"not run":                {"# meshctl:ignore MSH0002 why not\n" + namespace("x"), analyze.Options{}, "MSH0001"},
		"a colon":                {strings.Replace(namespace("x"), "old\": x", "old\": x # meshctl:ignore: MSH0001 it must stay", 1), analyze.Options{}, ""},
		"behind a bar":           {namespace("|  # meshctl:ignore MSH0001 it must stay\n      x"), analyze.Options{}, ""},
		"in a block":             {namespace("|\n      # meshctl:ignore MSH0001 it must stay"), analyze.Options{}, "MSH0001"},
		"below a block":          {namespace("|\n      x\n    # meshctl:ignore MSH0001 it must stay"), analyze.Options{}, "MSH0001 MSH0320"},
		"in quotes":              {namespace("'# meshctl:ignore MSH0001 it must stay'"), analyze.Options{}, "MSH0001"},
		"in JSON":                {`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"old": "x # meshctl:ignore MSH0001 stay"}}}`, analyze.Options{}, "MSH0001"},
		"in a plain text":        {namespace("x#meshctl:ignore"), analyze.Options{}, "MSH0001"},
		"without an object":      {"# meshctl:ignore MSH0001 it must stay\n---\n" + namespace("x"), analyze.Options{}, "MSH0320 MSH0001"},
		"on a separator":         {namespace("x") + "--- # meshctl:ignore MSH0001 it must stay\n", analyze.Options{}, "MSH0001 MSH0320"},
		"annotation":             {strings.Replace(namespace("x"), "  labels", "  annotations: {galley.istio.io/analyze-suppress: \"IST0143,MSH0001\"}\n  labels", 1), analyze.Options{}, ""},
		"all":                    {strings.Replace(namespace("x"), "  labels", "  annotations: {galley.istio.io/analyze-suppress: \"*\"}\n  labels", 1), analyze.Options{}, ""},
		"name":                   {strings.Replace(namespace("x"), "old\": x", "old\": x # meshctl:ignore old-label it must stay", 1), analyze.Options{}, ""},
		"pattern":                {strings.Replace(namespace("x"), "old\": x", "old\": x # meshctl:ignore MSH00* it must stay", 1), analyze.Options{}, ""},
		"blanks":                 {strings.Replace(namespace("x"), "old\": x", "old\": x # meshctl:ignore MSH0002, MSH0001 it must stay", 1), analyze.Options{}, ""},
		"no such code":           {strings.Replace(namespace("x"), "old\": x", "old\": x # meshctl:ignore MSH0001,MSH001 it must stay", 1), analyze.Options{}, "MSH0320"},
		"no such codes":          {strings.Replace(namespace("x"), "old\": x", "old\": x # meshctl:ignore MSH9* it must stay", 1), analyze.Options{}, "MSH0001 MSH0320"},
		"no such code annotated": {strings.Replace(namespace("x"), "  labels", "  annotations: {galley.istio.io/analyze-suppress: \"MSH01,MSH0001\"}\n  labels", 1), analyze.Options{}, "MSH0320"},
		"not looked at":          {strings.Replace(namespace("hide"), "  name", "  # meshctl:ignore MSH0001 it must stay\n  name", 1), analyze.Options{}, "MSH0003"},
		"another object":         {strings.Replace(namespace("hide"), "  name", "  # meshctl:ignore MSH0001 it must stay\n  name", 1) + "---\n# meshctl:ignore MSH0001 it must stay\n" + strings.Replace(namespace("x"), "old", "new", 1), analyze.Options{}, "MSH0003 MSH0320"},
		"pattern option":         {namespace("x"), analyze.Options{Suppressions: []analyze.Suppression{{Code: "msh*", Origin: "Namespace sh*"}}}, ""},
		"option":                 {namespace("x"), analyze.Options{Suppressions: []analyze.Suppression{{Code: "MSH0001", Origin: "Namespace sh*"}}}, ""},
		"other option":           {namespace("x"), analyze.Options{Suppressions: []analyze.Suppression{{Code: "MSH0001", Origin: "Namespace sh"}}}, "MSH0320 MSH0001"},
		"foreign option":         {namespace("x"), analyze.Options{Suppressions: []analyze.Suppression{{Code: "IST0143", Origin: "*"}}}, "MSH0001"},
		"option of no run":       {namespace("x"), analyze.Options{Suppressions: []analyze.Suppression{{Code: "MSH0002", Origin: "*x"}}}, "MSH0001"},
	} {
		if got := codes(run(t, tt.text, analyze.Input{}, tt.o)); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	for complete, want := range map[bool]report.Severity{false: report.Info, true: report.Warning} {
		o := analyze.Options{Only: []string{analyze.UnusedSuppression, "MSH0001"}, Suppressions: []analyze.Suppression{{Code: "MSH0001", Origin: "Pod *"}}}
		f := run(t, namespace("x"), analyze.Input{Complete: complete}, o)[0]
		if f.Code != analyze.UnusedSuppression || f.Severity != want || !strings.Contains(f.Message, "MSH0001=Pod *") {
			t.Errorf("complete %v: %+v", complete, f)
		}
	}
	for code, want := range map[string]string{"MSH001": `no rule "MSH001"`, "MSH9*": `no rule's code is like "MSH9*"`, "MSH032": `did you mean "MSH0320"?`} {
		_, err := analyze.Analyze(context.Background(), labelled(), analyze.Input{}, analyze.Options{Suppressions: []analyze.Suppression{{Code: code, Origin: "*"}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("suppression of %s: %v, want %s", code, err, want)
		}
	}
	for _, text := range []string{"", "MSH0001", "=Pod a", "MSH0001=", "MSH0001=[", "x"} {
		if s, err := analyze.ParseSuppression(text); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
	s, err := analyze.ParseSuppression("*=Pod *.testing")
	if err != nil || s != (analyze.Suppression{Code: "*", Origin: "Pod *.testing"}) {
		t.Error(s, err)
	}
}

// TestInvisible: messages write out what nobody sees.
func TestInvisible(t *testing.T) {
	t.Parallel()
	f := run(t, namespace(`"a\u00a0b\u200bc\U000e0001ä"`), analyze.Input{}, analyze.Options{})
	if len(f) != 1 || f[0].Message != `the label old is a\u00a0b\u200bc\U000e0001ä` {
		t.Errorf("%+v", f)
	}
}

// TestNamespaceOfFaults: -n keeps the faults of its objects and those of none.
func TestNamespaceOfFaults(t *testing.T) {
	t.Parallel()
	rules := []analyze.Rule{{Code: "MSH0001", Slug: "fault", Check: func(p *analyze.Pass) {
		for _, subject := range []string{"Pod shop/a", "Pod other/a", "Namespace shop", "Namespace other", "ClusterRole shop", ""} {
			p.ReportFault("MSH0001", &report.InputError{Subject: subject, Err: errors.New("odd")})
		}
	}}}
	findings, err := analyze.Analyze(context.Background(), rules, analyze.Input{}, analyze.Options{Namespace: "shop"})
	var got []string
	for _, f := range findings {
		got = append(got, f.Origin)
	}
	slices.Sort(got)
	if want := []string{"", "ClusterRole shop", "Namespace shop", "Pod shop/a"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("findings of %q, %v, want of %q", got, err, want)
	}
}

// TestFix: fixes change what they name and no other byte, whatever the line
// ends, and the finding is gone.
func TestFix(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ label, old, new string }{
		{"rename", `"old": rename`, `"new": rename`},
		{"set", `"old": set`, `"new": 'done: yes'`},
		{"'set'", `"old": 'set'`, `"new": 'done: yes'`},
		{`"set"`, `"old": "set"`, `"new": "done: yes"`},
		{"remove", "    \"old\": remove\n", ""},
	} {
		for _, ends := range []string{"\n", "\r\n"} {
			text := strings.ReplaceAll("a: b\n---\n"+namespace(tt.label), "\n", ends)
			want := strings.ReplaceAll("a: b\n---\n"+strings.Replace(namespace(tt.label), tt.old, tt.new, 1), "\n", ends)
			findings := run(t, text, analyze.Input{}, analyze.Options{})
			if len(findings) != 1 || findings[0].Fix == nil || findings[0].Fix.Description == "" {
				t.Fatalf("%s: %+v", tt.label, findings)
			}
			got, made := analyze.Apply([]byte(text), "a.yaml", findings)
			if string(got) != want || made != 1 {
				t.Errorf("%s: %d fixes, %q, want %q", tt.label, made, got, want)
			}
			if left := run(t, string(got), analyze.Input{}, analyze.Options{}); len(left) != 0 {
				t.Errorf("%s: %+v is left", tt.label, left)
			}
		}
	}
	findings := run(t, namespace("rename"), analyze.Input{}, analyze.Options{})
	if text, made := analyze.Apply([]byte(namespace("rename")), "a.yaml", slices.Concat(findings, findings)); made != 1 || strings.Count(string(text), "new") != 1 {
		t.Errorf("%d fixes of the same bytes: %s", made, text)
	}
}
