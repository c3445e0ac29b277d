package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
)

// Decoder reads YAML as sigs.k8s.io/yaml does, several times faster for the
// everyday kind: block collections, flow collections on one line, literal
// texts, plain and quoted scalars. It gives up on anything else, and on
// anything it is not sure of, to that library. A Decoder may be shared.
type Decoder struct {
	scalars sync.Map // plain scalar -> resolution
}

// resolution is what the library makes of a plain scalar.
type resolution struct {
	value any
	ok    bool
}

// Tree is the document's value as encoding/json would decode it.
func (d *Decoder) Tree(text []byte) (any, error) {
	if tree, ok := d.everyday(text); ok {
		return tree, nil
	}
	j, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("error converting YAML to JSON: %w", err)
	}
	var tree any
	err = json.Unmarshal(j, &tree)
	return tree, err
}

// JSON is the document's value as JSON.
func (d *Decoder) JSON(text []byte) ([]byte, error) {
	if tree, ok := d.everyday(text); ok {
		return json.Marshal(tree)
	}
	j, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("error converting YAML to JSON: %w", err)
	}
	return j, nil
}

// everyday reads the subset. It is false for texts beyond it, broken ones
// included: the library words their errors.
func (d *Decoder) everyday(text []byte) (any, bool) {
	if !bytes.HasSuffix(text, []byte("\n")) {
		return nil, false // a literal text at the end would lack its line end
	}
	for _, c := range text {
		if c >= 0x7f || c < ' ' && c != '\n' {
			return nil, false
		}
	}
	r := &reader{Decoder: d, lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}
	if len(r.lines) > 0 && r.lines[0] == "---" {
		r.at = 1
	}
	if !r.skip() {
		return nil, false
	}
	tree := r.block(r.indent())
	if r.failed || r.skip() {
		return nil, false
	}
	return tree, true
}

// reader walks the lines of a document. failed is set when the document is
// beyond the subset; what was read then is worth nothing.
type reader struct {
	*Decoder
	lines  []string
	at     int // current line
	shift  int // column where the current line's content begins after dashes
	depth  int
	failed bool
}

// maxDepth keeps hostile nesting off the stack.
const maxDepth = 100

func (r *reader) fail() any {
	r.failed = true
	r.at = len(r.lines)
	return nil
}

// skip goes to the next line with content; false at the end.
func (r *reader) skip() bool {
	for ; r.at < len(r.lines); r.at++ {
		if r.shift > 0 {
			return true
		}
		line := strings.TrimLeft(r.lines[r.at], " ")
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.HasPrefix(r.lines[r.at], "---") || strings.HasPrefix(r.lines[r.at], "...") {
			r.fail()
			return false
		}
		return true
	}
	return false
}

// indent is the column where the current line's content begins.
func (r *reader) indent() int {
	if r.shift > 0 {
		return r.shift
	}
	line := r.lines[r.at]
	return len(line) - len(strings.TrimLeft(line, " "))
}

// content is the current line from its indent on.
func (r *reader) content() string { return r.lines[r.at][r.indent():] }

// next leaves the current line.
func (r *reader) next() { r.at, r.shift = r.at+1, 0 }

// block reads the collection or scalar that begins at the current line.
func (r *reader) block(indent int) any {
	if r.depth++; r.depth > maxDepth {
		return r.fail()
	}
	defer func() { r.depth-- }()
	content := r.content()
	if isItem(content) {
		return r.sequence(indent)
	}
	if _, _, ok := r.splitKey(content); ok {
		return r.mapping(indent)
	}
	return r.fail()
}

func isItem(content string) bool { return content == "-" || strings.HasPrefix(content, "- ") }

func (r *reader) mapping(indent int) any {
	m := map[string]any{}
	for r.skip() && r.indent() == indent {
		content := r.content()
		if isItem(content) {
			break
		}
		key, rest, ok := r.splitKey(content)
		if !ok {
			return r.fail()
		}
		m[key] = r.value(rest, indent, true)
		if r.failed {
			return nil
		}
	}
	if r.at < len(r.lines) && r.indent() > indent {
		return r.fail()
	}
	return m
}

func (r *reader) sequence(indent int) any {
	list := []any{}
	for r.skip() && r.indent() == indent && isItem(r.content()) {
		content := r.content()
		rest := strings.TrimLeft(content[1:], " ")
		at := indent + len(content) - len(rest)
		switch {
		case rest == "" || rest[0] == '#':
			list = append(list, r.value("", indent, false))
		case isItem(rest):
			return r.fail() // a sequence within the dash's line
		default:
			if _, _, ok := r.splitKey(rest); ok {
				r.shift = at
				list = append(list, r.block(at))
			} else {
				list = append(list, r.value(rest, indent, false))
			}
		}
		if r.failed {
			return nil
		}
	}
	if r.at < len(r.lines) && r.indent() > indent {
		return r.fail()
	}
	return list
}

