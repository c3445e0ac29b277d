package hygiene

import (
	"bytes"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/analyze"
)

var (
	keyLine      = regexp.MustCompile(`^( *(?:- +)*)("[^"]*"|'[^']*'|[^\s:#'"\[{][^:#]*):(?:\s|$)`)
	definedTwice = regexp.MustCompile(`line (\d+): mapping key (.*) already defined at line (\d+)`)
)

// repeatedKeys finds keys that a mapping has twice: all but one of the values
// are lost without a word.
func repeatedKeys(p *analyze.Pass) {
	for _, s := range p.Streams {
		for i := range s.Documents {
			d := &s.Documents[i]
			if !mayRepeat(d.Text) {
				continue
			}
			var tree map[string]any
			err := yaml.Unmarshal(d.Text, &tree)
			if err == nil {
				continue
			}
			for _, m := range definedTwice.FindAllStringSubmatch(err.Error(), -1) {
				line, _ := strconv.Atoi(m[1])
				before, _ := strconv.Atoi(m[3])
				p.ReportAt("", d.Location(line, 1), "the key %s stands there already, at line %d: one of the two values is lost", m[2], d.Location(before, 1).Line)
			}
		}
	}
}

// mayRepeat tells whether a document may have a mapping with a key twice, by the
// indentation of its lines. It errs to the side of yes, and saves reading every
// document a second time.
func mayRepeat(text []byte) bool {
	var stack []level
	for line := range bytes.Lines(text) {
		m := keyLine.FindSubmatchIndex(line)
		if m == nil {
			continue
		}
		indent := m[3]
		item := bytes.ContainsRune(line[:indent], '-')
		for len(stack) > 0 && (stack[len(stack)-1].indent > indent || item && stack[len(stack)-1].indent == indent) {
			stack = stack[:len(stack)-1]
		}
		if len(stack) == 0 || stack[len(stack)-1].indent < indent {
			stack = append(stack, level{indent, map[string]bool{}})
		}
		key := string(line[m[4]:m[5]])
		if stack[len(stack)-1].keys[key] {
			return true
		}
		stack[len(stack)-1].keys[key] = true
	}
	return bytes.ContainsAny(text, "{") && bytes.Contains(text, []byte(", ")) && flowRepeats(text)
}

// level is a mapping that is open.
type level struct {
	indent int
	keys   map[string]bool
}

var flowKey = regexp.MustCompile(`[{,]\s*("?[\w./-]+"?)\s*:`)

// flowRepeats tells whether a line has a key twice between braces.
func flowRepeats(text []byte) bool {
	for line := range bytes.Lines(text) {
		seen := map[string]bool{}
		for _, m := range flowKey.FindAllSubmatch(line, -1) {
			if seen[string(m[1])] {
				return true
			}
			seen[string(m[1])] = true
		}
	}
	return false
}
