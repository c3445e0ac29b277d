package policy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// lines writes requests, one a line, whose order can be told.
func lines(t *testing.T, requests []*policy.Request) string {
	t.Helper()
	var out strings.Builder
	for i, r := range requests {
		r.ID = fmt.Sprintf("request-%d", i)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(text, '\n'))
	}
	return out.String()
}

// TestAnswerAll: many requests are answered as each is alone, in their order.
func TestAnswerAll(t *testing.T) {
	t.Parallel()
	d := roll(1, 9)
	s := snapshot(t, docs(append(slices.Concat(d.policies("ALLOW", 3), d.more()), workloadYAML, ap("ask", "action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {paths: [/y]}}]}]"))...), randomConfig)
	simulator := policy.NewSimulator(s)
	var requests []*policy.Request
	for range 8000 {
		one := d.request()
		if one.HTTP != nil {
			one.HTTP.Headers = nil // policy.Lines are read, not written
		}
		requests = append(requests, one)
	}
	answers, err := simulator.AnswerAll(context.Background(), "x", strings.NewReader(lines(t, requests)), "")
	if err != nil {
		t.Fatal(err)
	}
	unknown, first := 0, ""
	var want, got bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	outcomes := map[policy.Outcome]int{}
	for _, r := range requests {
		v, err := simulator.Evaluate(r)
		if err != nil {
			t.Fatal(err)
		}
		outcomes[v.Outcome]++
		if v.Outcome == policy.Unknown {
			if unknown++; first == "" {
				first = fmt.Sprintf("request %q: %s", r.ID, v.Reason)
			}
		}
		if err := encoder.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := answers.WriteTo(&got); err != nil || n != int64(want.Len()) || got.String() != want.String() {
		t.Errorf("%d bytes, %v; want %d, or others", n, err, want.Len())
	}
	if answers.Total != len(requests) || answers.Unknown != unknown || answers.First != first || unknown == 0 {
		t.Errorf("%d, %d unknown, the first %s; want %d, %d, %s", answers.Total, answers.Unknown, answers.First, len(requests), unknown, first)
	}
	if len(outcomes) < 4 {
		t.Errorf("all verdicts are %v: that says little", outcomes)
	}
	if _, err := answers.WriteTo(full{}); err == nil || err.Error() != "full" {
		t.Errorf("error %v, want full", err)
	}
}

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

// TestAnswerAllFails: all lines that cannot be answered are told, in order.
func TestAnswerAllFails(t *testing.T) {
	t.Parallel()
	simulator := policy.NewSimulator(snapshot(t, workloadYAML, ""))
	good := lines(t, []*policy.Request{request()})
	text := good + "{\n" + `{"id":"a","to":{"namespace":"shop","workload":"wep","port":1},"from":{}}` + "\n" + strings.Repeat(good, 5000) + `{"to":{}}`
	_, err := simulator.AnswerAll(context.Background(), "x", strings.NewReader(text), "")
	want := "x:2: not a request: unexpected EOF\n" + `request "a": no workload shop/wep in the manifests; there are shop/app` + "\nx:5004: to: expected a namespace and a workload"
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := simulator.AnswerAll(ctx, "x", strings.NewReader(good), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
