package mesh

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/report"
)

// Labels and annotations that tell of a sidecar.
const (
	injectLabel          = "sidecar.istio.io/inject"
	revisionLabel        = "istio.io/rev"
	namespaceInjectLabel = "istio-injection"
	dataplaneModeLabel   = "istio.io/dataplane-mode"
	tlsModeLabel         = "security.istio.io/tlsMode"
	gatewayNameLabel     = "gateway.networking.k8s.io/gateway-name"
	templatesAnnotation  = "inject.istio.io/templates"
	istioTLSMode         = "istio"
	proxyContainer       = "istio-proxy"
)

// Membership says whether a workload has a sidecar, and what tells.
type Membership struct {
	Sidecar bool   `json:"sidecar"`
	Reason  Reason `json:"reason"`
	// At is what tells; zero for Assumed.
	At report.Location `json:"at,omitzero"`
}

// Reason is what tells whether a workload has a sidecar.
type Reason string

// The reasons.
const (
	Assumed         Reason = "assumed"          // nothing in the files tells
	CarriesProxy    Reason = "carries-proxy"    // a container istio-proxy
	CarriesNone     Reason = "carries-none"     // its pods are there, and have none
	InjectLabel     Reason = "inject-label"     // sidecar.istio.io/inject of the pod
	RevisionLabel   Reason = "revision-label"   // istio.io/rev of the pod
	TLSModeLabel    Reason = "tls-mode-label"   // security.istio.io/tlsMode of the pod
	NamespaceLabel  Reason = "namespace-label"  // of its Namespace
	HostNetwork     Reason = "host-network"     // such pods are never injected
	SystemNamespace Reason = "system-namespace" // nor are those of Kubernetes itself
	Ambient         Reason = "ambient"          // its namespace or pod is in ambient mode, without sidecars
	NamesAccount    Reason = "names-account"    // a WorkloadEntry with a service account
	NamesNoAccount  Reason = "names-no-account" // and one without
	RegistersItself Reason = "registers-itself" // a WorkloadGroup's machines
)

// Describe says it in words.
func (m Membership) Describe() string {
	return map[Reason]string{
		Assumed:         "nothing in the files says so; it is assumed",
		CarriesProxy:    "its pod has the container istio-proxy",
		CarriesNone:     "its pods have no container istio-proxy",
		InjectLabel:     "its pod says so with " + injectLabel,
		RevisionLabel:   "its pod asks for a revision with " + revisionLabel,
		TLSModeLabel:    "its label " + tlsModeLabel + " says so",
		NamespaceLabel:  "the labels of its namespace say so",
		HostNetwork:     "pods on the host's network get none",
		SystemNamespace: "pods of Kubernetes' own namespaces get none",
		Ambient:         "it is in ambient mode, which has none",
		NamesAccount:    "its WorkloadEntry names a service account",
		NamesNoAccount:  "its WorkloadEntry names no service account",
		RegistersItself: "machines of a WorkloadGroup register through theirs",
	}[m.Reason]
}

// podMembership is what a pod template alone tells; Assumed if it tells
// nothing. path leads to the template.
func podMembership(w *Workload, pod *corev1.PodSpec, path []string) Membership {
	metadata := func(kind, key string) report.Location {
		return w.Locate(append(path[:len(path):len(path)], "metadata", kind, key)...)
	}
	spec := func(field string) report.Location {
		return w.Locate(append(path[:len(path):len(path)], "spec", field)...)
	}
	isProxy := func(c corev1.Container) bool { return c.Name == proxyContainer }
	switch {
	case slices.ContainsFunc(pod.Containers, isProxy):
		// An injected pod; the image "auto" is a gateway's, which asks for one.
		return Membership{Sidecar: true, Reason: CarriesProxy, At: spec("containers")}
	case slices.ContainsFunc(pod.InitContainers, isProxy):
		return Membership{Sidecar: true, Reason: CarriesProxy, At: spec("initContainers")}
	case pod.HostNetwork:
		return Membership{Reason: HostNetwork, At: spec("hostNetwork")}
	}
	if value, ok := w.PodLabels[injectLabel]; ok {
		return Membership{Sidecar: value != "false", Reason: InjectLabel, At: metadata("labels", injectLabel)}
	}
	if value, ok := w.PodAnnotations[injectLabel]; ok {
		return Membership{Sidecar: value != "false", Reason: InjectLabel, At: metadata("annotations", injectLabel)}
	}
	if mode, ok := w.PodLabels[tlsModeLabel]; ok {
		return Membership{Sidecar: mode == istioTLSMode, Reason: TLSModeLabel, At: metadata("labels", tlsModeLabel)}
	}
	if mode := w.PodLabels[dataplaneModeLabel]; mode == "ambient" {
		return Membership{Reason: Ambient, At: metadata("labels", dataplaneModeLabel)}
	}
	if _, ok := w.PodLabels[revisionLabel]; ok {
		return Membership{Sidecar: true, Reason: RevisionLabel, At: metadata("labels", revisionLabel)}
	}
	return Membership{Reason: Assumed}
}

