package analyze

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// UnusedSuppression is the code of a suppression that suppresses nothing, or
// says not what.
const UnusedSuppression = "MSH0320"

// suppressAnnotation is where an object lists the codes that are not reported
// for it, with commas; "*" is all.
const suppressAnnotation = "galley.istio.io/analyze-suppress"

// suppressComment opens the comment that suppresses findings of its line, or of
// the next one if it has a line of its own.
const suppressComment = "meshctl:ignore"

// Suppression takes findings out.
type Suppression struct {
	Code   string // or a rule's name, or a pattern such as "MSH01*" or "*"
	Origin string // a pattern (path.Match) of "Kind name.namespace", as istioctl takes it, or "Kind namespace/name"
}

// ParseSuppression reads "CODE=Kind name.namespace".
func ParseSuppression(text string) (Suppression, error) {
	code, origin, ok := strings.Cut(text, "=")
	if _, err := path.Match(origin, ""); !ok || code == "" || origin == "" || err != nil {
		return Suppression{}, fmt.Errorf("suppression %q: expected CODE=Kind name.namespace, such as IST0103=Pod *.testing", text)
	}
	return Suppression{code, origin}, nil
}

func (s Suppression) covers(f report.Finding, rule Rule) bool {
	if !rule.is(s.Code) {
		return false
	}
	peer := f.Origin
	if kind, name, ok := strings.Cut(f.Origin, " "); ok {
		if namespace, bare, ok := strings.Cut(name, "/"); ok {
			peer = kind + " " + bare + "." + namespace
		}
	}
	for _, origin := range []string{f.Origin, peer} {
		// path.Match's star ends at a slash, which names in the peer's form lack.
		if ok, _ := path.Match(s.Origin, origin); ok {
			return true
		}
	}
	return false
}

// comment is a suppression in the text of a file.
type comment struct {
	at     report.Location
	lines  [2]int // whose findings it suppresses: its own and, if it stands alone, the next
	codes  []string
	reason string
	used   bool
}

// comments finds the suppressions in a stream.
func comments(s *manifest.Stream) []*comment {
	places := s.Comments("# " + suppressComment)
	if len(places) == 0 {
		return nil
	}
	var all []*comment
	lines := strings.Split(string(s.Data), "\n")
	i, begin := 0, 0 // the line of a place, and its offset
	for _, at := range places {
		for begin+len(lines[i]) < at {
			begin += len(lines[i]) + 1
			i++
		}
		before, after := lines[i][:at-begin], lines[i][at-begin+len("# "+suppressComment):]
		c := &comment{at: report.Location{File: s.Name, Line: i + 1, Column: len(before) + 1}, lines: [2]int{i + 1, i + 1}}
		c.codes, c.reason = codesAndReason(strings.TrimPrefix(after, ":"))
		if strings.TrimSpace(before) == "" {
			next := i + 1
			for next < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[next]), "#") {
				next++
			}
			c.lines[1] = next + 1
		}
		all = append(all, c)
	}
	return all
}

// codesAndReason reads "CODE,CODE reason"; blanks may follow the commas.
func codesAndReason(text string) (all []string, reason string) {
	list, reason, _ := strings.Cut(strings.TrimSpace(text), " ")
	for strings.HasSuffix(list, ",") && reason != "" {
		next, rest, _ := strings.Cut(strings.TrimSpace(reason), " ")
		list, reason = list+next, rest
	}
	return strings.Split(strings.TrimSuffix(list, ","), ","), strings.TrimSpace(reason)
}

func (c *comment) covers(f report.Finding, rule Rule) bool {
	return c.reason != "" && f.File == c.at.File && (f.Line == c.lines[0] || f.Line == c.lines[1]) && slices.ContainsFunc(c.codes, rule.is)
}

// suppressing is the taking out of findings.
type suppressing struct {
	*Inventory
	codes   codes
	known   map[string]Rule // all, by code
	chosen  map[string]bool
	options []Suppression

	inFile map[string][]*comment
	used   map[Suppression]bool // of options
}

// suppress takes out the findings that comments, annotations or options
// suppress, and reports the comments on the chosen codes that suppress nothing,
// and the codes that there are not.
func (s *suppressing) suppress(reports []*Report) []*Report {
	s.inFile, s.used = map[string][]*comment{}, map[Suppression]bool{}
	for _, stream := range s.Streams {
		s.inFile[stream.Name] = append(s.inFile[stream.Name], comments(stream)...)
	}
	hidden := s.hidden(reports)
	kept := slices.DeleteFunc(reports, s.takesOut)
	for _, stream := range s.Streams {
		for _, c := range s.inFile[stream.Name] {
			if message := s.complaint(c, hidden); message != "" {
				kept = append(kept, &Report{Finding: report.Finding{Code: UnusedSuppression, Severity: report.Warning, Location: c.at, Message: message}})
			}
		}
	}
	return append(append(kept, s.annotations()...), s.unusedOptions(hidden)...)
}

