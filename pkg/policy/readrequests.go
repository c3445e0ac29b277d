package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/report"
)

// maxRequests limits the bytes of a request file.
const maxRequests = 1 << 30

// ReadRequests reads requests, one JSON object a line. It fails with every
// line that is none, or that asks for what cannot be.
func ReadRequests(name string, r io.Reader) ([]Request, error) {
	lines, size, err := readLines(io.LimitReader(r, maxRequests+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if size > maxRequests {
		return nil, fmt.Errorf("%s: more than %d MiB of requests: split the file", name, maxRequests>>20)
	}
	requests := make([]Request, len(lines))
	err = workers.Each(context.Background(), len(lines), chunk, func(i int) error {
		r := &requests[i]
		err := parseRequest(lines[i].text, r)
		if err == nil {
			err = r.validate()
		}
		if err != nil {
			return &report.InputError{Location: report.Location{File: name, Line: lines[i].number}, Err: err}
		}
		return nil
	})
	return requests, err
}

// line is a line of text that is not blank.
type line struct {
	number int
	text   string
}

// readLines reads lines and counts their bytes. It cuts the text into blocks of
// whole lines, so that a large one is not moved around in memory as it grows.
func readLines(r io.Reader) (lines []line, size int, err error) {
	number := 0
	block := make([]byte, 0, 1<<20)
	for err == nil {
		var n int
		n, err = r.Read(block[len(block):cap(block)])
		block, size = block[:len(block)+n], size+n
		if err == nil && len(block) < cap(block) {
			continue
		}
		end := len(block)
		if err == nil {
			end = bytes.LastIndexByte(block, '\n') + 1
		}
		for text := range strings.Lines(string(block[:end])) {
			number++
			if text = strings.TrimSpace(text); text != "" {
				lines = append(lines, line{number, text})
			}
		}
		block = append(block[:0], block[end:]...)
		if len(block) == cap(block) {
			block = slices.Grow(block, cap(block)) // one line is longer than the block
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, size, err
	}
	return lines, size, nil
}

// parseRequest reads one request: the form that programs write by a reader of
// our own, and anything else as encoding/json does, with its errors.
func parseRequest(text string, r *Request) error {
	if parsePlain(text, r) {
		return nil
	}
	return parseAny(text, r)
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
