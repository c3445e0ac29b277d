package inject

import (
	"encoding/json"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probersEnv tells the agent how to ask the application itself (INJ-68).
const probersEnv = "ISTIO_KUBE_APP_PROBERS"

// prober is a saved probe or lifecycle handler; the field order is the peer's.
type prober struct {
	HTTPGet        *corev1.HTTPGetAction   `json:"httpGet,omitempty"`
	TCPSocket      *corev1.TCPSocketAction `json:"tcpSocket,omitempty"`
	GRPC           *corev1.GRPCAction      `json:"grpc,omitempty"`
	TimeoutSeconds int32                   `json:"timeoutSeconds,omitempty"`
}

// handler is one place where the kubelet may call the application.
type handler struct {
	path    string // where the agent answers instead
	timeout int32
	httpGet **corev1.HTTPGetAction
	tcp     **corev1.TCPSocketAction
	grpc    **corev1.GRPCAction // nil for lifecycle handlers, which have none
}

// rewriteProbes makes the kubelet ask the agent, which may pass mTLS, instead
// of the application (INJ-68).
func (n *injection) rewriteProbes() error {
	proxy := sidecarOf(&n.pod.Spec)
	if proxy == nil || !n.rewritesProbes() {
		return nil
	}
	saved := map[string]prober{}
	port := n.statusPort()
	for _, list := range [][]corev1.Container{n.pod.Spec.InitContainers, n.pod.Spec.Containers} {
		for c := range list {
			container := &list[c]
			if container.Name == proxyContainer {
				continue
			}
			for _, h := range handlers(container) {
				n.save(saved, h, container)
				h.redirect(port)
			}
		}
	}
	return saveProbers(proxy, saved)
}

func (n *injection) rewritesProbes() bool {
	if v, err := strconv.ParseBool(n.pod.Annotations[annotationRewriteProbers]); err == nil {
		return v
	}
	return n.Values.known.SidecarInjectorWebhook.RewriteAppHTTPProbe
}

// statusPort is where rewritten probes go: the annotation's port, 0 if it is
// not a number, else the mesh's (INJ-68e).
func (n *injection) statusPort() int {
	if v, ok := n.pod.Annotations[annotationStatusPort]; ok {
		port, err := strconv.Atoi(v)
		if err != nil {
			n.warn("annotation %s: %q is not a port; probes go to port 0", annotationStatusPort, v)
		}
		return port
	}
	return int(n.mesh.GetDefaultConfig().GetStatusPort())
}

// handlers lists a container's probes and lifecycle hooks.
func handlers(c *corev1.Container) []handler {
	var all []handler
	probe := func(p *corev1.Probe, name string) {
		if p != nil {
			all = append(all, handler{"/app-health/" + c.Name + "/" + name, p.TimeoutSeconds, &p.HTTPGet, &p.TCPSocket, &p.GRPC})
		}
	}
	probe(c.ReadinessProbe, "readyz")
	probe(c.LivenessProbe, "livez")
	probe(c.StartupProbe, "startupz")
	hook := func(l *corev1.LifecycleHandler, name string) {
		if l != nil {
			all = append(all, handler{"/app-lifecycle/" + c.Name + "/" + name, 0, &l.HTTPGet, &l.TCPSocket, nil})
		}
	}
	if c.Lifecycle != nil {
		hook(c.Lifecycle.PreStop, "prestopz")
		hook(c.Lifecycle.PostStart, "poststartz")
	}
	return all
}

// save keeps what the agent must know to ask the application. A port name that
// the container does not have cannot be kept (INJ-68d).
func (n *injection) save(saved map[string]prober, h handler, c *corev1.Container) {
	p := prober{TimeoutSeconds: h.timeout}
	switch {
	case *h.httpGet != nil:
		get := (*h.httpGet).DeepCopy()
		if !n.resolve(&get.Port, c, h.path) {
			return
		}
		p.HTTPGet = get
	case *h.tcp != nil:
		socket := (*h.tcp).DeepCopy()
		if !n.resolve(&socket.Port, c, h.path) {
			return
		}
		p.TCPSocket = socket
	case h.grpc != nil && *h.grpc != nil:
		p.GRPC = (*h.grpc).DeepCopy()
	default:
		return
	}
	saved[h.path] = p
}

// resolve turns a port name into its number. It is false for what must not be
// saved: an unknown name, and the agent's own port.
func (n *injection) resolve(port *intstr.IntOrString, c *corev1.Container, path string) bool {
	if port.Type == intstr.Int {
		agents := port.IntVal == n.mesh.GetDefaultConfig().GetStatusPort()
		if agents && n.status == nil {
			n.warn("container %q has a probe of port %d, the sidecar's own: it is taken for a rewritten one, so the probe behind %s cannot be answered and will fail", c.Name, port.IntVal, path)
		}
		return !agents
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			*port = intstr.FromInt32(p.ContainerPort)
			return true
		}
	}
	n.warn("container %q has no port named %q: the probe behind %s cannot be answered and will fail", c.Name, port.StrVal, path)
	return false
}

// redirect sends the kubelet to the agent (INJ-68e).
func (h handler) redirect(port int) {
	target := intstr.FromInt32(int32(port)) //nolint:gosec // validated as a 16 bit port
	switch {
	case *h.httpGet != nil:
		get := *h.httpGet
		get.Path, get.Port = h.path, target
		if get.Scheme == corev1.URISchemeHTTPS {
			get.Scheme = corev1.URISchemeHTTP
		}
	case *h.tcp != nil:
		*h.tcp = nil
		*h.httpGet = &corev1.HTTPGetAction{Path: h.path, Port: target}
	case h.grpc != nil && *h.grpc != nil:
		*h.grpc = nil
		*h.httpGet = &corev1.HTTPGetAction{Path: h.path, Port: target}
	}
}

// saveProbers hands the probers to the agent. Those of an earlier injection
// are the application's own and win (INJ-68f).
func saveProbers(proxy *corev1.Container, saved map[string]prober) error {
	at := -1
	for i, e := range proxy.Env {
		if e.Name == probersEnv {
			at = i
		}
	}
	if at >= 0 {
		var earlier map[string]prober
		if err := json.Unmarshal([]byte(proxy.Env[at].Value), &earlier); err != nil {
			return fmt.Errorf("environment variable %s: %w", probersEnv, err)
		}
		for path, p := range earlier {
			saved[path] = p
		}
	}
	if len(saved) == 0 {
		return nil
	}
	text, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	if at >= 0 {
		proxy.Env[at].Value = string(text)
	} else {
		proxy.Env = append(proxy.Env, corev1.EnvVar{Name: probersEnv, Value: string(text)})
	}
	return nil
}
