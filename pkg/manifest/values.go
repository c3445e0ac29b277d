package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/report"
)

// jsonValues cuts a document that is a stream of JSON values into one document
// each; any other document stays whole.
func (d Document) jsonValues(data []byte) []Document {
	raw := data[d.start:d.end]
	lead := leadIn(raw)
	if lead == len(raw) || raw[lead] != '{' {
		return []Document{d}
	}
	ends, err := valueEnds(raw[lead:])
	if err != nil || len(ends) < 2 {
		return []Document{d} // YAML in flow style, or broken: not for us to tell
	}
	var values []Document
	start := 0
	for i, end := range ends {
		end += lead
		if i == len(ends)-1 {
			end = len(raw)
		}
		part := Document{Source: d.Source, start: d.start + start, end: d.start + end}
		blank := len(raw[start:end]) - len(bytes.TrimLeft(raw[start:end], " \t\r\n"))
		part.start += blank
		part.Line = d.Line + bytes.Count(raw[:start+blank], []byte("\n"))
		part.Text = normalizeLines(data[part.start:part.end])
		values = append(values, part)
		start = end
	}
	return values
}

// leadIn is the length of what may stand before a document's value: blanks,
// comments, a separator.
func leadIn(text []byte) int {
	at := 0
	for at < len(text) {
		length := lineLength(text[at:])
		line := bytes.TrimLeft(text[at:at+length], " \t\r\n")
		if len(line) > 0 && line[0] != '#' && !bytes.HasPrefix(text[at:], []byte("---")) {
			return at + length - len(line)
		}
		at += length
	}
	return at
}

// valueEnds are the places where the JSON values of a text end, as far as they
// are valid.
func valueEnds(text []byte) ([]int, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var ends []int
	for {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return ends, nil
		}
		if err != nil {
			return ends, err
		}
		ends = append(ends, int(decoder.InputOffset()))
	}
}

// checkEnd refuses text after the end of the document, behind "..." or a
// closing bracket. Kubernetes' readers never look at it, so that an object
// there would be lost without a word (INJ-11).
func (d *Document) checkEnd() error {
	lead := leadIn(d.Text)
	if lead == len(d.Text) || !strings.ContainsRune("{[\"'.", rune(d.Text[lead])) && !bytes.Contains(d.Text, []byte("\n...")) {
		return nil // such a document ends where its text does
	}
	if _, err := valueEnds(d.Text[lead:]); err == nil {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(d.Text))
	var first, second any
	if decoder.Decode(&first) != nil {
		return nil // broken, or a template: told by who reads it
	}
	if errors.Is(decoder.Decode(&second), io.EOF) {
		return nil
	}
	return &report.InputError{
		Location: d.afterEnd(lead),
		Err:      errors.New("text after the end of the document"),
		Hint:     "put a line of --- before each further document",
	}
}

// afterEnd is the place of what follows the value that begins at lead.
func (d *Document) afterEnd(lead int) report.Location {
	at := lead
	if ends, _ := valueEnds(d.Text[lead:]); len(ends) > 0 {
		at += ends[len(ends)-1]
	} else {
		at = bytes.Index(d.Text, []byte("\n...")) + 1
	}
	at += leadIn(d.Text[at:])
	if bytes.HasPrefix(d.Text[at:], []byte("...")) {
		at += lineLength(d.Text[at:])
		at += leadIn(d.Text[at:])
	}
	return d.Location(1+bytes.Count(d.Text[:at], []byte("\n")), at-bytes.LastIndexByte(d.Text[:at], '\n'))
}
