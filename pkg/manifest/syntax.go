package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SyntaxError is a text that is no YAML. Err has the words of Kubernetes'
// reader, whose line counts from the beginning of the document.
type SyntaxError struct {
	Err error
	// Problem and WayOut are the fault in our words, without its place.
	Problem, WayOut string
}

func (e *SyntaxError) Error() string { return e.Err.Error() }

// Unwrap is the reader's error.
func (e *SyntaxError) Unwrap() error { return e.Err }

// syntaxFault is where a text stops to be YAML, why, and the way out. Lines and
// columns count from 1.
type syntaxFault struct {
	line, column  int
	problem, hint string
}

// readersDepth is how deep values may stand within values.
const readersDepth = 10000

// costliest bounds the search for a fault's place: bytes that are parsed.
const costliest = 8 << 20

// placeSyntax finds the fault of a text that is no YAML. The reader names the
// line where the collection begins that it cannot read, or one beside it; the
// fault is where nothing can follow that would make YAML of it.
func placeSyntax(text []byte) (syntaxFault, bool) {
	s := &syntaxSearch{text: text, left: costliest}
	for rest := text; len(rest) > 0; {
		n := lineLength(rest)
		s.lines, rest = append(s.lines, rest[:n]), rest[n:]
	}
	if s.parses(text) {
		return syntaxFault{}, false // what is wrong with it is not its syntax
	}
	good := s.lastGood(len(s.lines))
	start := len(bytes.Join(s.lines[:good], nil))
	at, open := start, []int(nil)
	for n := good; n < len(s.lines); n++ {
		end := at + len(s.lines[n])
		before := open
		if open = openers(text[start:end]); !s.viable(start, end, open) {
			if len(before) > 0 && keyLine.Match(s.lines[n]) && s.left > 0 {
				return s.unclosed(start + before[len(before)-1]), true
			}
			f := s.within(n, start, at, end)
			return f, s.left > 0
		}
		at = end
	}
	if len(open) == 0 || s.left <= 0 {
		return syntaxFault{}, false
	}
	return s.unclosed(start + open[len(open)-1]), true
}

type syntaxSearch struct {
	text  []byte
	lines [][]byte
	left  int // bytes that may be parsed still
}

func (s *syntaxSearch) parses(text []byte) bool {
	if s.left -= len(text); s.left < 0 {
		return false
	}
	var node yaml.Node
	return yaml.Unmarshal(text, &node) == nil
}

// longestOpen is for how many lines a value may go on without being YAML, and
// still be found to be some later.
const longestOpen = 40

// lastGood is how many lines from the beginning are YAML by themselves, and no
// more are.
func (s *syntaxSearch) lastGood(most int) int {
	good, bad := 0, most
	for good+1 < bad {
		if half := (good + bad) / 2; s.parses(bytes.Join(s.lines[:half], nil)) {
			good = half
		} else {
			bad = half
		}
		if good+1 < bad {
			continue
		}
		for n := bad + 1; n < min(bad+longestOpen, most); n++ {
			if s.parses(bytes.Join(s.lines[:n], nil)) {
				good, bad = n, most
				break
			}
		}
	}
	return good
}

// viable tells whether the text to an end is YAML once what is open is closed.
func (s *syntaxSearch) viable(start, end int, open []int) bool {
	closed := bytes.Clone(bytes.TrimRight(s.text[:end], "\n"))
	for i := len(open) - 1; i >= 0; i-- {
		closed = append(closed, closer(s.text[start+open[i]]))
	}
	return s.parses(append(closed, '\n'))
}

// within finds the column of a fault in line n, of which the lines from start on
// were fine.
func (s *syntaxSearch) within(n, start, at, end int) syntaxFault {
	column := at
	for k := at + 1; k < end && s.left > 0; k++ {
		if s.viable(start, k, openers(s.text[start:k])) {
			column = k
		}
	}
	for column < end-1 && s.text[column] == ' ' {
		column++
	}
	return s.cause(n, at, column)
}

