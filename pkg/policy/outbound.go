package policy

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Proxy is who calls, as far as its sidecar's configuration depends on it.
type Proxy struct {
	Namespace string
	Labels    map[string]string // of its pods; nil if they are not known
}

// TLSUse is what a client's sidecar does on the connections of a cluster.
type TLSUse string

// The uses of TLS.
const (
	NeverTLS       TLSUse = "never"
	AlwaysTLS      TLSUse = "always"       // without a way back
	PerEndpointTLS TLSUse = "per-endpoint" // mTLS where the endpoint speaks it (EC-86)
)

// Cluster is how a client's sidecar reaches a port of a service, or a subset of
// it (EC-85..EC-88, DR-8..DR-24).
type Cluster struct {
	Service *mesh.Service
	Port    mesh.ServicePort
	Subset  string
	Rule    *HostRule // nil without a DestinationRule
	// Policy is what Rule says for this port and subset.
	Policy *networking.TrafficPolicy

	TLS  TLSUse
	Auto bool // TLS was not asked for: auto mTLS decided
	// Settings are those of a DestinationRule; nil with auto mTLS.
	Settings *networking.ClientTLSSettings
	// Mutual says that TLS is the mesh's own: with the workload's certificate
	// (ISTIO_MUTUAL or auto).
	Mutual bool
	// Broken says why a rule that asks for TLS gets none (DR-18, DR-19).
	Broken string
	// Names are the identities that the server may have; none accepts any
	// (DR-21..DR-23).
	Names []string
	SNI   string
	// PassesThrough says that the client picks the address itself (EC-85).
	PassesThrough bool
}

// Outbound is the client side of a mesh. It may be shared.
type Outbound struct {
	snapshot *mesh.Snapshot
	rules    *HostRules
}

// NewOutbound prepares the client side of a mesh.
func NewOutbound(s *mesh.Snapshot) *Outbound {
	return &Outbound{snapshot: s, rules: NewHostRules(s)}
}

// Rule is what a client follows when it calls a service; nil is nothing. All
// that a client's clusters of a service hold depends on it alone.
func (o *Outbound) Rule(client Proxy, service *mesh.Service) *HostRule {
	return o.rules.For(client, service)
}

// Cluster compiles one cluster of a client's sidecar. The subset must be one of
// the rule that applies, or "".
func (o *Outbound) Cluster(client Proxy, service *mesh.Service, port mesh.ServicePort, subset string) *Cluster {
	c := &Cluster{Service: service, Port: port, Subset: subset, Rule: o.rules.For(client, service)}
	c.Policy = trafficPolicy(c.Rule, port, subset)
	own := c.Rule.subset(subset).GetTrafficPolicy()
	c.PassesThrough = service.Resolution == mesh.Passthrough || balancesByClient(c.Policy)
	guess := c.PassesThrough
	if subset != "" {
		// A subset's cluster starts from the host's own; the guess of its mode looks
		// at what the subset says itself.
		guess = service.Resolution == mesh.Passthrough || balancesByClient(own)
		c.PassesThrough = c.PassesThrough || balancesByClient(own) || balancesByClient(trafficPolicy(c.Rule, port, ""))
	}
	c.Names, c.SNI = o.names(service), subsetKey(port, subset, service)
	if settings := c.Policy.GetTls(); settings != nil {
		o.asked(c, settings)
		return c
	}
	c.Auto, c.TLS = true, NeverTLS
	if service.External || !o.snapshot.Config.GetEnableAutoMtls().GetValue() || o.serviceMode(c, guess) == Disable {
		return c
	}
	c.Mutual, c.TLS = true, PerEndpointTLS
	if c.PassesThrough {
		c.TLS = AlwaysTLS // no endpoint is known that could be asked (DR-13)
	}
	return c
}

// Clusters are the base cluster of a port and one for each subset, in order.
func (o *Outbound) Clusters(client Proxy, service *mesh.Service, port mesh.ServicePort) []*Cluster {
	base := o.Cluster(client, service, port, "")
	all := []*Cluster{base}
	if base.Rule != nil {
		for _, subset := range base.Rule.Subsets {
			all = append(all, o.Cluster(client, service, port, subset.GetName()))
		}
	}
	return all
}

// asked applies the TLS settings of a rule (DR-15..DR-19).
func (o *Outbound) asked(c *Cluster, settings *networking.ClientTLSSettings) {
	c.Settings, c.TLS = settings, AlwaysTLS
	switch settings.Mode {
	case networking.ClientTLSSettings_DISABLE:
		c.TLS = NeverTLS
	case networking.ClientTLSSettings_ISTIO_MUTUAL:
		c.Mutual = true
		if settings.Sni != "" {
			c.SNI = settings.Sni
		}
		if settings.SubjectAltNames != nil {
			c.Names = settings.SubjectAltNames
		}
	default:
		c.SNI = settings.Sni
		if len(settings.SubjectAltNames) > 0 || c.Service.Entry == nil {
			c.Names = settings.SubjectAltNames
		} // else those of the ServiceEntry and its endpoints (DR-17)
		switch {
		case settings.CredentialName != "" && c.Rule.Rules[0].Spec.WorkloadSelector == nil && !isConfigMap(settings.CredentialName):
			c.TLS, c.Broken = NeverTLS, "a sidecar reads no Secret for a rule without a workloadSelector: credentialName turns TLS off"
		case settings.Mode == networking.ClientTLSSettings_MUTUAL && settings.CredentialName == "" && (settings.ClientCertificate == "" || settings.PrivateKey == ""):
			c.TLS, c.Broken = NeverTLS, "MUTUAL without a clientCertificate and privateKey turns TLS off"
		}
	}
}

