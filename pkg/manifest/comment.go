package manifest

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// Comments finds the comments of a stream that begin with mark: the offsets of
// their first bytes. What looks like one within a text is none. Of a document that
// cannot be read all are given.
func (s *Stream) Comments(mark string) []int {
	var all []int
	var within func(at int) bool // a text of the document at hand
	document := -1
	for at := 0; at < len(s.Data); at++ {
		next := bytes.Index(s.Data[at:], []byte(mark))
		if next < 0 {
			break
		}
		at += next
		if at > 0 && !bytes.ContainsRune([]byte(" \t\r\n"), rune(s.Data[at-1])) {
			continue
		}
		n := s.documentAt(at)
		if n >= 0 && n != document {
			document, within = n, texts(s.Raw(n))
		}
		if n < 0 || !within(at-s.Documents[n].start) {
			all = append(all, at)
		}
	}
	return all
}

// documentAt is the number of the document at an offset, -1 for none.
func (s *Stream) documentAt(at int) int {
	for i := range s.Documents {
		if s.Documents[i].start <= at && at < s.Documents[i].end {
			return i
		}
	}
	return -1
}

// texts is the test for an offset that is within a quoted text, or one in block
// form.
func texts(raw []byte) func(at int) bool {
	var spans [][2]int
	if e, err := newEditing(raw, nil); err == nil {
		spans = e.texts(e.root, nil)
	}
	return func(at int) bool {
		for _, span := range spans {
			if span[0] <= at && at < span[1] {
				return true
			}
		}
		return false
	}
}

func (e *editing) texts(n *yaml.Node, spans [][2]int) [][2]int {
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		start, end := e.span(n)
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			start = e.lineEnd(n.Line - 1) // a comment may stand behind the bar
		}
		spans = append(spans, [2]int{start, end})
	}
	for _, child := range n.Content {
		spans = e.texts(child, spans)
	}
	return spans
}
