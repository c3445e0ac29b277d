package policy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Simulator answers requests to any workload of a snapshot. It compiles a
// workload's model when it is first asked for, and may be shared.
type Simulator struct {
	snapshot *mesh.Snapshot
	models   sync.Map // *mesh.Workload -> func() *Model
}

// NewSimulator answers requests to the workloads of a snapshot.
func NewSimulator(s *mesh.Snapshot) *Simulator { return &Simulator{snapshot: s} }

// Model is the enforcement model of a workload.
func (s *Simulator) Model(w *mesh.Workload) *Model {
	compile, _ := s.models.LoadOrStore(w, sync.OnceValue(func() *Model { return Compile(s.snapshot, w) }))
	return compile.(func() *Model)()
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
	problems := make([]error, len(requests))
	const chunk = 256
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for ctx.Err() == nil {
				start := int(next.Add(chunk)) - chunk
				if start >= len(requests) {
					return
				}
				for i := start; i < min(start+chunk, len(requests)); i++ {
					if requests[i].Custom == "" {
						requests[i].Custom = custom
					}
					if verdicts[i], problems[i] = s.Evaluate(&requests[i]); problems[i] != nil {
						problems[i] = fmt.Errorf("request %q: %w", requests[i].ID, problems[i])
					}
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return verdicts, errors.Join(problems...)
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

// maxLine limits a line of a request file.
const maxLine = 4 << 20

// ReadRequests reads requests, one JSON object a line. It fails with every
// line that is none, or that asks for what cannot be.
func ReadRequests(name string, r io.Reader) ([]Request, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var requests []Request
	var problems []error
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		request, err := parseRequest(text)
		if err != nil {
			problems = append(problems, &report.InputError{Location: report.Location{File: name, Line: n}, Err: err})
			continue
		}
		requests = append(requests, request)
	}
	if err := lines.Err(); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", name, err))
	}
	return requests, errors.Join(problems...)
}

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
		case !t.Valid && !slices.Contains([]string{"signature", "expired", "malformed"}, t.Why):
			return fmt.Errorf("http.tokens[%d]: expected \"invalid\" signature, expired or malformed, or \"valid\" true", i)
		}
	}
	return nil
}
