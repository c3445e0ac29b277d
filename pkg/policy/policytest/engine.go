package policytest

import (
	"context"
	"fmt"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

// Engine decides in another way than the simulator, such as a real Envoy does. It
// gets requests as they leave the callers' sidecars, and what was simulated.
type Engine interface {
	// Ask asks the sidecars of a mesh; it tells as much as it is asked. It fails
	// if it cannot ask at all.
	Ask(ctx context.Context, s *mesh.Snapshot, simulator *policy.Simulator, all []Asked) ([]Told, error)
}

// Asked is a request that reaches the sidecar of a workload.
type Asked struct {
	Workload  *mesh.Workload
	Request   *policy.Request
	Simulated *policy.Verdict
}

// Told is what an Engine says of it.
type Told struct {
	Verdict policy.Verdict
	// Differences are what the simulator says otherwise; each begins with what it
	// is about.
	Differences []string
	// NotAsked says why the engine cannot be asked this; empty if it was.
	NotAsked string
}

// EngineSummary counts what an Engine was asked.
type EngineSummary struct {
	Requests    int            // that were asked
	Cases       int            // of which at least one request was asked, and all that there are
	Disagreeing int            // cases of which the simulator says something else
	NotAsked    map[string]int // cases, by why the engine cannot be asked
}

// engineCheck is the check of a case that simulator and engine do not agree on.
const engineCheck = "engine"

// pending are requests of one mesh, and the questions that they belong to.
type pending struct {
	asked []Asked
	of    []int
}

// askEngine asks the engine what the simulator was asked, mesh by mesh, and lays
// what it says over the results.
func (r *run) askEngine(ctx context.Context, e Engine) error {
	r.told.NotAsked = map[string]int{}
	meshes := map[*policy.Simulator]*pending{}
	snapshots := map[*policy.Simulator]*mesh.Snapshot{}
	for key, simulator := range r.simulators {
		snapshots[simulator] = key.mesh
	}
	var order []*policy.Simulator
	told := make([][]Told, len(r.answers))
	for i := range r.answers {
		answer := &r.answers[i].answer
		if why := notAsked(answer); why != "" {
			told[i] = []Told{{NotAsked: why}}
			continue
		}
		simulator := r.questions[i].simulator
		p := meshes[simulator]
		if p == nil {
			p = &pending{}
			meshes[simulator] = p
			order = append(order, simulator)
		}
		for n := range answer.Endpoints {
			at := &answer.Endpoints[n]
			p.asked, p.of = append(p.asked, Asked{at.Workload, at.Request, &at.Verdict}), append(p.of, i)
		}
	}
	for _, simulator := range order {
		p := meshes[simulator]
		all, err := e.Ask(ctx, snapshots[simulator], simulator, p.asked)
		if err != nil {
			return err
		}
		for n, one := range all {
			told[p.of[n]] = append(told[p.of[n]], one)
		}
	}
	for i := range told {
		r.settle(i, told[i])
	}
	return nil
}

// notAsked says why no engine can be asked a question: what is not known to the
// simulator is not in the files, and some requests reach no sidecar.
func notAsked(a *policy.Answer) string {
	for i := range a.Endpoints {
		switch e := &a.Endpoints[i]; {
		case e.Outcome == policy.Unknown:
			return "something outside of the files decides"
		case e.Stage == policy.ClientTLS:
			return "the caller's own sidecar gives up, and only the called workload's is asked"
		case e.Request == nil:
			return "the called workload has no sidecar that sees it"
		}
	}
	if len(a.Endpoints) == 0 {
		return "something outside of the files decides"
	}
	return ""
}

// settle is the result of a case with what the engine says: where it cannot be
// asked, a case that would pass is unknown; where it does not agree with the
// simulator, the case fails for that.
func (r *run) settle(i int, told []Told) {
	c := &r.answers[i].result
	var differences []string
	for n := range told {
		t := &told[n]
		if t.NotAsked != "" {
			r.told.NotAsked[t.NotAsked]++
			c.Message = strings.TrimPrefix(c.Message+"; not asked of the engine: "+t.NotAsked, "; ")
			if c.Status == report.Passed {
				c.Status = report.Unknown
			}
			return
		}
		if t.Differences != nil {
			e := &r.answers[i].answer.Endpoints[n]
			differences = append(differences, fmt.Sprintf("at %s port %d: %s", e.Name, e.Port, strings.Join(t.Differences, "; ")))
		}
	}
	r.told.Cases++
	r.told.Requests += len(told)
	if differences == nil {
		return
	}
	r.told.Disagreeing++
	c.Status = report.Failed
	c.Checks = append(c.Checks, report.Check{Name: engineCheck, Want: "what is simulated", Got: "something else"})
	c.Message = "simulator and engine do not agree, which is a fault of meshctl: " + strings.Join(differences, "; ")
	c.Detail = strings.TrimPrefix(c.Detail+"\n"+r.questions[i].String(), "\n")
	r.noteFailure(i)
}
