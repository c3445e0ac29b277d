package inject

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

func (n *injection) warn(format string, args ...any) {
	n.warnings = append(n.warnings, fmt.Sprintf(format, args...))
}

// check looks for what a cluster will refuse or a user will not expect.
func (n *injection) check() {
	spec := &n.original.Spec
	if spec.DNSPolicy != "" && spec.DNSPolicy != corev1.DNSClusterFirst {
		n.warn("dnsPolicy is %q, not %q: the sidecar may be unable to connect to the control plane", spec.DNSPolicy, corev1.DNSClusterFirst)
	}
	if n.status == nil {
		for _, v := range spec.Volumes {
			if slices.Contains(n.added.Volumes, v.Name) {
				n.warn("volume %q is also the name of an injected volume: the two become one, which a cluster refuses when their sources differ (INJ-58)", v.Name)
			}
		}
	}
	if proxy := sidecarOf(&n.pod.Spec); proxy != nil && strings.TrimSpace(proxy.Image) == "" {
		n.warn("container %s has no image: %q asks for an injected one, but no template gives it", proxyContainer, autoImage)
	}
}

// unread tells of settings that stand where injection does not look, though a
// user may think so: on the controller itself (INJ-21), in the pod template of
// a CronJob (INJ-15), in the controller's namespace (INJ-22).
func (w workload) unread(reason Reason) []string {
	if w.bare || w.own == nil {
		return nil
	}
	var warnings []string
	_, label := w.meta.Labels[annotationInject]
	_, annotation := w.meta.Annotations[annotationInject]
	for where, values := range map[string]map[string]string{"label": w.own.Labels, "annotation": w.own.Annotations} {
		if value, ok := values[annotationInject]; ok && !label && !annotation {
			warnings = append(warnings, fmt.Sprintf("%s %s: %q of the %s itself has no effect: pods have what is in its pod template", where, annotationInject, value, w.owner.Kind))
		}
	}
	slices.Sort(warnings)
	if job, ok := w.object.(*batchv1.CronJob); ok {
		template := job.Spec.JobTemplate.Spec.Template.ObjectMeta
		for _, key := range slices.Sorted(maps.Keys(template.Annotations)) {
			if _, same := w.meta.Annotations[key]; !same && isSetting(key) {
				warnings = append(warnings, fmt.Sprintf("annotation %s of the pod template is not read: of a CronJob, injection reads those in spec.jobTemplate.metadata", key))
			}
		}
		if value, ok := template.Labels[annotationInject]; ok && !label {
			warnings = append(warnings, fmt.Sprintf("label %s: %q of the pod template is not read: of a CronJob, injection reads those in spec.jobTemplate.metadata", annotationInject, value))
		}
	}
	if reason == Injected && slices.Contains(systemNamespaces(), w.own.Namespace) {
		warnings = append(warnings, fmt.Sprintf("a cluster never injects in namespace %s", w.own.Namespace))
	}
	return warnings
}

// isSetting tells whether an annotation is one that injection reads.
func isSetting(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	return prefix == "sidecar.istio.io" || strings.HasSuffix(prefix, ".sidecar.istio.io") || prefix == "proxy.istio.io" || prefix == "inject.istio.io"
}
