package policytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

// Start says what a first test file names.
type Start struct {
	Name       string
	Namespace  string
	Inputs     []Input // none for the folder that the file is in
	MeshConfig string
}

// maxPins limits the requests of a first test file.
const maxPins = 200000

// Init writes a first test file for a mesh, which pins what its policies do
// today: for each port of a workload that a Service declares, calls from every
// account that the files or the rules know and without mTLS, with requests that
// the policies' rules look for. The file passes when it is run on the same mesh.
func Init(ctx context.Context, s *mesh.Snapshot, start Start) ([]byte, error) {
	w := &writer{mesh: s, simulator: policy.NewSimulator(s), tokens: map[string]token{}, names: map[string]int{}}
	pins := w.pins()
	switch {
	case len(pins) == 0:
		return nil, errors.New("nothing to pin: no workload of the manifests has a sidecar and a port that a Service declares")
	case len(pins) > maxPins:
		return nil, fmt.Errorf("more than %d requests would be too much for one test file: write one for each application, with the manifests of its own (-f)", maxPins)
	}
	if err := w.decide(ctx, pins); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(pins, func(p pin) bool { return p.verdict == policy.Unknown }) {
		// Addresses that nobody told may be why.
		w.sourceIP, w.destinationIP = "192.0.2.1", "192.0.2.2"
		if err := w.decide(ctx, pins); err != nil {
			return nil, err
		}
	}
	text, err := w.render(start, pins)
	if err != nil {
		return nil, err
	}
	return text, w.prove(ctx, text, start)
}

// prove runs what was written.
func (w *writer) prove(ctx context.Context, text []byte, start Start) error {
	stream, err := manifest.Read(start.Name, text)
	if err != nil {
		return err
	}
	files, err := Parse(stream)
	if err != nil {
		return unspeakable(err)
	}
	result, err := Run(ctx, []Suite{{File: files[0], Mesh: w.mesh, Namespace: cmp.Or(start.Namespace, "default")}}, Options{})
	if err != nil {
		return unspeakable(err)
	}
	for _, c := range result.Suites[0].Cases {
		if c.Status != report.Passed {
			return fmt.Errorf("internal: the file would not pass: %s: %v: %s", c.Name, c.Unmet(), c.Detail)
		}
	}
	return nil
}

// unspeakable tells the first of the names that are none in a test file, such
// as an account with a star.
func unspeakable(err error) error {
	var first *report.InputError
	if errors.As(err, &first) {
		err = first.Err
	}
	return fmt.Errorf("the manifests have a name that a test file cannot say: %w", err)
}

// pin is a request and what becomes of it today.
type pin struct {
	to       string // the workload's port
	from     string
	token    string
	sample   sample
	tcp      bool
	question policy.Question
	verdict  policy.Outcome
	by       string
}

// writer collects what a test file is made of.
type writer struct {
	mesh                    *mesh.Snapshot
	simulator               *policy.Simulator
	sourceIP, destinationIP string
	tokens                  map[string]token
	names                   map[string]int // of cases, how often
}

// pins are the requests to decide, by port.
func (w *writer) pins() []pin {
	callers := w.callers()
	var all []pin
	for _, workload := range w.mesh.Workloads {
		if workload.IsGateway() || workload.Membership.Reason == mesh.Ambient {
			continue // outside of the model
		}
		model := w.simulator.Model(workload)
		requests := samples(model)
		tokens := []string{noToken}
		for _, t := range sampleTokens(model) {
			tokens = append(tokens, w.nameToken(t))
		}
		for _, p := range w.mesh.InboundPorts(workload) {
			to := policy.Callee{Workload: workload, Number: uint32(p.Number)}
			one := pin{to: fmt.Sprintf("%s/%s.%s:%d", shortKind(workload.Kind), workload.Name, workload.Namespace, p.Number)}
			one.tcp = p.Protocol.Traffic() == mesh.TCPTraffic
			for _, c := range callers {
				one.from, one.question = c.name, policy.Question{From: c.caller, To: to}
				if len(all) > maxPins {
					return all
				}
				if one.tcp {
					all = append(all, one)
					continue
				}
				all = append(all, w.requests(one, requests, tokens)...)
			}
		}
	}
	return all
}

// requests are the HTTP requests of one caller to one port.
func (w *writer) requests(one pin, requests []sample, tokens []string) []pin {
	var all []pin
	for _, name := range tokens {
		for _, s := range requests {
			h := &policy.HTTP{Method: s.method, Path: s.path, Authority: cmp.Or(s.host, one.question.To.Authority())}
			if name != noToken {
				t := w.tokens[name]
				t.complete(&decoder{}, node{})
				h.Tokens = []policy.Token{t.Token}
			}
			one.token, one.sample, one.question.HTTP = name, s, h
			all = append(all, one)
		}
	}
	return all
}

type namedCaller struct {
	name   string
	caller policy.Caller
}

// callers are the accounts of the files, those that rules name besides, and a
// client without mTLS.
func (w *writer) callers() []namedCaller {
	all := []namedCaller{{plaintextName, policy.Caller{}}}
	for _, ns := range w.mesh.Namespaces() {
		for _, account := range w.mesh.Accounts(ns) {
			if account == "default" && len(w.mesh.RunsAs(ns, account)) == 0 {
				continue // every namespace has it
			}
			name := ns + "/" + account
			if mesh.IsKind(ns, "ServiceAccount") || w.mesh.IsWorkloadKind(ns) {
				name = "sa/" + account + "." + ns
			}
			all = append(all, namedCaller{name, policy.Caller{Namespace: ns, Account: account}})
		}
	}
	for _, id := range strangers(w.mesh) {
		all = append(all, namedCaller{id, policy.Caller{Principal: id}})
	}
	return all
}

// shortKind is a kind as people type it.
func shortKind(kind string) string {
	for _, short := range []string{"deploy", "sts", "ds", "po", "rs", "we", "wg"} {
		if mesh.IsKind(short, kind) {
			return short
		}
	}
	return strings.ToLower(kind)
}

// nameToken gives a token a short name: its issuer's, as far as that is a word.
func (w *writer) nameToken(t token) string {
	word := strings.Trim(notWord.ReplaceAllString(strings.TrimPrefix(t.issuer.value, "https://"), "-"), "-")
	for n := 1; ; n++ {
		name := cmp.Or(word, "token")
		if n > 1 || name == noToken {
			name = fmt.Sprintf("%s-%d", name, n)
		}
		known, taken := w.tokens[name]
		if !taken || fmt.Sprint(known) == fmt.Sprint(t) {
			w.tokens[name] = t
			return name
		}
	}
}

// decide asks what becomes of the requests.
func (w *writer) decide(ctx context.Context, pins []pin) error {
	return workers.Each(ctx, len(pins), chunk, func(i int) error {
		p := &pins[i]
		p.question.SourceIP, p.question.DestinationIP = w.sourceIP, w.destinationIP
		answer, err := w.simulator.Ask(&p.question)
		if err != nil {
			return err
		}
		p.verdict, p.by = answer.Outcome, ""
		if len(answer.Endpoints) == 0 {
			return nil
		}
		switch e := &answer.Endpoints[0]; {
		case e.Rule == nil:
			p.by = e.By // none, or nothing
		case ruleName.MatchString(ruleText(e.Rule)):
			p.by = ruleText(e.Rule)
		default:
			p.by = e.By
		}
		return nil
	})
}
