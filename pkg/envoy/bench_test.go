package envoy_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// bigMesh has n services of one pod each in 20 namespaces: every tenth speaks
// TCP, every fifth has a DestinationRule, every workload a policy (EC-160).
func bigMesh(tb testing.TB, n int) *mesh.Snapshot {
	tb.Helper()
	var text strings.Builder
	text.WriteString(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`)
	for i := range n {
		port := "{name: http, port: 80, targetPort: 8080}"
		if i%10 == 9 {
			port = "{name: tcp, port: 9000, targetPort: 9000}"
		}
		fmt.Fprintf(&text, `---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {selector: {app: s%[1]d}, ports: [%[3]s]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {template: {metadata: {labels: {app: s%[1]d}}, spec: {serviceAccountName: s%[1]d, containers: [{name: c, image: x}]}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {selector: {matchLabels: {app: s%[1]d}}, rules: [{from: [{source: {namespaces: [n%[2]d]}}], to: [{operation: {methods: [GET]}}]}]}
`, i, i%20, port)
		if i%5 == 0 {
			fmt.Fprintf(&text, `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {host: s%[1]d, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
`, i, i%20)
		}
	}
	stream, err := manifest.Read("mesh.yaml", []byte(text.String()))
	if err != nil {
		tb.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// BenchmarkSweep configures all sidecars of a mesh: as many as services.
func BenchmarkSweep(b *testing.B) {
	for _, n := range []int{50, 500, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := bigMesh(b, n)
			b.ReportAllocs()
			var live uint64
			for b.Loop() {
				g := envoy.NewGenerator(s, policy.NewSimulator(s))
				configs := make([]*envoy.Config, len(s.Workloads))
				err := workers.Each(context.Background(), len(configs), 1, func(i int) (err error) {
					configs[i], err = g.Config(s.Workloads[i])
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
				var m runtime.MemStats
				b.StopTimer()
				runtime.GC()
				runtime.ReadMemStats(&m)
				live = max(live, m.HeapAlloc)
				runtime.KeepAlive(configs)
				b.StartTimer()
			}
			b.ReportMetric(float64(live)/(1<<20), "live-MiB")
		})
	}
}
