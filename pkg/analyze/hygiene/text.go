package hygiene

import (
	"regexp"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/report"
)

// What pages of the web and word processors make of YAML.
var (
	curly    = regexp.MustCompile(`(?:^\s*(?:- )*(?:[\w./-]+:)?\s*|[\[{,]\s*(?:[\w./-]+:\s*)?)([“”„‘’][^“”„‘’,\]}\n]*[“”‘’]?)`)
	residue  = regexp.MustCompile(`\{\{-?\s*[.$(a-z]`)
	leadTabs = regexp.MustCompile(`^ *\t`)
)

// nbsp is a non-breaking space.
const nbsp = "\u00a0"

// pasted finds what copying did to a text: quotes that are no quotes, blanks
// that are no blanks, tabs that indent, and templates that were not rendered.
func pasted(p *analyze.Pass) {
	for _, s := range p.Streams {
		start := 0
		for n, line := range strings.SplitAfter(string(s.Data), "\n") {
			pasteOf(p, s.Name, n+1, start, line)
			start += len(line)
		}
	}
}

// pasteOf looks at one line, whose first byte is at start.
func pasteOf(p *analyze.Pass, file string, n, start int, line string) {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return
	}
	place := func(at int) report.Location { return report.Location{File: file, Line: n, Column: at + 1} }
	edit := func(at int, old, text string) *report.Fix {
		return &report.Fix{Description: "write it in plain letters", Edits: []report.Edit{{File: file, Start: start + at, End: start + at + len(old), Text: text}}}
	}
	if m := curly.FindStringSubmatchIndex(line); m != nil {
		word := line[m[2]:m[3]]
		plain := strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", `'`, "’", `'`).Replace(word)
		p.ReportCodeAt("MSH0314", "", place(m[2]), "typographic quotes are part of the text, they do not quote it: write plain ones").Fix = edit(m[2], word, plain)
	}
	if at := strings.Index(line, nbsp); at >= 0 && blankOutside(line[:at]) {
		run := line[at:]
		run = run[:len(run)-len(strings.TrimLeft(run, nbsp))]
		p.ReportCodeAt("MSH0315", "", place(at), "this looks like a blank and is a non-breaking space, which YAML takes for text: write a blank").Fix = edit(at, run, strings.Repeat(" ", strings.Count(run, nbsp)))
	}
	if leadTabs.MatchString(line) && strings.TrimSpace(line) != "" {
		p.ReportCodeAt("MSH0316", "", place(strings.Index(line, "\t")), "a tab cannot indent in YAML: write blanks")
	}
	if at := residue.FindStringIndex(line); at != nil {
		p.ReportCodeAt("MSH0306", "", place(at[0]), "this is a template that nobody rendered: render it first, as helm template does")
	}
}

// blankOutside tells whether what stands before is indentation, a dash or a key
// with its colon, so that a blank is meant next.
func blankOutside(before string) bool {
	before = strings.TrimRight(before, " ")
	return strings.Trim(before, " -") == "" || strings.HasSuffix(before, ":")
}
