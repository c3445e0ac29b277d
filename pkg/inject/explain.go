package inject

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshctl/meshctl/pkg/inject/iptables"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// Explanation tells for one workload what decides about its sidecar, and which
// traffic passes by it.
type Explanation struct {
	Outcome
	// Steps are the injector's tests in its order (INJ-20).
	Steps []Step `json:"steps,omitempty"`
	// Webhook is what a cluster's webhook would do, as far as the manifests
	// tell (INJ-28).
	Webhook Webhook `json:"webhook,omitzero"`
	// Bypasses is the traffic that is not captured (INJ-106); empty for
	// workloads without a sidecar.
	Bypasses []iptables.Bypass `json:"bypasses,omitempty"`
	// Capture is what istio-init sets up; nil without a sidecar.
	Capture *iptables.Config `json:"-"`
}

// Step is one test and what it found. The first that decides is the last.
type Step struct {
	Test    string `json:"test"`
	Found   string `json:"found"`
	Decides bool   `json:"decides,omitempty"`
}

// Webhook is the verdict of a cluster's webhook selectors.
type Webhook struct {
	Verdict WebhookVerdict `json:"verdict"`
	Because string         `json:"because"`
}

// WebhookVerdict is whether a cluster's API server asks the injector at all.
type WebhookVerdict string

// The verdicts. Unknown says that the namespace's labels are not in the files.
const (
	WebhookCalled  WebhookVerdict = "called"
	WebhookSkipped WebhookVerdict = "not called"
	WebhookUnknown WebhookVerdict = "unknown"
)

// Namespaces are the labels of the namespaces that the manifests define.
type Namespaces map[string]map[string]string

// Explain tells of every workload of a document what would become of it, and
// of every object that only looks like one why it is left alone.
func (i *Injector) Explain(d *manifest.Document, namespaces Namespaces) ([]Explanation, error) {
	var all []Explanation
	w := &walker{document: d, decoder: &i.decoder, kinds: i.kinds, foreign: i.PodTemplates, selector: i.Selector}
	w.edit = func(load workload) (Outcome, error) {
		e := Explanation{
			Steps:   i.steps(load.meta, load.spec),
			Webhook: i.webhook(firstOf(load.owner.Namespace, i.Namespace, "default"), load.meta.Labels, namespaces),
		}
		original := corev1.PodTemplateSpec{ObjectMeta: *load.meta.DeepCopy(), Spec: *load.spec.DeepCopy()}
		outcome, err := i.workload(load)
		if err != nil {
			return Outcome{}, err
		}
		if outcome.Reason == Injected {
			if err := e.capture(load.spec); err != nil {
				return Outcome{}, err
			}
		}
		*load.meta, *load.spec = original.ObjectMeta, original.Spec
		e.Outcome = outcome
		all = append(all, e)
		return outcome, nil
	}
	result, err := w.walk()
	if err != nil {
		return nil, err
	}
	var explained []Explanation
	for _, c := range result.Changes {
		switch {
		case c.Before != nil && c.Reason != NotSelected:
			all[0].Object = c.Object
			explained = append(explained, all[0])
			all = all[1:]
		case c.Reason == ForeignKind, c.Reason == UnknownKind:
			explained = append(explained, Explanation{Outcome: c.Outcome})
		}
	}
	return explained, nil
}

// capture reads from the injected pod how its traffic is captured.
func (e *Explanation) capture(spec *corev1.PodSpec) error {
	config := iptables.Config{Mode: iptables.None}
	for _, name := range []string{initContainer, validationContainer} {
		c := containerNamed(spec.InitContainers, name)
		if c == nil {
			continue
		}
		env := map[string]string{}
		for _, v := range c.Env {
			env[v.Name] = v.Value
		}
		var err error
		if config, err = iptables.Parse(c.Args, env); err != nil {
			return fmt.Errorf("container %s: %w", name, err)
		}
		break
	}
	e.Capture = &config
	e.Bypasses = config.Bypasses()
	return nil
}

