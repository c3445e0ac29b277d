package catalog_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// BenchmarkAnalyze runs all rules over 40 namespaces, 2,000 Services and 2,000
// policies, and over ten times that: the time grows as the objects do.
func BenchmarkAnalyze(b *testing.B) {
	for _, times := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d objects", 4040*times), func(b *testing.B) {
			text := []byte(strings.Join(benchMesh(times), "---\n"))
			b.ReportAllocs()
			for b.Loop() {
				s, err := manifest.Read("mesh.yaml", text)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := analyze.Analyze(context.Background(), catalog.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{Profile: analyze.Strict}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchMesh(times int) []string {
	var all []string
	namespaces := 40 * times
	for n := range namespaces {
		all = append(all, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns%d\n  labels:\n    istio-injection: enabled\n", n))
	}
	for n := range 2000 * times {
		all = append(all, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata:\n  name: svc%d\n  namespace: ns%d\nspec:\n  selector:\n    app: app%d\n  ports:\n  - name: http\n    port: 80\n    targetPort: 8080\n", n, n%namespaces, n))
		all = append(all, fmt.Sprintf("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: ap%d\n  namespace: ns%d\nspec:\n  selector:\n    matchLabels:\n      app: app%d\n  rules:\n  - from:\n    - source:\n        principals:\n        - cluster.local/ns/ns%d/sa/caller%d\n    to:\n    - operation:\n        methods:\n        - GET\n        paths:\n        - /api/v%d*\n", n, n%namespaces, n, (n+1)%namespaces, n, n))
	}
	return all
}