// value reads what follows a key's colon or a dash on the current line, and
// leaves the line.
func (r *reader) value(rest string, indent int, underKey bool) any {
	if rest == "" || rest[0] == '#' {
		r.next()
		if !r.skip() {
			return nil
		}
		switch at := r.indent(); {
		case at > indent:
			return r.block(at)
		case at == indent && underKey && isItem(r.content()):
			return r.sequence(at)
		}
		return nil
	}
	var v any
	switch rest[0] {
	case '|':
		return r.literal(rest, indent)
	case '{', '[', '"', '\'':
		f := &flowReader{reader: r, text: rest}
		v = f.value()
		if tail := strings.TrimLeft(f.text, " "); tail != "" && (tail[0] != '#' || len(tail) == len(f.text)) {
			return r.fail()
		}
	default:
		if at := strings.Index(rest, " #"); at >= 0 {
			rest = rest[:at]
		}
		rest = strings.TrimRight(rest, " ")
		if strings.Contains(rest, ": ") || rest[len(rest)-1] == ':' {
			return r.fail()
		}
		v = r.resolve(rest)
	}
	r.next()
	if r.failed || r.skip() && r.indent() > indent {
		return r.fail() // the scalar goes on in the next line
	}
	return v
}

// literal reads a "|" or "|-" text.
func (r *reader) literal(header string, indent int) any {
	if header != "|" && header != "|-" {
		return r.fail()
	}
	r.next()
	if r.at >= len(r.lines) || strings.TrimSpace(r.lines[r.at]) == "" {
		return r.fail()
	}
	column := r.indent()
	if column <= indent {
		return r.fail()
	}
	var lines []string
	for ; r.at < len(r.lines); r.at++ {
		line := r.lines[r.at]
		if strings.TrimLeft(line, " ") == "" {
			if len(line) > column {
				return r.fail()
			}
			lines = append(lines, "")
			continue
		}
		if at := r.indent(); at < column {
			if at > indent {
				return r.fail()
			}
			break
		}
		lines = append(lines, line[column:])
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	text := strings.Join(lines, "\n")
	if header == "|" {
		text += "\n"
	}
	return text
}

// splitKey cuts "key: rest" and "key:". It is false for what is no mapping, or
// not an everyday one.
func (r *reader) splitKey(content string) (key, rest string, ok bool) {
	if content[0] == '"' || content[0] == '\'' {
		f := &flowReader{reader: &reader{Decoder: r.Decoder}, text: content}
		k, isText := f.quoted().(string)
		if f.failed || !isText || f.text == "" || f.text[0] != ':' || len(f.text) > 1 && f.text[1] != ' ' {
			return "", "", false
		}
		return k, strings.TrimLeft(f.text[1:], " "), r.keyLength(len(content) - len(f.text))
	}
	end := 0
	for end < len(content) && isKeyByte(content[end]) {
		end++
	}
	if end == 0 || end == len(content) || content[end] != ':' || len(content) > end+1 && content[end+1] != ' ' {
		return "", "", false
	}
	key = content[:end]
	if !plainAtSight(key) {
		if text, isText := r.resolve(key).(string); !isText || text != key || r.failed {
			r.failed = false
			return "", "", false
		}
	}
	return key, strings.TrimLeft(content[end+1:], " "), r.keyLength(end)
}

// maxKey is how long YAML lets a key on one line be.
const maxKey = 1024

// keyLength leaves documents with longer keys to the library.
func (r *reader) keyLength(n int) bool {
	if n > maxKey {
		r.fail()
	}
	return n <= maxKey
}

func isKeyByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '/' || c == '-'
}

// resolve gives a plain scalar its YAML 1.1 type.
func (r *reader) resolve(text string) any {
	if plainAtSight(text) {
		return text
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text && n > -1<<53 && n < 1<<53 {
		return float64(n)
	}
	if known, ok := r.scalars.Load(text); ok {
		res := known.(resolution)
		if !res.ok {
			return r.fail()
		}
		return res.value
	}
	res := resolvePlain(text)
	r.scalars.Store(text, res)
	if !res.ok {
		return r.fail()
	}
	return res.value
}

// resolvePlain asks the library. Only single values that survive JSON count.
func resolvePlain(text string) resolution {
	if strings.ContainsAny(text[:1], "&*!%@`>?|{}[],\"'#") || strings.HasPrefix(text, "- ") || text == "-" || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") || text == "<<" || text == "=" {
		return resolution{}
	}
	j, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return resolution{}
	}
	var v any
	if json.Unmarshal(j, &v) != nil {
		return resolution{}
	}
	if f, ok := v.(float64); ok && math.Abs(f) >= 1<<53 {
		return resolution{}
	}
	switch v.(type) {
	case map[string]any, []any:
		return resolution{}
	}
	return resolution{v, true}
}
