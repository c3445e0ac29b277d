package main

import (
	"slices"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy/live"
)

// TestSenders: a workload is called through the sidecars of the callers that were
// asked for, and of another only if none of them runs.
func TestSenders(t *testing.T) {
	t.Parallel()
	running := []live.Workload{{Identity: "a"}, {Identity: "b"}, {Identity: "c"}, {Identity: "c"}}
	for _, tt := range []struct {
		as   []string
		to   int
		want []int
	}{
		{nil, 0, []int{1}},
		{nil, 3, []int{0}},
		{[]string{"c"}, 0, []int{2, 3}},
		{[]string{"c", "b"}, 2, []int{1, 3}},
		{[]string{"elsewhere"}, 1, []int{2}},
		{[]string{"b"}, 1, nil},
	} {
		if got := (&callLines{as: tt.as}).senders(tt.to, running); !slices.Equal(got, tt.want) {
			t.Errorf("as %v to %d: %v, want %v", tt.as, tt.to, got, tt.want)
		}
	}
	if got := (&callLines{}).senders(0, running[:1]); got != nil {
		t.Errorf("one workload calls itself: %v", got)
	}
}
