package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Collision is what some clients' sidecars send to a port of a workload, where
// that does not go with what the port takes (section 4.4, DR-12..DR-14, T-11,
// T-14).
type Collision struct {
	Service string   `json:"service"` // that is called, such as Service shop/web
	Port    int32    `json:"port"`    // of the Service
	Subset  string   `json:"subset,omitempty"`
	Target  int32    `json:"targetPort"`
	Clients []string `json:"clients"` // namespaces, or workloads
	Sends   Sent     `json:"sends"`
	// Mode is the port's; empty without a sidecar.
	Mode Mode `json:"mode,omitempty"`
	// By is what makes the clients do so; nil is the mesh's default.
	By *Cause `json:"by,omitempty"`
	// Fails says that no request gets through; otherwise it may not be what is
	// meant.
	Fails bool   `json:"fails"`
	Why   string `json:"why"`
}

// Sent is what a client's sidecar speaks.
type Sent string

// What a client's sidecar may speak.
const (
	SendsPlaintext Sent = "plaintext"
	SendsMutualTLS Sent = "mTLS"
	SendsTLS       Sent = "TLS" // without a certificate of the mesh
)

// clientGroup are clients that follow the same DestinationRule, or none.
type clientGroup struct {
	rule    *HostRule
	proxy   Proxy // of one of them
	clients []*mesh.Workload
}

// collisions are those of all clients in the files, by Service and port.
func (s *Simulator) collisions(w *mesh.Workload) []Collision {
	var all []Collision
	if w.IsGateway() {
		return nil
	}
	for _, service := range servicesOf(s.snapshot, w) {
		for _, port := range service.Ports {
			target := w.Port(port)
			if target == 0 || port.Protocol == mesh.UDP {
				continue
			}
			for _, group := range s.clientGroups(service, port) {
				for _, c := range s.outbound().Clusters(group.proxy, service, port) {
					if !mesh.Selects(c.Rule.subset(c.Subset).GetLabels(), w.PodLabels) {
						continue
					}
					if found := s.collide(c, mesh.Endpoint{Workload: w, Port: target}); found != nil {
						found.Clients = s.clientNames(group.clients, port)
						all = append(all, *found)
					}
				}
			}
		}
	}
	return all
}

// clientGroups are the workloads with a sidecar that sees the port, by the rule
// that they follow.
func (s *Simulator) clientGroups(service *mesh.Service, port mesh.ServicePort) []*clientGroup {
	var all []*clientGroup
	for _, client := range s.clients(port) {
		proxy := Caller{Workload: client}.proxy()
		rule := s.outbound().rules.For(proxy, service)
		i := slices.IndexFunc(all, func(g *clientGroup) bool { return g.rule == rule })
		if i < 0 {
			i = len(all)
			all = append(all, &clientGroup{rule: rule, proxy: proxy})
		}
		all[i].clients = append(all[i].clients, client)
	}
	return all
}

func (s *Simulator) clients(port mesh.ServicePort) []*mesh.Workload {
	return slices.DeleteFunc(slices.Clone(s.snapshot.Workloads), func(w *mesh.Workload) bool {
		_, bypasses := w.BypassesOutbound(port.Number)
		return bypasses || !w.Membership.Sidecar
	})
}

// clientNames are namespaces where all of their clients are meant.
func (s *Simulator) clientNames(clients []*mesh.Workload, port mesh.ServicePort) []string {
	total, meant := map[string]int{}, map[string][]string{}
	for _, w := range s.clients(port) {
		total[w.Namespace]++
	}
	for _, w := range clients {
		meant[w.Namespace] = append(meant[w.Namespace], w.String())
	}
	var names []string
	for _, ns := range slices.Sorted(maps.Keys(meant)) {
		if len(meant[ns]) == total[ns] {
			names = append(names, "namespace "+ns)
		} else {
			names = append(names, meant[ns]...)
		}
	}
	return names
}

// collide compares what clients send with what the port takes; nil is no
// collision.
func (s *Simulator) collide(c *Cluster, e mesh.Endpoint) *Collision {
	found := &Collision{
		Service: c.Service.String(), Port: c.Port.Number, Subset: c.Subset, Target: e.Port, By: s.tlsCause(c), Sends: SendsPlaintext,
	}
	if s.outbound().EndpointTLS(c, e) {
		found.Sends = SendsTLS
		if c.Mutual {
			found.Sends = SendsMutualTLS
		}
	}
	annotation, bypasses := e.Workload.BypassesInbound(e.Port)
	if !e.Workload.Membership.Sidecar || bypasses {
		found.unguarded(c, annotation, bypasses)
	} else {
		port := s.Model(e.Workload).Port(uint32(e.Port)) //nolint:gosec // a port
		found.Mode = port.Mode
		s.guarded(found, c, e, port)
	}
	if found.Why == "" && c.Broken == "" {
		return nil
	}
	found.Why = s.because(c, e, found)
	return found
}

