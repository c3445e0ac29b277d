package diff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/diff"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// version renders all sidecars of a mesh of n services, as many workloads.
func version(tb testing.TB, n int, mode string) diff.Side {
	tb.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: istio-system}\nspec: {mtls: {mode: %s}}\n", mode)
	for i := range n {
		fmt.Fprintf(&text, `---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {selector: {app: s%[1]d}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {template: {metadata: {labels: {app: s%[1]d}}, spec: {serviceAccountName: s%[1]d, containers: [{name: c, image: x}]}}}
`, i, i%20)
	}
	stream, err := manifest.Read("mesh.yaml", []byte(text.String()))
	if err != nil {
		tb.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	simulator := policy.NewSimulator(s)
	g := envoy.NewGenerator(s, simulator)
	side := diff.Side{Models: map[string]*policy.Model{}, Snapshot: s}
	for _, w := range s.Workloads {
		c, err := g.Config(w)
		if err != nil {
			tb.Fatal(err)
		}
		side.Dumps = append(side.Dumps, &envoy.Dump{Config: *c})
		side.Models[c.Workload] = simulator.Model(w)
	}
	return side
}

// BenchmarkCompare compares two versions of a mesh in which every sidecar
// changes.
func BenchmarkCompare(b *testing.B) {
	for _, n := range []int{50, 500, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			before, after := version(b, n, "PERMISSIVE"), version(b, n, "STRICT")
			b.ReportAllocs()
			for b.Loop() {
				if r := diff.Compare(before, after); len(r.Workloads) != n {
					b.Fatalf("%d workloads differ", len(r.Workloads))
				}
			}
		})
	}
}
