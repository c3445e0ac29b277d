package authentication

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// clientTLS finds DestinationRules whose clients speak otherwise than the
// workloads behind the host (DR-12..DR-14).
func clientTLS(p *analyze.Pass) {
	var out *policy.Outbound
	for _, namespace := range p.DestinationNamespaces() {
		for _, r := range p.DestinationRules(namespace) {
			if !saysTLS(r) {
				continue
			}
			if out == nil {
				out = policy.NewOutbound(p.Snapshot)
			}
			c := &clientCheck{pass: p, outbound: out, rule: r, told: map[string]*analyze.Report{}}
			for _, v := range covered(p, r) {
				c.service(v)
			}
		}
	}
}

// saysTLS tells whether a rule has a TLS mode anywhere.
func saysTLS(r *mesh.DestinationRule) bool {
	says := func(t *networking.TrafficPolicy) bool {
		return t.GetTls() != nil || slices.ContainsFunc(t.GetPortLevelSettings(), func(s *networking.TrafficPolicy_PortTrafficPolicy) bool { return s.GetTls() != nil })
	}
	return says(r.Spec.TrafficPolicy) || slices.ContainsFunc(r.Spec.Subsets, func(s *networking.Subset) bool { return says(s.GetTrafficPolicy()) })
}

// covered are the services that a rule's host names, or covers with its star.
func covered(p *analyze.Pass, r *mesh.DestinationRule) []*mesh.Service {
	host := p.FullHost(r.Spec.Host, r.Namespace)
	if !mesh.IsWildcard(host) {
		return p.ServicesOf(host)
	}
	return slices.DeleteFunc(slices.Clone(p.Services), func(v *mesh.Service) bool { return !mesh.HostCovers(host, v.Hostname) })
}

// clientCheck compares what a rule's clients speak with what servers take.
type clientCheck struct {
	pass     *analyze.Pass
	outbound *policy.Outbound
	rule     *mesh.DestinationRule
	told     map[string]*analyze.Report // by place and code: the first server is named
}

// service compares the clusters of a client that follows the rule with the
// workloads behind a service.
func (c *clientCheck) service(v *mesh.Service) {
	client, found := c.client(v)
	if !found {
		return
	}
	for _, port := range v.Ports {
		if port.Protocol == mesh.UDP {
			continue
		}
		for _, cluster := range c.outbound.Clusters(client, v, port) {
			owner, path := cluster.TLSFrom()
			if owner != c.rule {
				continue
			}
			for _, e := range c.outbound.Endpoints(cluster) {
				if e.Workload != nil && !e.Workload.IsGateway() {
					c.endpoint(cluster, e, path)
				}
			}
		}
	}
}

// client is one that follows the rule when it calls a service: one of its own
// namespace, else of another that it is exported to. It need not be in the
// files.
func (c *clientCheck) client(v *mesh.Service) (policy.Proxy, bool) {
	follows := func(client policy.Proxy) bool {
		rule := c.outbound.Rule(client, v)
		return rule != nil && slices.Contains(rule.Rules, c.rule)
	}
	own := policy.Proxy{Namespace: c.rule.Namespace, Labels: c.rule.Spec.GetWorkloadSelector().GetMatchLabels()}
	if follows(own) {
		return own, true
	}
	if c.rule.Namespace != v.Namespace && c.rule.Namespace != c.pass.RootNamespace() {
		return own, false
	}
	for _, namespace := range c.pass.Namespaces() {
		if other := (policy.Proxy{Namespace: namespace}); follows(other) {
			return other, true
		}
	}
	return own, false
}

// endpoint compares one cluster with one workload.
func (c *clientCheck) endpoint(cluster *policy.Cluster, e mesh.Endpoint, path []string) {
	w := e.Workload
	mode := policy.Disable
	var from *mesh.PeerAuthentication
	if _, bypasses := w.BypassesInbound(e.Port); w.Membership.Sidecar && !bypasses {
		model := simulator(c.pass.Inventory).Model(w)
		mode, from = model.Port(uint32(e.Port)).Mode, model.TLS.From //nolint:gosec // a port
	}
	who := "clients send"
	if cluster.Subset != "" {
		who = "clients of subset " + cluster.Subset + " send"
	}
	to := fmt.Sprintf("%s:%d", cluster.Service.Hostname, cluster.Port.Number)
	switch {
	case cluster.TLS == policy.NeverTLS && mode == policy.Strict && cluster.Broken != "":
		c.tell("MSH0204", path, w, from, "%s plaintext to %s (%s), and %s takes mTLS only: every request fails with 503", who, to, cluster.Broken, w)
	case cluster.TLS == policy.NeverTLS && mode == policy.Strict:
		c.tell("MSH0204", path, w, from, "%s plaintext to %s, and %s takes mTLS only: every request fails with 503", who, to, w)
	case cluster.Mutual && mode == policy.Disable && w.Membership.Sidecar:
		c.tell("MSH0205", path, w, from, "%s mTLS to %s, and the sidecar of %s takes plaintext only: every request fails with 503", who, to, w)
	case cluster.Mutual && mode == policy.Disable && w.Membership.Reason != mesh.Assumed:
		c.tell("MSH0205", path, w, from, "%s mTLS to %s, and %s has no sidecar that could take it: every request fails with 503", who, to, w)
	}
}

// mostServers is how many servers a finding names.
const mostServers = 4

// tell reports a setting once, with the servers that do not go with it.
func (c *clientCheck) tell(code string, path []string, w *mesh.Workload, from *mesh.PeerAuthentication, format string, args ...any) {
	key := code + "\x00" + strings.Join(path, "\x00")
	r, again := c.told[key]
	if !again {
		r = c.pass.ReportCode(code, c.rule.Object, path, format, args...)
		c.told[key] = r
	}
	if len(r.Related) >= mostServers {
		return
	}
	at, why := w.Locate(), "is the server"
	if again {
		why = "is another such server"
	}
	if from != nil {
		at, why = from.Locate("spec", "mtls", "mode"), "sets the mode of the server"
	}
	for _, told := range r.Related {
		if told.Location == at {
			return
		}
	}
	if from != nil {
		r.Because(from.Object, []string{"spec", "mtls", "mode"}, "%s", why)
	} else {
		r.Because(w.Object, nil, "%s", why)
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
