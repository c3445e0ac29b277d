package platform_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/platform"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// BenchmarkRules runs the rules over 40 namespaces with 50 Deployments, Pods and
// EnvoyFilters each. Reading the files is a part of it.
func BenchmarkRules(b *testing.B) {
	var short strings.Builder
	short.WriteString(hooksOf("istio-sidecar-injector", "default", true) + "---\n")
	short.WriteString("ConfigMap istio-sidecar-injector istio-system\ndata: {values: '{\"global\":{\"hub\":\"h\",\"tag\":\"1.2\",\"proxy\":{\"image\":\"proxyv2\"}}}'}\n---\n")
	for n := range 40 {
		fmt.Fprintf(&short, "Namespace n%d\nlabels: {istio-injection: enabled}\n---\n", n)
		for i := range 50 {
			fmt.Fprintf(&short, `Deployment d%[1]d n%[2]d
spec: {template: {metadata: {annotations: {sidecar.istio.io/proxyCPU: 100m}}, spec: {containers: [{name: a}]}}}
---
Pod p%[1]d n%[2]d
spec: {containers: [{name: istio-proxy, image: 'h/proxyv2:1.1'}]}
---
EnvoyFilter f%[1]d n%[2]d
spec: {configPatches: [{applyTo: HTTP_FILTER, patch: {operation: REMOVE}}]}
---
`, i, n)
		}
	}
	s, err := manifest.Read("mesh.yaml", []byte(manifests(short.String())))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := analyze.Analyze(context.Background(), platform.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{Profile: analyze.Strict}); err != nil {
			b.Fatal(err)
		}
	}
}