// unguarded judges what reaches the application itself.
func (f *Collision) unguarded(c *Cluster, annotation string, bypasses bool) {
	why := "the workload has no sidecar"
	if bypasses {
		why = "the port bypasses the sidecar (" + annotation + ")"
	}
	switch {
	case f.Sends == SendsMutualTLS:
		f.Fails, f.Why = true, why+" that could end it"
		if bypasses {
			f.Why = why + ", which alone could end it"
		}
	case f.Sends == SendsTLS && !c.endsAtApplication():
		f.Why = why + ": it works only if the application itself speaks TLS"
	}
}

// endsAtApplication tells whether the Service says that its application ends
// TLS itself.
func (c *Cluster) endsAtApplication() bool {
	return c.Port.Protocol == mesh.HTTPS || c.Port.Protocol == mesh.TLS
}

// guarded judges what reaches a sidecar.
func (s *Simulator) guarded(f *Collision, c *Cluster, e mesh.Endpoint, port *Port) {
	isHTTP := port.Traffic == mesh.HTTPTraffic
	switch {
	case f.Sends == SendsMutualTLS && port.Mode == Disable:
		f.Fails, f.Why = true, "the sidecar does not end it there (DISABLE)"
	case f.Sends == SendsMutualTLS:
		s.secureNaming(f, c, e)
	case port.Mode == Strict:
		f.Fails, f.Why = true, "the port takes nothing but mTLS (STRICT)"
	case f.Sends == SendsTLS && isHTTP:
		f.Fails, f.Why = true, fmt.Sprintf("the port takes HTTP in plaintext or over mTLS, and no other TLS (%s)", port.Mode)
		if port.Mode == Disable {
			f.Why = "the sidecar does not end it there (DISABLE)"
		}
	case f.Sends == SendsTLS && !c.endsAtApplication():
		f.Why = "it passes through without an identity, and works only if the application itself speaks TLS"
	case f.Sends == SendsPlaintext && port.Mode == Permissive && c.Settings != nil && s.wantsIdentity(e.Workload):
		f.Why = "callers have no identity then, and policies for the workload look at identities"
	}
}

// secureNaming judges whether clients trust the server (DR-21).
func (s *Simulator) secureNaming(f *Collision, c *Cluster, e mesh.Endpoint) {
	server := s.snapshot.Account(c.Service, e)
	if len(c.Names) > 0 && !slices.Contains(c.Names, server) {
		f.Fails, f.Why = true, fmt.Sprintf("clients want the server to be %s, and it is %s", either(c.Names), server)
	}
}

// wantsIdentity tells whether an enforced rule for a workload looks at
// identities.
func (s *Simulator) wantsIdentity(w *mesh.Workload) bool {
	stages := s.Model(w).HTTP
	return stages.Deny.looksAt(PeerIdentity) || stages.Allow.looksAt(PeerIdentity)
}

// because says first what the clients do and why, then what comes of it.
func (s *Simulator) because(c *Cluster, e mesh.Endpoint, f *Collision) string {
	reason := c.describe(f.Sends != SendsPlaintext, e)
	if mode, marked := markedMode(c.Rule, c.Port, c.Subset); marked && c.Settings == nil && c.Auto {
		reason = fmt.Sprintf("the DestinationRule's settings of the port say nothing of TLS, and its general ones say %s", mode)
	}
	text := fmt.Sprintf("clients send %s: %s", f.Sends, reason)
	if f.Why != "" {
		text += "; " + f.Why
	}
	return text
}

// tlsCause points at what decides about TLS: settings of a DestinationRule or,
// without any, the PeerAuthentication that turns automatic mTLS off.
func (s *Simulator) tlsCause(c *Cluster) *Cause {
	if c.Rule != nil {
		for _, r := range c.Rule.Rules {
			i := slices.IndexFunc(r.Spec.Subsets, func(subset *networking.Subset) bool { return subset.GetName() == c.Subset })
			if i < 0 || c.Subset == "" {
				continue
			}
			if own := r.Spec.Subsets[i].GetTrafficPolicy(); own.GetTls() != nil || portSettings(own, c.Port) != nil {
				by := causeOf(r.Object, slices.Concat([]string{"spec", "subsets", strconv.Itoa(i), "trafficPolicy"}, tlsPath(own, c.Port))...)
				return &by
			}
		}
		if _, marked := markedMode(c.Rule, c.Port, c.Subset); (marked || c.Settings != nil) && c.Rule.From != nil {
			by := causeOf(c.Rule.From.Object, slices.Concat([]string{"spec", "trafficPolicy"}, tlsPath(c.Rule.Policy, c.Port))...)
			return &by
		}
	}
	var by *Cause
	if c.Auto && c.TLS == NeverTLS && !c.PassesThrough {
		for _, p := range namespacePeers(s.snapshot, c.Service.Namespace) {
			if _, set := modeOfPolicy(p); set {
				cause := causeOf(p.Object, "spec", "mtls")
				by = &cause
			}
		}
	}
	return by
}

// tlsPath leads to a policy's TLS settings for a port.
func tlsPath(p *networking.TrafficPolicy, port mesh.ServicePort) []string {
	own := portSettings(p, port)
	if own == nil {
		return []string{"tls"}
	}
	return []string{"portLevelSettings", strconv.Itoa(slices.Index(p.PortLevelSettings, own)), "tls"}
}
