package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// layout is how workloads and policies are spread over a mesh.
type layout struct {
	name       string
	namespaces int
	// Every other policy has no selector if shared, and so is for all workloads
	// of its namespace; inRoot, for all of the mesh.
	shared, inRoot bool
	grows          bool // to ten times the size, with as many more namespaces
}

func layouts() []layout {
	return []layout{
		{"50 namespaces", 50, true, false, true},
		{"one namespace", 1, false, false, false},
		{"half for the whole mesh", 50, true, true, false},
	}
}

// compileAll holds the compiler to its budget: all workloads of a mesh in a
// second, and no more than ten times as much, and a third, for ten times the
// mesh.
func compileAll(judge func(ok bool, format string, args ...any)) error {
	const workloads, policies, budget = 1000, 2000, time.Second
	for _, l := range layouts() {
		s, err := l.snapshot(workloads, policies)
		if err != nil {
			return err
		}
		took := compile(s, 5)
		judge(took <= budget, "compile 1,000 workloads x 2,000 policies, %s: %s CPU (at most %s)", l.name, took.Round(time.Millisecond), budget)
		if !l.grows {
			continue
		}
		l.namespaces *= 10
		large, err := l.snapshot(10*workloads, 10*policies)
		if err != nil {
			return err
		}
		// The garbage collector's share depends on what else is in memory, and so
		// says little about growth.
		debug.SetGCPercent(-1)
		ratio := float64(compile(large, 3)) / float64(compile(s, 5))
		debug.SetGCPercent(100)
		judge(ratio <= growth, "compile 10,000 workloads x 20,000 policies: %.1f times the CPU of a tenth (at most %.1f)", ratio, growth)
	}
	return nil
}

// compile is the least processor time of several runs that all workloads of a
// mesh take.
func compile(s *mesh.Snapshot, runs int) time.Duration {
	least := time.Hour
	for range runs {
		runtime.GC() // what went before is not to be paid here
		start := processorTime()
		simulator := policy.NewSimulator(s)
		for _, w := range s.Workloads {
			simulator.Model(w)
		}
		least = min(least, processorTime()-start)
	}
	return least
}

// processorTime is what this process has had.
func processorTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails only for arguments that are wrong
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func (l layout) snapshot(workloads, policies int) (*mesh.Snapshot, error) {
	stream, err := manifest.Read("mesh.yaml", []byte(l.manifests(workloads, policies)))
	if err != nil {
		return nil, err
	}
	return mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
}

// manifests are workloads with a Service each, and policies of two rules each.
func (l layout) manifests(workloads, policies int) string {
	var out strings.Builder
	namespace := func(i int) string { return fmt.Sprintf("team-%d", i%l.namespaces) }
	for i := range workloads {
		fmt.Fprintf(&out, workload, i, namespace(i))
	}
	for i := range policies {
		of, selector := namespace(i), fmt.Sprintf("{matchLabels: {app: web-%d}}", i%workloads)
		if l.shared && i%2 == 0 {
			selector = "{}"
			if l.inRoot {
				of = "istio-system"
			}
		}
		fmt.Fprintf(&out, authorization, i, of, selector, []string{"ALLOW", "ALLOW", "DENY", "ALLOW"}[i/2%4])
	}
	return out.String()
}

const workload = `apiVersion: v1
kind: Pod
metadata: {name: web-%[1]d, namespace: %[2]s, labels: {app: web-%[1]d, version: v1}}
spec: {serviceAccountName: web-%[1]d, containers: [{name: web, image: web:1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-%[1]d, namespace: %[2]s}
spec: {selector: {app: web-%[1]d}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
`

const authorization = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p-%[1]d, namespace: %[2]s}
spec:
  selector: %[3]s
  action: %[4]s
  rules:
  - from: [{source: {namespaces: [team-%[1]d, shop]}}]
    to: [{operation: {methods: [GET, HEAD], paths: [/items/%[1]d/*, /orders]}}]
  - from: [{source: {principals: [cluster.local/ns/shop/sa/client-%[1]d]}}]
    when: [{key: 'request.headers[x-tier]', values: [gold]}]
---
`
