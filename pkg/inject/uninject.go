package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// Uninjector takes sidecars out of workloads. It is safe for concurrent use.
type Uninjector struct {
	templates []mesh.PodTemplate
	selector  labels.Selector
	kinds     map[string]kind
	decoder   manifest.Decoder
}

// NewUninjector opens the built-in kinds and those of other API groups that
// are named. A nil selector picks every workload.
func NewUninjector(templates []mesh.PodTemplate, selector labels.Selector) *Uninjector {
	return &Uninjector{templates: templates, selector: selector, kinds: builtinKinds()}
}

// Document takes out what the status annotation lists, and undoes what
// injection changes besides: probes, Prometheus annotations and the user's own
// settings of injected containers come back. It fails with a
// *report.InputError and then has changed nothing.
func (i *Uninjector) Document(d *manifest.Document) (*Result, error) {
	edit := func(w workload) (Outcome, error) {
		u := &uninjection{meta: w.meta, spec: w.spec, owner: w.owner, bare: w.bare}
		return Outcome{Reason: u.run(), Warnings: u.warnings}, nil
	}
	w := &walker{document: d, decoder: &i.decoder, kinds: i.kinds, foreign: i.templates, selector: i.selector, edit: edit}
	return w.walk()
}

// uninjection is one pod on its way back.
type uninjection struct {
	meta     *metav1.ObjectMeta
	spec     *corev1.PodSpec
	owner    owner
	bare     bool
	status   *sidecarStatus
	proxy    corev1.Container // the sidecar that was taken out
	warnings []string
}

func (u *uninjection) run() Reason {
	u.status = parseStatus(u.meta.Annotations)
	if u.status == nil {
		return NotInjected
	}
	if proxy := sidecarOf(u.spec); proxy != nil {
		u.proxy = *proxy.DeepCopy()
	}
	if u.bare {
		u.owner = podOwner(&corev1.Pod{ObjectMeta: *u.meta})
	}
	u.removeParts()
	u.restoreProbes()
	u.restorePrometheus()
	u.restoreOverrides()
	u.removeLabels()
	u.removeAnnotations()
	u.removeGatewaySecurity()
	return Uninjected
}

func (u *uninjection) removeParts() {
	u.spec.Containers = without(u.spec.Containers, u.status.Containers)
	u.spec.InitContainers = without(u.spec.InitContainers, u.status.InitContainers)
	if len(u.spec.InitContainers) == 0 {
		u.spec.InitContainers = nil
	}
	u.spec.Volumes = slices.DeleteFunc(u.spec.Volumes, func(v corev1.Volume) bool { return slices.Contains(u.status.Volumes, v.Name) })
	if len(u.spec.Volumes) == 0 {
		u.spec.Volumes = nil
	}
	u.spec.ImagePullSecrets = slices.DeleteFunc(u.spec.ImagePullSecrets, func(s corev1.LocalObjectReference) bool {
		return slices.Contains(u.status.ImagePullSecrets, s.Name)
	})
	if len(u.spec.ImagePullSecrets) == 0 {
		u.spec.ImagePullSecrets = nil
	}
	if names := u.meta.Annotations[annotationTemplates]; names != "" {
		for _, name := range splitList(names) {
			if name != defaultTemplate && name != "gateway" {
				u.warnings = append(u.warnings, fmt.Sprintf("template %q: what it changed in the application's own containers cannot be told and stays", name))
			}
		}
	}
}

