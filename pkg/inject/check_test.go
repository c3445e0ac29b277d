package inject_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestUnreadSettings: settings where injection does not look are warned of
// (INJ-15, INJ-21, INJ-22).
func TestUnreadSettings(t *testing.T) {
	t.Parallel()
	const inner = "of the pod template is not read: of a CronJob, injection reads those in spec.jobTemplate.metadata"
	const off = `sidecar.istio.io/inject: "false"`
	controller := func(own, pod string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, " + own + "}\nspec: {template: {metadata: {" + pod + "}, spec: {containers: [{name: app, image: x}]}}}\n"
	}
	cron := func(job, pod string) string {
		return "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}\nspec: {jobTemplate: {metadata: {" + job + "}, spec: {template: {metadata: {" + pod + "}, spec: {containers: [{name: app, image: x}]}}}}}\n"
	}
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"on the controller": {controller("labels: {"+off+"}, annotations: {"+off+"}", ""), []string{
			`annotation sidecar.istio.io/inject: "false" of the Deployment itself has no effect: pods have what is in its pod template`,
			`label sidecar.istio.io/inject: "false" of the Deployment itself has no effect: pods have what is in its pod template`,
		}},
		"on both":            {controller("labels: {"+off+"}", "labels: {"+off+"}"), nil},
		"system namespace":   {controller("namespace: kube-system", ""), []string{"a cluster never injects in namespace kube-system"}},
		"not injected":       {controller("namespace: kube-system", "labels: {"+off+"}"), nil},
		"elsewhere":          {controller("namespace: shop, labels: {app: web}", ""), nil},
		"CronJob's pod":      {cron("", "labels: {"+off+"}, annotations: {"+off+", traffic.sidecar.istio.io/excludeInboundPorts: '1', other: x}"), []string{"annotation sidecar.istio.io/inject " + inner, "annotation traffic.sidecar.istio.io/excludeInboundPorts " + inner, `label sidecar.istio.io/inject: "false" ` + inner}},
		"CronJob's job":      {cron("annotations: {"+off+"}", ""), nil},
		"CronJob, on both":   {cron("annotations: {"+off+"}", "annotations: {"+off+"}"), nil},
		"a pod is all there": {"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {" + off + "}}\nspec: {}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, defaults(t).Document, []byte(tt.text)).Outcomes()[0].Warnings
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDroppedFields: what the canonical form leaves out is told (INJ-7).
func TestDroppedFields(t *testing.T) {
	t.Parallel()
	text := `apiVersion: apps/v1
kind: Deployment
metadata: {name: d, creationTimestamp: null, labels: {}}
own: {a: 1}
spec:
  replcas: 3
  paused: false
  nothing: {deep: [], empty: ""}
  template:
    spec:
      hostNetwork: true
      containers:
      - {name: app, image: x, ImagePullPolicy: Always}
      - {name: two, image: x, resources: {limits: {cpu: 0.5}}, envs: [{name: a}]}
`
	out := run(t, defaults(t).Document, []byte(text))
	want := "left out, for a Deployment has no such field: own, spec.replcas, spec.template.spec.containers[1].envs; --preserve keeps what is there"
	if got := out.CanonicalOutcomes()[0].Warnings; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %s", got, want)
	}
	if got := out.Outcomes()[0].Warnings; got != nil {
		t.Errorf("without the canonical form: %q", got)
	}
	for seed := range uint64(50) {
		out := run(t, defaults(t).Document, []byte(randomWorkload(rand.New(rand.NewPCG(seed, 0)))))
		if got := strings.Join(out.CanonicalOutcomes()[0].Warnings, "\n"); strings.Contains(got, "left out") {
			t.Errorf("%s\n%s", got, out.Stream.Data)
		}
	}
	rollout := "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec: {strategy: {canary: {}}, steps: [1], template: {x: y, spec: {containers: [{name: app, image: x, own: z}]}}}\n"
	known := func(_ testing.TB, o *inject.Options) { o.PodTemplates = mesh.KnownPodTemplates() }
	if got := run(t, defaults(t, known).Document, []byte(rollout)).CanonicalOutcomes()[0]; got.Reason != inject.Injected || got.Warnings != nil {
		t.Errorf("a kind of another group loses nothing: %v", got)
	}
}

// TestProbeOfAgentsPort: a pod that never had a sidecar and probes its port
// loses the probe, and is told (INJ-68d).
func TestProbeOfAgentsPort(t *testing.T) {
	t.Parallel()
	probe := "containers: [{name: app, image: x, readinessProbe: {httpGet: {path: /live, port: 15020}}}]"
	i := defaults(t)
	injected, o := injectPod(t, i, pod("", probe))
	want := `container "app" has a probe of port 15020, the sidecar's own: it is taken for a rewritten one, so the probe behind /app-health/app/readyz cannot be answered and will fail`
	if len(o.Warnings) != 1 || o.Warnings[0] != want {
		t.Errorf("%q, want %s", o.Warnings, want)
	}
	if _, o := injectPod(t, i, asYAML(t, injected)); len(o.Warnings) != 0 {
		t.Errorf("when it is injected again: %q", o.Warnings)
	}
}

// TestUninjectUncaptured: with the CNI agent, the settings that injection
// spells out for a pod that is not captured go again (INJ-86, INJ-93).
func TestUninjectUncaptured(t *testing.T) {
	t.Parallel()
	text := []byte(pod("sidecar.istio.io/interceptionMode: NONE", app))
	for _, mode := range []option{clean, native} {
		injected := canonical(t, defaults(t, mode, values("pilot.cni.enabled=true")).Document, text)
		if !strings.Contains(string(injected), "traffic.sidecar.istio.io/includeInboundPorts") {
			t.Errorf("nothing is spelled out:\n%s", injected)
		}
		if diff := cmp.Diff(string(canonical(t, unchanged, text)), string(canonical(t, uninject, injected))); diff != "" {
			t.Errorf("uninject of inject is not the original (-original +got):\n%s", diff)
		}
	}
}
