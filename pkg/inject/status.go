package inject

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// sidecarStatus is the annotation that injection leaves: what it added
// (INJ-69). The field order is the peer's.
type sidecarStatus struct {
	InitContainers   []string `json:"initContainers"`
	Containers       []string `json:"containers"`
	Volumes          []string `json:"volumes"`
	ImagePullSecrets []string `json:"imagePullSecrets"`
	Revision         string   `json:"revision"`
}

// parseStatus is the status of an injected pod, nil for others (INJ-70).
func parseStatus(annotations map[string]string) *sidecarStatus {
	text, ok := annotations[annotationStatus]
	if !ok {
		return nil
	}
	s := &sidecarStatus{}
	if json.Unmarshal([]byte(text), s) != nil {
		return nil
	}
	return s
}

// newStatus lists what the templates bring by themselves.
func newStatus(pod map[string]any, revision string) sidecarStatus {
	return sidecarStatus{
		InitContainers:   itemNames(pod, "initContainers"),
		Containers:       itemNames(pod, "containers"),
		Volumes:          itemNames(pod, "volumes"),
		ImagePullSecrets: itemNames(pod, "imagePullSecrets"),
		Revision:         firstOf(revision, "default"),
	}
}

// itemNames are the names in a pod's spec.<list>, nil if it is empty.
func itemNames(pod map[string]any, list string) []string {
	spec, _ := pod["spec"].(map[string]any)
	items, _ := spec[list].([]any)
	var names []string
	for _, item := range items {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		names = append(names, name)
	}
	return names
}

// stripped is the original pod without an earlier sidecar, as the templates
// shall see it (INJ-71).
func (n *injection) stripped() (*corev1.Pod, error) {
	if n.status == nil && n.original.Annotations[annotationOverrides] == "" {
		return n.original, nil
	}
	pod := n.original.DeepCopy()
	if n.status != nil {
		pod.Spec.Containers = without(pod.Spec.Containers, n.status.Containers)
		pod.Spec.InitContainers = without(pod.Spec.InitContainers, n.status.InitContainers)
		delete(pod.Annotations, annotationStatus)
		if prometheusAnnotations(pod.Annotations).Port == agentPort(n.mesh) {
			clearPrometheus(pod.Annotations)
		}
	}
	kept, err := parseOverrides(n.original.Annotations)
	if err != nil {
		return nil, err
	}
	pod.Spec.Containers = withMissing(pod.Spec.Containers, kept.Containers)
	pod.Spec.InitContainers = withMissing(pod.Spec.InitContainers, kept.InitContainers)
	return pod, nil
}

func without(containers []corev1.Container, names []string) []corev1.Container {
	return slices.DeleteFunc(containers, func(c corev1.Container) bool { return slices.Contains(names, c.Name) })
}

func withMissing(containers, more []corev1.Container) []corev1.Container {
	for _, c := range more {
		if containerNamed(containers, c.Name) == nil {
			containers = append(containers, c)
		}
	}
	return containers
}

// containerNamed points into containers, nil if there is none of that name.
func containerNamed(containers []corev1.Container, name string) *corev1.Container {
	i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &containers[i]
}

// sidecarOf is the pod's proxy, in either layout, nil if it has none.
func sidecarOf(spec *corev1.PodSpec) *corev1.Container {
	if c := containerNamed(spec.Containers, proxyContainer); c != nil {
		return c
	}
	return containerNamed(spec.InitContainers, proxyContainer)
}