// foldOwned takes out the workloads that a controller of the snapshot made. Its
// pods show whether they have a proxy.
func (s *Snapshot) foldOwned() {
	byKind := map[string]*Workload{}
	key := func(w *Workload, owned string) string { return w.Namespace + "/" + owned }
	for _, w := range s.Workloads {
		byKind[key(w, w.Kind+"/"+w.Name)] = w
	}
	maker := func(w *Workload) *Workload {
		for range 4 { // a Pod, its ReplicaSet or Job, a Deployment or CronJob
			next := byKind[key(w, w.owner)]
			if w.owner == "" || next == nil || next == w {
				break
			}
			w = next
		}
		return w
	}
	s.Workloads = slices.DeleteFunc(s.Workloads, func(w *Workload) bool {
		top := maker(w)
		if top == w {
			return false
		}
		if w.Kind == "Pod" && top.Membership.Reason != CarriesProxy {
			top.Membership = w.Membership
			if w.Membership.Reason != CarriesProxy {
				top.Membership = Membership{Reason: CarriesNone, At: w.Location}
			}
		}
		return true
	})
}

// joinNamespace adds to what the pod says what its namespace does, as the
// cluster's webhook weighs them: a namespace that turns injection off wins over
// a pod that wants it.
func (s *Snapshot) joinNamespace(w *Workload, assumeOutside bool) {
	if slices.Contains([]Reason{CarriesProxy, CarriesNone, HostNetwork}, w.Membership.Reason) || w.isMachine() {
		return
	}
	if slices.Contains([]string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage"}, w.Namespace) {
		w.Membership = Membership{Reason: SystemNamespace, At: w.Location}
		return
	}
	if ns := s.namespaces[w.Namespace]; ns != nil {
		value, labelled := ns.Labels[namespaceInjectLabel]
		_, revision := ns.Labels[revisionLabel]
		at := ns.Locate("metadata", "labels", namespaceInjectLabel)
		switch {
		case value == "disabled":
			w.Membership = Membership{Reason: NamespaceLabel, At: at}
		case w.Membership.Reason != Assumed:
		case value == "enabled":
			w.Membership = Membership{Sidecar: true, Reason: NamespaceLabel, At: at}
		case labelled: // another value says nothing
		case revision:
			w.Membership = Membership{Sidecar: true, Reason: NamespaceLabel, At: ns.Locate("metadata", "labels", revisionLabel)}
		case ns.Labels[dataplaneModeLabel] == "ambient":
			w.Membership = Membership{Reason: Ambient, At: ns.Locate("metadata", "labels", dataplaneModeLabel)}
		}
	}
	if w.Membership.Reason == Assumed {
		w.Membership.Sidecar = !assumeOutside
	}
}

// IsGateway tells whether the workload's proxy is a gateway: it has listeners
// of its own in place of a sidecar's (AP-5, PA-10).
func (w *Workload) IsGateway() bool {
	if _, ok := w.PodLabels[gatewayNameLabel]; ok {
		return true
	}
	templates := strings.Split(w.PodAnnotations[templatesAnnotation], ",")
	if slices.ContainsFunc(templates, func(t string) bool { return strings.TrimSpace(t) == "gateway" }) {
		return true
	}
	return slices.ContainsFunc(w.Containers, func(c corev1.Container) bool {
		return c.Name == proxyContainer && slices.Contains(c.Args, "router")
	})
}

// BypassesInbound tells whether traffic to a port of the workload does not pass
// its sidecar, and the annotation that says so (PA-22).
func (w *Workload) BypassesInbound(port int32) (annotation string, bypasses bool) {
	if slices.Contains([]int32{15020, 15021, 15090}, port) {
		return "the proxy's own port", true
	}
	const exclude, include = "traffic.sidecar.istio.io/excludeInboundPorts", "traffic.sidecar.istio.io/includeInboundPorts"
	if lists(w.PodAnnotations[exclude], port) {
		return exclude, true
	}
	only, restricted := w.PodAnnotations[include]
	return include, restricted && only != "*" && !lists(only, port)
}

// BypassesOutbound tells the same of what the workload sends to a port.
func (w *Workload) BypassesOutbound(port int32) (annotation string, bypasses bool) {
	const exclude = "traffic.sidecar.istio.io/excludeOutboundPorts"
	return exclude, lists(w.PodAnnotations[exclude], port)
}

// lists tells whether a list with commas has a port.
func lists(list string, port int32) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(item) == strconv.Itoa(int(port)) {
			return true
		}
	}
	return false
}