// openers are the offsets of brackets and quotes that are not closed.
func openers(text []byte) []int {
	var open []int
	quote := byte(0)
	before := byte('\n') // the last byte that is no blank
	for i := 0; i < len(text); i++ {
		c := text[i]
		inFlow := len(open) > 0
		begins := before == '\n' || inFlow && strings.IndexByte("[{,:", before) >= 0 || i > 0 && text[i-1] == ' ' && (before == ':' || before == '-')
		switch {
		case quote == '"' && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote, open = 0, open[:len(open)-1]
		case quote != 0:
		case c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\n'):
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case (c == '"' || c == '\'') && begins:
			quote, open = c, append(open, i)
		case (c == '{' || c == '[') && (begins || inFlow):
			open = append(open, i)
		case (c == '}' || c == ']') && inFlow:
			open = open[:len(open)-1]
		}
		if c != ' ' && (c != '\n' || !inFlow) {
			before = c
		}
	}
	return open
}

func closer(opener byte) byte {
	switch opener {
	case '{':
		return '}'
	case '[':
		return ']'
	}
	return opener
}

// unclosed is the fault of a bracket or quote that nothing closes.
func (s *syntaxSearch) unclosed(at int) syntaxFault {
	c := string(s.text[at])
	f := syntaxFault{problem: "the " + c + " that opens here is not closed", hint: "write " + string(closer(s.text[at])) + " where it ends"}
	f.line, f.column = s.place(at)
	return f
}

func (s *syntaxSearch) place(at int) (line, column int) {
	return 1 + bytes.Count(s.text[:at], []byte("\n")), at - bytes.LastIndexByte(s.text[:at], '\n')
}

var (
	marks      = regexp.MustCompile(`\{\{|\$\{\w+\}`) // of templates
	conflict   = regexp.MustCompile(`^(?:<{7}|={7}|>{7}|\|{7})(?: |\n|$)`)
	afterQuote = regexp.MustCompile(`["'] *$`)
	keyLine    = regexp.MustCompile(`^ *[\w./-]+:(?:\s|$)`)
	glued      = regexp.MustCompile(`^ *(?:- +)*[A-Za-z]\w*:[^\s:/,{}\[\]]+\s*$`)
	keyOnly    = regexp.MustCompile(`^ *(?:- +)*[\w./-]+:?\S*\s*$`)
)

// cause says what is wrong at an offset of line n, which begins at begin.
func (s *syntaxSearch) cause(n, begin, at int) syntaxFault {
	f := syntaxFault{}
	f.line, f.column = s.place(at)
	line := string(s.lines[n])
	before, rest := line[:at-begin], line[at-begin:]
	indents := strings.TrimSpace(before) == ""
	above := s.above(n)
	switch c := rest[0]; {
	case marks.MatchString(line):
		f.column = marks.FindStringIndex(line)[0] + 1
		f.problem, f.hint = unrendered().problem, unrendered().hint
		if line[f.column-1] == '$' {
			f.hint = "put the values in first, as envsubst does"
		}
	case conflict.MatchString(line):
		f.column = 1
		f.problem, f.hint = "a merge conflict is left in the file", "resolve it: keep one side, and take the lines of <, = and > away"
	case strings.Contains(before, "\t") && strings.Trim(before, " \t-") == "" || c == '\t' && indents:
		f.column = strings.IndexByte(line, '\t') + 1
		f.problem, f.hint = "a tab cannot indent", "write blanks"
	case strings.IndexByte("@`%", c) >= 0:
		f.problem, f.hint = "a text cannot begin with "+string(c), "quote it"
	case strings.HasPrefix(rest, "- ") && strings.HasSuffix(before, ": "), c == ' ' && strings.HasSuffix(before, ": -"):
		f.column = 1 + strings.Index(line, ": - ") + len(": ")
		f.problem, f.hint = "a list cannot begin on the line of its key", "begin it on the next line"
	case strings.IndexByte("[]{}", c) >= 0 && len(openers([]byte(before))) > 0:
		f.problem, f.hint = "within brackets a text cannot have "+string(c), "quote the text"
	case glued.MatchString(line) && at-begin >= strings.IndexByte(line, ':'):
		f.column = strings.IndexByte(line, ':') + 1
		f.problem, f.hint = "the colon of a key needs a blank behind it", "write "+strings.TrimSpace(line[:f.column])+" and a blank before the value"
	case c == ':' && !indents && keyOnly.MatchString(above) && strings.Count(line, ": ") < 2:
		f.problem, f.hint = "this key has no place here", `the line above it has no ": ", or its value stands there already`
	case c == ':' && !indents && strings.Count(line, ": ") < 2 && !strings.Contains(before, ": "):
		f.problem, f.hint = "this key has no place here", "it stands deeper than the key above it, which has its value already: indent both alike"
	case c == ':' || c == ' ' || strings.HasSuffix(strings.TrimRight(before, " "), ":"):
		if c != ':' && strings.Contains(before, ":") {
			f.column = strings.LastIndex(before, ":") + 1
		}
		f.problem, f.hint = `": " begins the value of a key, and stands within a text`, "quote the text"
	case c == '\\':
		f.problem, f.hint = `what follows the \ is no escape of a double-quoted text`, `write \\, or put the text into single quotes`
	case afterQuote.MatchString(before):
		f.problem, f.hint = "there is more after the closing quote", "quote all of the value, or nothing of it"
	case indents:
		f.problem, f.hint = "the indentation of this line fits none of the lines above it", "begin it in the column of the lines that it belongs to; a key needs a colon and a blank after it"
	default:
		f.problem, f.hint = "this cannot stand here", `a text that has ": " or " #", or begins with one of []{},&*!|>%@, needs quotes`
	}
	return f
}

