package hygiene

import (
	"bytes"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/manifest"
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
			reportRepeated(p, d, repeatedIn(d.Text, err.Error()))
		}
	}
}

// repeatedKey is a key that stands in its mapping already.
type repeatedKey struct {
	name                 string // as YAML's reader quotes it
	line, column, before int    // of the document's text, from 1
}

// repeatedIn reads the keys from the words of YAML's reader.
func repeatedIn(text []byte, words string) []repeatedKey {
	lines := bytes.Split(text, []byte("\n"))
	var all []repeatedKey
	told := map[repeatedKey]bool{} // by name and line: a third one comes twice
	for _, m := range definedTwice.FindAllStringSubmatch(words, -1) {
		k := repeatedKey{name: m[2], column: 1}
		k.line, _ = strconv.Atoi(m[1])
		k.before, _ = strconv.Atoi(m[3])
		if k.line > 0 && k.line <= len(lines) {
			k.column = keyColumn(lines[k.line-1], m[2], k.before == k.line)
		}
		if one := (repeatedKey{name: k.name, line: k.line, column: k.column}); !told[one] {
			told[one] = true
			all = append(all, k)
		}
	}
	return all
}

// keyColumn is where a line has a key, the second time if it has it twice.
func keyColumn(line []byte, quoted string, twice bool) int {
	name, err := strconv.Unquote(quoted)
	if err != nil {
		name = quoted
	}
	found := regexp.MustCompile(`(?:^|[\s{,])["']?(`+regexp.QuoteMeta(name)+`)["']?\s*:`).FindAllSubmatchIndex(line, 2)
	switch {
	case len(found) == 0:
		return 1
	case twice:
		found = found[len(found)-1:]
	}
	at := found[0][2]
	if at > 0 && (line[at-1] == '"' || line[at-1] == '\'') {
		at--
	}
	return at + 1
}

// reportRepeated reports the keys. Where those that make an object come again, a
// second object begins, and the line between the two is missing.
func reportRepeated(p *analyze.Pass, d *manifest.Document, keys []repeatedKey) {
	again := map[string]int{}
	for _, k := range keys {
		if k.column == 1 {
			again[k.name]++
		}
	}
	heads := min(again[`"apiVersion"`], again[`"kind"`], again[`"metadata"`])
	for _, k := range keys {
		switch {
		case heads > 0 && k.column == 1 && k.name == `"apiVersion"`:
			p.ReportAt("", d.Location(k.line, 1), "apiVersion, kind and metadata stand there already, from line %d on, and one of the two objects is lost: is a line of --- missing above?", d.Location(k.before, 1).Line)
		case heads > 0 && k.column == 1:
			// told with the object that begins there
		default:
			p.ReportAt("", d.Location(k.line, k.column), "the key %s stands there already, at line %d: one of the two values is lost", k.name, d.Location(k.before, 1).Line)
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
			key := string(bytes.Trim(m[1], `"`))
			if seen[key] {
				return true
			}
			seen[key] = true
		}
	}
	return false
}
