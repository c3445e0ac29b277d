package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"sigs.k8s.io/yaml"
)

// Encoder writes values in the canonical form of the Kubernetes tools: the
// bytes of sigs.k8s.io/yaml's Marshal, several times faster (INJ-10). The
// layout is written here; how a scalar is spelled is asked of that library
// once per distinct string and remembered. An Encoder may be shared.
type Encoder struct {
	scalars sync.Map // string -> scalar
}

// scalar is the library's spelling of a string: the text after "key: ", and
// for block scalars the lines that follow, indented by two.
type scalar struct {
	first string
	lines []string
	folds bool // may be broken at a blank where it passes foldColumn
}

// foldColumn is where the library starts to break long strings at blanks.
const foldColumn = 80

// longestSimpleKey is below the 128 bytes from which the library writes a
// mapping key in its "? key" form, and below foldColumn; documents with longer
// keys are left to it.
const longestSimpleKey = 70

// Marshal is the canonical YAML of v, anything that encoding/json can marshal.
func (e *Encoder) Marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("marshal into JSON: %w", err)
	}
	return e.FromJSON(text)
}

// FromJSON is the canonical YAML of a JSON text, as encoding/json writes it.
func (e *Encoder) FromJSON(text []byte) ([]byte, error) {
	tree, err := decodeJSON(text)
	if err != nil {
		return nil, err
	}
	w := treeWriter{Encoder: e, out: make([]byte, 0, 2*len(text))}
	w.document(tree)
	if w.unusual {
		return yaml.JSONToYAML(text)
	}
	return w.out, nil
}

// treeWriter appends one document to out. It sets unusual when it meets
// something whose layout it does not know; the library then takes over.
type treeWriter struct {
	*Encoder
	out     []byte
	unusual bool
}

func (w *treeWriter) document(v any) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			w.mapping(v, 0)
			return
		}
	case []any:
		if len(v) > 0 {
			w.sequence(v, 0)
			return
		}
	}
	if _, ok := v.(string); ok {
		w.unusual = true // a bare string has a layout of its own
		return
	}
	w.leaf(v)
}

// mapping writes the entries of m; the cursor stands at column indent.
func (w *treeWriter) mapping(m map[string]any, indent int) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	// The library's order has cycles (a10 < a1b < a9 < a10), where its output
	// depends on chance. Sorting twice makes ours depend on the keys alone.
	sort.Strings(keys)
	sort.Slice(keys, func(i, j int) bool { return naturalLess(keys[i], keys[j]) })
	for i, k := range keys {
		if i > 0 {
			w.indent(indent)
		}
		w.key(k)
		w.value(m[k], indent, k)
	}
}

// value writes what follows "key:", up to and including the line end.
func (w *treeWriter) value(v any, indent int, key string) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			w.out = append(w.out, '\n')
			w.indent(indent + 2)
			w.mapping(v, indent+2)
			return
		}
	case []any:
		if len(v) > 0 {
			w.out = append(w.out, '\n')
			w.indent(indent)
			w.sequence(v, indent)
			return
		}
	}
	w.out = append(w.out, ' ')
	if s, ok := v.(string); ok {
		w.text(s, indent, func() any { return map[string]string{key: s} })
		return
	}
	w.leaf(v)
}

// sequence writes the items of s; the cursor stands at column indent.
func (w *treeWriter) sequence(s []any, indent int) {
	for i, item := range s {
		if i > 0 {
			w.indent(indent)
		}
		w.out = append(w.out, '-', ' ')
		switch item := item.(type) {
		case map[string]any:
			if len(item) > 0 {
				w.mapping(item, indent+2)
				continue
			}
		case []any:
			if len(item) > 0 {
				w.sequence(item, indent+2)
				continue
			}
		}
		if s, ok := item.(string); ok {
			w.text(s, indent, func() any { return []string{s} })
			continue
		}
		w.leaf(item)
	}
}

// leaf writes an empty collection or a scalar that is not a string, and the
// line end.
func (w *treeWriter) leaf(v any) {
	switch v := v.(type) {
	case nil:
		w.out = append(w.out, "null"...)
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	case json.Number:
		w.out = appendNumber(w.out, string(v))
	case map[string]any:
		w.out = append(w.out, "{}"...)
	case []any:
		w.out = append(w.out, "[]"...)
	}
	w.out = append(w.out, '\n')
}

// text writes the string s and the line end. The lines of a block scalar stand
// two columns right of indent. alone gives s with its key or dash, for strings
// so long that their layout depends on where they stand.
func (w *treeWriter) text(s string, indent int, alone func() any) {
	sc := w.spelling(s)
	if column := len(w.out) - bytes.LastIndexByte(w.out, '\n') - 1; sc.folds && column+len(sc.first) > foldColumn {
		w.folded(indent, alone())
		return
	}
	w.out = append(w.out, sc.first...)
	w.out = append(w.out, '\n')
	for _, line := range sc.lines {
		if line != "" {
			w.indent(indent)
			w.out = append(w.out, line...)
		}
		w.out = append(w.out, '\n')
	}
}

