package routing_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/routing"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// BenchmarkRules runs the rules over 40 namespaces with 50 objects of each kind,
// half of which name something that is not there.
func BenchmarkRules(b *testing.B) {
	var text strings.Builder
	for ns := range 40 {
		for i := range 50 {
			at := fmt.Sprintf("n%d", ns)
			text.WriteString(manifests(fmt.Sprintf(`
Service s%[1]d %[2]s
spec: {selector: {app: s%[1]d}, ports: [{name: http, port: 80}]}
---
Deployment s%[1]d %[2]s
spec: {template: {metadata: {labels: {app: s%[1]d}}, spec: {containers: []}}}
---
VirtualService s%[1]d %[2]s
spec: {hosts: [s%[1]d], http: [{route: [{destination: {host: s%[3]d}}]}]}
---
DestinationRule s%[1]d %[2]s
spec: {host: s%[3]d, subsets: [{name: v1, labels: {app: s%[1]d}}]}
---
Sidecar s%[1]d %[2]s
spec: {workloadSelector: {labels: {app: s%[3]d}}}
---
Gateway s%[1]d %[2]s
spec: {selector: {app: s%[3]d}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [s%[1]d.%[2]s.example.com]}]}
---
AuthorizationPolicy s%[1]d %[2]s
spec: {selector: {matchLabels: {app: s%[3]d}}, rules: [{from: [{source: {namespaces: [n%[3]d]}}]}]}`, i, at, i*2)) + "\n---\n")
		}
	}
	s, err := manifest.Read("mesh.yaml", []byte(text.String()))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := analyze.Analyze(context.Background(), routing.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{Profile: analyze.Strict}); err != nil {
			b.Fatal(err)
		}
	}
}
