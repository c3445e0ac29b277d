package inject

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// postProcess makes the changes that no template can (INJ-64..INJ-82), in the
// peer's order.
func (n *injection) postProcess() error {
	if proxy := sidecarOf(&n.pod.Spec); proxy != nil {
		proxy.Env = withClusterEnv(proxy.Env, n.clusterEnv())
	}
	if err := n.mergePrometheus(); err != nil {
		return err
	}
	if err := n.rewriteProbes(); err != nil {
		return err
	}
	if err := n.setMetadata(); err != nil {
		return err
	}
	n.reorder()
	return nil
}

// network is the pod's network: its own label, else the values' (INJ-48).
func (n *injection) network() string {
	return firstOf(n.original.Labels[labelNetwork], n.Values.known.Global.Network)
}

// clusterEnv are the settings of the proxy that say where it runs.
func (n *injection) clusterEnv() map[string]string {
	env := map[string]string{}
	if cluster := n.Values.known.Global.MultiCluster.ClusterName; cluster != "" {
		env["ISTIO_META_CLUSTER_ID"] = cluster
	}
	if network := n.network(); network != "" {
		env["ISTIO_META_NETWORK"] = network
	}
	return env
}

// withClusterEnv moves the given variables to the end, sorted by name.
func withClusterEnv(env []corev1.EnvVar, values map[string]string) []corev1.EnvVar {
	env = slices.DeleteFunc(env, func(e corev1.EnvVar) bool { _, given := values[e.Name]; return given })
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, corev1.EnvVar{Name: name, Value: values[name]})
	}
	return env
}

// setMetadata adds what tells of the injection (INJ-69).
func (n *injection) setMetadata() error {
	if network := n.network(); network != "" {
		if n.pod.Labels == nil {
			n.pod.Labels = map[string]string{}
		}
		n.pod.Labels[labelNetwork] = network
	}
	status, err := json.Marshal(n.added)
	if err != nil {
		return err
	}
	setAnnotation(n.pod, annotationStatus, string(status))
	for key, value := range n.config.InjectedAnnotations {
		setAnnotation(n.pod, key, value)
	}
	return nil
}

// reorder puts the injected containers in their places (INJ-80, INJ-81).
func (n *injection) reorder() {
	spec := &n.pod.Spec
	if n.holdsApplication() {
		spec.Containers = ordered(spec.Containers, []string{proxyContainer}, nil)
	} else {
		spec.Containers = ordered(spec.Containers, nil, []string{proxyContainer})
	}
	if containerNamed(spec.InitContainers, proxyContainer) != nil {
		first := []string{initContainer, validationContainer, proxyContainer, coreDumpContainer}
		spec.InitContainers = ordered(spec.InitContainers, first, nil)
	} else {
		spec.InitContainers = ordered(spec.InitContainers, []string{validationContainer}, []string{initContainer, coreDumpContainer})
	}
}

func (n *injection) holdsApplication() bool {
	return n.proxyConfig.GetHoldApplicationUntilProxyStarts().GetValue() ||
		n.Values.known.Global.Proxy.HoldApplicationUntilProxyStart
}

// ordered puts the containers called first in front and those called last at
// the end; the others keep their order between them.
func ordered(containers []corev1.Container, first, last []string) []corev1.Container {
	rank := func(c corev1.Container) int {
		if i := slices.Index(first, c.Name); i >= 0 {
			return i - len(first)
		}
		return slices.Index(last, c.Name) + 1
	}
	slices.SortStableFunc(containers, func(a, b corev1.Container) int { return rank(a) - rank(b) })
	return containers
}

// agentPort is where the sidecar's agent answers, as text.
func agentPort(config *meshconfig.MeshConfig) string {
	return strconv.Itoa(int(config.GetDefaultConfig().GetStatusPort()))
}

// sanitize makes annotation keys comparable: prometheus.io/port, prometheus_io_port
// and the like are one setting (INJ-65).
func sanitize(key string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, key)
}