// steps lists the tests of decide up to the one that decides.
func (i *Injector) steps(meta *metav1.ObjectMeta, spec *corev1.PodSpec) []Step {
	d := i.decide(meta, spec)
	tests := []struct {
		test    string
		found   string
		decides bool
	}{
		{"host network", fmt.Sprintf("spec.hostNetwork is %t", spec.HostNetwork), d.reason == HostNetwork},
		{"namespace of the pod template", fmt.Sprintf("%q", meta.Namespace), d.reason == SystemNamespace},
		{"label " + annotationInject, said(meta.Labels), d.reason == DisabledByLabel || meta.Labels[annotationInject] == "true"},
		{"annotation " + annotationInject, said(meta.Annotations), d.reason == DisabledByAnnotate || meta.Labels[annotationInject] == "" && meta.Annotations[annotationInject] == "true"},
		{"neverInjectSelector", matchText(firstMatch(i.never, labels.Set(meta.Labels))), d.reason == NeverSelector},
		{"alwaysInjectSelector", matchText(firstMatch(i.always, labels.Set(meta.Labels))), firstMatch(i.always, labels.Set(meta.Labels)) != ""},
		{"policy", string(i.config.Policy), true},
	}
	var steps []Step
	for _, t := range tests {
		steps = append(steps, Step{t.test, t.found, t.decides})
		if t.decides {
			break
		}
	}
	return steps
}

func said(values map[string]string) string {
	if v, ok := values[annotationInject]; ok {
		return fmt.Sprintf("%q", v)
	}
	return "not set"
}

func matchText(selector string) string {
	if selector == "" {
		return "none matches"
	}
	return selector + " matches"
}

// webhook applies the selectors of istiod's webhooks for the revision: by the
// namespace's labels, or by the pod's where the namespace says nothing.
func (i *Injector) webhook(namespace string, pod map[string]string, namespaces Namespaces) Webhook {
	const injection = "istio-injection"
	if slices.Contains(systemNamespaces(), namespace) {
		return Webhook{WebhookSkipped, fmt.Sprintf("namespace %q is a system namespace", namespace)}
	}
	labels, known := namespaces[namespace]
	if !known {
		return Webhook{WebhookUnknown, fmt.Sprintf("namespace %q is not in the manifests, so its labels are not known", namespace)}
	}
	if pod[annotationInject] == "false" {
		return Webhook{WebhookSkipped, "the pod's label " + annotationInject + " is false"}
	}
	revision := firstOf(i.Revision, "default")
	switch injectionLabel, nsRevision := labels[injection], labels[annotationRevision]; {
	case injectionLabel == "enabled" && revision == "default":
		return Webhook{WebhookCalled, fmt.Sprintf("namespace %q has %s=enabled", namespace, injection)}
	case injectionLabel != "":
		return Webhook{WebhookSkipped, fmt.Sprintf("namespace %q has %s=%s", namespace, injection, injectionLabel)}
	case nsRevision == revision:
		return Webhook{WebhookCalled, fmt.Sprintf("namespace %q has %s=%s", namespace, annotationRevision, revision)}
	case nsRevision != "":
		return Webhook{WebhookSkipped, fmt.Sprintf("namespace %q belongs to revision %q, not %q", namespace, nsRevision, revision)}
	case pod[annotationRevision] == revision:
		return Webhook{WebhookCalled, fmt.Sprintf("the pod has %s=%s, and its namespace says nothing", annotationRevision, revision)}
	case pod[annotationRevision] == "" && pod[annotationInject] == "true" && revision == "default":
		return Webhook{WebhookCalled, "the pod has " + annotationInject + "=true, and its namespace says nothing"}
	}
	return Webhook{WebhookSkipped, fmt.Sprintf("neither namespace %q nor the pod asks for injection", namespace)}
}
