package authentication

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// duplicatePeers finds PeerAuthentications that an older one of the same scope
// hides (PA-3, PA-4), and such that have no effect anywhere (PA-6).
func duplicatePeers(p *analyze.Pass) {
	for _, namespace := range namespaces(p.Inventory) {
		first := map[string]*mesh.PeerAuthentication{}
		for _, r := range p.PeerAuthentications(namespace) {
			labels := r.Spec.GetSelector().GetMatchLabels()
			if namespace == p.RootNamespace() && len(labels) > 0 {
				p.Report(r.Object, []string{"spec", "selector"}, "a selector in the root namespace %s selects nothing: this policy has no effect. Move it to the namespace of the workloads", namespace)
				continue
			}
			var scope []string
			for _, key := range slices.Sorted(maps.Keys(labels)) {
				scope = append(scope, key+"="+labels[key])
			}
			key := strings.Join(scope, ",")
			winner := first[key]
			if winner == nil {
				first[key] = r
				continue
			}
			what := "namespace " + namespace
			if key != "" {
				what = "workloads with " + key
			} else if namespace == p.RootNamespace() {
				what = "the mesh"
			}
			p.Report(r.Object, []string{"metadata", "name"}, "%s has a PeerAuthentication already, and the older one alone counts, by name where both are of one age: this one has no effect", what).
				Because(winner.Object, nil, "is the one that counts")
		}
	}
}

// ignoredPorts finds exceptions for ports that no selected workload listens on.
func ignoredPorts(p *analyze.Pass) {
	for _, namespace := range namespaces(p.Inventory) {
		for _, r := range p.PeerAuthentications(namespace) {
			selected := selectedBy(p, namespace, r.Spec.GetSelector().GetMatchLabels())
			if len(r.Spec.PortLevelMtls) == 0 || len(selected) == 0 {
				continue
			}
			for _, port := range slices.Sorted(maps.Keys(r.Spec.PortLevelMtls)) {
				path := []string{"spec", "portLevelMtls", fmt.Sprint(port)}
				if !slices.ContainsFunc(selected, func(w *mesh.Workload) bool { return p.Listens(w, port) }) {
					p.Report(r.Object, path, "no selected workload listens on port %d: ports are those of the workload, not of its Service", port).
						Because(selected[0].Object, nil, "is selected")
				}
			}
		}
	}
}

func selectedBy(p *analyze.Pass, namespace string, labels map[string]string) []*mesh.Workload {
	index := analyze.Shared(p.Inventory, "authentication.workloads", func() map[string][]*mesh.Workload {
		all := map[string][]*mesh.Workload{}
		for _, w := range p.Workloads {
			all[w.Namespace] = append(all[w.Namespace], w)
		}
		return all
	})
	return slices.DeleteFunc(slices.Clone(index[namespace]), func(w *mesh.Workload) bool { return !mesh.Selects(labels, w.PodLabels) })
}

// plaintext finds workloads that take connections without mTLS.
func plaintext(p *analyze.Pass) {
	for _, w := range p.Workloads {
		if !w.Membership.Sidecar || w.IsGateway() {
			continue
		}
		tls := simulator(p.Inventory).Model(w).TLS
		if tls.Mode == policy.Strict {
			continue
		}
		r := p.Report(w.Object, nil, "the workload takes plaintext (mode %s): anybody in the network can call it without an identity", tls.Mode)
		if tls.From != nil {
			r.Because(tls.From.Object, []string{"spec", "mtls", "mode"}, "says so")
		}
	}
}

// outsideCallers finds workloads that want mTLS of callers that have none: those
// that come through a Service that is open to the outside.
func outsideCallers(p *analyze.Pass) {
	for _, v := range p.Services {
		if v.Entry != nil || len(v.Selector) == 0 {
			continue
		}
		var service struct {
			Spec struct {
				Type string `json:"type"`
			} `json:"spec"`
		}
		if v.Decode(&service) != nil || service.Spec.Type != "NodePort" && service.Spec.Type != "LoadBalancer" {
			continue
		}
		for _, w := range p.Selected(v) {
			model := simulator(p.Inventory).Model(w)
			if !w.Membership.Sidecar || w.IsGateway() || model.TLS.Mode != policy.Strict || model.TLS.From == nil {
				continue
			}
			p.Report(v.Object, []string{"spec", "type"}, "callers from outside of the mesh come through this %s, and %s wants mTLS of them: they are refused", service.Spec.Type, w).
				Because(model.TLS.From.Object, []string{"spec", "mtls", "mode"}, "asks for mTLS")
			break
		}
	}
}

// controlPlane finds settings that let agents speak to the control plane without
// TLS.
func controlPlane(p *analyze.Pass) {
	if p.ConfigGiven && p.Config.GetDefaultConfig().GetControlPlaneAuthPolicy() == 0 {
		p.ReportAt("MeshConfig", p.ConfigPlace("controlPlaneAuthPolicy"), "controlPlaneAuthPolicy NONE: sidecars speak to the control plane without TLS, and take their configuration from whoever answers. Leave it out, the default is MUTUAL_TLS")
	}
	for _, w := range p.Workloads {
		const key = "proxy.istio.io/config"
		if text := w.PodAnnotations[key]; strings.Contains(text, "controlPlaneAuthPolicy") && strings.Contains(text, "NONE") {
			p.Report(w.Object, annotationPath(w, key), "controlPlaneAuthPolicy NONE: the sidecar speaks to the control plane without TLS, and takes its configuration from whoever answers")
		}
	}
}

// annotationPath leads to an annotation of a workload's pods.
func annotationPath(w *mesh.Workload, key string) []string {
	if w.Kind == "Pod" {
		return []string{"metadata", "annotations", key}
	}
	return []string{"spec", "template", "metadata", "annotations", key}
}

func at(path []string, steps ...any) []string {
	result := slices.Clone(path)
	for _, s := range steps {
		switch s := s.(type) {
		case int:
			result = append(result, strconv.Itoa(s))
		default:
			result = append(result, fmt.Sprint(s))
		}
	}
	return result
}