// folded has the library write v, a mapping or sequence with one string, at
// column indent, and takes the place of what the cursor's line holds there.
func (w *treeWriter) folded(indent int, v any) {
	levels := indent / 2
	if _, item := v.([]string); item {
		levels++ // a sequence stands under its key without indent
	}
	for range levels {
		v = map[string]any{"k": v}
	}
	text, err := yaml.Marshal(v)
	if err != nil {
		w.unusual = true
		return
	}
	for range levels {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	line := bytes.LastIndexByte(w.out, '\n') + 1
	w.out = append(w.out[:line+indent], text[indent:]...)
}

func (w *treeWriter) key(k string) {
	sc := w.spelling(k)
	if strings.Contains(k, "\n") || len(sc.first) > longestSimpleKey {
		w.unusual = true
	}
	w.out = append(w.out, sc.first...)
	w.out = append(w.out, ':')
}

const blanks = "                                                                "

func (w *treeWriter) indent(n int) {
	for ; n > len(blanks); n -= len(blanks) {
		w.out = append(w.out, blanks...)
	}
	w.out = append(w.out, blanks[:n]...)
}

// spelling is how the library writes s as a mapping's value.
func (e *Encoder) spelling(s string) scalar {
	if plainAtSight(s) {
		return scalar{first: s}
	}
	if sc, ok := e.scalars.Load(s); ok {
		return sc.(scalar)
	}
	text, err := yaml.Marshal(map[string]string{"k": s})
	if err != nil {
		return scalar{first: strconv.Quote(s)} // a string always marshals
	}
	body := strings.TrimPrefix(string(text), "k: ")
	first, rest, _ := strings.Cut(body, "\n")
	sc := scalar{first: first}
	switch block := first[0] == '|'; {
	case block:
		sc.lines = strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
	case strings.Contains(s, " "):
		sc.first = strings.TrimSuffix(body, "\n")
		sc.folds = true
	}
	e.scalars.Store(s, sc)
	return sc
}

// plainAtSight tells of the common strings that need no quotes: a letter or a
// slash first, then nothing that YAML gives a meaning. Words that YAML 1.1
// reads as something else are short; those of up to five letters are not
// decided here.
func plainAtSight(s string) bool {
	if len(s) < 6 || len(s) > 400 {
		return false
	}
	if c := s[0]; (c|0x20 < 'a' || c|0x20 > 'z') && c != '/' {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '.', c == '-', c == '_', c == '/':
		case c == ':' && i+1 < len(s) && s[i+1] != ' ':
		case c == '=' || c == ',' || c == '@':
		default:
			return false
		}
	}
	return true
}

// appendNumber writes a JSON number as the library does after reading it: as
// an integer if it fits, else as the shortest float.
func appendNumber(dst []byte, n string) []byte {
	if i, err := strconv.ParseInt(n, 10, 64); err == nil {
		return strconv.AppendInt(dst, i, 10)
	}
	if u, err := strconv.ParseUint(n, 10, 64); err == nil {
		return strconv.AppendUint(dst, u, 10)
	}
	f, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return append(dst, n...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

// naturalLess is the library's order of keys: letters after everything else,
// runs of digits by their value.
func naturalLess(a, b string) bool {
	ar, br := []rune(a), []rune(b)
	n := min(len(ar), len(br))
	i := 0
	for i < n && ar[i] == br[i] {
		i++
	}
	if i == n {
		return len(ar) < len(br)
	}
	aLetter, bLetter := unicode.IsLetter(ar[i]), unicode.IsLetter(br[i])
	if aLetter && bLetter {
		return ar[i] < br[i]
	}
	if aLetter || bLetter {
		return bLetter
	}
	return numericLess(ar, br, i)
}

// numericLess compares at i, the first rune that differs, neither a letter.
func numericLess(a, b []rune, i int) bool {
	var lead int64
	if a[i] == '0' || b[i] == '0' {
		// A zero inside a number counts; a leading one does not.
		for j := i - 1; j >= 0 && unicode.IsDigit(a[j]); j-- {
			if a[j] != '0' {
				lead = 1
				break
			}
		}
	}
	an, aEnd := digits(a, i, lead)
	bn, bEnd := digits(b, i, lead)
	if an != bn {
		return an < bn
	}
	if aEnd != bEnd {
		return aEnd < bEnd
	}
	return a[i] < b[i]
}

func digits(r []rune, i int, n int64) (value int64, end int) {
	for ; i < len(r) && unicode.IsDigit(r[i]); i++ {
		n = n*10 + int64(r[i]-'0')
	}
	return n, i
}
