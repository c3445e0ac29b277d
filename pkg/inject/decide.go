package inject

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// decision is whether a pod gets a sidecar, and why.
type decision struct {
	reason  Reason
	because string // what decided, in words, for inject explain
	warning string
}

// systemNamespaces are never injected (INJ-20b).
func systemNamespaces() []string {
	return []string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage"}
}

// decide applies the injector's tests in its order; the first that is decisive
// wins (INJ-20). Only the pod template's metadata counts (INJ-21, INJ-22).
func (i *Injector) decide(meta *metav1.ObjectMeta, spec *corev1.PodSpec) decision {
	if spec.HostNetwork {
		return decision{reason: HostNetwork, because: "spec.hostNetwork is true"}
	}
	if slices.Contains(systemNamespaces(), meta.Namespace) {
		return decision{reason: SystemNamespace, because: fmt.Sprintf("the pod template is in namespace %q", meta.Namespace)}
	}
	if p := i.config.Policy; p != PolicyEnabled && p != PolicyDisabled {
		return decision{reason: PolicyOff, because: fmt.Sprintf("policy is %q, which never injects", p)}
	}
	value, where, off := meta.Labels[annotationInject], "label", DisabledByLabel
	if _, ok := meta.Labels[annotationInject]; !ok {
		value, where, off = meta.Annotations[annotationInject], "annotation", DisabledByAnnotate
	}
	because := fmt.Sprintf("%s %s is %q", where, annotationInject, value)
	switch value {
	case "true":
		return decision{reason: Injected, because: because}
	case "false":
		return decision{reason: off, because: because}
	}
	d := i.decideByConfig(labels.Set(meta.Labels))
	if value != "" {
		d.warning = fmt.Sprintf("Invalid value for %s: %q. Only 'true' and 'false' are accepted. Falling back to default injection policy.", annotationInject, value)
	}
	return d
}

// decideByConfig is the answer for pods that say nothing themselves.
func (i *Injector) decideByConfig(set labels.Set) decision {
	if s := firstMatch(i.never, set); s != "" {
		return decision{reason: NeverSelector, because: "neverInjectSelector matches: " + s}
	}
	if s := firstMatch(i.always, set); s != "" {
		return decision{reason: Injected, because: "alwaysInjectSelector matches: " + s}
	}
	if i.config.Policy == PolicyEnabled {
		return decision{reason: Injected, because: "nothing forbids it, and policy is enabled"}
	}
	return decision{reason: PolicyOff, because: fmt.Sprintf("policy is %q", i.config.Policy)}
}

func firstMatch(selectors []labels.Selector, set labels.Set) string {
	for _, s := range selectors {
		if s.Matches(set) {
			return s.String()
		}
	}
	return ""
}

// compileSelectors drops empty selectors, which never match.
func compileSelectors(field string, list []metav1.LabelSelector) ([]labels.Selector, error) {
	var selectors []labels.Selector
	for n := range list {
		s, err := metav1.LabelSelectorAsSelector(&list[n])
		if err != nil {
			return nil, fmt.Errorf("injection config: %s[%d]: %w", field, n, err)
		}
		if !s.Empty() {
			selectors = append(selectors, s)
		}
	}
	return selectors, nil
}
