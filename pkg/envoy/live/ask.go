package live

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// Answer is what became of a request.
type Answer struct {
	policy.Verdict
	Log []envoy.LogEntry // what Envoy wrote of it
	// Workload is who was called: of a request that a workload sent, the one that
	// its sidecar chose; empty for none.
	Workload string
	// Err says why the request could not be asked, or why nothing tells what
	// became of it. In the latter case it was Asked.
	Err   error
	Asked bool
}

// callers is how many requests are under way at once.
const callers = 16

// each does n calls, some at a time.
func each(ctx context.Context, n int, call func(i int)) error {
	var calls sync.WaitGroup
	free := make(chan struct{}, callers)
	for i := range n {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			calls.Wait()
			return ctx.Err()
		}
		calls.Go(func() {
			defer func() { <-free }()
			call(i)
		})
	}
	calls.Wait()
	return nil
}

// connections notes which calls were made on connections of which name: a
// client's port may serve again.
type connections struct {
	mu    sync.Mutex
	order map[string][]int
}

func (c *connections) add(name string, i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.order == nil {
		c.order = map[string][]int{}
	}
	c.order[name] = append(c.order[name], i)
}

// written waits for what Envoy writes of the connections, and hands it to the
// calls in their order.
func (c *connections) written(ctx context.Context, log *logTail, give func(i int, entries []envoy.LogEntry)) error {
	wanted := map[string]int{}
	for name, list := range c.order {
		wanted[name] = len(list)
	}
	written, err := log.take(ctx, wanted)
	if err != nil {
		return err
	}
	for name, list := range c.order {
		for n, i := range list {
			give(i, written[name][n])
		}
	}
	return nil
}

// Ask sends requests to the workloads that they name, and reads what became of
// each. Tokens that are described need Options.OwnKey.
func (s *Sidecars) Ask(ctx context.Context, requests []policy.Request) ([]Answer, error) {
	answers, replies := make([]Answer, len(requests)), make([]reply, len(requests))
	var opened connections
	err := each(ctx, len(requests), func(i int) {
		r := &requests[i]
		answers[i].Workload = r.To.Namespace + "/" + r.To.Workload
		t, ok := s.targets[answers[i].Workload]
		if !ok {
			answers[i].Err = fmt.Errorf("no sidecar of %s runs here", answers[i].Workload)
			return
		}
		if slices.Contains(t.bypassed, r.To.Port) {
			answers[i].Err = fmt.Errorf("port %d bypasses the sidecar of %s", r.To.Port, t.workload)
			return
		}
		replies[i], answers[i].Err = s.caller.call(ctx, t, r, func(name string) { opened.add(name, i) })
	})
	if err != nil {
		return nil, err
	}
	err = opened.written(ctx, s.log, func(i int, entries []envoy.LogEntry) {
		answers[i].Log = entries
		if answers[i].Err == nil {
			answers[i].Asked = true
			answers[i].Verdict, answers[i].Err = replies[i].verdict(entries)
		}
		answers[i].ID = requests[i].ID
	})
	return answers, err
}