func isConfigMap(credential string) bool { return strings.HasPrefix(credential, "configmap://") }

func balancesByClient(p *networking.TrafficPolicy) bool {
	return p.GetLoadBalancer().GetSimple() == networking.LoadBalancerSettings_PASSTHROUGH
}

// subsetKey is the server name that mesh clients send (EC-14).
func subsetKey(port mesh.ServicePort, subset string, service *mesh.Service) string {
	return fmt.Sprintf("outbound_.%d_.%s_.%s", port.Number, subset, service.Hostname)
}

// serviceMode is what clients take a service's mTLS mode for: a guess that
// knows of namespaces and the mesh only (PA-11, DR-10).
func (o *Outbound) serviceMode(c *Cluster, passesThrough bool) Mode {
	if passesThrough {
		endpoints := slices.DeleteFunc(o.snapshot.Endpoints(c.Service, c.Port), func(e mesh.Endpoint) bool { return e.Workload != nil && e.Workload.Replicas == 0 })
		if len(endpoints) == 0 || slices.ContainsFunc(endpoints, func(e mesh.Endpoint) bool { return !e.ClaimsTLS() }) {
			return Disable
		}
	}
	mode := Permissive
	for _, p := range namespacePeers(o.snapshot, c.Service.Namespace) {
		if set, ok := modeOfPolicy(p); ok {
			mode = set
		}
	}
	return mode
}

// names are the identities of all endpoints that run of a service and those that its
// annotations add, under every name of the trust domain, sorted (DR-21).
func (o *Outbound) names(service *mesh.Service) []string {
	names := map[string]bool{}
	for _, account := range service.Accounts {
		names[account] = true
	}
	for _, v := range o.snapshot.Namesakes(service) {
		for _, w := range o.snapshot.Selected(v) {
			if account := o.snapshot.Account(v, mesh.Endpoint{Workload: w}); account != "" && w.Replicas > 0 {
				names[account] = true
			}
		}
		for _, entry := range v.Entry.GetEndpoints() {
			if account := o.snapshot.Account(v, mesh.Endpoint{Entry: entry}); account != "" {
				names[account] = true
			}
		}
	}
	return expandDomains(names, o.snapshot.Config.TrustDomainAliases)
}

// Endpoints are those of a cluster: of its subset, if it has one.
func (o *Outbound) Endpoints(c *Cluster) []mesh.Endpoint {
	labels := c.Rule.subset(c.Subset).GetLabels()
	return slices.DeleteFunc(o.snapshot.Endpoints(c.Service, c.Port), func(e mesh.Endpoint) bool { return !mesh.Selects(labels, e.Labels()) })
}

// EndpointTLS tells whether the client's sidecar speaks TLS with an endpoint
// (DR-11, DR-14).
func (o *Outbound) EndpointTLS(c *Cluster, e mesh.Endpoint) bool {
	switch c.TLS {
	case NeverTLS:
		return false
	case AlwaysTLS:
		return true
	}
	return o.Offered(c, e)
}

// Offered tells whether istiod marks an endpoint for mTLS.
func (o *Outbound) Offered(c *Cluster, e mesh.Endpoint) bool {
	if !e.ClaimsTLS() {
		return false
	}
	if mode, ok := markedMode(c.Rule, c.Port, c.Subset); ok {
		return mode == networking.ClientTLSSettings_ISTIO_MUTUAL
	}
	if e.Workload == nil {
		return true
	}
	tls := mutualTLS(o.snapshot, e.Workload)
	return tls.port(uint32(e.Port)) != Disable //nolint:gosec // a port
}

// describe says why the client's sidecar speaks TLS with an endpoint, or does
// not.
func (c *Cluster) describe(tls bool, e mesh.Endpoint) string {
	switch {
	case c.Broken != "":
		return c.Broken
	case c.Settings != nil:
		return fmt.Sprintf("the DestinationRule says %s", c.Settings.Mode)
	case c.Service.External:
		return "the service is external to the mesh"
	case tls && c.TLS == AlwaysTLS:
		return "automatic, to every endpoint of a service whose clients pick the address"
	case tls:
		return "automatic"
	case c.TLS == NeverTLS && c.PassesThrough:
		return "automatic mTLS is off for a service of which some endpoint has no sidecar"
	case c.TLS == NeverTLS:
		return "automatic mTLS is off, by the mesh config or by a PeerAuthentication DISABLE of the namespace or mesh"
	case !e.ClaimsTLS():
		return "the endpoint has no sidecar"
	}
	if _, ok := markedMode(c.Rule, c.Port, c.Subset); ok {
		// Settings for the port hide those for the whole host from the cluster, and
		// not from the marks on its endpoints (DR-14).
		return "a DestinationRule's TLS mode for the whole host keeps istiod from marking endpoints for mTLS"
	}
	return "the endpoint's port is DISABLE"
}
