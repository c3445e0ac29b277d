package manifest

import (
	"encoding/json"
	"errors"
	"strings"
)

// errJSON says that a text is not the JSON that encoding/json writes.
var errJSON = errors.New("not a compact JSON text")

// jsonReader builds the tree of a JSON text: what encoding/json decodes with
// numbers kept as they are written, at a fraction of the cost.
type jsonReader struct {
	text  string
	at    int
	depth int
}

// maxJSONDepth is encoding/json's own limit.
const maxJSONDepth = 10000

// decodeJSON reads one JSON text.
func decodeJSON(text []byte) (any, error) {
	r := &jsonReader{text: string(text)}
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	if r.blanks(); r.at < len(r.text) {
		return nil, errJSON
	}
	return v, nil
}

func (r *jsonReader) blanks() {
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\n' || r.text[r.at] == '\t' || r.text[r.at] == '\r') {
		r.at++
	}
}

// next skips blanks and the byte c; false if something else is there.
func (r *jsonReader) next(c byte) bool {
	r.blanks()
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *jsonReader) value() (any, error) {
	r.blanks()
	if r.at >= len(r.text) || r.depth > maxJSONDepth {
		return nil, errJSON
	}
	switch rest := r.text[r.at:]; rest[0] {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return r.str()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	}
	start := r.at
	for r.at < len(r.text) && strings.IndexByte("+-.eE0123456789", r.text[r.at]) >= 0 {
		r.at++
	}
	if start == r.at {
		return nil, errJSON
	}
	return json.Number(r.text[start:r.at]), nil
}

func (r *jsonReader) word(w string) error {
	if !strings.HasPrefix(r.text[r.at:], w) {
		return errJSON
	}
	r.at += len(w)
	return nil
}

func (r *jsonReader) object() (any, error) {
	r.at++
	r.depth++
	defer func() { r.depth-- }()
	m := map[string]any{}
	if r.next('}') {
		return m, nil
	}
	for {
		if r.blanks(); r.at >= len(r.text) || r.text[r.at] != '"' {
			return nil, errJSON
		}
		key, err := r.str()
		if err != nil {
			return nil, err
		}
		if !r.next(':') {
			return nil, errJSON
		}
		if m[key], err = r.value(); err != nil {
			return nil, err
		}
		if r.next('}') {
			return m, nil
		}
		if !r.next(',') {
			return nil, errJSON
		}
	}
}

func (r *jsonReader) array() (any, error) {
	r.at++
	r.depth++
	defer func() { r.depth-- }()
	list := []any{}
	if r.next(']') {
		return list, nil
	}
	for {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if r.next(']') {
			return list, nil
		}
		if !r.next(',') {
			return nil, errJSON
		}
	}
}

// str reads a string; one with escapes is left to encoding/json.
func (r *jsonReader) str() (string, error) {
	start := r.at + 1
	for end := start; end < len(r.text); end++ {
		switch r.text[end] {
		case '"':
			r.at = end + 1
			return r.text[start:end], nil
		case '\\':
			return r.escaped(end)
		}
	}
	return "", errJSON
}

func (r *jsonReader) escaped(end int) (string, error) {
	for ; end < len(r.text); end++ {
		switch r.text[end] {
		case '\\':
			end++
		case '"':
			var s string
			err := json.Unmarshal([]byte(r.text[r.at:end+1]), &s)
			r.at = end + 1
			return s, err
		}
	}
	return "", errJSON
}
