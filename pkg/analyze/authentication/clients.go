package authentication

import (
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// tlsSetting is what a DestinationRule says about TLS, and of which port; zero
// is all others.
type tlsSetting struct {
	mode networking.ClientTLSSettings_TLSmode
	port uint32
	path []string
}

// settings are those of a traffic policy. A port's own settings hide those of
// the whole (DR-5).
func settings(t *networking.TrafficPolicy, path []string) []tlsSetting {
	var all []tlsSetting
	if t.GetTls() != nil {
		all = append(all, tlsSetting{mode: t.Tls.Mode, path: at(path, "tls", "mode")})
	}
	for i, p := range t.GetPortLevelSettings() {
		if p.GetTls() != nil {
			all = append(all, tlsSetting{p.Tls.Mode, p.GetPort().GetNumber(), at(path, "portLevelSettings", i, "tls", "mode")})
		}
	}
	return all
}

// of is the setting of a port, nil if there is none.
func of(all []tlsSetting, t *networking.TrafficPolicy, port uint32) *tlsSetting {
	for i := range all {
		if all[i].port == port {
			return &all[i]
		}
	}
	for _, p := range t.GetPortLevelSettings() {
		if p.GetPort().GetNumber() == port {
			return nil // the port's settings say nothing of TLS, and hide the others
		}
	}
	for i := range all {
		if all[i].port == 0 {
			return &all[i]
		}
	}
	return nil
}

// clientTLS finds DestinationRules whose clients speak otherwise than the
// workloads behind the host (DR-12..DR-14).
func clientTLS(p *analyze.Pass) {
	for _, namespace := range p.DestinationNamespaces() {
		for _, r := range p.DestinationRules(namespace) {
			whole := settings(r.Spec.TrafficPolicy, []string{"spec", "trafficPolicy"})
			if len(whole) == 0 {
				continue
			}
			for _, v := range servicesOf(p, r) {
				servers(p, r, v, whole)
			}
		}
	}
}

// servicesOf are the Services that a rule's host names.
func servicesOf(p *analyze.Pass, r *mesh.DestinationRule) []*mesh.Service {
	return p.ServicesOf(p.FullHost(r.Spec.Host, r.Namespace))
}

// servers compares a rule with the workloads behind one Service, and reports the
// first that does not go with it.
func servers(p *analyze.Pass, r *mesh.DestinationRule, v *mesh.Service, whole []tlsSetting) {
	told := map[string]bool{}
	for _, port := range v.Ports {
		setting := of(whole, r.Spec.TrafficPolicy, uint32(port.Number)) //nolint:gosec // a port
		if setting == nil || port.Protocol == mesh.UDP {
			continue
		}
		for _, w := range p.Selected(v) {
			if w.IsGateway() || told[setting.mode.String()] {
				continue
			}
			number := w.Port(port)
			mode := policy.Disable
			var from *mesh.PeerAuthentication
			if _, bypasses := w.BypassesInbound(number); w.Membership.Sidecar && !bypasses {
				model := simulator(p.Inventory).Model(w)
				mode, from = model.Port(uint32(number)).Mode, model.TLS.From //nolint:gosec // a port
			}
			var report *analyze.Report
			switch {
			case setting.mode == networking.ClientTLSSettings_DISABLE && mode == policy.Strict:
				report = p.ReportCode("MSH0204", r.Object, setting.path, "clients send plaintext to %s:%d, and %s takes mTLS only: every request fails with 503", v.Hostname, port.Number, w)
			case setting.mode == networking.ClientTLSSettings_ISTIO_MUTUAL && mode == policy.Disable && w.Membership.Sidecar:
				report = p.ReportCode("MSH0205", r.Object, setting.path, "clients send mTLS to %s:%d, and the sidecar of %s takes plaintext only: every request fails with 503", v.Hostname, port.Number, w)
			case setting.mode == networking.ClientTLSSettings_ISTIO_MUTUAL && mode == policy.Disable && w.Membership.Reason != mesh.Assumed:
				report = p.ReportCode("MSH0205", r.Object, setting.path, "clients send mTLS to %s:%d, and %s has no sidecar that could take it: every request fails with 503", v.Hostname, port.Number, w)
			default:
				continue
			}
			told[setting.mode.String()] = true
			if from != nil {
				report.Because(from.Object, []string{"spec", "mtls", "mode"}, "sets the mode of the server")
			} else {
				report.Because(w.Object, nil, "is the server")
			}
		}
	}
}

// droppedTLS finds settings of a port that hide the TLS settings of the whole
// rule, without any of their own.
func droppedTLS(p *analyze.Pass) {
	for _, namespace := range p.DestinationNamespaces() {
		for _, r := range p.DestinationRules(namespace) {
			dropped(p, r, r.Spec.TrafficPolicy, []string{"spec", "trafficPolicy"})
			for i, s := range r.Spec.Subsets {
				dropped(p, r, s.GetTrafficPolicy(), at([]string{"spec", "subsets"}, i, "trafficPolicy"))
			}
		}
	}
}

func dropped(p *analyze.Pass, r *mesh.DestinationRule, t *networking.TrafficPolicy, path []string) {
	if t.GetTls() == nil {
		t = &networking.TrafficPolicy{PortLevelSettings: t.GetPortLevelSettings(), Tls: r.Spec.GetTrafficPolicy().GetTls()}
	}
	if t.Tls == nil {
		return
	}
	for i, port := range t.PortLevelSettings {
		if port.GetTls() == nil {
			p.Report(r.Object, at(path, "portLevelSettings", i), "the settings of port %d take the place of the whole policy, its tls (mode %s) too: repeat it here", port.GetPort().GetNumber(), t.Tls.Mode)
		}
	}
}
