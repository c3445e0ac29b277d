package routing

import (
	"fmt"
	"maps"
	"strconv"

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

// routedByGateways are the hosts that routes of gateways lead to, and no route of
// sidecars: the proxies of gateways read Secrets.
func routedByGateways(p *analyze.Pass) map[string]bool {
	hosts, direct := map[string]bool{}, map[string]bool{}
	for _, v := range virtualServices(p) {
		for _, d := range destinationsOf(v) {
			host := p.FullHost(d.Host, v.Namespace)
			for _, name := range gatewaysOf(v, d) {
				if name == mesh.MeshGateway {
					direct[host] = true
				} else {
					hosts[host] = true
				}
			}
		}
	}
	for _, r := range backendRoutes(p) {
		for _, b := range r.backends {
			hosts[b.host(p)] = true
		}
	}
	maps.DeleteFunc(hosts, func(host string, _ bool) bool { return direct[host] })
	return hosts
}

// gatewaysOf are the gateways whose requests a destination gets: those of the
// matches of its route, or else of the VirtualService.
func gatewaysOf(v *mesh.VirtualService, d destination) []string {
	own := v.Spec.Gateways
	if len(own) == 0 {
		own = []string{mesh.MeshGateway}
	}
	var all []string
	for _, m := range matchesOf(v, d) {
		if len(m.GetGateways()) == 0 {
			return own
		}
		all = append(all, m.GetGateways()...)
	}
	if all == nil {
		return own
	}
	return all
}

// matchesOf are the matches of a destination's route.
func matchesOf(v *mesh.VirtualService, d destination) []source {
	number, err := strconv.Atoi(d.path[2])
	if err != nil {
		return nil // a path is kind and number
	}
	var matches []source
	switch d.path[1] {
	case "http":
		for _, m := range v.Spec.Http[number].Match {
			matches = append(matches, m)
		}
	case "tls":
		for _, m := range v.Spec.Tls[number].Match {
			matches = append(matches, m)
		}
	case "tcp":
		for _, m := range v.Spec.Tcp[number].Match {
			matches = append(matches, m)
		}
	}
	return matches
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
