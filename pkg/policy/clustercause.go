package policy

import (
	"fmt"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// causes are the DestinationRules that decide about TLS.
func (c *Cluster) causes() []Cause {
	if c.Rule == nil || c.Settings == nil {
		return nil
	}
	if r, i := c.Rule.subsetFrom(c.Subset); r != nil && r.Spec.Subsets[i].GetTrafficPolicy() != nil {
		return []Cause{causeOf(r.Object, "spec", "subsets", fmt.Sprint(i))}
	}
	if c.Rule.From == nil {
		return nil
	}
	return []Cause{causeOf(c.Rule.From.Object, "spec", "trafficPolicy")}
}

// subsetFrom is the DestinationRule that gives a subset, and its number there;
// nil for none.
func (d *HostRule) subsetFrom(name string) (*mesh.DestinationRule, int) {
	if name == "" {
		return nil, 0
	}
	for _, r := range d.Rules {
		for i, subset := range r.Spec.Subsets {
			if subset.GetName() == name {
				return r, i
			}
		}
	}
	return nil, 0
}

// TLSFrom is the DestinationRule whose settings decide about the TLS of the
// cluster, and the way to their mode; nil if none asked for TLS (DR-8).
func (c *Cluster) TLSFrom() (*mesh.DestinationRule, []string) {
	if c.Settings == nil {
		return nil, nil
	}
	if r, i := c.Rule.subsetFrom(c.Subset); r != nil {
		if path := modePath(r.Spec.Subsets[i].GetTrafficPolicy(), c.Port); path != nil {
			return r, append([]string{"spec", "subsets", fmt.Sprint(i), "trafficPolicy"}, path...)
		}
	}
	return c.Rule.From, append([]string{"spec", "trafficPolicy"}, modePath(c.Rule.Policy, c.Port)...)
}

// modePath is the way from a policy to the TLS mode that holds for a port; nil
// for none.
func modePath(p *networking.TrafficPolicy, port mesh.ServicePort) []string {
	for i, own := range p.GetPortLevelSettings() {
		if int64(own.GetPort().GetNumber()) == int64(port.Number) {
			if own.Tls == nil {
				return nil
			}
			return []string{"portLevelSettings", fmt.Sprint(i), "tls", "mode"}
		}
	}
	if p.GetTls() == nil {
		return nil
	}
	return []string{"tls", "mode"}
}
