package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/report"
)

// maxRequests limits the bytes of a request file.
const maxRequests = 1 << 30

// ReadRequests reads requests, one JSON object a line. It fails with every
// line that is none, or that asks for what cannot be.
func ReadRequests(name string, r io.Reader) ([]Request, error) {
	var requests []Request
	var problems []error
	err := readBatches(name, r, func(b batch) {
		for number, text := range b.lines {
			var one Request
			if err := parseRequest(text, &one); err != nil {
				problems = append(problems, badLine(name, number, err))
			}
			requests = append(requests, one)
		}
	})
	return requests, errors.Join(append(problems, err)...)
}

// badLine places an error at a line of requests.
func badLine(name string, number int, err error) error {
	return &report.InputError{Location: report.Location{File: name, Line: number}, Err: err}
}

// batch is some whole lines of a text.
type batch struct {
	first int // number of the first line
	text  string
}

// lines are the lines that are not blank, without outer blanks, and their
// numbers.
func (b batch) lines(yield func(number int, text string) bool) {
	number := b.first
	for text := range strings.Lines(b.text) {
		if text = strings.TrimSpace(text); text != "" && !yield(number, text) {
			return
		}
		number++
	}
}

// batchSize is about how much text a batch has; one line may be more.
const batchSize = 1 << 19

// readBatches hands on a text in batches, so that a large one is not moved around
// in memory as it grows, nor kept.
func readBatches(name string, r io.Reader, take func(batch)) error {
	buffer := make([]byte, 0, batchSize)
	number, size := 1, 0
	for {
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer, size = buffer[:len(buffer)+n], size+n
		switch {
		case size > maxRequests:
			return fmt.Errorf("%s: more than %d MiB of requests: split the file", name, maxRequests>>20)
		case errors.Is(err, io.EOF):
			take(batch{number, string(buffer)})
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", name, err)
		case len(buffer) < cap(buffer):
			continue
		}
		if end := bytes.LastIndexByte(buffer, '\n') + 1; end > 0 {
			take(batch{number, string(buffer[:end])})
			number += bytes.Count(buffer[:end], []byte("\n"))
			buffer = append(buffer[:0], buffer[end:]...)
		} else {
			buffer = slices.Grow(buffer, cap(buffer))
		}
	}
}

// parseRequest reads one request: the form that programs write by a reader of
// our own, and anything else as encoding/json does, with its errors.
func parseRequest(text string, r *Request) error {
	*r = Request{}
	if !parsePlain(text, r) {
		if err := parseAny(text, r); err != nil {
			return err
		}
	}
	return r.validate()
}

func parseAny(text string, r *Request) error {
	*r = Request{}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return fmt.Errorf("not a request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("not a request: more than one JSON value on the line")
	}
	return nil
}

// validate refuses requests that cannot be meant.
func (r *Request) validate() error {
	switch {
	case r.To.Workload == "" || r.To.Namespace == "":
		return errors.New("to: expected a namespace and a workload")
	case r.To.Port == 0 || r.To.Port > 65535:
		return fmt.Errorf("to.port %d: expected 1 to 65535", r.To.Port)
	case r.From.IP != "" && !address(r.From.IP).IsValid():
		return fmt.Errorf("from.ip %q: expected an address", r.From.IP)
	case r.To.IP != "" && !address(r.To.IP).IsValid():
		return fmt.Errorf("to.ip %q: expected an address", r.To.IP)
	case !slices.Contains([]string{"", "allow", "deny", "error"}, r.Custom):
		return fmt.Errorf("custom %q: expected allow, deny or error", r.Custom)
	}
	if r.HTTP == nil {
		return nil
	}
	if !slices.Contains([]string{"", "1.1", "2"}, r.HTTP.Version) {
		return fmt.Errorf("http.version %q: expected 1.1 or 2", r.HTTP.Version)
	}
	for i, t := range r.HTTP.Tokens {
		switch {
		case !slices.Contains([]string{"header", "param", "cookie"}, t.In) || t.Name == "":
			return fmt.Errorf("http.tokens[%d]: expected \"in\" header, param or cookie, and a name", i)
		case t.JWT != "" && (t.Valid || t.Why != "" || t.Claims != nil):
			return fmt.Errorf("http.tokens[%d]: expected either \"jwt\", or \"valid\", \"invalid\" and \"claims\"", i)
		case t.JWT == "" && !t.Valid && !slices.Contains([]string{"signature", "expired", "malformed"}, t.Why):
			return fmt.Errorf("http.tokens[%d]: expected \"jwt\", \"valid\" true, or \"invalid\" signature, expired or malformed", i)
		}
	}
	return nil
}
