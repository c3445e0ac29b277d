package inject_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// sparse are objects that leave out what the canonical form spells out.
const sparse = `apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  template:
    spec:
      containers: [{name: app, image: x, resources: null, env: null}]
      volumes:
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: empty}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec: {template: {metadata: null, spec: {initContainers: [], containers: null}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: c}
spec:
  jobTemplate: {spec: {template: {spec: {containers: [{name: app, image: x}]}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - {name: istio-proxy, image: auto}
  - {name: app, image: x, readinessProbe: {httpGet: {port: 80}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: r}
spec: {replicas: 2, template: {spec: {containers: [{name: app, image: x}]}}}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: k}
spec: {template: {spec: {containerConcurrency: 1, containers: [{image: x}]}}}
`

// TestPatches: every patch applies to the object as it was written, and then
// the object means what injection makes of it.
func TestPatches(t *testing.T) {
	t.Parallel()
	examples, err := os.ReadFile("../../testdata/examples/kinds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(examples), sparse}
	for seed := range uint64(100) {
		texts = append(texts, randomWorkload(rand.New(rand.NewPCG(seed, 0))))
	}
	known := func(_ testing.TB, o *inject.Options) { o.PodTemplates = mesh.KnownPodTemplates() }
	hold := values("global.proxy.holdApplicationUntilProxyStarts=true")
	n := 0
	for _, i := range []*inject.Injector{defaults(t, known), defaults(t, known, native), defaults(t, known, hold)} {
		for _, text := range texts {
			n += patchesApply(t, run(t, i.Document, []byte(text)))
		}
	}
	if n < 300 {
		t.Errorf("only %d patches", n)
	}
}

// patchesApply checks the patches of documents of one object each, and counts
// them.
func patchesApply(t *testing.T, out inject.Output) int {
	t.Helper()
	patches, err := out.Patches()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for d, r := range out.Results {
		if len(r.Changes) != 1 || r.Changes[0].After == nil {
			for _, c := range r.Changes {
				if c.After != nil {
					n++ // within a List
				}
			}
			continue
		}
		written, err := yaml.YAMLToJSON(out.Stream.Documents[d].Text)
		if err != nil {
			t.Fatal(err)
		}
		operations, err := json.Marshal(patches[n].Patch)
		if err != nil {
			t.Fatal(err)
		}
		n++
		patched, err := applyPatch(written, operations)
		if err != nil {
			t.Errorf("%s: %v", r.Changes[0].Object, err)
			continue
		}
		got, err := unchanged(&manifest.Document{Text: append(patched, '\n'), Line: 1})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(decodeJSON(t, r.After), decodeJSON(t, got.Before)); diff != "" {
			t.Errorf("%s: the patched object is not the injected one (-want +got):\n%s", r.Changes[0].Object, diff)
		}
	}
	return n
}

// TestPatchOrder: the same input gives the same patch, byte for byte.
func TestPatchOrder(t *testing.T) {
	t.Parallel()
	out := run(t, defaults(t).Document, []byte(sparse))
	var first string
	for range 20 {
		patches, err := out.Patches()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(patches)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(text)
		}
		if string(text) != first {
			t.Fatalf("two patches for one object:\n%s\n%s", first, text)
		}
	}
}
