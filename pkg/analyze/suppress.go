package analyze

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/manifest"
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
	Code   string // or "*"
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

func (s Suppression) covers(f report.Finding) bool {
	if s.Code != "*" && !strings.EqualFold(s.Code, f.Code) {
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
	if !bytes.Contains(s.Data, []byte(suppressComment)) {
		return nil
	}
	var all []*comment
	lines := strings.Split(string(s.Data), "\n")
	for i, line := range lines {
		before, after, ok := strings.Cut(line, "# "+suppressComment)
		if !ok {
			continue
		}
		c := &comment{at: report.Location{File: s.Name, Line: i + 1, Column: len(before) + 1}, lines: [2]int{i + 1, i + 1}}
		codes, reason, _ := strings.Cut(strings.TrimSpace(after), " ")
		c.codes, c.reason = strings.Split(codes, ","), strings.TrimSpace(reason)
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

func (c *comment) covers(f report.Finding) bool {
	return c.reason != "" && f.File == c.at.File && (f.Line == c.lines[0] || f.Line == c.lines[1]) &&
		slices.ContainsFunc(c.codes, func(code string) bool { return strings.EqualFold(code, f.Code) })
}

// suppress takes out the findings that comments, annotations or options
// suppress, and reports the comments on the chosen codes that suppress nothing.
func (i *Inventory) suppress(reports []*Report, chosen map[string]bool, options []Suppression) []*Report {
	inFile := map[string][]*comment{}
	for _, s := range i.Streams {
		inFile[s.Name] = append(inFile[s.Name], comments(s)...)
	}
	kept := slices.DeleteFunc(reports, func(r *Report) bool {
		if r.Code == Unreadable {
			return false
		}
		gone := false
		for _, c := range inFile[r.File] {
			if c.covers(r.Finding) {
				gone, c.used = true, true
			}
		}
		return gone || r.annotated() || slices.ContainsFunc(options, func(s Suppression) bool { return s.covers(r.Finding) })
	})
	for _, s := range i.Streams {
		for _, c := range inFile[s.Name] {
			if !c.used && c.isAbout(chosen) {
				kept = append(kept, &Report{Finding: c.complain()})
			}
		}
	}
	return kept
}

// isAbout tells whether any code of the comment is chosen, or none is readable.
func (c *comment) isAbout(chosen map[string]bool) bool {
	return c.reason == "" || slices.ContainsFunc(c.codes, func(code string) bool { return chosen[strings.ToUpper(code)] })
}

// complain says what is wrong with a comment that suppresses nothing.
func (c *comment) complain() report.Finding {
	message := fmt.Sprintf("this comment suppresses %s, which is not found here: take it away", strings.Join(c.codes, ", "))
	if c.codes[0] == "" || c.reason == "" {
		message = fmt.Sprintf("expected \"# %s CODE reason\": a suppression without a reason counts for nothing", suppressComment)
	}
	return report.Finding{Code: UnusedSuppression, Severity: report.Warning, Location: c.at, Message: message}
}

// annotated tells whether the object's annotation suppresses the finding.
func (r *Report) annotated() bool {
	if r.object == nil {
		return false
	}
	for code := range strings.SplitSeq(r.object.Annotations[suppressAnnotation], ",") {
		if code = strings.TrimSpace(code); code == "*" || strings.EqualFold(code, r.Code) {
			return true
		}
	}
	return false
}
