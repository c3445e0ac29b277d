package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Description is what is known of a workload: who it is, how it is reached, and
// what is enforced there.
type Description struct {
	Workload string          `json:"workload"` // such as Deployment shop/web
	At       report.Location `json:"at"`
	// Identity is the SPIFFE ID that its sidecar presents; empty without one.
	Identity       string                     `json:"identity,omitempty"`
	ServiceAccount string                     `json:"serviceAccount,omitempty"`
	Injection      InjectionDescription       `json:"injection"`
	Services       []ServiceDescription       `json:"services"`
	Ports          []PortDescription          `json:"ports"`
	Tokens         []TokenDescription         `json:"requestAuthentications"`
	Policies       []AuthorizationDescription `json:"authorizationPolicies"`
	Collisions     []Collision                `json:"clientCollisions"`
}

// InjectionDescription is whether a workload has a sidecar, and what tells.
type InjectionDescription struct {
	mesh.Membership
	Because string `json:"because"`
	Gateway bool   `json:"gateway,omitempty"` // its listeners are outside of this model
}

// ServiceDescription is a Service that selects the workload.
type ServiceDescription struct {
	Service string            `json:"service"` // such as Service shop/web
	Host    string            `json:"host"`
	At      report.Location   `json:"at"`
	Ports   []ServicePortPair `json:"ports"`
}

// ServicePortPair is a port of a Service and the workload's behind it.
type ServicePortPair struct {
	Name     string        `json:"name,omitempty"`
	Port     int32         `json:"port"`
	Target   int32         `json:"targetPort"` // 0 if the workload has none of that name
	Protocol mesh.Protocol `json:"protocol"`
	Traffic  mesh.Traffic  `json:"traffic"`
}

// PortDescription is the mTLS mode of a port of the workload.
type PortDescription struct {
	Port uint32 `json:"port"` // 0 stands for all others
	// Service and Protocol are those of the Service that declares the port; empty
	// if none does.
	Service  string        `json:"service,omitempty"`
	Protocol mesh.Protocol `json:"protocol,omitempty"`
	Traffic  mesh.Traffic  `json:"traffic"`
	Mode     Mode          `json:"mode"`
	// By is the PeerAuthentication that set the mode; nil is the mesh's default.
	By *Cause `json:"by,omitempty"`
	// Bypass says why the sidecar does not see the port; empty if it does.
	Bypass string `json:"bypass,omitempty"`
}

// TokenDescription is a jwtRule of a RequestAuthentication.
type TokenDescription struct {
	Policy    Cause           `json:"policy"`
	Issuer    string          `json:"issuer"` // empty is any
	Audiences []string        `json:"audiences,omitempty"`
	Locations []TokenLocation `json:"locations"`
	// KeysFrom tells where the keys come from: jwks, jwksUri, or discovery at the
	// issuer. JWKSURI is the address, where there is one.
	KeysFrom string `json:"keysFrom"`
	JWKSURI  string `json:"jwksUri,omitempty"`
	// Unknown says that the files do not hold the keys, Unusable why Envoy cannot
	// use those that they hold.
	Unknown  bool   `json:"keysUnknown,omitempty"`
	Unusable string `json:"keysUnusable,omitempty"`
}

// AuthorizationDescription is an AuthorizationPolicy that selects the workload.
type AuthorizationDescription struct {
	Policy   Cause             `json:"policy"`
	Action   string            `json:"action"`
	Provider string            `json:"provider,omitempty"` // of CUSTOM
	Unusable string            `json:"unusable,omitempty"` // why the provider cannot be asked
	DryRun   bool              `json:"dryRun,omitempty"`
	Rules    []RuleDescription `json:"rules"`
}

// RuleDescription is one rule, in words.
type RuleDescription struct {
	Text string          `json:"text"`
	At   report.Location `json:"at"`
	// OnTCP is what becomes of it in byte streams; empty if the workload carries
	// none that it could match.
	OnTCP string `json:"onTCP,omitempty"`
}

// Describe says what is known of a workload.
func (s *Simulator) Describe(w *mesh.Workload) Description {
	d := Description{
		Workload: w.String(), At: w.Location, ServiceAccount: w.ServiceAccount,
		Injection: InjectionDescription{w.Membership, w.Membership.Describe(), w.IsGateway()},
		Ports:     []PortDescription{}, Tokens: []TokenDescription{}, Policies: []AuthorizationDescription{}, Collisions: []Collision{},
	}
	if w.ServiceAccount != "" && w.Membership.Sidecar {
		d.Identity = w.Identity(s.snapshot.Config.TrustDomain)
	}
	d.Services = s.describeServices(w)
	d.Collisions = append(d.Collisions, s.collisions(w)...)
	if !w.Membership.Sidecar || w.IsGateway() {
		return d // nothing is enforced, or not by what is known here
	}
	m := s.Model(w)
	d.Ports = append(d.Ports, m.describePorts()...)
	if m.JWT != nil {
		for i := range m.JWT.Providers {
			d.Tokens = append(d.Tokens, m.JWT.Providers[i].description())
		}
	}
	for _, p := range authorizations(s.snapshot, w) {
		d.Policies = append(d.Policies, s.describePolicy(m, p))
	}
	slices.SortStableFunc(d.Policies, func(a, b AuthorizationDescription) int { return actionOrder(a.Action) - actionOrder(b.Action) })
	return d
}

