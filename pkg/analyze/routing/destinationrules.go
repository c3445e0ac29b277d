package routing

import (
	"fmt"
	"strings"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// serverVerification finds DestinationRules that begin TLS without saying whose
// certificates they trust.
func serverVerification(p *analyze.Pass) {
	for _, r := range destinationRules(p) {
		selects := r.Spec.WorkloadSelector != nil
		path := []string{"spec", "trafficPolicy"}
		if t := r.Spec.GetTrafficPolicy().GetTls(); trustsAnyone(t, selects) {
			p.Report(r.Object, within(path, "tls"), "TLS mode %s without caCertificates: %s", t.Mode, anyone(t, selects))
		}
		ports(p, r, r.Spec.GetTrafficPolicy(), path, selects)
		for i, s := range r.Spec.Subsets {
			path := []string{"spec", "subsets", fmt.Sprint(i), "trafficPolicy"}
			if t := s.GetTrafficPolicy().GetTls(); trustsAnyone(t, selects) {
				p.Report(r.Object, within(path, "tls"), "TLS mode %s of subset %s without caCertificates: %s", t.Mode, s.Name, anyone(t, selects))
			}
			ports(p, r, s.GetTrafficPolicy(), path, selects)
		}
	}
}

func ports(p *analyze.Pass, r *mesh.DestinationRule, policy *api.TrafficPolicy, path []string, selects bool) {
	for i, setting := range policy.GetPortLevelSettings() {
		if t := setting.Tls; trustsAnyone(t, selects) {
			p.ReportCode("IST0129", r.Object, within(path, "portLevelSettings", fmt.Sprint(i), "tls"), "TLS mode %s of port %d without caCertificates: %s", t.Mode, setting.GetPort().GetNumber(), anyone(t, selects))
		}
	}
}

// trustsAnyone tells whether settings begin TLS without naming an authority. A
// credential has one; sidecars read it only if the rule selects them.
func trustsAnyone(t *api.ClientTLSSettings, selects bool) bool {
	begins := t.GetMode() == api.ClientTLSSettings_SIMPLE || t.GetMode() == api.ClientTLSSettings_MUTUAL
	return begins && t.CaCertificates == "" && (t.CredentialName == "" || !selects)
}

func anyone(t *api.ClientTLSSettings, selects bool) string {
	if t.CredentialName != "" && !selects {
		return "the sidecars read credentialName only if the rule has a workloadSelector, so the server may be anybody with a certificate of a public authority, or anybody at all"
	}
	return "the server may be anybody with a certificate of a public authority, or anybody at all in old releases"
}

// subsets finds DestinationRules of hosts that there are not, and subsets that
// no endpoint of their host is in.
func subsets(p *analyze.Pass) {
	x := hosts(p)
	nodes := nodeLabels(p)
	for _, r := range destinationRules(p) {
		if mesh.IsWildcard(r.Spec.Host) || r.Spec.Host == "" {
			continue
		}
		service := x.find(p, r.Spec.Host, r.Namespace, r.Spec.ExportTo)
		if service == nil {
			report := p.ReportCode("IST0174", r.Object, []string{"spec", "host"}, "host %q is no Service and no ServiceEntry that namespace %s sees: the rule has no effect%s",
				r.Spec.Host, r.Namespace, x.meant(p, r.Spec.Host, r.Namespace))
			hintUnless(p, report, x.spokenOf(p, r.Spec.Host, r.Namespace))
			continue
		}
		for i, s := range r.Spec.Subsets {
			if len(s.Labels) == 0 || inSubset(p, nodes, service, s.Labels) {
				continue
			}
			report := p.Report(r.Object, []string{"spec", "subsets", fmt.Sprint(i), "labels"}, "no endpoint of %q has the labels %s: requests to subset %s get 503", r.Spec.Host, selectorText(s.Labels), s.Name).
				Because(service.Object, nil, "is the host")
			hintUnless(p, report, service.Entry != nil || len(p.Selected(service)) > 0)
		}
	}
}

// inSubset tells whether an endpoint of a service, or of its namesakes, is in a
// subset.
func inSubset(p *analyze.Pass, nodes map[string]map[string]string, service *mesh.Service, wanted map[string]string) bool {
	if service.Resolution == mesh.Alias {
		return true // endpoints are those of another name
	}
	for _, v := range p.Namesakes(service) {
		for _, w := range workloads(p).in(v.Namespace, v.Selector) {
			if len(v.Selector) > 0 && fits(w, nodes, wanted) {
				return true
			}
		}
		for _, entry := range v.Entry.GetEndpoints() {
			if mesh.Selects(wanted, entry.Labels) {
				return true
			}
		}
		if v.Entry == nil && len(v.Selector) == 0 {
			return true // its Endpoints are kept by hand
		}
	}
	return false
}

// fits tells whether pods are in a subset. Those of a template may run at any
// node, so labels of nodes are taken to fit.
func fits(w *mesh.Workload, nodes map[string]map[string]string, wanted map[string]string) bool {
	var pod struct {
		Spec struct {
			NodeName string `json:"nodeName"`
		} `json:"spec"`
	}
	placed := w.Kind == "Pod" && w.Decode(&pod) == nil
	for key, value := range wanted {
		got, has := w.PodLabels[key]
		switch {
		case has:
		case !ofNode(key):
			return false
		case !placed:
			got = value
		case key == "kubernetes.io/hostname":
			got = pod.Spec.NodeName
		default:
			got = nodes[pod.Spec.NodeName][key]
		}
		if got != value || got == "" && !has {
			return false
		}
	}
	return true
}

// ofNode tells whether istiod adds a label to endpoints by their node.
func ofNode(key string) bool {
	return key == "kubernetes.io/hostname" || strings.HasPrefix(key, "topology.kubernetes.io/") || key == "topology.istio.io/subzone"
}

func nodeLabels(p *analyze.Pass) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, o := range p.Kind("", "Node") {
		all[o.Name] = o.Labels
	}
	return all
}
