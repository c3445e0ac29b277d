package policy

import (
	"regexp"
	"slices"
	"strings"
)

// gapped is a regular expression that is plain text with gaps of any characters
// but line ends. It is what most expressions of policies come to, and is matched
// many times faster as such.
type gapped struct {
	texts []string // with a gap between each two; the first begins, the last ends
	least int      // how long each gap is at least
}

// gappedForm is a full match of a pattern that says the same as one of several
// gapped texts.
func gappedForm(pattern string, alternatives ...gapped) StringMatch {
	odd := func(text string) bool { return strings.ContainsAny(text, "\n\uFFFD") } // gaps have no line end; what is not UTF-8 reads as U+FFFD
	if slices.ContainsFunc(alternatives, func(g gapped) bool { return slices.ContainsFunc(g.texts, odd) }) {
		return regexForm(pattern, "")
	}
	return StringMatch{Form: Regex, Value: pattern, gapped: alternatives}
}

// regexForm is a full match of a pattern, which begins with a plain text.
func regexForm(pattern, begin string) StringMatch {
	return StringMatch{Form: Regex, Value: pattern, begin: begin, regex: regexp.MustCompile("^(?:" + pattern + ")$")}
}

// anyGapped tells whether one of several gapped texts is all of s.
func anyGapped(all []gapped, s string) bool {
	if strings.Contains(s, "\n") {
		return false
	}
	for i := range all {
		if all[i].matches(s) {
			return true
		}
	}
	return false
}

// matches takes each text where it comes first, which leaves most for the rest.
func (g *gapped) matches(s string) bool {
	first, last := g.texts[0], g.texts[len(g.texts)-1]
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	for _, text := range g.texts[1 : len(g.texts)-1] {
		if len(s) < g.least {
			return false
		}
		at := strings.Index(s[g.least:], text)
		if at < 0 {
			return false
		}
		s = s[g.least+at+len(text):]
	}
	return len(s) >= g.least+len(last) && strings.HasSuffix(s, last)
}
