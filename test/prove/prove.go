package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/policy"
)

// prover asks the simulator and a real Envoy the same.
type prover struct {
	binary  string
	threads int
	now     time.Time
}

// finding is a request about which they do not agree.
type finding struct {
	*testCase   // with this request only
	differences []string
	log         []envoy.LogEntry
}

// check runs cases in one Envoy, each as a workload of its own, and compares all
// verdicts. It fails if meshctl or Envoy does not take a case.
func (p *prover) check(ctx context.Context, cases []*testCase, t *tally) error {
	var compiled []*compiledCase
	for _, c := range cases {
		if c.sends != nil {
			if err := p.checkSends(ctx, c, t); err != nil {
				return err
			}
			continue
		}
		one, err := c.compile(p.now)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		compiled = append(compiled, one)
	}
	if len(compiled) == 0 {
		return nil
	}
	answers, err := p.ask(ctx, compiled)
	if err != nil {
		return err
	}
	for _, c := range compiled {
		for i := range c.requests {
			r := &c.requests[i]
			want := c.model.Evaluate(r)
			t.add(r, &want)
			if differences := compare(&want, &answers[0]); differences != nil {
				alone := *c.testCase
				alone.requests = []policy.Request{*r}
				t.findings = append(t.findings, finding{&alone, differences, answers[0].Log})
			}
			answers = answers[1:]
		}
	}
	return nil
}

// compare are the differences between what is simulated and what is seen.
func compare(want *policy.Verdict, answer *live.Answer) []string {
	if answer.Err != nil {
		return []string{answer.Err.Error()}
	}
	return live.Differences(want, &answer.Verdict)
}

// ask boots the cases and sends all their requests. In Envoy each case goes by
// its number.
func (p *prover) ask(ctx context.Context, cases []*compiledCase) (answers []live.Answer, err error) {
	const namespace = "case"
	var workloads []live.Workload
	var requests []policy.Request
	for i, c := range cases {
		config := *c.config
		config.Workload = fmt.Sprintf("%s/%d", namespace, i)
		workloads = append(workloads, live.Workload{Config: &config, Identity: c.identity})
		for _, r := range c.requests {
			r.To.Namespace, r.To.Workload = namespace, fmt.Sprint(i)
			requests = append(requests, r)
		}
	}
	sidecars, err := live.Start(ctx, workloads, live.Options{Binary: p.binary, TrustDomain: "cluster.local", Now: time.Now, Threads: p.threads})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sidecars.Close()) }()
	return sidecars.Ask(ctx, requests)
}

// disagrees tells of each case whether the two do not agree about it. Cases that
// meshctl or Envoy does not take show nothing.
func (p *prover) disagrees(ctx context.Context, cases []*testCase) ([]bool, error) {
	shown := make([]bool, len(cases))
	var compiled []*compiledCase
	var at []int
	for i, c := range cases {
		if c.sends != nil {
			t := newTally()
			err := p.checkSends(ctx, c, t)
			shown[i] = err == nil && len(t.findings) > 0
		} else if one, err := c.compile(p.now); err == nil {
			compiled, at = append(compiled, one), append(at, i)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answers, err := p.askAny(ctx, compiled)
	for i := range answers {
		want := compiled[i].model.Evaluate(&compiled[i].requests[0])
		shown[at[i]] = answers[i] != nil && compare(&want, answers[i]) != nil
	}
	return shown, err
}

// askAny is ask for cases of one request each, of which Envoy may refuse some:
// their answers are nil.
func (p *prover) askAny(ctx context.Context, cases []*compiledCase) ([]*live.Answer, error) {
	answers := make([]*live.Answer, len(cases))
	if len(cases) == 0 {
		return answers, nil
	}
	all, err := p.ask(ctx, cases)
	switch {
	case err == nil:
		for i := range all {
			answers[i] = &all[i]
		}
		return answers, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(cases) == 1:
		return answers, nil
	}
	half := len(cases) / 2
	first, err := p.askAny(ctx, cases[:half])
	if err != nil {
		return nil, err
	}
	second, err := p.askAny(ctx, cases[half:])
	return append(first, second...), err
}
