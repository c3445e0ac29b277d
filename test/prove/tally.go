package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// tally counts what was proved.
type tally struct {
	requests int
	counts   map[string]int
	findings []finding
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

// add counts a request under all that it shows something about.
func (t *tally) add(r *policy.Request, v *policy.Verdict) {
	t.requests++
	t.counts["verdict "+string(v.Outcome)]++
	for _, kind := range kinds(r, v) {
		t.counts[kind]++
	}
}

// addSend counts a request that a workload sent.
func (t *tally) addSend(s *send, v *policy.Verdict, redirected string) {
	if s.From == redirected {
		t.counts["sent, redirected"]++
	}
	if s.HTTP == nil {
		t.counts["sent, bytes"]++
	}
	t.requests++
	t.counts["through the sender's sidecar"]++
	t.counts["sent, verdict "+string(v.Outcome)]++
	if v.Stage == policy.ClientTLS {
		t.counts["ended by the sender's sidecar"]++
	}
}

func kinds(r *policy.Request, v *policy.Verdict) []string {
	all := []string{"over plaintext"}
	switch {
	case r.From.Identity != nil:
		all[0] = "over mTLS"
	case r.From.TLS:
		all[0] = "over TLS without identity"
	}
	switch {
	case r.HTTP == nil:
		all = append(all, "bytes")
	case r.HTTP.Version == "2":
		all = append(all, "HTTP/2")
	default:
		all = append(all, "HTTP/1.1")
	}
	for kind, there := range map[string]bool{
		"gRPC": v.GRPCStatus != nil, "tokens": r.HTTP != nil && len(r.HTTP.Tokens) > 0, "dry run": v.DryRun != nil,
		"external authorizer": v.Custom != "", "named rule": v.By != "",
	} {
		if there {
			all = append(all, kind)
		}
	}
	return all
}

// print lists the counts in lines of a few.
func (t *tally) print(out io.Writer) error {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(t.counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, t.counts[kind]))
	}
	_, err := fmt.Fprintln(out, strings.Join(parts, ", "))
	return err
}
