package manifest

import (
	"encoding/json"
	"strings"
)

// flowReader reads a value in brackets or quotes from the text of one line.
type flowReader struct {
	*reader
	text string
}

func (f *flowReader) blanks() { f.text = strings.TrimLeft(f.text, " ") }

func (f *flowReader) value() any {
	if f.depth++; f.depth > maxDepth || f.text == "" {
		return f.fail()
	}
	defer func() { f.depth-- }()
	switch f.text[0] {
	case '{':
		return f.mapping()
	case '[':
		return f.sequence()
	case '"', '\'':
		return f.quoted()
	}
	end := strings.IndexAny(f.text, ",[]{}#")
	if end < 0 {
		return f.fail()
	}
	plain := strings.TrimRight(f.text[:end], " ")
	if f.text[end] == '#' || f.text[end] == '{' || f.text[end] == '[' || !plainInFlow(plain) {
		return f.fail()
	}
	f.text = f.text[end:]
	return f.resolve(plain)
}

// plainInFlow tells of plain scalars whose every byte means itself between
// brackets too.
func plainInFlow(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case isKeyByte(c) && (i > 0 || c != '-'), i > 0 && (c == ' ' || c == '=' || c == '$' || c == '(' || c == ')' || c == '*'):
		case c == ':' && i > 0 && i+1 < len(s) && isKeyByte(s[i+1]):
		default:
			return false
		}
	}
	return s != ""
}

func (f *flowReader) mapping() any {
	m := map[string]any{}
	return f.items("}", m, func() any {
		key, ok := f.key()
		if !ok {
			return f.fail()
		}
		f.blanks()
		m[key] = f.value()
		return m
	})
}

func (f *flowReader) sequence() any {
	list := []any{}
	return f.items("]", list, func() any {
		list = append(list, f.value())
		return list
	})
}

// items reads what stands between brackets, item by item, each of which gives
// the collection so far.
func (f *flowReader) items(closing string, collection any, item func() any) any {
	f.text = f.text[1:]
	if f.blanks(); strings.HasPrefix(f.text, closing) {
		f.text = f.text[1:]
		return collection
	}
	for {
		f.blanks()
		if collection = item(); f.failed {
			return nil
		}
		f.blanks()
		switch {
		case strings.HasPrefix(f.text, closing):
			f.text = f.text[1:]
			return collection
		case strings.HasPrefix(f.text, ","):
			f.text = f.text[1:]
		default:
			return f.fail()
		}
	}
}

// key reads "key: " or `"key":` within braces.
func (f *flowReader) key() (string, bool) {
	if f.text == "" {
		return "", false
	}
	if f.text[0] == '"' || f.text[0] == '\'' {
		before := len(f.text)
		k, ok := f.quoted().(string)
		if !ok || f.failed || !f.keyLength(before-len(f.text)) || !strings.HasPrefix(f.text, ":") {
			return "", false
		}
		f.text = f.text[1:]
		return k, true
	}
	key, rest, ok := f.splitKey(f.text)
	if !ok || rest == "" {
		return "", false
	}
	f.text = rest
	return key, true
}

// quoted reads a quoted scalar that ends on this line. Of the escapes of
// double quotes it knows those that JSON has too.
func (f *flowReader) quoted() any {
	if f.text[0] == '\'' {
		var out strings.Builder
		for rest := f.text[1:]; ; {
			end := strings.IndexByte(rest, '\'')
			if end < 0 {
				return f.fail()
			}
			out.WriteString(rest[:end])
			if !strings.HasPrefix(rest[end+1:], "'") {
				f.text = rest[end+1:]
				return out.String()
			}
			out.WriteByte('\'')
			rest = rest[end+2:]
		}
	}
	for end := 1; end < len(f.text); end++ {
		switch f.text[end] {
		case '\\':
			end++
		case '"':
			var s string
			if json.Unmarshal([]byte(f.text[:end+1]), &s) != nil {
				return f.fail()
			}
			f.text = f.text[end+1:]
			return s
		}
	}
	return f.fail()
}
