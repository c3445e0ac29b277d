package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// Values of --engine.
const (
	engineSimulator = "simulator"
	engineEnvoy     = "envoy"
)

// whereEnvoyIs tells users where the program is looked for.
const whereEnvoyIs = "from $ENVOY, PATH or .tools/bin"

// untilHangUp ends a context with the terminal too: what runs Envoy leaves nothing
// behind.
func untilHangUp(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// findEnvoy looks for the program; a checkout of meshctl keeps its own beside the
// folder of the running program, and in the current one.
func findEnvoy() (string, error) {
	tools := filepath.Join(".tools", "bin")
	folders := []string{tools}
	if own, err := os.Executable(); err == nil {
		folders = append(folders, filepath.Join(filepath.Dir(own), "..", tools))
	}
	return live.Search{Getenv: os.Getenv, Folders: folders}.Find()
}

// engineLines say how much Envoy was asked, and why not more.
func engineLines(s *policytest.EngineSummary) []string {
	not := 0
	for _, n := range s.NotAsked {
		not += n
	}
	lines := []string{fmt.Sprintf("envoy: asked %s of %s", counted(s.Requests, "request"), counted(s.Cases, "case"))}
	if s.Disagreeing > 0 {
		lines[0] += fmt.Sprintf("; the simulator does not agree about %s", counted(s.Disagreeing, "case"))
	}
	if not > 0 {
		lines[0] += fmt.Sprintf("; %s could not be asked:", counted(not, "case"))
	}
	reasons := slices.SortedFunc(maps.Keys(s.NotAsked), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.NotAsked[b], s.NotAsked[a]), cmp.Compare(a, b))
	})
	for _, why := range reasons {
		lines = append(lines, fmt.Sprintf("  %s: %s", counted(s.NotAsked[why], "case"), why))
	}
	return lines
}

// engineVerdict is verdictOf with the engine's part: two that do not agree say
// nothing, and what was not asked is no proof.
func engineVerdict(e *policytest.EngineSummary, s meshreport.Summary) error {
	not := 0
	for _, n := range e.NotAsked {
		not += n
	}
	switch {
	case e.Disagreeing > 0:
		return &meshreport.InputError{
			Subject: "engine envoy", Err: fmt.Errorf("it does not agree with the simulator about %s", counted(e.Disagreeing, "case")),
			Hint: "this is a fault of meshctl: please report it with the manifests and the case",
		}
	case s.Failed == 0 && not > 0:
		return partial{fmt.Sprintf("%d of %s not proved: Envoy could not be asked", not, counted(s.Total(), "case"))}
	}
	return verdictOf(s)
}
