package policy

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// trafficPolicy is what a rule says for a port and subset: settings of the port
// take the place of all that is said for the whole host, and a subset's fields
// go over those (DR-8).
func trafficPolicy(d *HostRule, port mesh.ServicePort, subset string) *networking.TrafficPolicy {
	if d == nil {
		return nil
	}
	base := ofPort(d.Policy, port)
	own := d.subset(subset).GetTrafficPolicy()
	if own == nil {
		return base
	}
	merged := &networking.TrafficPolicy{
		ConnectionPool: base.GetConnectionPool(), LoadBalancer: base.GetLoadBalancer(), OutlierDetection: base.GetOutlierDetection(),
		Tls: base.GetTls(), Tunnel: base.GetTunnel(), ProxyProtocol: base.GetProxyProtocol(), RetryBudget: base.GetRetryBudget(),
	}
	if own.ConnectionPool != nil {
		merged.ConnectionPool = own.ConnectionPool
	}
	if own.LoadBalancer != nil {
		merged.LoadBalancer = own.LoadBalancer
	}
	if own.OutlierDetection != nil {
		merged.OutlierDetection = own.OutlierDetection
	}
	if own.Tls != nil {
		merged.Tls = own.Tls
	}
	if own.Tunnel != nil {
		merged.Tunnel = own.Tunnel
	}
	if own.ProxyProtocol != nil {
		merged.ProxyProtocol = own.ProxyProtocol
	}
	if own.RetryBudget != nil {
		merged.RetryBudget = own.RetryBudget
	}
	if p := portSettings(own, port); p != nil {
		merged.ConnectionPool, merged.OutlierDetection = p.ConnectionPool, p.OutlierDetection
		merged.LoadBalancer, merged.Tls = p.LoadBalancer, p.Tls
	}
	return merged
}

// OfPort is what the rule says for a port of its host, without subsets.
func (d *HostRule) OfPort(port mesh.ServicePort) *networking.TrafficPolicy {
	return trafficPolicy(d, port, "")
}

// ofPort is a whole host's policy as it holds for a port.
func ofPort(p *networking.TrafficPolicy, port mesh.ServicePort) *networking.TrafficPolicy {
	own := portSettings(p, port)
	if own == nil {
		return p
	}
	return &networking.TrafficPolicy{
		ConnectionPool: own.ConnectionPool, LoadBalancer: own.LoadBalancer, OutlierDetection: own.OutlierDetection, Tls: own.Tls,
	}
}

func portSettings(p *networking.TrafficPolicy, port mesh.ServicePort) *networking.TrafficPolicy_PortTrafficPolicy {
	i := slices.IndexFunc(p.GetPortLevelSettings(), func(s *networking.TrafficPolicy_PortTrafficPolicy) bool {
		return int64(s.GetPort().GetNumber()) == int64(port.Number)
	})
	if i < 0 {
		return nil
	}
	return p.PortLevelSettings[i]
}

// markedMode is the TLS mode by which istiod marks endpoints. It falls back
// from the port to the whole host, which the cluster itself does not (DR-14).
func markedMode(d *HostRule, port mesh.ServicePort, subset string) (networking.ClientTLSSettings_TLSmode, bool) {
	if d == nil {
		return 0, false
	}
	for _, p := range []*networking.TrafficPolicy{d.subset(subset).GetTrafficPolicy(), d.Policy} {
		if tls := portSettings(p, port).GetTls(); tls != nil {
			return tls.Mode, true
		}
		if tls := p.GetTls(); tls != nil {
			return tls.Mode, true
		}
	}
	return 0, false
}

// expandDomains adds the identities under the other names of the mesh's trust
// domain (DR-21); those of another form stay alone.
func expandDomains(identities map[string]bool, aliases []string) []string {
	var all []string
	for id := range identities {
		all = append(all, id)
		domain, path, _ := strings.Cut(strings.TrimPrefix(id, "spiffe://"), "/")
		parts := strings.Split(path, "/")
		if !strings.HasPrefix(id, "spiffe://") || domain == "" || len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" {
			continue
		}
		for _, alias := range aliases {
			all = append(all, "spiffe://"+alias+"/"+path)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
