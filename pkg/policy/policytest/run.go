package policytest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"sync/atomic"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

// Suite is a document of tests and the mesh that its inputs describe. Documents
// with the same inputs share a mesh.
type Suite struct {
	File      *File
	Mesh      *mesh.Snapshot
	Namespace string          // of names in the file that come without one; empty is all
	Policy    *policy.Options // what manifests do not say; nil is nothing
}

// simulatorKey is what simulators may differ by.
type simulatorKey struct {
	mesh    *mesh.Snapshot
	options *policy.Options
}

func (s *Suite) key() simulatorKey { return simulatorKey{s.Mesh, s.Policy} }

// Options say which cases to run.
type Options struct {
	Only     *regexp.Regexp // names of cases; nil is all
	FailFast bool           // stop at the first case that fails
	Engine   Engine         // is asked too; nil is the simulator alone
}

// Result is what came out.
type Result struct {
	Suites   []report.Suite
	Coverage report.Coverage
	Engine   EngineSummary // of Options.Engine
}

// ErrNoCase says that no case has a name that was asked for.
var ErrNoCase = errors.New("no case has such a name")

// Run decides all cases, on all processors, and gives them in their order. It
// fails with all names in the files that the meshes do not have; a case that
// fails is a result.
func Run(ctx context.Context, suites []Suite, o Options) (*Result, error) {
	r := &run{simulators: map[simulatorKey]*policy.Simulator{}}
	r.firstFailed.Store(math.MaxInt64)
	if err := r.prepare(suites, o.Only); err != nil {
		return nil, err
	}
	if len(r.questions) == 0 {
		return nil, ErrNoCase
	}
	r.answers = make([]answered, len(r.questions))
	err := workers.Each(ctx, len(r.questions), chunk, func(i int) error { return r.answer(i, o.FailFast) })
	if err != nil {
		return nil, err
	}
	r.cut(o.FailFast)
	if o.Engine != nil {
		if err := r.askEngine(ctx, o.Engine); err != nil {
			return nil, err
		}
		r.cut(o.FailFast)
	}
	return &Result{Suites: r.suites(suites), Coverage: r.coverage(suites), Engine: r.told}, nil
}

// cut ends the results with the first that failed.
func (r *run) cut(failFast bool) {
	if last := r.firstFailed.Load(); failFast && last < int64(len(r.answers)) {
		r.answers = r.answers[:last+1]
	}
}

// chunk is how many questions a worker takes at a time.
const chunk = 16

// run is one call of Run.
type run struct {
	simulators  map[simulatorKey]*policy.Simulator
	questions   []question
	answers     []answered
	firstFailed atomic.Int64
	told        EngineSummary
}

// answered is what became of a question.
type answered struct {
	result  report.Case
	matched []ruleKey
	answer  policy.Answer
}

// ruleKey is a rule of a policy.
type ruleKey struct {
	policy *mesh.AuthorizationPolicy
	index  int
}

// prepare binds the cases that were asked for.
func (r *run) prepare(suites []Suite, only *regexp.Regexp) error {
	var problems []error
	for _, s := range suites {
		simulator := r.simulator(s)
		questions, err := bind(s)
		problems = append(problems, err)
		for _, q := range questions {
			q.simulator = simulator
			if only == nil || only.MatchString(q.row.name) {
				r.questions = append(r.questions, q)
			}
		}
	}
	return errors.Join(problems...)
}

// simulator is shared by the suites that have the same mesh and options.
func (r *run) simulator(s Suite) *policy.Simulator {
	if r.simulators[s.key()] == nil {
		var options policy.Options
		if s.Policy != nil {
			options = *s.Policy
		}
		r.simulators[s.key()] = options.NewSimulator(s.Mesh)
	}
	return r.simulators[s.key()]
}

// answer decides one question, unless an earlier one has failed and that ends
// the run.
func (r *run) answer(i int, failFast bool) error {
	if failFast && r.firstFailed.Load() < int64(i) {
		return nil
	}
	q := &r.questions[i]
	answer, err := q.simulator.Ask(&q.ask)
	if err != nil {
		at := q.row.at
		if q.row.subset.given() {
			at = q.row.subset.at
		}
		return q.file.decoder.fault(at, "", err)
	}
	r.answers[i] = answered{q.judge(&answer), matched(&answer), answer}
	r.noteFailure(i)
	return nil
}

// noteFailure keeps the first question that has failed.
func (r *run) noteFailure(i int) {
	if r.answers[i].result.Status != report.Failed {
		return
	}
	for first := r.firstFailed.Load(); int64(i) < first && !r.firstFailed.CompareAndSwap(first, int64(i)); {
		first = r.firstFailed.Load()
	}
}

// matched are the rules that matched at some endpoint, each once.
func matched(a *policy.Answer) []ruleKey {
	var all []ruleKey
	seen := map[ruleKey]bool{}
	for _, e := range a.Endpoints {
		for _, step := range e.Trace {
			for _, rule := range step.Matched {
				key := ruleKey{rule.Policy, rule.Index}
				if !seen[key] {
					seen[key] = true
					all = append(all, key)
				}
			}
		}
	}
	return all
}

// suites are the results by document, those without a case left out.
func (r *run) suites(suites []Suite) []report.Suite {
	var all []report.Suite
	at := 0
	for _, s := range suites {
		one := report.Suite{Name: s.File.Name, File: s.File.Source}
		for ; at < len(r.answers) && r.questions[at].file == s.File; at++ {
			one.Cases = append(one.Cases, r.answers[at].result)
		}
		if one.Cases != nil {
			all = append(all, one)
		}
	}
	return all
}

// String is the request, for traces.
func (q *question) String() string {
	request := "bytes"
	if h := q.ask.HTTP; h != nil {
		request = fmt.Sprintf("%s %s, host %s,", h.Method, h.Path, h.Authority)
	}
	return fmt.Sprintf("%s from %s to %s", request, q.ask.From, q.ask.To)
}
