package manifest

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// KeySpan is where the last key of path is written: the offsets of its first
// byte in the document's text and of the one behind it, quotes included.
func (d *Document) KeySpan(path ...string) (start, end int, found bool) {
	e, err := newEditing(d.Text, nil)
	if err != nil || len(path) == 0 {
		return 0, 0, false
	}
	node := e.root
	for _, step := range path[:len(path)-1] {
		if node, _ = descend(node, []string{step}); node == nil {
			return 0, 0, false
		}
	}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Value != path[len(path)-1] {
			continue
		}
		start = e.offset(key.Line, key.Column)
		switch {
		case key.Style&yaml.DoubleQuotedStyle != 0:
			return start, e.quotedEnd(start, '"'), true
		case key.Style&yaml.SingleQuotedStyle != 0:
			return start, e.quotedEnd(start, '\''), true
		case key.Anchor != "" || !bytes.HasPrefix(e.text[start:], []byte(key.Value)):
			return 0, 0, false // a tag, an alias or the like
		}
		return start, start + len(key.Value), true
	}
	return 0, 0, false
}

// Offset is where in the stream's data a byte of the document's text stands.
func (s *Stream) Offset(d *Document, at int) int {
	raw := s.Data[d.start:d.end]
	offset := 0
	for ; at > 0 && offset < len(raw); at-- {
		if raw[offset] == '\r' && offset+1 < len(raw) && raw[offset+1] == '\n' {
			offset++
		}
		offset++
	}
	return d.start + offset
}
