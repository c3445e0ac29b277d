package inject_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/inject"
)

// TestExplainWebhook: which of istiod's webhooks would call for a pod
// (INJ-28).
func TestExplainWebhook(t *testing.T) {
	t.Parallel()
	ns := func(labels ...string) inject.Namespaces {
		m := map[string]string{}
		for _, l := range labels {
			k, v, _ := strings.Cut(l, "=")
			m[k] = v
		}
		return inject.Namespaces{"shop": m}
	}
	tests := []struct {
		name, labels, revision string
		namespaces             inject.Namespaces
		want                   inject.WebhookVerdict
	}{
		{"namespace not in the files", "", "", nil, inject.WebhookUnknown},
		{"nothing asks", "", "", ns(), inject.WebhookSkipped},
		{"namespace enabled", "", "", ns("istio-injection=enabled"), inject.WebhookCalled},
		{"namespace enabled, pod objects", `sidecar.istio.io/inject: "false"`, "", ns("istio-injection=enabled"), inject.WebhookSkipped},
		{"namespace enabled is the default revision's", "", "canary", ns("istio-injection=enabled"), inject.WebhookSkipped},
		{"namespace disabled, pod asks", `sidecar.istio.io/inject: "true"`, "", ns("istio-injection=disabled"), inject.WebhookSkipped},
		{"namespace of the revision", "", "canary", ns("istio.io/rev=canary"), inject.WebhookCalled},
		{"namespace of another revision", "", "canary", ns("istio.io/rev=old"), inject.WebhookSkipped},
		{"istio-injection hides the revision", "", "canary", ns("istio.io/rev=canary", "istio-injection=disabled"), inject.WebhookSkipped},
		{"pod of the revision", "istio.io/rev: canary", "canary", ns(), inject.WebhookCalled},
		{"pod asks", `sidecar.istio.io/inject: "true"`, "", ns(), inject.WebhookCalled},
		{"pod asks, other revision", `sidecar.istio.io/inject: "true"`, "canary", ns(), inject.WebhookSkipped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := defaults(t, func(_ testing.TB, o *inject.Options) { o.Revision = tt.revision })
			text := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {template: {metadata: {labels: {" + tt.labels + "}}, spec: {containers: [{name: app, image: x}]}}}\n"
			all, err := i.Explain(document(t, text), tt.namespaces)
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			if got := all[0].Webhook; got.Verdict != tt.want {
				t.Errorf("%s: %s, want %s", got.Verdict, got.Because, tt.want)
			}
		})
	}
}

// TestExplainSteps: the test that decides is the last one, and says why.
func TestExplainSteps(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		pod("", app):                                 "policy: enabled",
		pod("", app+", hostNetwork: true"):           "host network: spec.hostNetwork is true",
		pod(`sidecar.istio.io/inject: "false"`, app): `annotation sidecar.istio.io/inject: "false"`,
		strings.Replace(pod("", app), "annotations: {}", `labels: {sidecar.istio.io/inject: "true"}`, 1): `label sidecar.istio.io/inject: "true"`,
		strings.Replace(pod("", app), "namespace: shop", "namespace: kube-system", 1):                    `namespace of the pod template: "kube-system"`,
	} {
		all, err := defaults(t).Explain(document(t, text), nil)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		last := all[0].Steps[len(all[0].Steps)-1]
		if got := last.Test + ": " + last.Found; got != want || !last.Decides {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestExplainBypasses: what passes by the sidecar, for a pod with exceptions
// (INJ-106), and nothing for a pod without a sidecar.
func TestExplainBypasses(t *testing.T) {
	t.Parallel()
	all, err := defaults(t).Explain(document(t, pod(`traffic.sidecar.istio.io/excludeInboundPorts: "7000", traffic.sidecar.istio.io/excludeOutboundIPRanges: 10.1.0.0/16`, app)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, b := range all[0].Bypasses {
		text.WriteString(string(b.Direction) + " " + b.Traffic + "\n")
	}
	for _, want := range []string{"7000", "15090", "15021", "10.1.0.0/16"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("bypasses lack %s:\n%s", want, text.String())
		}
	}
	all, err = defaults(t).Explain(document(t, pod("", app+", hostNetwork: true")), nil)
	if err != nil || all[0].Bypasses != nil || all[0].Capture != nil {
		t.Errorf("a pod without a sidecar: %v, %v", all, err)
	}
}
