package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"
)

// Answers are the verdicts of many requests as JSON, one a line, as encoding/json
// writes it but for the letters that it escapes for the sake of HTML.
type Answers struct {
	Total   int
	Unknown int    // how many of them are
	First   string // unknown one: the request, and why

	batches []*answered
}

// answered are the verdicts of one batch of requests.
type answered struct {
	Answers
	lines    []byte
	problems []error
}

// WriteTo writes the verdicts in the order of their requests.
func (a *Answers) WriteTo(w io.Writer) (written int64, err error) {
	for _, b := range a.batches {
		n, err := w.Write(b.lines)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// AnswerAll decides requests, one JSON object a line, on all processors. custom
// is what external authorizers answer to requests that do not say. It fails with
// every line that is no request, that asks for what cannot be, or that has no
// workload.
func (s *Simulator) AnswerAll(ctx context.Context, name string, r io.Reader, custom string) (*Answers, error) {
	type work struct {
		batch
		to *answered
	}
	var all Answers
	queue := make(chan work)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for w := range queue {
				if ctx.Err() == nil {
					s.answer(w.to, name, w.batch, custom)
				}
			}
		})
	}
	err := readBatches(name, r, func(b batch) {
		to := &answered{}
		all.batches = append(all.batches, to)
		queue <- work{b, to}
	})
	close(queue)
	workers.Wait()
	problems := []error{ctx.Err()}
	for _, b := range all.batches {
		problems = append(problems, b.problems...)
		if all.Total, all.Unknown = all.Total+b.Total, all.Unknown+b.Unknown; all.First == "" {
			all.First = b.First
		}
	}
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, err
	}
	return &all, nil
}

// answer decides the requests of a batch.
func (s *Simulator) answer(to *answered, name string, b batch, custom string) {
	var r Request
	for number, text := range b.lines {
		if err := parseRequest(text, &r); err != nil {
			to.problems = append(to.problems, badLine(name, number, err))
			continue
		}
		if r.Custom == "" {
			r.Custom = custom
		}
		v, err := s.Evaluate(&r)
		if err != nil {
			to.problems = append(to.problems, fmt.Errorf("request %q: %w", r.ID, err))
			continue
		}
		if to.Total++; v.Outcome == Unknown {
			if to.Unknown++; to.First == "" {
				to.First = fmt.Sprintf("request %q: %s", r.ID, v.Reason)
			}
		}
		to.lines = append(v.appendJSON(to.lines), '\n')
	}
}

// appendJSON has to name every field of a Verdict, in their order.
func (v *Verdict) appendJSON(b []byte) []byte {
	b = append(b, '{')
	b = appendOptional(b, "id", v.ID)
	b = appendText(append(b, `"verdict":`...), string(v.Outcome))
	if v.HTTPStatus != 0 {
		b = strconv.AppendInt(append(b, `,"httpStatus":`...), int64(v.HTTPStatus), 10)
	}
	if v.GRPCStatus != nil {
		b = strconv.AppendInt(append(b, `,"grpcStatus":`...), int64(*v.GRPCStatus), 10)
	}
	b = append(b, ',')
	b = appendOptional(b, "by", v.By)
	b = appendOptional(b, "custom", v.Custom)
	if v.DryRun != nil {
		b = append(v.DryRun.appendJSON(append(b, `"dryRun":`...)), ',')
	}
	b = append(b, `"stage":`...)
	b = appendText(b, string(v.Stage))
	if v.Reason != "" {
		b = appendText(append(b, `,"reason":`...), v.Reason)
	}
	return append(b, '}')
}

func (d *DryRun) appendJSON(b []byte) []byte {
	b = append(b, '{')
	if d.Allow != nil {
		b = d.Allow.appendJSON(append(b, `"allow":`...))
	}
	if d.Deny != nil {
		if d.Allow != nil {
			b = append(b, ',')
		}
		b = d.Deny.appendJSON(append(b, `"deny":`...))
	}
	return append(b, '}')
}

func (s *Shadow) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"result":`...), s.Result)
	if s.By != "" {
		b = appendText(append(b, `,"by":`...), s.By)
	}
	return append(b, '}')
}

// appendOptional adds a field and a comma, unless the text is empty.
func appendOptional(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	b = append(append(append(b, '"'), name...), `":`...)
	return append(appendText(b, text), ',')
}

// appendText leaves texts that are not plain ASCII to encoding/json.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			var quoted bytes.Buffer
			encoder := json.NewEncoder(&quoted)
			encoder.SetEscapeHTML(false)
			_ = encoder.Encode(text) // a text can be encoded, and a buffer written
			return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