// above is the line before n that says something.
func (s *syntaxSearch) above(n int) string {
	for n--; n >= 0; n-- {
		if line := strings.TrimSpace(string(s.lines[n])); line != "" && line[0] != '#' {
			return string(s.lines[n])
		}
	}
	return ""
}

var unknownAnchor = regexp.MustCompile(`unknown anchor '([^']*)'`)

// placeWords finds what a reader refuses although it may be YAML, by its words.
func placeWords(text []byte, words string) (syntaxFault, bool) {
	mark, f := "", syntaxFault{}
	switch {
	case strings.Contains(words, "exceeded max depth"):
		f = syntaxFault{problem: "values stand within values deeper than any reader goes", hint: "no object is so deep: look for brackets that nothing closes"}
		f.line, f.column = (&syntaxSearch{text: text}).place(deepest(text))
		return f, true
	case unknownAnchor.MatchString(words):
		name := unknownAnchor.FindStringSubmatch(words)[1]
		mark, f = "*"+name, syntaxFault{problem: "*" + name + " stands for what &" + name + " names, and nothing is named so", hint: "quote the text if it is to begin with *"}
	case strings.Contains(words, "excessive aliasing"):
		mark, f = "*", syntaxFault{problem: "names (&a) and what stands for them (*a) make more of this document than any reader takes", hint: "write the values out"}
	case strings.Contains(words, "map merge"):
		mark, f = "<<", syntaxFault{problem: "<< takes over the keys of a mapping, and its value is none", hint: "give it the *name of a mapping, or quote the key"}
	case strings.Contains(words, "invalid map key") && bytes.Contains(text, []byte("{{")):
		mark, f = "{{", unrendered()
	case strings.Contains(words, "invalid map key"):
		mark, f = "{", syntaxFault{problem: "the key of a mapping cannot be a mapping or a list", hint: "write a text; quote a value that begins with a bracket"}
	}
	at := bytes.Index(text, []byte(mark))
	if mark == "" || at < 0 {
		return f, false
	}
	f.line, f.column = (&syntaxSearch{text: text}).place(at)
	return f, true
}

// deepest is the offset of the first bracket that stands deeper than readers go,
// else of the text's beginning: it may be so deep without brackets.
func deepest(text []byte) int {
	depth := 0
	for at, c := range text {
		switch c {
		case '[', '{':
			if depth++; depth > readersDepth {
				return at
			}
		case ']', '}':
			depth--
		}
	}
	return 0
}

// unrendered is the fault of a template.
func unrendered() syntaxFault {
	return syntaxFault{problem: "this is a template, not a manifest", hint: "render it first, as helm template does"}
}

// placeJSON finds the fault of a text that is to be JSON: for one that is too
// long to be searched.
func placeJSON(text []byte) (syntaxFault, bool) {
	var wrong *json.SyntaxError
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte(`{"`)) || !errors.As(json.Unmarshal(text, new(any)), &wrong) || wrong.Offset < 1 {
		return syntaxFault{}, false
	}
	f := syntaxFault{problem: "no JSON: " + wrong.Error(), hint: "mend the JSON there"}
	f.line, f.column = (&syntaxSearch{text: text}).place(int(wrong.Offset) - 1)
	return f, true
}
