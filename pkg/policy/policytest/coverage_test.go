package policytest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

// odd are policies that tests reach in all ways, or in none.
const odd = shop + `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: audit, namespace: shop}
spec: {action: AUDIT, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: dry, namespace: shop, annotations: {istio.io/dry-run: "true"}}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: dropped, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, rules: [{when: [{key: no.such.key, values: [a]}]}, {to: [{operation: {methods: [PUT]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: gone, namespace: shop}
spec: {selector: {matchLabels: {app: gone}}, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nothing, namespace: shop}
spec: {}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: outside, namespace: shop}
spec: {selector: {matchLabels: {app: outside}}, rules: [{}]}
---
apiVersion: v1
kind: Pod
metadata: {name: outside, namespace: shop, labels: {app: outside, sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: x, image: x}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: elsewhere, namespace: empty}
spec: {rules: [{}]}
`

const oddCases = `cases:
- {name: a, from: shop/reader, to: svc/web.shop:80, path: [/items/1, /items/admin], expect: allow}
`

func covered(r *policytest.Result) string {
	var lines []string
	for _, rule := range r.Coverage.Rules {
		lines = append(lines, fmt.Sprintf("%s %s %s %d %s", rule.Name(), rule.Action, rule.Reach, rule.Cases, rule.Location))
	}
	return strings.Join(append(lines, r.Coverage.String()), "\n")
}

// TestCoverage: each rule, whether a request of some case matched it, and why no
// test can where none can.
func TestCoverage(t *testing.T) {
	t.Parallel()
	s := snapshot(t, odd)
	r, err := run(t, s, oddCases+"---\n"+header+strings.Replace(oddCases, "/items/admin", "/items/2", 1), policytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `empty/elsewhere#0 ALLOW unselected 0 mesh.yaml:79:16
shop/audit#0 AUDIT exercised 4 mesh.yaml:44:31
shop/dropped#0 ALLOW dropped 0 mesh.yaml:54:53
shop/dropped#1 ALLOW unexercised 0 mesh.yaml:54:96
shop/dry#0 ALLOW exercised 3 mesh.yaml:49:16
shop/gone#0 ALLOW unselected 0 mesh.yaml:59:54
shop/no-admin#0 DENY exercised 1 mesh.yaml:39:5
shop/outside#0 ALLOW unguarded 0 mesh.yaml:69:57
shop/readers#0 ALLOW exercised 3 mesh.yaml:28:5
shop/readers#1 ALLOW unexercised 0 mesh.yaml:30:5
4 of 6 rules exercised, 66.6 %; 4 rules out of reach`
	if diff := cmp.Diff(want, covered(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCoverageOfSeveralMeshes: a rule that two meshes have from the same place
// is one rule; what either reaches is reached.
func TestCoverageOfSeveralMeshes(t *testing.T) {
	t.Parallel()
	files, err := parse(header + "cases:\n- {name: a, from: shop/reader, to: svc/web.shop:80, path: /items/1, expect: allow}\n")
	if err != nil {
		t.Fatal(err)
	}
	second, err := parse(header + "cases:\n- {name: a, from: shop/reader, to: svc/web.shop:80, path: /items/admin, expect: deny}\n")
	if err != nil {
		t.Fatal(err)
	}
	var suites []policytest.Suite
	for i, s := range []*mesh.Snapshot{snapshot(t, shop), snapshot(t, shop)} {
		suites = append(suites, policytest.Suite{File: [][]*policytest.File{files, second}[i][0], Mesh: s, Namespace: "default"})
	}
	r, err := policytest.Run(context.Background(), suites, policytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `shop/no-admin#0 DENY exercised 1 mesh.yaml:39:5
shop/readers#0 ALLOW exercised 1 mesh.yaml:28:5
shop/readers#1 ALLOW unexercised 0 mesh.yaml:30:5
2 of 3 rules exercised, 66.6 %`
	if diff := cmp.Diff(want, covered(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
