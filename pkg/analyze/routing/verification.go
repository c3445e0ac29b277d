package routing

import (
	"fmt"
	"slices"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// serverVerification finds DestinationRules that begin TLS without saying whose
// certificates they trust, and those whose TLS sidecars leave out (DR-18).
func serverVerification(p *analyze.Pass) {
	routed := routedByGateways(p)
	for _, r := range destinationRules(p) {
		c := tlsCheck{p, r, r.Spec.WorkloadSelector != nil, routed[p.FullHost(r.Spec.Host, r.Namespace)]}
		path := []string{"spec", "trafficPolicy"}
		c.level(r.Spec.GetTrafficPolicy(), path, "")
		for i, s := range r.Spec.Subsets {
			c.level(s.GetTrafficPolicy(), []string{"spec", "subsets", fmt.Sprint(i), "trafficPolicy"}, " of subset "+s.Name)
		}
	}
}

// routedByGateways are the hosts that routes of gateways lead to: the proxies of
// gateways read Secrets.
func routedByGateways(p *analyze.Pass) map[string]bool {
	hosts := map[string]bool{}
	for _, v := range virtualServices(p) {
		if slices.ContainsFunc(v.Spec.Gateways, func(name string) bool { return name != mesh.MeshGateway }) {
			for _, d := range destinationsOf(v) {
				hosts[p.FullHost(d.Host, v.Namespace)] = true
			}
		}
	}
	for _, r := range backendRoutes(p) {
		for _, b := range r.backends {
			hosts[b.host(p)] = true
		}
	}
	return hosts
}

// tlsCheck looks at the TLS settings of a rule.
type tlsCheck struct {
	*analyze.Pass
	rule    *mesh.DestinationRule
	selects bool // it is for selected sidecars, which read Secrets then
	gateway bool // a gateway calls the host
}

// level looks at the settings of a policy and of its ports.
func (c tlsCheck) level(policy *api.TrafficPolicy, path []string, of string) {
	if t := policy.GetTls(); c.trustsAnyone(t) {
		c.Report(c.rule.Object, within(path, "tls"), "TLS mode %s%s %s", t.Mode, of, c.consequence(t))
	}
	for i, setting := range policy.GetPortLevelSettings() {
		if t := setting.Tls; c.trustsAnyone(t) {
			c.ReportCode("IST0129", c.rule.Object, within(path, "portLevelSettings", fmt.Sprint(i), "tls"), "TLS mode %s of port %d%s %s", t.Mode, setting.GetPort().GetNumber(), of, c.consequence(t))
		}
	}
}

// trustsAnyone tells whether settings begin TLS without naming an authority. A
// credential has one; it is read by gateways, and by sidecars that the rule
// selects.
func (c tlsCheck) trustsAnyone(t *api.ClientTLSSettings) bool {
	begins := t.GetMode() == api.ClientTLSSettings_SIMPLE || t.GetMode() == api.ClientTLSSettings_MUTUAL
	return begins && t.CaCertificates == "" && (t.CredentialName == "" || !c.selects && !c.gateway)
}

func (c tlsCheck) consequence(t *api.ClientTLSSettings) string {
	if t.CredentialName != "" {
		return "has a credentialName, which only gateways read, and sidecars that a workloadSelector of the rule selects: all other sidecars leave TLS out and send in plaintext"
	}
	return "without caCertificates: the server may be anybody with a certificate of a public authority, or anybody at all in old releases"
}
