package platform

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"istio.io/api/annotation"
	"istio.io/api/label"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// annotated are annotations that stand somewhere.
type annotated struct {
	object      *mesh.Object
	metadata    []string // the way to the metadata
	kind        string   // of what they are given to: "Pod" for a template
	annotations map[string]string
	labels      map[string]string
	// byPlugin tells of a pod that the CNI plugin has been at: what is there by
	// default is not the user's.
	byPlugin bool
}

// annotations reports what Istio does not know, or not there, or not so.
func annotations(p *analyze.Pass) {
	known := map[string]*annotation.Instance{}
	for _, a := range annotation.AllResourceAnnotations() {
		known[a.Name] = a
	}
	for _, kind := range [][2]string{
		{"", "Namespace"},
		{"", "Service"},
		{"networking.k8s.io", "Ingress"},
		{"extensions", "Ingress"},
		{gatewayAPI, "Gateway"},
		{networking, "ServiceEntry"},
		{networking, "WorkloadEntry"},
		{security, "AuthorizationPolicy"},
	} {
		for _, o := range p.Kind(kind[0], kind[1]) {
			checkAnnotations(p, known, annotated{object: o, metadata: []string{"metadata"}, kind: o.Kind, annotations: o.Annotations, labels: o.Labels})
		}
	}
	for _, one := range pods(p) {
		plugin := slices.ContainsFunc(one.Spec.InitContainers, func(c container) bool { return c.Name == "istio-validation" })
		checkAnnotations(p, known, annotated{one.Object, []string{"metadata"}, one.Kind, one.Annotations, one.Labels, plugin})
		if len(one.template) > 0 {
			checkAnnotations(p, known, annotated{one.Object, one.at("metadata"), "Pod", one.Metadata.Annotations, one.Metadata.Labels, plugin})
		}
	}
}

func checkAnnotations(p *analyze.Pass, known map[string]*annotation.Instance, a annotated) {
	for _, name := range slices.Sorted(maps.Keys(a.annotations)) {
		if !isIstios(name) || writtenByIstio(name) && a.kind == "Pod" || a.byPlugin && setByPlugin(name) {
			continue
		}
		at := append(slices.Clone(a.metadata), "annotations", name)
		def := known[name]
		if def == nil {
			p.ReportCode("IST0108", a.object, at, "Istio has no annotation %s, so it does nothing; %s", name, meant(name, a, known))
			continue
		}
		_, labelled := a.labels[name]
		if def.Deprecated && (name != injectLabel || !labelled) {
			p.ReportCode("IST0135", a.object, at, "annotation %s is deprecated%s", name, insteadOf(name))
		}
		if def.FeatureStatus == annotation.Alpha && !def.Hidden {
			p.ReportCode("IST0136", a.object, at, "annotation %s is alpha: a new release of Istio may change it or take it away", name)
		}
		if !belongs(def, a.kind) {
			p.ReportCode("IST0107", a.object, at, "annotation %s does nothing on a %s; %s", name, a.kind, whereItBelongs(def, a))
			continue
		}
		if err := inject.ValidateAnnotation(name, a.annotations[name]); err != nil {
			p.ReportCode("IST0125", a.object, at, "annotation %s has the value %q: %s", name, a.annotations[name], refusal(err))
		}
	}
}

// refusal says what is wrong with a value in the words of people who write
// manifests.
func refusal(err error) string {
	var number *strconv.NumError
	if !errors.As(err, &number) {
		return err.Error()
	}
	if number.Func == "ParseBool" {
		return "expected true or false"
	}
	return fmt.Sprintf("%q is no number that is allowed here", number.Num)
}

// isIstios tells an annotation that Istio would have to know: those of its
// domains, save what installers and tools of its own keep there.
func isIstios(name string) bool {
	domain, _, ok := strings.Cut(name, "/")
	if name == "kubernetes.io/ingress.class" {
		return true
	}
	own := []string{"install.istio.io", "operator.istio.io", "internal.istio.io", "experimental.istio.io"}
	return ok && (domain == "istio.io" || strings.HasSuffix(domain, ".istio.io")) && !slices.Contains(own, domain) &&
		!slices.Contains([]string{"prometheus.istio.io/scrape-targets", "prometheus.istio.io/secure-port"}, name)
}

// writtenByIstio tells an annotation that pods get when they are injected or
// captured.
func writtenByIstio(name string) bool {
	return slices.Contains([]string{
		annotation.IoIstioRev.Name, annotation.AmbientRedirection.Name, annotation.SidecarStatus.Name, annotation.ProxyOverrides.Name,
	}, name)
}

// setByPlugin tells an annotation that istio-cni's pods have without anybody
// having written it.
func setByPlugin(name string) bool {
	return slices.Contains([]string{
		"sidecar.istio.io/interceptionMode", "traffic.sidecar.istio.io/excludeInboundPorts", "traffic.sidecar.istio.io/includeInboundPorts",
		"traffic.sidecar.istio.io/excludeOutboundPorts", "traffic.sidecar.istio.io/includeOutboundPorts",
		"traffic.sidecar.istio.io/includeOutboundIPRanges", "traffic.sidecar.istio.io/excludeOutboundIPRanges",
	}, name)
}

// belongs tells whether an annotation means something on a kind. A Gateway hands
// what it does not know to its pods.
func belongs(def *annotation.Instance, kind string) bool {
	return slices.ContainsFunc(def.Resources, func(r annotation.ResourceTypes) bool {
		return r == annotation.Any || r.String() == kind || kind == "Gateway" && r == annotation.Pod
	})
}

// meant says what an unknown annotation may have been meant to be.
func meant(name string, a annotated, known map[string]*annotation.Instance) string {
	for _, l := range label.AllResourceLabels() {
		if l.Name == name {
			return "it is a label: write it under " + strings.Join(append(slices.Clone(a.metadata), "labels"), ".")
		}
	}
	if near := mesh.Nearest(name, slices.Collect(maps.Keys(known))); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "take it away or correct its name"
}

// insteadOf names what took the place of a deprecated annotation.
func insteadOf(name string) string {
	switch {
	case name == injectLabel:
		return ": write the label of the same name"
	case strings.HasPrefix(name, "sidecar.istio.io/stats"):
		return ": write proxyStatsMatcher in the annotation proxy.istio.io/config"
	case name == annotation.SidecarDiscoveryAddress.Name:
		return ": write discoveryAddress in the annotation proxy.istio.io/config"
	case name == annotation.SidecarExtraStatTags.Name:
		return ": write extraStatTags in the annotation proxy.istio.io/config, or a Telemetry"
	}
	return ""
}

func whereItBelongs(def *annotation.Instance, a annotated) string {
	var kinds []string
	for _, r := range def.Resources {
		kinds = append(kinds, r.String())
	}
	if slices.Contains(kinds, "Pod") && a.kind != "Pod" && a.object.Kind != "Namespace" && a.object.Kind != "Service" {
		return "it belongs to the pods: write it in the pod template's metadata"
	}
	return fmt.Sprintf("it belongs on: %s", strings.Join(kinds, ", "))
}
