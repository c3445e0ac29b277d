package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// layout is how workloads and policies are spread over a mesh.
type layout struct {
	name       string
	namespaces int
	// everyOther policy has no selector, and so is for all workloads of its
	// namespace, or of the mesh if root says that it is there.
	everyOther, root bool
}

// mesh writes a mesh of workloads and policies, two rules each.
func (l layout) mesh(workloads, policies int) string {
	var out strings.Builder
	namespace := func(i int) string { return fmt.Sprintf("team-%d", i%l.namespaces) }
	for i := range workloads {
		fmt.Fprintf(&out, `apiVersion: v1
kind: Pod
metadata: {name: web-%[1]d, namespace: %[2]s, labels: {app: web-%[1]d, version: v1}}
spec: {serviceAccountName: web-%[1]d, containers: [{name: web, image: web:1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-%[1]d, namespace: %[2]s}
spec: {selector: {app: web-%[1]d}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
`, i, namespace(i))
	}
	for i := range policies {
		of, selector := namespace(i), fmt.Sprintf("selector: {matchLabels: {app: web-%d}}", i%workloads)
		if l.everyOther && i%2 == 0 {
			selector = "selector: {}"
			if l.root {
				of = "istio-system"
			}
		}
		fmt.Fprintf(&out, `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p-%[1]d, namespace: %[2]s}
spec:
  %[3]s
  action: %[4]s
  rules:
  - from: [{source: {namespaces: [team-%[1]d, shop]}}]
    to: [{operation: {methods: [GET, HEAD], paths: [/items/%[1]d/*, /orders]}}]
  - from: [{source: {principals: [cluster.local/ns/shop/sa/client-%[1]d]}}]
    when: [{key: 'request.headers[x-tier]', values: [gold]}]
---
`, i, of, selector, []string{"ALLOW", "ALLOW", "DENY", "ALLOW"}[i/2%4])
	}
	return out.String()
}

// BenchmarkCompile compiles all workloads of a mesh.
func BenchmarkCompile(b *testing.B) {
	for _, l := range []layout{
		{"50-namespaces", 50, true, false},
		{"one-namespace", 1, false, false},
		{"half-in-root", 50, true, true},
	} {
		for _, size := range []int{1, 10} {
			l, workloads, policies := l, 1000*size, 2000*size
			l.namespaces *= size
			b.Run(fmt.Sprintf("%s/%dx%d", l.name, workloads, policies), func(b *testing.B) {
				s := snapshot(b, l.mesh(workloads, policies), "")
				b.ReportAllocs()
				for b.Loop() {
					compileAll(policy.NewSimulator(s), s)
				}
			})
		}
	}
}

func compileAll(simulator *policy.Simulator, s *mesh.Snapshot) {
	for _, w := range s.Workloads {
		simulator.Model(w)
	}
}