func (u *uninjection) proxyEnv(name string) string {
	for _, e := range u.proxy.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// restoreProbes undoes the rewriting (INJ-68) from what the agent was told. A
// port that had a name comes back as its number, which means the same.
func (u *uninjection) restoreProbes() {
	var saved map[string]prober
	if text := u.proxyEnv(probersEnv); text != "" && json.Unmarshal([]byte(text), &saved) != nil {
		u.warnings = append(u.warnings, "environment variable "+probersEnv+" is not readable: probes stay rewritten")
	}
	for _, list := range [][]corev1.Container{u.spec.InitContainers, u.spec.Containers} {
		for c := range list {
			for _, h := range handlers(&list[c]) {
				u.restore(h, saved)
			}
		}
	}
}

func (u *uninjection) restore(h handler, saved map[string]prober) {
	get := *h.httpGet
	if get == nil || get.Path != h.path {
		return
	}
	p, ok := saved[h.path]
	switch {
	case !ok:
		u.warnings = append(u.warnings, fmt.Sprintf("the original of the probe behind %s was not kept: write it anew", h.path))
	case p.HTTPGet != nil:
		get.Path, get.Port, get.Scheme = p.HTTPGet.Path, p.HTTPGet.Port, p.HTTPGet.Scheme
	case p.TCPSocket != nil:
		*h.httpGet, *h.tcp = nil, p.TCPSocket
	case p.GRPC != nil && h.grpc != nil:
		*h.httpGet, *h.grpc = nil, p.GRPC
	}
}

// restorePrometheus undoes the merge (INJ-65).
func (u *uninjection) restorePrometheus() {
	current := prometheusAnnotations(u.meta.Annotations)
	if current.Path != "/stats/prometheus" || current.Scrape != "true" {
		return
	}
	clearPrometheus(u.meta.Annotations)
	var saved scrapeConfig
	if text := u.proxyEnv(prometheusEnv); text == "" || json.Unmarshal([]byte(text), &saved) != nil {
		return
	}
	if len(saved.Targets) > 0 {
		// Path and port came from the first target, whose annotation stays.
		saved.Path, saved.Port = "", ""
	}
	for key, value := range map[string]string{
		annotationPrometheusScrape: saved.Scrape,
		annotationPrometheusPath:   saved.Path,
		annotationPrometheusPort:   saved.Port,
	} {
		if value != "" {
			u.meta.Annotations[key] = value
		}
	}
}

// restoreOverrides gives the user's own containers back (INJ-61). Image "auto"
// was blanked there.
func (u *uninjection) restoreOverrides() {
	kept, err := parseOverrides(u.meta.Annotations)
	if err != nil {
		u.warnings = append(u.warnings, err.Error())
		return
	}
	delete(u.meta.Annotations, annotationOverrides)
	for _, c := range slices.Concat(kept.Containers, kept.InitContainers) {
		if c.Image == "" {
			c.Image = autoImage
		}
		// Users write the proxy among the containers, whatever the layout.
		if c.Name == proxyContainer && !isNative(c) || containerNamed(kept.Containers, c.Name) != nil {
			u.spec.Containers = withMissing(u.spec.Containers, []corev1.Container{c})
		} else {
			u.spec.InitContainers = withMissing(u.spec.InitContainers, []corev1.Container{c})
		}
	}
}

func isNative(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// removeLabels takes off the labels that injection derives (INJ-85). One that
// the user wrote with the derived value goes too: it means the same.
func (u *uninjection) removeLabels() {
	l := u.meta.Labels
	name := firstOf(l["app.kubernetes.io/name"], l["app"], u.owner.Name)
	if len(name) > 63 {
		name = name[:63]
	}
	derived := map[string]string{
		labelTLSMode:           "istio",
		labelTunnel:            "http",
		labelCanonicalRevision: firstOf(l["app.kubernetes.io/version"], l["version"], "latest"),
		labelCanonicalName:     strings.Trim(name, "-_."),
	}
	maps.DeleteFunc(l, func(key, value string) bool { return derived[key] == value && value != "" })
	if len(l) == 0 {
		u.meta.Labels = nil
	}
	if network := l[labelNetwork]; network != "" && network == u.proxyEnv("ISTIO_META_NETWORK") {
		u.warnings = append(u.warnings, fmt.Sprintf("label %s: %s stays: it may be the workload's own", labelNetwork, network))
	}
}

func (u *uninjection) removeAnnotations() {
	a := u.meta.Annotations
	delete(a, annotationStatus)
	if a[annotationRevision] == u.status.Revision {
		delete(a, annotationRevision)
	}
	for _, key := range []string{annotationDefaultContainer, annotationDefaultLogs} {
		if app := u.firstApplication(); app != "" && a[key] == app {
			delete(a, key)
		}
	}
	if v := u.proxyEnv("ENVOY_SECURE_MERGED_METRICS_PORT"); v != "" && a[annotationSecurePort] == v {
		delete(a, annotationSecurePort)
	}
	if slices.Contains(u.status.InitContainers, validationContainer) || spelledOut(a) {
		u.removeCNI(a)
	}
	if len(a) == 0 {
		u.meta.Annotations = nil
	}
}

func (u *uninjection) firstApplication() string {
	for _, c := range u.spec.Containers {
		if c.Name != proxyContainer {
			return c.Name
		}
	}
	return ""
}

// spelledOut tells whether a pod that is not captured has the traffic settings
// for the CNI agent. No container of it shows that the cluster has one.
func spelledOut(a map[string]string) bool {
	_, excluded := a["traffic.sidecar.istio.io/excludeInboundPorts"]
	return excluded && a[annotationInterceptionMode] == "NONE" &&
		a["traffic.sidecar.istio.io/includeInboundPorts"] != "" && a["traffic.sidecar.istio.io/includeOutboundIPRanges"] != ""
}

// removeCNI takes off the traffic settings that injection spells out for the
// CNI agent (INJ-86), where they have their default value.
func (u *uninjection) removeCNI(a map[string]string) {
	defaults := map[string]string{
		annotationInterceptionMode:                         "REDIRECT",
		"traffic.sidecar.istio.io/includeOutboundIPRanges": "*",
		"traffic.sidecar.istio.io/includeInboundPorts":     "*",
	}
	maps.DeleteFunc(a, func(key, value string) bool { return defaults[key] == value && value != "" })
	const excluded = "traffic.sidecar.istio.io/excludeInboundPorts"
	port := firstOf(a[annotationStatusPort], "15020")
	ports := slices.DeleteFunc(splitList(a[excluded]), func(p string) bool { return p == port })
	if len(ports) == 0 {
		delete(a, excluded)
	} else if _, ok := a[excluded]; ok {
		a[excluded] = strings.Join(ports, ",")
	}
	const networks, own = "k8s.v1.cni.cncf.io/networks", "default/istio-cni"
	switch v := a[networks]; {
	case v == own:
		delete(a, networks)
	case strings.HasSuffix(v, ", "+own):
		a[networks] = strings.TrimSuffix(v, ", "+own)
	case strings.HasSuffix(v, `{"name": "istio-cni", "namespace": "default"}]`):
		v = strings.TrimSuffix(v, `{"name": "istio-cni", "namespace": "default"}]`)
		a[networks] = strings.TrimSuffix(v, ", ") + "]"
	}
}

// removeGatewaySecurity takes off the pod security context that the gateway
// template adds (INJ-90).
func (u *uninjection) removeGatewaySecurity() {
	s := u.spec.SecurityContext
	if s == nil || !slices.Contains(u.proxy.Args, "router") {
		return
	}
	s.Sysctls = slices.DeleteFunc(s.Sysctls, func(c corev1.Sysctl) bool {
		return c.Name == "net.ipv4.ip_unprivileged_port_start" && c.Value == "0"
	})
	if len(s.Sysctls) == 0 {
		s.Sysctls = nil
	}
	if reflect.ValueOf(*s).IsZero() {
		u.spec.SecurityContext = nil
	}
}