// actionOrder is the order in which a sidecar looks at actions (EV-1).
func actionOrder(action string) int {
	return slices.Index([]string{"CUSTOM", "AUDIT", "DENY", "ALLOW"}, action)
}

// servicesOf are the Services, and hosts of ServiceEntries, that select a
// workload.
func servicesOf(s *mesh.Snapshot, w *mesh.Workload) []*mesh.Service {
	var all []*mesh.Service
	for _, service := range s.Services {
		if service.Namespace == w.Namespace && len(service.Selector) > 0 && mesh.Selects(service.Selector, w.PodLabels) {
			all = append(all, service)
		}
	}
	return all
}

func (s *Simulator) describeServices(w *mesh.Workload) []ServiceDescription {
	all := []ServiceDescription{}
	for _, service := range servicesOf(s.snapshot, w) {
		d := ServiceDescription{Service: service.String(), Host: service.Hostname, At: service.Location, Ports: []ServicePortPair{}}
		for _, p := range service.Ports {
			d.Ports = append(d.Ports, ServicePortPair{p.Name, p.Number, w.Port(p), p.Protocol, p.Protocol.Traffic()})
		}
		all = append(all, d)
	}
	return all
}

// describePorts are the modes of the declared ports, of those with an exception
// of their own, and last of all others.
func (m *Model) describePorts() []PortDescription {
	var all []PortDescription
	add := func(number uint32, p *Port) {
		d := PortDescription{Port: number, Traffic: p.Traffic, Mode: p.Mode}
		if p.Declared != nil {
			d.Service, d.Protocol = p.Declared.Service.String(), p.Declared.Protocol
		}
		if by := m.modeCause(number); by.Object != "" {
			d.By = &by
		}
		if annotation, bypasses := m.Workload.BypassesInbound(int32(number)); bypasses && number != 0 { //nolint:gosec // a port
			d.Bypass = annotation
		}
		all = append(all, d)
	}
	for _, number := range slices.Sorted(maps.Keys(m.Ports)) {
		add(number, m.Ports[number])
	}
	add(0, m.Passthrough)
	return all
}

func (p *Provider) description() TokenDescription {
	from, _ := p.keys()
	by := causeOf(p.Policy.Object, "spec", "jwtRules", fmt.Sprint(p.Index))
	by.Rule = &p.Index
	d := TokenDescription{
		Policy: by, Issuer: p.Rule.Issuer, Audiences: p.Rule.Audiences, Locations: p.places(), KeysFrom: from, Unknown: p.Keys == nil && p.KeysErr == nil,
	}
	if p.KeysErr != nil {
		d.Unusable = p.KeysErr.Error()
	}
	if from == "jwksUri" {
		d.JWKSURI = p.Rule.JwksUri
	}
	return d
}

func (s *Simulator) describePolicy(m *Model, p *mesh.AuthorizationPolicy) AuthorizationDescription {
	t := newTeller(s)
	t.focus = m.Workload
	d := AuthorizationDescription{Policy: causeOf(p.Object), Action: p.Spec.Action.String(), DryRun: dryRun(p), Rules: []RuleDescription{}}
	if d.Action == "CUSTOM" {
		d.Provider = p.Spec.GetProvider().GetName()
		if _, usable := provider(s.snapshot, d.Provider); !usable {
			d.Unusable = unusable(s.snapshot, d.Provider)
		} else if len(m.HTTP.Custom) > 1 {
			d.Unusable = "the workload has CUSTOM policies of several providers"
		}
	}
	c := &compiler{domains: s.snapshot.TrustDomains()}
	for i, r := range t.compiled(p).http {
		rule := RuleDescription{At: t.causeAt(p, i).At, OnTCP: t.onTCP(m, p, i)}
		if r != nil {
			rule.Text = t.does(p) + " " + r.words()
		} else {
			rule.Text = "is dropped: " + faultWords(c.faults(p, i))
		}
		d.Rules = append(d.Rules, rule)
	}
	return d
}

// onTCP is what becomes of a rule on the workload's ports that carry bytes
// (AP-57..AP-59).
func (t *teller) onTCP(m *Model, p *mesh.AuthorizationPolicy, index int) string {
	one := []*mesh.Workload{m.Workload}
	ports := append(t.streamPorts(one, mesh.TCPTraffic), t.streamPorts(one, mesh.SniffedTraffic)...)
	written, compiled := t.compiled(p).http[index], t.compiled(p).tcp[index]
	if p.Spec.Action.String() == "CUSTOM" && !slices.ContainsFunc(m.TCP.Custom, func(s CustomStage) bool { return s.Provider == p.Spec.GetProvider().GetName() }) {
		compiled = nil
	}
	holding := compiled
	if holding == nil {
		holding = written
	}
	slices.SortFunc(ports, func(a, b streamPort) int { return int(a.Number) - int(b.Number) })
	var numbers []string
	for _, port := range ports {
		if holding != nil && holding.reaches(port.Port) {
			numbers = append(numbers, fmt.Sprint(port.Number))
		}
	}
	if numbers == nil {
		return ""
	}
	where := plural("port", numbers)
	switch fields := httpFields((&compiler{tcp: true}).faults(p, index)); {
	case compiled == nil && len(fields) == 0:
		return "not asked about bytes on " + where
	case compiled == nil:
		return "dropped for bytes on " + where
	case len(fields) > 0:
		return "wider for bytes on " + where + ": " + strings.TrimSpace(t.does(p)+" "+compiled.words())
	}
	return "holds on " + where
}
