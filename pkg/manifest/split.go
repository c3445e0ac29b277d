package manifest

import (
	"bytes"
	"fmt"

	"github.com/meshctl/meshctl/pkg/report"
)

// Stream is the content of one file, URL or standard input, cut into documents.
type Stream struct {
	Name      string // file path, URL, or "-" for standard input
	Data      []byte
	Documents []Document
}

// Document is one YAML or JSON document of a stream.
type Document struct {
	// Text is the document with LF line ends and a final newline. A separator
	// that opens the stream belongs to the first document's text: Kubernetes'
	// reader keeps it, and passing through is byte for byte.
	Text []byte
	// Source is the name of the stream and Line the line of Text's first byte.
	Source string
	Line   int
	// Index counts the documents of a stream from 1.
	Index int

	start, end int // Text's place in Stream.Data
}

// Location is the place of line and column (from 1) of the document's text.
func (d *Document) Location(line, column int) report.Location {
	return report.Location{File: d.Source, Line: d.Line + max(line, 1) - 1, Column: column}
}

// Split cuts data into documents at the lines that begin with "---" (INJ-1,
// INJ-2). Only blanks or a comment may follow the dashes on such a line; any
// other text is an *report.InputError. Empty documents vanish.
func Split(name string, data []byte) (*Stream, error) {
	s := &Stream{Name: name, Data: data}
	doc := Document{Source: name, Line: 1}
	line := 0
	for pos := 0; pos < len(data); {
		line++
		next := pos + lineLength(data[pos:])
		rest, separator := bytes.CutPrefix(data[pos:next], []byte("---"))
		if separator {
			rest = bytes.TrimSpace(rest)
			if len(rest) > 0 && rest[0] != '#' {
				return nil, separatorError(name, line, rest)
			}
			if pos > doc.start {
				doc.end = pos
				s.add(doc)
				doc = Document{Source: name, Line: line + 1, start: next}
			}
		}
		pos = next
	}
	if doc.start < len(data) {
		doc.end = len(data)
		s.add(doc)
	}
	return s, nil
}

// Splice returns the stream's bytes with the text of each document replaced.
// A nil replacement keeps the document byte for byte.
func (s *Stream) Splice(texts [][]byte) []byte {
	var out []byte
	pos := 0
	for i, d := range s.Documents {
		out = append(out, s.Data[pos:d.start]...)
		pos = d.start
		if texts[i] != nil {
			out = append(out, texts[i]...)
			pos = d.end
		}
	}
	return append(out, s.Data[pos:]...)
}

// Rename gives the stream and its documents another name.
func (s *Stream) Rename(name string) {
	s.Name = name
	for i := range s.Documents {
		s.Documents[i].Source = name
	}
}

// Raw is the document as the stream has it, line ends included.
func (s *Stream) Raw(i int) []byte {
	return s.Data[s.Documents[i].start:s.Documents[i].end]
}

func (s *Stream) add(d Document) {
	d.Index = len(s.Documents) + 1
	d.Text = normalizeLines(s.Data[d.start:d.end])
	s.Documents = append(s.Documents, d)
}

// lineLength is the length of the first line of b, its line end included.
func lineLength(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// normalizeLines turns CRLF into LF and ends the last line.
func normalizeLines(b []byte) []byte {
	if bytes.Contains(b, []byte("\r\n")) {
		b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	}
	if len(b) > 0 && b[len(b)-1] != '\n' {
		b = append(bytes.Clone(b), '\n')
	}
	return b
}

func separatorError(name string, line int, rest []byte) error {
	return &report.InputError{
		Location: report.Location{File: name, Line: line, Column: 4},
		Err:      fmt.Errorf("invalid Yaml document separator: %s", rest),
		Hint:     "a line that starts with --- ends a document; indent it if it is content, or keep only a # comment after the dashes",
	}
}
