package policytest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

// engine answers by the path of a request.
type engine struct {
	told  map[string]policytest.Told
	asked []string
	err   error
}

func (e *engine) Ask(_ context.Context, _ *mesh.Snapshot, _ *policy.Simulator, all []policytest.Asked) ([]policytest.Told, error) {
	var told []policytest.Told
	for _, a := range all {
		path := "bytes"
		if a.Request.HTTP != nil {
			path = a.Request.HTTP.Path
		}
		e.asked = append(e.asked, a.Workload.Name+" "+path+" "+string(a.Simulated.Outcome))
		told = append(told, e.told[path])
	}
	return told, e.err
}

const engineCases = `
cases:
- {name: agrees, from: shop/reader, to: svc/web.shop:80, path: /items/1, expect: allow}
- {name: agrees that it fails, from: shop/reader, to: svc/web.shop:80, path: /items/2, expect: deny}
- {name: does not agree, from: shop/reader, to: svc/web.shop:80, path: /items/3, expect: allow}
- {name: cannot be asked, from: shop/reader, to: svc/web.shop:80, path: /items/4, expect: allow}
- {name: fails and cannot be asked, from: shop/reader, to: svc/web.shop:80, path: /items/4, expect: deny}
- {name: not known, from: shop/reader, to: svc/web.shop:9000, expect: allow}
`

// TestEngine: a case passes if the engine agrees. One on which it does not
// fails for that, and one that it cannot be asked does not pass.
func TestEngine(t *testing.T) {
	t.Parallel()
	e := &engine{told: map[string]policytest.Told{
		"/items/3": {Differences: []string{"verdict: simulated allow, engine deny"}},
		"/items/4": {NotAsked: "no reason"},
	}}
	r, err := run(t, snapshot(t, shop), engineCases, policytest.Options{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	const want = `passed agrees
failed agrees that it fails
  verdict: expected deny, got allow
  ALLOW: AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5) matches
failed does not agree
  engine: expected what is simulated, got something else
  simulator and engine do not agree, which is a fault of meshctl: at Deployment shop/web port 8080: verdict: simulated allow, engine deny
unknown cannot be asked
  not asked of the engine: no reason
failed fails and cannot be asked
  verdict: expected deny, got allow
  ALLOW: AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5) matches; not asked of the engine: no reason
unknown not known
  verdict: expected allow, got unknown
  it depends on the client's address (sourceIP); not asked of the engine: something outside of the files decides`
	if diff := cmp.Diff(want, outcomes(r)); diff != "" {
		t.Error(diff)
	}
	summary := policytest.EngineSummary{Requests: 3, Cases: 3, Disagreeing: 1, NotAsked: map[string]int{"no reason": 2, "something outside of the files decides": 1}}
	if diff := cmp.Diff(summary, r.Engine); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"web /items/1 allow", "web /items/2 allow", "web /items/3 allow", "web /items/4 allow", "web /items/4 allow"}, e.asked); diff != "" {
		t.Error(diff)
	}
}

// TestEngineReaches: only what comes to a sidecar of the mesh can be asked.
func TestEngineReaches(t *testing.T) {
	t.Parallel()
	const plain = shop + `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far, namespace: shop}
spec: {hosts: [far.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 192.0.2.1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain, namespace: shop}
spec: {template: {metadata: {labels: {app: plain, sidecar.istio.io/inject: "false"}}, spec: {containers: [{name: plain, image: x}]}}}
`
	e := &engine{}
	r, err := run(t, snapshot(t, plain), `
cases:
- {name: no sidecar, from: plaintext, to: 'deploy/plain.shop:80', expect: allow}
- {name: elsewhere, from: shop/reader, to: 'svc/far.example:80', expect: unknown}
`, policytest.Options{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	const want = `unknown no sidecar
  not asked of the engine: the called workload has no sidecar that sees it
unknown elsewhere
  not asked of the engine: something outside of the files decides`
	if diff := cmp.Diff(want, outcomes(r)); diff != "" || e.asked != nil {
		t.Error(diff, e.asked)
	}
}

// TestEngineEnds: an engine that cannot ask fails the run, and what comes after
// the first failure is not there.
func TestEngineEnds(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	if _, err := run(t, snapshot(t, shop), engineCases, policytest.Options{Engine: &engine{err: gone}}); !errors.Is(err, gone) {
		t.Error(err)
	}
	e := &engine{told: map[string]policytest.Told{"/items/1": {Differences: []string{"rule: another"}}}}
	r, err := run(t, snapshot(t, shop), engineCases, policytest.Options{Engine: e, FailFast: true})
	if err != nil {
		t.Fatal(err)
	}
	if cases := r.Suites[0].Cases; len(cases) != 1 || cases[0].Status != "failed" {
		t.Errorf("%+v", cases)
	}
}
