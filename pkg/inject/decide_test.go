package inject_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/inject"
)

// marker is an injection that is cheap and easy to see.
const marker = "templates:\n  sidecar: 'metadata: {annotations: {marked: \"yes\"}}'\n  other: 'metadata: {annotations: {other: \"yes\"}}'\n"

func webhook(_ testing.TB, o *inject.Options) { o.Obey = inject.WebhookRules }

func TestDecide(t *testing.T) {
	t.Parallel()
	const (
		plain    = "metadata: {name: p}\nspec: {}\n"
		never    = "neverInjectSelector: [{matchLabels: {batch: \"yes\"}}]\n"
		always   = "alwaysInjectSelector: [{matchExpressions: [{key: always, operator: Exists}]}]\n"
		batch    = "metadata: {name: p, labels: {batch: \"yes\"}}\n"
		asked    = "metadata: {name: p, annotations: {sidecar.istio.io/inject: \"true\"}}\n"
		alwaysIs = "metadata: {name: p, labels: {always: \"1\"}}\n"
	)
	tests := []struct {
		name    string
		config  string
		pod     string
		command inject.Reason // with the command's rules (INJ-23)
		webhook inject.Reason // with the webhook's
	}{
		{"nothing said", "", plain, inject.Injected, inject.Injected},
		{"host network comes first (INJ-20a, INJ-25)", "", "metadata: {name: p, labels: {sidecar.istio.io/inject: \"true\"}}\nspec: {hostNetwork: true}\n", inject.HostNetwork, inject.HostNetwork},
		{"system namespace before the label (INJ-20b)", "", "metadata: {name: p, namespace: kube-system, labels: {sidecar.istio.io/inject: \"true\"}}\n", inject.SystemNamespace, inject.SystemNamespace},
		{"kube-node-lease", "", "metadata: {name: p, namespace: kube-node-lease}\n", inject.SystemNamespace, inject.SystemNamespace},
		{"local-path-storage", "", "metadata: {name: p, namespace: local-path-storage}\n", inject.SystemNamespace, inject.SystemNamespace},
		{"istio-system is not one of them", "", "metadata: {name: p, namespace: istio-system}\n", inject.Injected, inject.Injected},
		{"label false (INJ-20c)", "", "metadata: {name: p, labels: {sidecar.istio.io/inject: \"false\"}}\n", inject.DisabledByLabel, inject.DisabledByLabel},
		{"annotation false", "", "metadata: {name: p, annotations: {sidecar.istio.io/inject: \"false\"}}\n", inject.DisabledByAnnotate, inject.DisabledByAnnotate},
		{"label wins over annotation (INJ-21)", "", "metadata: {name: p, labels: {sidecar.istio.io/inject: \"true\"}, annotations: {sidecar.istio.io/inject: \"false\"}}\n", inject.Injected, inject.Injected},
		{"empty label hides the annotation", "", "metadata: {name: p, labels: {sidecar.istio.io/inject: \"\"}, annotations: {sidecar.istio.io/inject: \"false\"}}\n", inject.Injected, inject.Injected},
		{"policy disabled", "policy: disabled\n", plain, inject.Injected, inject.PolicyOff},
		{"policy disabled, but asked for", "policy: disabled\n", asked, inject.Injected, inject.Injected},
		{"unknown policy never injects (INJ-20f)", "policy: maybe\n", asked, inject.Injected, inject.PolicyOff},
		{"never selector (INJ-20d)", never, batch, inject.Injected, inject.NeverSelector},
		{"never selector, but asked for", never, strings.Replace(batch, "labels: {", "labels: {sidecar.istio.io/inject: \"true\", ", 1), inject.Injected, inject.Injected},
		{"always selector (INJ-20e)", "policy: disabled\n" + always, alwaysIs, inject.Injected, inject.Injected},
		{"never comes before always", always + never, "metadata: {name: p, labels: {always: \"1\", batch: \"yes\"}}\n", inject.Injected, inject.NeverSelector},
		{"empty selectors match nothing", "neverInjectSelector: [{}]\n", plain, inject.Injected, inject.Injected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pod := "apiVersion: v1\nkind: Pod\n" + tt.pod
			if !strings.Contains(pod, "spec:") {
				pod += "spec: {}\n"
			}
			if _, o := injectPod(t, defaults(t, config(marker+tt.config)), pod); o.Reason != tt.command {
				t.Errorf("command: %s, want %s", o.Reason, tt.command)
			}
			if _, o := injectPod(t, defaults(t, config(marker+tt.config), webhook), pod); o.Reason != tt.webhook {
				t.Errorf("webhook: %s, want %s", o.Reason, tt.webhook)
			}
		})
	}
}

