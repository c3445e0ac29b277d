package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy/policytest"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// TestEngineVerdict: an engine that does not agree with the simulator says
// nothing, whatever else came out; cases that failed go before those that could
// not be asked.
func TestEngineVerdict(t *testing.T) {
	t.Parallel()
	not := map[string]int{"one reason": 1, "another": 2}
	for _, tt := range []struct {
		engine  policytest.EngineSummary
		summary meshreport.Summary
		code    exitCode
		want    string
	}{
		{policytest.EngineSummary{Requests: 2, Cases: 2}, meshreport.Summary{Passed: 2}, exitOK, "envoy: asked 2 requests of 2 cases\n"},
		{policytest.EngineSummary{Requests: 3, Cases: 2}, meshreport.Summary{Passed: 1, Failed: 1}, exitNo, "envoy: asked 3 requests of 2 cases\nmeshctl: 1 of 2 cases failed\n"},
		{
			policytest.EngineSummary{Requests: 1, Cases: 1, NotAsked: not},
			meshreport.Summary{Passed: 1, Unknown: 3},
			exitPart,
			"envoy: asked 1 request of 1 case; 3 cases could not be asked:\n  2 cases: another\n  1 case: one reason\nmeshctl: 3 of 4 cases not proved: Envoy could not be asked\n",
		},
		{
			policytest.EngineSummary{Requests: 1, Cases: 1, NotAsked: not},
			meshreport.Summary{Failed: 1, Unknown: 3},
			exitNo,
			"envoy: asked 1 request of 1 case; 3 cases could not be asked:\n  2 cases: another\n  1 case: one reason\nmeshctl: 1 of 4 cases failed\n",
		},
		{
			policytest.EngineSummary{Requests: 2, Cases: 2, Disagreeing: 1},
			meshreport.Summary{Passed: 1, Failed: 1},
			exitFailed,
			"envoy: asked 2 requests of 2 cases; the simulator does not agree about 1 case\nmeshctl: engine envoy: it does not agree with the simulator about 1 case\nhint: this is a fault of meshctl: please report it with the manifests and the case\n",
		},
	} {
		var out bytes.Buffer
		out.WriteString(strings.Join(engineLines(&tt.engine), "\n") + "\n")
		code := report(&out, engineVerdict(&tt.engine, tt.summary))
		if code != tt.code || out.String() != tt.want {
			t.Errorf("status %d, %q; want %d, %q", code, out.String(), tt.code, tt.want)
		}
	}
}
