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
	"sync"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Simulator answers requests to any workload of a snapshot. It compiles a
// workload's model when it is first asked for, and may be shared.
type Simulator struct {
	snapshot *mesh.Snapshot
	shared   *compilation
	models   memo[*mesh.Workload, *Model]
	outbound func() *Outbound
}

// NewSimulator answers requests to the workloads of a snapshot.
func NewSimulator(s *mesh.Snapshot) *Simulator { return Options{}.NewSimulator(s) }

// NewSimulator answers requests to the workloads of a snapshot.
func (o Options) NewSimulator(s *mesh.Snapshot) *Simulator {
	return &Simulator{snapshot: s, shared: newCompilation(s, o), outbound: sync.OnceValue(func() *Outbound { return NewOutbound(s) })}
}

// Model is the enforcement model of a workload.
func (s *Simulator) Model(w *mesh.Workload) *Model {
	if m, made := s.models.get(w); made {
		return m
	}
	return s.models.of(w, func() *Model { return s.shared.model(w) })
}

// Evaluate decides a request. It fails if there is no such workload.
func (s *Simulator) Evaluate(r *Request) (Verdict, error) {
	w := s.snapshot.Workload(r.To.Namespace, r.To.Workload)
	if w == nil {
		return Verdict{}, s.unknownWorkload(r.To)
	}
	return s.Model(w).Evaluate(r), nil
}

// EvaluateAll decides many requests, on all processors, and keeps their order.
// custom is what external authorizers answer to requests that do not say. It
// fails with the errors of all requests that have no workload.
func (s *Simulator) EvaluateAll(ctx context.Context, requests []Request, custom string) ([]Verdict, error) {
	verdicts := make([]Verdict, len(requests))
	err := workers.Each(ctx, len(requests), chunk, func(i int) (err error) {
		if requests[i].Custom == "" {
			requests[i].Custom = custom
		}
		if verdicts[i], err = s.Evaluate(&requests[i]); err != nil {
			return fmt.Errorf("request %q: %w", requests[i].ID, err)
		}
		return nil
	})
	return verdicts, err
}

// unknownWorkload names the workloads that may have been meant.
func (s *Simulator) unknownWorkload(to Destination) error {
	var near []string
	for _, w := range s.snapshot.Workloads {
		if w.Namespace == to.Namespace || w.Name == to.Workload {
			near = append(near, w.Namespace+"/"+w.Name)
		}
	}
	err := fmt.Errorf("no workload %s/%s in the manifests", to.Namespace, to.Workload)
	if near == nil {
		return err
	}
	slices.Sort(near)
	const most = 5
	if len(near) > most {
		near = append(near[:most], "...")
	}
	return fmt.Errorf("%w; there are %s", err, strings.Join(near, ", "))
}

// maxRequests limits the bytes of a request file.
const maxRequests = 1 << 30

// ReadRequests reads requests, one JSON object a line. It fails with every
// line that is none, or that asks for what cannot be.
func ReadRequests(name string, r io.Reader) ([]Request, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRequests+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxRequests {
		return nil, fmt.Errorf("%s: more than %d MiB of requests: split the file", name, maxRequests>>20)
	}
	type line struct {
		number int
		text   []byte
	}
	var lines []line
	number := 0
	for text := range bytes.Lines(data) {
		number++
		if text = bytes.TrimSpace(text); len(text) > 0 {
			lines = append(lines, line{number, text})
		}
	}
	requests := make([]Request, len(lines))
	err = workers.Each(context.Background(), len(lines), chunk, func(i int) (err error) {
		if requests[i], err = parseRequest(lines[i].text); err != nil {
			return &report.InputError{Location: report.Location{File: name, Line: lines[i].number}, Err: err}
		}
		return nil
	})
	return requests, err
}

// chunk is how many requests a worker takes at a time: one is little work.
const chunk = 256

func parseRequest(text []byte) (Request, error) {
	var r Request
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("not a request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("not a request: more than one JSON value on the line")
	}
	return r, r.validate()
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
