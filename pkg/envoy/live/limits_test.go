//go:build envoy

package live_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/policy"
)

// TestEnvoyLimits: Envoy takes as many headers, as many bytes of them and such
// hosts and values as the simulator does (DP-21a, DP-27, DP-67).
func TestEnvoyLimits(t *testing.T) {
	f := newFixture(t, shop)
	sidecars := start(t, f.workloads(t, "app"), live.Options{OwnKey: true})
	curl := "spiffe://cluster.local/ns/shop/sa/curl"
	var asked []policy.Request
	ask := func(h policy.HTTP) {
		for _, version := range []string{"", "2"} {
			for _, id := range []*string{nil, &curl} {
				h := h
				h.Version = version
				r := policy.Request{To: policy.Destination{Namespace: "shop", Workload: "app", Port: 8080}, From: policy.Client{Identity: id, IP: "127.0.1.5"}, HTTP: &h}
				if id != nil {
					r.From.ALPN = []string{map[string]string{"": "istio-http/1.1", "2": "istio-h2"}[version], "istio"}
				}
				asked = append(asked, r)
			}
		}
	}
	with := func(n, size int) policy.Lines {
		lines := make(policy.Lines, n)
		for i := range lines {
			lines[i] = policy.Line{Name: fmt.Sprintf("x-%03d", i), Value: strings.Repeat("a", size/n)}
		}
		if n > 0 {
			lines[0].Value = strings.Repeat("a", size/n+size%n)
		}
		return lines
	}
	for n := 93; n < 103; n++ {
		ask(policy.HTTP{Method: "GET", Path: "/ok", Authority: "app", Headers: with(n, n)})
	}
	for _, n := range []int{1, 10, 90} {
		for around := -9 * n; around <= 0; around += max(1, n/3) { // of a line up to nine bytes count beside its value
			ask(policy.HTTP{Method: "GET", Path: "/ok", Authority: "app", Headers: with(n, 60<<10-40+around)})
		}
	}
	for _, c := range " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u00e9" {
		for _, format := range []string{"a%cb", "%cab", "ab%c"} {
			ask(policy.HTTP{Method: "GET", Path: "/ok", Authority: fmt.Sprintf(format, c)})
		}
		ask(policy.HTTP{Method: "GET", Path: "/ok", Authority: "app", Headers: policy.Lines{{Name: "x-a", Value: string(c) + "on" + string(c)}}})
	}
	answers, err := sidecars.Ask(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[policy.Outcome]int{}
	for i, a := range answers {
		want := f.simulator.Model(f.Workload("shop", "app")).Evaluate(&asked[i])
		outcomes[want.Outcome]++
		if differences := live.Differences(&want, &a.Verdict); a.Err != nil || differences != nil {
			h := asked[i].HTTP
			t.Errorf("HTTP/%s, host %q, %d lines, %.40q: %v %v", h.Version, h.Authority, len(h.Headers), h.Headers, differences, a.Err)
		}
	}
	for _, o := range []policy.Outcome{policy.Allow, policy.Rejected, policy.Refused} {
		if outcomes[o] == 0 {
			t.Errorf("nothing was %s: %v", o, outcomes)
		}
	}
	t.Log(outcomes)
}
