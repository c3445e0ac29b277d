package policy

import (
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// HostRules are the DestinationRules of a mesh, merged as istiod does
// (DR-1..DR-6).
type HostRules struct {
	root string
	// local has what the clients of a namespace find there, exported what it
	// offers to others; private is what the root namespace keeps to itself.
	local, exported map[string]rulesByHost
	private         rulesByHost
}

// rulesByHost are merged rules by their hosts, wildcards apart.
type rulesByHost struct{ exact, wildcard map[string][]*HostRule }

// HostRule is what one or more DestinationRules of a namespace say of a
// host (DR-5).
type HostRule struct {
	Rules    []*mesh.DestinationRule // in the order in which they joined
	Host     string                  // full name, or wildcard
	Selector map[string]string       // of the clients that it is for; empty is all
	Policy   *networking.TrafficPolicy
	From     *mesh.DestinationRule // which of Rules gave Policy; nil for none
	Subsets  []*networking.Subset

	exportTo map[string]bool // empty is the mesh's default
}

// NewHostRules merges the DestinationRules of a mesh.
func NewHostRules(s *mesh.Snapshot) *HostRules {
	d := &HostRules{root: s.RootNamespace(), local: map[string]rulesByHost{}, exported: map[string]rulesByHost{}, private: newRulesByHost()}
	for _, ns := range s.DestinationNamespaces() {
		local, exported := newRulesByHost(), newRulesByHost()
		rules := slices.Clone(s.DestinationRules(ns))
		slices.SortStableFunc(rules, func(a, b *mesh.DestinationRule) int { return selectorFirst(a) - selectorFirst(b) })
		for _, r := range rules {
			to := exports(r)
			if len(to) == 0 || to["*"] || to["."] || to[ns] {
				local.merge(newHostRule(s, r, to))
			}
			onlyHere := len(to) == 1 && (to["."] || to[ns]) || len(to) == 0 && slices.Contains(s.Config.DefaultDestinationRuleExportTo, ".")
			switch {
			case !onlyHere:
				exported.merge(newHostRule(s, r, to))
			case ns == d.root:
				d.private.merge(newHostRule(s, r, to))
			}
		}
		d.local[ns], d.exported[ns] = local, exported
	}
	return d
}

func selectorFirst(r *mesh.DestinationRule) int {
	if r.Spec.WorkloadSelector != nil {
		return 0
	}
	return 1
}

// exports is who a rule is for. One with a workload selector is private
// (DR-4).
func exports(r *mesh.DestinationRule) map[string]bool {
	to := map[string]bool{}
	if r.Spec.WorkloadSelector != nil {
		to["."] = true
		return to
	}
	for _, ns := range r.Spec.ExportTo {
		to[ns] = true
	}
	return to
}

// newHostRule completes a short host name with the rule's namespace; names
// with a dot, addresses and stars stay as they are (DR-1).
func newHostRule(s *mesh.Snapshot, r *mesh.DestinationRule, to map[string]bool) *HostRule {
	host := r.Spec.Host
	if !strings.ContainsAny(host, ".*:") {
		host += "." + r.Namespace + ".svc." + s.Domain
	}
	rule := &HostRule{
		Rules: []*mesh.DestinationRule{r}, Host: host, Selector: r.Spec.GetWorkloadSelector().GetMatchLabels(),
		Policy: r.Spec.TrafficPolicy, Subsets: slices.Clone(r.Spec.Subsets), exportTo: to,
	}
	if rule.Policy != nil {
		rule.From = r
	}
	return rule
}

func newRulesByHost() rulesByHost {
	return rulesByHost{exact: map[string][]*HostRule{}, wildcard: map[string][]*HostRule{}}
}

// merge adds a rule to those of its host: to one that is for the same clients,
// or as one of its own (DR-5).
func (m rulesByHost) merge(d *HostRule) {
	byHost := m.exact
	if strings.HasPrefix(d.Host, "*") {
		byHost = m.wildcard
	}
	apart := true
	for _, old := range byHost[d.Host] {
		if !old.forSameClients(d) {
			continue
		}
		switch {
		case maps.Equal(old.exportTo, d.exportTo):
			apart = false
		case len(old.exportTo) > 0 && covers(d.exportTo, old.exportTo):
			// It joins the old one, and stands for the other namespaces too.
		default:
			continue
		}
		old.join(d)
	}
	if apart {
		byHost[d.Host] = append(byHost[d.Host], d)
	}
}

// forSameClients compares who two rules are for.
func (d *HostRule) forSameClients(other *HostRule) bool {
	return (d.Rules[0].Spec.WorkloadSelector == nil) == (other.Rules[0].Spec.WorkloadSelector == nil) && maps.Equal(d.Selector, other.Selector)
}

func covers(a, b map[string]bool) bool {
	for key := range b {
		if !a[key] {
			return false
		}
	}
	return true
}

// join adds the subsets that are new; the policy is taken whole, from the
// first that has one (DR-5).
func (d *HostRule) join(other *HostRule) {
	d.Rules = append(d.Rules, other.Rules...)
	for _, subset := range other.Subsets {
		if d.subset(subset.Name) == nil {
			d.Subsets = append(d.Subsets, subset)
		}
	}
	if d.Policy == nil {
		d.Policy, d.From = other.Policy, other.From
	}
}

// Subset finds a subset by its name; nil if the rule has none of that name.
func (d *HostRule) Subset(name string) *networking.Subset { return d.subset(name) }

func (d *HostRule) subset(name string) *networking.Subset {
	if d == nil || name == "" {
		return nil
	}
	i := slices.IndexFunc(d.Subsets, func(s *networking.Subset) bool { return s.GetName() == name })
	if i < 0 {
		return nil
	}
	return d.Subsets[i]
}

// For finds what a client follows when it calls a service; nil is nothing.
// What its own namespace says comes first, then what the service's namespace
// and the root namespace export to it (DR-2, DR-6).
func (d *HostRules) For(client Proxy, service *mesh.Service) *HostRule {
	var found []*HostRule
	if client.Namespace != d.root {
		found = d.local[client.Namespace].host(service.Hostname)
	} else {
		found = d.private.host(service.Hostname)
	}
	if found == nil {
		found = d.offered(service.Namespace, client.Namespace, service.Hostname)
	}
	if found == nil {
		found = d.offered(d.root, client.Namespace, service.Hostname)
	}
	var last *HostRule
	for _, one := range found {
		r := one.Rules[0]
		if r.Spec.WorkloadSelector == nil {
			last = one
		} else if r.Namespace == client.Namespace && mesh.Selects(one.Selector, client.Labels) {
			return one
		}
	}
	return last
}

// selective tells whether rules of the client's namespace may or may not apply,
// as its labels are not known.
func (d *HostRules) selective(client Proxy, service *mesh.Service) bool {
	return client.Labels == nil && slices.ContainsFunc(d.local[client.Namespace].host(service.Hostname), func(r *HostRule) bool { return len(r.Selector) > 0 })
}

// offered are the rules of a namespace that are exported to another.
func (d *HostRules) offered(from, to, host string) []*HostRule {
	var all []*HostRule
	for _, one := range d.exported[from].host(host) {
		if len(one.exportTo) == 0 || one.exportTo["*"] || one.exportTo[to] {
			all = append(all, one)
		}
	}
	return all
}

// host finds the rules of a host name: the exact ones, else those of the
// longest wildcard that covers it (DR-3).
func (m rulesByHost) host(name string) []*HostRule {
	if found := m.exact[name]; found != nil {
		return found
	}
	if found := m.wildcard[name]; found != nil {
		return found
	}
	best := ""
	for pattern := range m.wildcard {
		if strings.HasSuffix(name, pattern[1:]) && len(pattern) > len(best) {
			best = pattern
		}
	}
	return m.wildcard[best]
}
