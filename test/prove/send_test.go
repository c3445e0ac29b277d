package main

import (
	"reflect"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestSendingMeshes: random meshes of workloads that send are such that meshctl
// takes them, are read again as they were, and bring about what senders' sidecars
// do.
func TestSendingMeshes(t *testing.T) {
	t.Parallel()
	g := testGenerator(t)
	seen := map[string]int{}
	for n := range 40 {
		c, err := g.makeSends(n)
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
		if !reflect.DeepEqual(read.sends, c.sends) || read.custom != c.custom || read.redirected != c.redirected {
			t.Fatalf("case %d is not read as it was", n)
		}
		m, err := read.compileSends(g.now)
		if err != nil {
			t.Fatal(err)
		}
		if c.redirected != "" {
			seen["redirected"]++
		}
		for i := range m.sends {
			countSend(t, m, &m.sends[i], seen)
		}
	}
	for _, what := range []string{"allow", "deny", "refused", "rejected", "unauthenticated", "subset", "several destinations", "elsewhere", "client-tls", "redirected"} {
		if seen[what] == 0 {
			t.Errorf("no request is %s", what)
		}
	}
	if seen["unknown"] > 0 {
		t.Errorf("%d verdicts are unknown, though all is told", seen["unknown"])
	}
}

func countSend(t *testing.T, m *sendingMesh, s *send, seen map[string]int) {
	t.Helper()
	questions, err := m.questions(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range questions {
		if q.Subset != "" {
			seen["subset"]++
		}
		if q.To.Service.Hostname != s.Service {
			seen["elsewhere"]++
		}
	}
	if len(questions) > 1 {
		seen["several destinations"]++
	}
	addresses := map[string]string{s.From: "127.0.0.1", "": "127.0.0.2"}
	v, err := m.simulate(s, "", addresses)
	if err != nil {
		t.Fatal(err)
	}
	seen[string(v.Outcome)]++
	if v.Stage == policy.ClientTLS {
		seen["client-tls"]++
	}
	if v, err := m.simulate(s, "shop/nobody", addresses); err != nil || v.Outcome != policy.Unknown {
		t.Errorf("a workload that is not behind the Service: %v, %v", v, err)
	}
}

// TestSendsShrink: parts of a request through a sender's sidecar can be taken
// away, but not what makes it one.
func TestSendsShrink(t *testing.T) {
	t.Parallel()
	c := &testCase{meshConfig: object{}, custom: "deny", redirected: "shop/curl", sends: []send{{
		From: "shop/curl", Service: appHost, Port: 8000, HTTP: &policy.HTTP{Method: "GET", Path: "/a"}, Lines: []policy.Line{{Name: "x-env", Value: "dev"}},
	}}}
	tree, err := c.tree()
	if err != nil {
		t.Fatal(err)
	}
	back, err := caseOf("", tree)
	if err != nil || !reflect.DeepEqual(back.sends, c.sends) || back.custom != c.custom || back.redirected != c.redirected {
		t.Fatalf("%+v, %v", back, err)
	}
	smaller, err := caseOf("", apply(tree, []edit{{path: []any{"send", "lines"}}, {path: []any{"send", "http", "path"}, value: "/"}}))
	if err != nil || smaller.sends[0].Lines != nil || smaller.sends[0].HTTP.Path != "/" {
		t.Errorf("%+v, %v", smaller, err)
	}
	for _, needed := range [][]any{{"send", "from"}, {"send", "service"}, {"send", "http", "method"}} {
		if _, err := caseOf("", apply(tree, []edit{{path: needed}})); err == nil {
			t.Errorf("without %v it is still a case", needed)
		}
	}
}
