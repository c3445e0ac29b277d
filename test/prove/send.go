package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// send is a request that a workload sends to a Service through its own sidecar;
// without HTTP it is bytes.
type send struct {
	From    string       `json:"from"` // NAMESPACE/NAME
	Service string       `json:"service"`
	Port    int32        `json:"port"`
	HTTP    *policy.HTTP `json:"http,omitempty"`
	// Lines are the header lines, which stand apart as they do in a plainCase.
	Lines []policy.Line `json:"lines,omitempty"`
}

// request is the whole request; nil for bytes.
func (s *send) request() *policy.HTTP {
	if s.HTTP == nil {
		return nil
	}
	h := *s.HTTP
	h.Headers = s.Lines
	return &h
}

// sendingMesh is a case whose workloads all run.
type sendingMesh struct {
	*testCase
	snapshot  *mesh.Snapshot
	simulator *policy.Simulator
	workloads []live.Workload
	plain     map[string][]uint32
}

// compileSends makes the configurations of all workloads.
func (c *testCase) compileSends(now time.Time) (*sendingMesh, error) {
	snapshot, err := c.build()
	if err != nil {
		return nil, err
	}
	m := &sendingMesh{testCase: c, snapshot: snapshot, simulator: policy.Options{Now: now}.NewSimulator(snapshot), plain: map[string][]uint32{}}
	g := envoy.NewGenerator(snapshot, m.simulator)
	for _, w := range snapshot.Workloads {
		if !w.Membership.Sidecar {
			for _, p := range snapshot.InboundPorts(w) {
				m.plain[w.Namespace+"/"+w.Name] = append(m.plain[w.Namespace+"/"+w.Name], uint32(p.Number))
			}
			continue
		}
		config, err := g.Config(w)
		if err != nil {
			return nil, err
		}
		m.workloads = append(m.workloads, live.Workload{Config: config, Identity: w.Identity(snapshot.Config.TrustDomain)})
	}
	return m, nil
}

// question is what the simulator is asked about a send.
func (m *sendingMesh) question(s *send) (*policy.Question, error) {
	from, err := m.snapshot.FindWorkload(s.From, appNamespace)
	if err != nil {
		return nil, err
	}
	service, err := m.snapshot.FindService(s.Service, appNamespace)
	if err != nil {
		return nil, err
	}
	port, ok := service.Port(fmt.Sprint(s.Port))
	if !ok {
		return nil, fmt.Errorf("%s has no port %d", service, s.Port)
	}
	if s.HTTP == nil && port.Protocol.Traffic() == mesh.HTTPTraffic {
		return nil, fmt.Errorf("bytes to %s:%d, which is for requests", service, s.Port)
	}
	return &policy.Question{From: policy.Caller{Workload: from}, To: policy.Callee{Service: service, Port: port}, HTTP: s.request(), Routed: true}, nil
}

// checkSends runs a mesh, sends all its requests and compares the verdicts at the
// workload that each came to.
func (p *prover) checkSends(ctx context.Context, c *testCase, t *tally) error {
	m, err := c.compileSends(p.now)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	answers, addresses, err := p.send(ctx, m)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	for i := range m.sends {
		want, err := m.simulate(&m.sends[i], answers[i].Workload, addresses)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		t.addSend(&m.sends[i], want, m.redirected)
		if differences := compare(want, &answers[i]); differences != nil {
			alone := *c
			alone.sends = m.sends[i : i+1 : i+1]
			t.findings = append(t.findings, finding{&alone, differences, answers[i].Log})
		}
	}
	return nil
}

// simulate is the verdict at the workload that a request came to; of one that
// came nowhere it is that of the first that it may reach. A workload that it
// cannot reach is a verdict that Envoy never has.
func (m *sendingMesh) simulate(s *send, workload string, addresses map[string]string) (*policy.Verdict, error) {
	questions, err := m.questions(s)
	if err != nil {
		return nil, err
	}
	if questions == nil && workload == "" {
		return nowhere(s), nil
	}
	for _, q := range questions {
		q.SourceIP, q.DestinationIP, q.Custom = addresses[s.From], addresses[workload], m.custom
		asked, err := m.simulator.Ask(q)
		if err != nil {
			return nil, err
		}
		for i := range asked.Endpoints {
			if w := asked.Endpoints[i].Workload; w != nil && (workload == "" || w.Namespace+"/"+w.Name == workload) {
				return &asked.Endpoints[i].Verdict, nil
			}
		}
	}
	if workload == "" {
		return nil, fmt.Errorf("nobody is behind %s:%d", s.Service, s.Port)
	}
	return &policy.Verdict{Outcome: policy.Unknown}, nil
}

// send boots a mesh and sends its requests. Addresses are those of the workloads.
func (p *prover) send(ctx context.Context, m *sendingMesh) (answers []live.Answer, addresses map[string]string, err error) {
	sidecars, err := live.Start(ctx, m.workloads, live.Options{
		Binary: p.binary, Form: envoy.OwnAddresses, TrustDomain: m.snapshot.Config.TrustDomain, Now: time.Now, Threads: p.threads, Senders: true, Plain: m.plain, Custom: m.custom, Redirected: m.redirected,
	})
	if err != nil {
		return nil, nil, err
	}
	addresses = map[string]string{}
	for i := range m.workloads {
		name := m.workloads[i].Config.Workload
		addresses[name] = sidecars.Address(name).String()
	}
	defer func() { err = errors.Join(err, sidecars.Close()) }()
	var sent []live.Sent
	for i := range m.sends {
		s := &m.sends[i]
		q, err := m.question(s)
		if err != nil {
			return nil, nil, err
		}
		one := live.Sent{From: s.From, Port: uint32(s.Port), HTTP: s.request()}
		if q.To.Port.Protocol.Traffic() != mesh.HTTPTraffic {
			one.Address = sidecars.ServiceAddress(s.From, q.To.Service.Hostname, one.Port)
		}
		sent = append(sent, one)
	}
	answers, err = sidecars.Send(ctx, sent)
	return answers, addresses, err
}
