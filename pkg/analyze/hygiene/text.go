package hygiene

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// What pages of the web and word processors make of YAML.
var (
	curly    = regexp.MustCompile(`(?:^\s*(?:- )*(?:[\w./-]+:)?\s*|[\[{,]\s*(?:[\w./-]+:\s*)?)([“”„‘’][^“”„‘’,\]}\n]*[“”‘’]?)`)
	leadTabs = regexp.MustCompile(`^ *(\t[\t ]*)`)
	opening  = regexp.MustCompile(`(?:^|[:-]\s+)(?:[&!]\S+\s+)*[|>][-+0-9]*\s*(?:#.*)?$`)
)

// nbsp is a non-breaking space.
const nbsp = "\u00a0"

// pasted finds what copying did to a text: quotes that are no quotes, blanks
// that are no blanks, tabs that indent, and templates that were not rendered.
func pasted(p *analyze.Pass) {
	residues(p)
	told := map[report.Location]bool{}
	for _, s := range p.Streams {
		for i := range s.Documents {
			pastedDocument(p, s, &s.Documents[i], told)
		}
	}
	invisibles(p, told)
}

// pastedDocument looks at the lines of a document, but for those of texts in
// block form, where anything may stand. It tells told of lines with a blank that is
// none.
func pastedDocument(p *analyze.Pass, s *manifest.Stream, d *manifest.Document, told map[report.Location]bool) {
	if !bytes.ContainsAny(d.Text, "“”„‘’\u00a0\t") {
		return
	}
	start, block := 0, -1
	for n, line := range strings.SplitAfter(string(d.Text), "\n") {
		l := pastedLine{pass: p, stream: s, document: d, number: n + 1, start: start, text: line}
		start += len(line)
		rest := strings.TrimLeft(line, " ")
		indent := len(line) - len(rest)
		if block >= 0 && (indent > block || strings.TrimSpace(line) == "") || strings.HasPrefix(rest, "#") {
			continue
		}
		block = -1
		if opening.MatchString(strings.TrimRight(line, "\n")) {
			block = indent
		}
		l.look()
		if l.strangeBlank() >= 0 {
			told[d.Location(n+1, 0)] = true
		}
	}
}

// pastedLine is one line of a document's text.
type pastedLine struct {
	pass     *analyze.Pass
	stream   *manifest.Stream
	document *manifest.Document
	number   int    // of the line, from 1
	start    int    // offset of its first byte
	text     string // its end included
}

func (l pastedLine) look() {
	l.quotes()
	if at := l.strangeBlank(); at >= 0 {
		run := l.text[at:]
		run = run[:len(run)-len(strings.TrimLeft(run, nbsp))]
		l.report("MSH0315", at, "this looks like a blank and is a non-breaking space, which YAML takes for text: write a blank").Fix = l.fix(at, run, strings.Repeat(" ", strings.Count(run, nbsp)))
	}
	if m := leadTabs.FindStringSubmatchIndex(l.text); m != nil && m[3] < len(l.text) && !strings.ContainsAny(l.text[m[3]:m[3]+1], "\n\r{}[]\"") {
		l.report("MSH0316", m[2], "a tab cannot indent in YAML: write blanks")
	}
}

// strangeBlank is where a non-breaking space stands where a blank is meant; -1 if
// there is none.
func (l pastedLine) strangeBlank() int {
	if at := strings.Index(l.text, nbsp); at >= 0 && blankOutside(l.text[:at]) {
		return at
	}
	return -1
}

// quotes finds typographic quotes around values. The fix takes all of the line,
// unless one of them does not close.
func (l pastedLine) quotes() {
	found := curly.FindAllStringSubmatchIndex(l.text, -1)
	if found == nil {
		return
	}
	r := l.report("MSH0314", found[0][2], "typographic quotes are part of the text, they do not quote it: write plain ones")
	fix := &report.Fix{Description: "write plain quotes"}
	for _, m := range found {
		word := l.text[m[2]:m[3]]
		plain := strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", `'`, "’", `'`).Replace(word)
		if !balanced(plain) {
			return
		}
		fix.Edits = append(fix.Edits, l.fix(m[2], word, plain).Edits...)
	}
	r.Fix = fix
}

// balanced tells whether a text is in one kind of quotes.
func balanced(text string) bool {
	return len(text) > 1 && text[0] == text[len(text)-1] && strings.Count(text, text[:1]) == 2
}

func (l pastedLine) report(code string, at int, message string) *analyze.Report {
	return l.pass.ReportCodeAt(code, "", l.document.Location(l.number, at+1), "%s", message)
}

func (l pastedLine) fix(at int, old, text string) *report.Fix {
	start := l.stream.Offset(l.document, l.start+at)
	return &report.Fix{Description: "write it in plain letters", Edits: []report.Edit{{File: l.stream.Name, Start: start, End: start + len(old), Text: text}}}
}

// blankOutside tells whether what stands before is indentation, a dash or a key
// with its colon, so that a blank is meant next.
func blankOutside(before string) bool {
	before = strings.TrimRight(before, " ")
	return strings.Trim(before, " -") == "" || strings.HasSuffix(before, ":")
}