// takesOut tells whether anything suppresses a finding.
func (s *suppressing) takesOut(r *Report) bool {
	if r.Code == Unreadable {
		return false
	}
	gone, rule := false, s.known[r.Code]
	for _, c := range s.inFile[r.File] {
		if c.covers(r.Finding, rule) {
			gone, c.used = true, true
		}
	}
	for _, o := range s.options {
		if o.covers(r.Finding, rule) {
			gone, s.used[o] = true, true
		}
	}
	return gone || slices.ContainsFunc(r.annotated(), rule.is)
}

// unusedOptions reports the options that suppress nothing. Settings are for more
// than these files, unless they are all that there is: else it is but a hint.
func (s *suppressing) unusedOptions(hidden func(report.Location) bool) []*Report {
	if hidden(report.Location{}) {
		return nil
	}
	severity := report.Info
	if s.Complete {
		severity = report.Warning
	}
	var all []*Report
	for _, o := range s.options {
		if !s.used[o] && s.runs([]string{o.Code}) {
			message := fmt.Sprintf("the suppression %s=%s suppresses nothing here: take it out of the command line or the settings if it has had its day", o.Code, o.Origin)
			all = append(all, &Report{Finding: report.Finding{Code: UnusedSuppression, Severity: severity, Message: message}})
		}
	}
	return all
}

// hidden finds the documents that not all rules saw, and returns the test for a
// place in one of them.
func (s *suppressing) hidden(reports []*Report) func(report.Location) bool {
	all := false
	lines := map[string][]int{} // of findings that hide what is there, by file
	for _, r := range reports {
		if s.known[r.Code].Hides {
			all = all || r.Code == Unreadable
			lines[r.File] = append(lines[r.File], r.Line)
		}
	}
	begins := map[string][]int{} // of documents, by file
	for _, stream := range s.Streams {
		for i := range stream.Documents {
			begins[stream.Name] = append(begins[stream.Name], stream.Documents[i].Line)
		}
	}
	document := func(file string, line int) int {
		n, exact := slices.BinarySearch(begins[file], line)
		if exact {
			return n
		}
		return n - 1
	}
	return func(at report.Location) bool {
		return all || slices.ContainsFunc(lines[at.File], func(line int) bool { return document(at.File, line) == document(at.File, at.Line) })
	}
}

// complaint says what is wrong with a comment, "" for nothing.
func (s *suppressing) complaint(c *comment, hidden func(report.Location) bool) string {
	if c.codes[0] == "" || c.reason == "" {
		return fmt.Sprintf("expected \"# %s CODE reason\": a suppression without a reason counts for nothing", suppressComment)
	}
	for _, code := range c.codes {
		if err := s.codes.check(code); err != nil {
			return fmt.Sprintf("this comment suppresses what there is not: %v", err)
		}
	}
	if c.used || hidden(c.at) || !s.runs(c.codes) {
		return ""
	}
	return fmt.Sprintf("this comment suppresses %s, which is not found here: take it away", strings.Join(c.codes, ", "))
}

// runs tells whether a rule of the codes is chosen.
func (s *suppressing) runs(patterns []string) bool {
	return slices.ContainsFunc(s.codes.rules, func(r Rule) bool { return s.chosen[r.Code] && slices.ContainsFunc(patterns, r.is) })
}

// annotations reports the codes of objects' annotations that there are not.
func (s *suppressing) annotations() []*Report {
	var all []*Report
	for _, o := range s.Objects {
		for _, code := range annotatedCodes(o) {
			if err := s.codes.check(code); err != nil {
				f := report.Finding{Code: UnusedSuppression, Severity: report.Warning, Location: o.Locate("metadata", "annotations", suppressAnnotation)}
				f.Message = fmt.Sprintf("the annotation suppresses what there is not: %v", err)
				all = append(all, (&Report{Finding: f}).of(o))
			}
		}
	}
	return all
}

// annotated are the codes that the object's annotation suppresses.
func (r *Report) annotated() []string {
	if r.object == nil {
		return nil
	}
	return annotatedCodes(r.object)
}

func annotatedCodes(o *mesh.Object) []string {
	var all []string
	for code := range strings.SplitSeq(o.Annotations[suppressAnnotation], ",") {
		if code = strings.TrimSpace(code); code != "" {
			all = append(all, code)
		}
	}
	return all
}
