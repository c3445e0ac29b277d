package hygiene

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/report"
)

// invisibles finds what nobody sees in the texts of objects that are compared
// with others: names, labels, selectors and policies. told are the lines of which
// that is said already.
func invisibles(p *analyze.Pass, told map[report.Location]bool) {
	for _, o := range p.Objects {
		if !strings.ContainsFunc(string(o.Text()), analyze.Invisible) {
			continue
		}
		walkTexts(o, func(text string, path []string) {
			at := o.Locate(path...)
			i := strings.IndexFunc(text, analyze.Invisible)
			if i < 0 || told[lineOf(at)] {
				return
			}
			r := p.ReportCode("MSH0315", o, path, "%q has a character that nobody sees, %s: it is part of the text, and the text is another one than it seems. Take it out", text, characterName([]rune(text[i:])[0]))
			if clean := cleaned(text); clean != "" {
				r.SetValue(path, clean)
			}
		})
	}
}

// lineOf is a place without its column.
func lineOf(at report.Location) report.Location {
	at.Column = 0
	return at
}

// cleaned is a text without what nobody sees; "" if a blank may be meant.
func cleaned(text string) string {
	text = strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || analyze.Invisible(r) })
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
	if strings.ContainsFunc(text, analyze.Invisible) {
		return ""
	}
	return text
}

// characterName is what a character is called.
func characterName(r rune) string {
	name := map[rune]string{0xa0: "a non-breaking space", 0xad: "a soft hyphen", 0x200b: "a zero-width space", 0x200c: "a zero-width non-joiner", 0x200d: "a zero-width joiner", 0x2060: "a word joiner", 0xfeff: "a byte order mark"}[r]
	if name == "" {
		return fmt.Sprintf("%U", r)
	}
	return fmt.Sprintf("%U (%s)", r, name)
}
