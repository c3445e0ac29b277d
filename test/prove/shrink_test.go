package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/policy"
)

func testGenerator(t *testing.T) *generator {
	t.Helper()
	s, err := newSigner()
	if err != nil {
		t.Fatal(err)
	}
	return &generator{seed: 7, requests: 20, signer: s, now: time.Now()}
}

// TestGenerator: random meshes are such that meshctl takes them, are the same
// for the same seed, and bring about every outcome and kind.
func TestGenerator(t *testing.T) {
	t.Parallel()
	g, count := testGenerator(t), newTally()
	for n := range 60 {
		c, err := g.make(n)
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := c.compile(g.now)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.requests {
			v := compiled.model.Evaluate(&c.requests[i])
			count.add(&c.requests[i], &v)
		}
		again, err := g.make(n)
		if err != nil {
			t.Fatal(err)
		}
		if again.requests[0].To != c.requests[0].To || len(again.objects) != len(c.objects) {
			t.Errorf("case %d is not the same twice", n)
		}
	}
	for _, kind := range []string{
		"verdict allow", "verdict deny", "verdict unauthenticated", "verdict refused", "verdict rejected", "over mTLS", "over plaintext",
		"over TLS without identity", "bytes", "HTTP/1.1", "HTTP/2", "gRPC", "tokens", "dry run", "external authorizer", "named rule",
	} {
		if count.counts[kind] == 0 {
			t.Errorf("no request is %s", kind)
		}
	}
	if count.counts["verdict unknown"] > 0 {
		t.Errorf("%d verdicts are unknown, though all is told", count.counts["verdict unknown"])
	}
}

// TestArchive: a case that is kept is read as it was.
func TestArchive(t *testing.T) {
	t.Parallel()
	g := testGenerator(t)
	for n := range 20 {
		c, err := g.make(n)
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.archive("why\n")
		if err != nil {
			t.Fatal(err)
		}
		read, err := readCase("kept", text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.compile(g.now)
		if err != nil {
			t.Fatal(err)
		}
		b, err := read.compile(g.now)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.requests {
			v, w := a.model.Evaluate(&c.requests[i]), b.model.Evaluate(&read.requests[i])
			if v.Outcome != w.Outcome || v.By != w.By || v.Reason != w.Reason {
				t.Errorf("case %d, request %d: %s %s, read %s %s", n, i, v.Outcome, v.Reason, w.Outcome, w.Reason)
			}
		}
	}
	for _, bad := range []string{"", "-- nothing --\n", "-- mesh.yaml --\na: [\n", "-- requests.jsonl --\nx\n"} {
		if _, err := readCase("bad", []byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "bad: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestShrink: what a disagreement does not need goes away, and what it needs
// stays.
func TestShrink(t *testing.T) {
	t.Parallel()
	g := testGenerator(t)
	needed := func(c *testCase) bool {
		_, err := c.compile(g.now)
		r := c.requests[0]
		return err == nil && r.HTTP != nil && strings.Contains(r.HTTP.Path, "..") && slices.ContainsFunc(c.objects, func(o object) bool {
			return o["kind"] == "AuthorizationPolicy"
		})
	}
	s := &shrinker{func(_ context.Context, cases []*testCase) ([]bool, error) {
		var shown []bool
		for _, c := range cases {
			shown = append(shown, needed(c))
		}
		return shown, nil
	}}
	shrunk := 0
	for n := 0; shrunk < 3; n++ {
		c, err := g.make(n)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(c.requests, func(r policy.Request) bool { return r.HTTP != nil && strings.Contains(r.HTTP.Path, "..") })
		if at < 0 {
			continue
		}
		c.requests = c.requests[at : at+1]
		if !needed(c) {
			continue
		}
		shrunk++
		small, err := s.shrink(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		text, err := small.archive("")
		if err != nil {
			t.Fatal(err)
		}
		// One workload, one policy, and a request that says no more than its path.
		if !needed(small) || len(small.objects) != 2 || len(small.meshConfig) > 0 || len(small.requests[0].HTTP.Headers)+len(small.requests[0].HTTP.Tokens) > 0 || len(text) > 500 {
			t.Errorf("%d bytes are left:\n%s", len(text), text)
		}
	}
}
