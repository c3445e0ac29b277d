package inject_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestKinds: what is injected, and what only looks as if (INJ-4..INJ-6,
// INJ-12, INJ-13).
func TestKinds(t *testing.T) {
	t.Parallel()
	const template = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: app, image: x}]}}"
	tests := []struct {
		name, text string
		want       inject.Reason
	}{
		{"old API group: extensions", "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.Injected},
		{"old API version: apps/v1beta1", "apiVersion: apps/v1beta1\nkind: StatefulSet\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.Injected},
		{"old API version: batch/v1beta1", "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: d}\nspec: {jobTemplate: {spec: {" + template + "}}}\n", inject.Injected},
		{"DeploymentConfig of OpenShift", "apiVersion: apps.openshift.io/v1\nkind: DeploymentConfig\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.Injected},
		{"DeploymentConfig of old OpenShift", "apiVersion: v1\nkind: DeploymentConfig\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.Injected},
		{"Volcano Job", "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: d}\nspec: {tasks: [{" + template + "}]}\n", inject.ForeignKind},
		{"OpenKruise StatefulSet", "apiVersion: apps.kruise.io/v1beta1\nkind: StatefulSet\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.ForeignKind},
		{"Pod of nobody knows whom", "apiVersion: example.com/v1\nkind: Pod\nmetadata: {name: d}\nspec: {}\n", inject.ForeignKind},
		{"Argo Rollout", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.Injected},
		{"Argo Rollout of a Deployment's pods", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: d}\nspec: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: d}}\n", inject.NoPods},
		{"Knative Service", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.Injected},
		{"PodTemplate is not injected", "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: d}\n" + template + "\n", inject.NoPods},
		{"DeploymentList is not injected", "apiVersion: apps/v1\nkind: DeploymentList\nitems: []\n", inject.NoPods},
		{"DeploymentList with something in it", "apiVersion: apps/v1\nkind: DeploymentList\nitems: [{metadata: {name: d}, spec: {" + template + "}}]\n", inject.UnknownKind},
		{"PodList with something in it", "apiVersion: v1\nkind: PodList\nitems: [{metadata: {name: d}, spec: {containers: [{image: x}]}}]\n", inject.UnknownKind},
		{"unknown kind that has a pod template", "apiVersion: apps.example.com/v1\nkind: Fleet\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.UnknownKind},
		{"mistyped kind", "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: d}\nspec: {" + template + "}\n", inject.UnknownKind},
		{"template of another sort", "apiVersion: example.com/v1\nkind: Mail\nmetadata: {name: d}\nspec: {template: hello, containers: 3}\n", inject.NoPods},
		{"template without pods", "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: d}\nspec: {template: {serviceAccount: a}}\n", inject.NoPods},
		{"Service", "apiVersion: v1\nkind: Service\nmetadata: {name: d}\n", inject.NoPods},
		{"values file", "replicas: 3\n", inject.NotKubernetes},
		{"comment", "# nothing\n", inject.NotKubernetes},
	}
	known := func(_ testing.TB, o *inject.Options) { o.PodTemplates = mesh.KnownPodTemplates() }
	i := defaults(t, known)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := run(t, i.Document, []byte(tt.text))
			if got := out.Outcomes()[0]; got.Reason != tt.want || (tt.want == inject.ForeignKind || tt.want == inject.UnknownKind) != (len(got.Warnings) == 1) {
				t.Errorf("%s with %q, want %s", got.Reason, got.Warnings, tt.want)
			}
			text := canonical(t, i.Document, []byte(tt.text))
			if tt.want != inject.Injected && string(text) != tt.text+"---\n" {
				t.Errorf("does not pass through:\n%s", text)
			}
			if tt.want == inject.Injected && !strings.Contains(string(text), "name: istio-proxy") {
				t.Errorf("no sidecar:\n%s", text)
			}
		})
	}
}

// TestLists: Lists are gone through, nested ones too (INJ-12).
func TestLists(t *testing.T) {
	t.Parallel()
	text := `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: List
  items:
  - {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {}}
- {apiVersion: v1, kind: Service, metadata: {name: s, labels: {z: "1", a: "2"}}, unknown: kept}
`
	want := `apiVersion: v1
items:
- apiVersion: v1
  items:
  - apiVersion: v1
    kind: Pod
    metadata:
      annotations:
        marked: "yes"
        prometheus.io/path: /stats/prometheus
        prometheus.io/port: "15020"
        prometheus.io/scrape: "true"
        sidecar.istio.io/status: '{"initContainers":null,"containers":null,"volumes":null,"imagePullSecrets":null,"revision":"default"}'
      name: p
    spec:
      containers: null
    status: {}
  kind: List
  metadata: {}
- apiVersion: v1
  kind: Service
  metadata:
    labels:
      a: "2"
      z: "1"
    name: s
  unknown: kept
kind: List
metadata: {}
---
`
	if diff := cmp.Diff(want, string(canonical(t, defaults(t, config(marker)).Document, []byte(text)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bad := strings.Replace(text, "spec: {}", "spec: {containers: [{name: 1}]}", 1)
	got := failure(t, defaults(t, config(marker)), bad)
	if want := "app.yaml:7:81: Pod p: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestControllerWithoutTemplate(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"apiVersion: v1\nkind: ReplicationController\n", "apiVersion: apps.openshift.io/v1\nkind: DeploymentConfig\n"} {
		if got := failure(t, defaults(t), kind+"metadata: {name: c}\n"); !strings.HasSuffix(got, "spec.template is required value") {
			t.Errorf("INJ-13: %s", got)
		}
	}
}

// TestForeignKeepsFields: an opted-in kind loses nothing.
func TestForeignKeepsFields(t *testing.T) {
	t.Parallel()
	text := "apiVersion: apps.kruise.io/v1\nkind: CloneSet\nmetadata: {name: c}\nspec:\n  own: 9007199254740993\n  template:\n    extra: kept\n    spec:\n      containers:\n      - {name: app, image: x, unknown: [kept]}\n"
	cloneSet := func(_ testing.TB, o *inject.Options) {
		o.PodTemplates = []mesh.PodTemplate{{Group: "apps.kruise.io", Kind: "CloneSet", Path: []string{"spec", "template"}}}
	}
	got := string(canonical(t, defaults(t, config(marker), cloneSet).Document, []byte(text)))
	for _, want := range []string{"own: 9007199254740993\n", "extra: kept\n", "- kept\n", "marked: \"yes\"\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	for spec, want := range map[string]string{
		"{template: 1}":           "app.yaml:1:1: CloneSet c: no pod template at spec.template",
		"{}":                      "app.yaml:1:1: CloneSet c: no pod template at spec.template",
		"{template: [{spec: 1}]}": "app.yaml:1:1: CloneSet c: no pod template at spec.template: a path cannot lead through a list",
	} {
		if got := failure(t, defaults(t, cloneSet), "apiVersion: apps.kruise.io/v1\nkind: CloneSet\nmetadata: {name: c}\nspec: "+spec+"\n"); got != want {
			t.Error(got)
		}
	}
}

func TestSelector(t *testing.T) {
	t.Parallel()
	pick := func(_ testing.TB, o *inject.Options) { o.Selector = labels.SelectorFromSet(labels.Set{"tier": "web"}) }
	i := defaults(t, config(marker), pick)
	for text, want := range map[string]inject.Reason{
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {tier: web}}\nspec: {}\n": inject.Injected,
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {tier: db}}\nspec: {}\n":  inject.NotSelected,
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {}\n":                      inject.NotSelected,
	} {
		if got := run(t, i.Document, []byte(text)).Outcomes()[0].Reason; got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
