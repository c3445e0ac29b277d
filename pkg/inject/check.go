package inject

import (
	"fmt"
	"slices"
	"strings"

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