// TestDecideByTemplate: only the pod template's own metadata counts (INJ-21,
// INJ-22), for a CronJob the job template's (INJ-15).
func TestDecideByTemplate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       inject.Reason
	}{
		{"the Deployment's own label", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, labels: {sidecar.istio.io/inject: \"false\"}}\nspec: {template: {spec: {}}}\n", inject.Injected},
		{"the Deployment's own namespace", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: kube-system}\nspec: {template: {spec: {}}}\n", inject.Injected},
		{"the template's namespace", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {namespace: kube-system}, spec: {}}}\n", inject.SystemNamespace},
		{"CronJob: the pod template is not asked", "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}\nspec: {jobTemplate: {spec: {template: {metadata: {labels: {sidecar.istio.io/inject: \"false\"}}, spec: {}}}}}\n", inject.Injected},
		{"CronJob: the job template is", "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}\nspec: {jobTemplate: {metadata: {labels: {sidecar.istio.io/inject: \"false\"}}, spec: {template: {spec: {}}}}}\n", inject.DisabledByLabel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := defaults(t, config(marker)).Document(document(t, tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Changes[0].Reason; got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestDecideWarnsOfOtherValues(t *testing.T) {
	t.Parallel()
	_, o := injectPod(t, defaults(t, config(marker)), "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {sidecar.istio.io/inject: \"yes\"}}\nspec: {}\n")
	want := `Invalid value for sidecar.istio.io/inject: "yes". Only 'true' and 'false' are accepted. Falling back to default injection policy.`
	if o.Reason != inject.Injected || len(o.Warnings) != 1 || o.Warnings[0] != want {
		t.Errorf("%s, %q", o.Reason, o.Warnings)
	}
}

// TestSelectTemplates: which templates a pod gets (INJ-27).
func TestSelectTemplates(t *testing.T) {
	t.Parallel()
	const more = marker + "defaultTemplates: [other]\naliases: {both: [sidecar, other]}\n"
	tests := []struct {
		name, annotation string
		options          []option
		want             string
	}{
		{"default", "", []option{config(marker)}, "sidecar"},
		{"asked for, trimmed", " other , sidecar ", []option{config(marker)}, "other,sidecar"},
		{"the command ignores default templates (INJ-23)", "", []option{config(more)}, "sidecar"},
		{"the webhook obeys them", "", []option{config(more), webhook}, "other"},
		{"aliases", "both", []option{config(more), webhook}, "sidecar,other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pod := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n"
			if tt.annotation != "" {
				pod += "  annotations: {inject.istio.io/templates: \"" + tt.annotation + "\"}\n"
			}
			_, o := injectPod(t, defaults(t, tt.options...), pod+"spec: {}\n")
			if got := strings.Join(o.Templates, ","); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestInjectedAnnotations(t *testing.T) {
	t.Parallel()
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {}\n"
	text := marker + "injectedAnnotations: {team: mesh}\n"
	if p, _ := injectPod(t, defaults(t, config(text), webhook), pod); p.Annotations["team"] != "mesh" {
		t.Errorf("webhook: %v", p.Annotations)
	}
	if p, _ := injectPod(t, defaults(t, config(text)), pod); p.Annotations["team"] != "" {
		t.Errorf("command: %v", p.Annotations)
	}
}
