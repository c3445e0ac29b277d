package policy

import (
	"cmp"
	"maps"
	"slices"
	"time"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Model is all that a workload's sidecar enforces on what comes in.
type Model struct {
	Workload     *mesh.Workload
	TLS          MutualTLS
	TrustDomains []string // of clients; any other is refused (PA-18)
	Ports        map[uint32]*Port
	Passthrough  *Port // the ports that are not declared
	HTTP, TCP    Stages
	JWT          *Requirement // nil without a RequestAuthentication; HTTP only
	Paths        Normalization
}

// Stages are the RBAC stages in the order in which they run. A nil stage is
// not there.
type Stages struct {
	Custom             []CustomStage // by provider
	Audit, Deny, Allow *Stage
}

// Options are what manifests do not say. With the zero value only inline keys
// are known, and no token is too early or too late.
type Options struct {
	// Keys are those that a rule without inline keys gets elsewhere, by its
	// jwksUri, or by its issuer; "" is for all other rules (RA-19).
	Keys map[string]*Keys
	// Now is the time for exp and nbf of real tokens (RA-6). There is no default:
	// callers who mean the present pass it.
	Now time.Time
}

// keys are those of a rule: inline keys before all others. They are nil if they
// are not known.
func (o Options) keys(rule *security.JWTRule) (*Keys, error) {
	if rule.Jwks != "" {
		return ParseKeys([]byte(rule.Jwks))
	}
	return cmp.Or(o.Keys[cmp.Or(rule.JwksUri, rule.Issuer)], o.Keys[rule.Issuer], o.Keys[""]), nil
}

// Compile builds the model of a workload.
func Compile(s *mesh.Snapshot, w *mesh.Workload) *Model { return Options{}.Compile(s, w) }

// Compile builds the model of a workload. A Simulator compiles many for less:
// what they have in common it compiles once.
func (o Options) Compile(s *mesh.Snapshot, w *mesh.Workload) *Model {
	return newCompilation(s, o).model(w)
}

func (c *compilation) model(w *mesh.Workload) *Model {
	s := c.snapshot
	m := &Model{
		Workload: w, TrustDomains: c.domains, Ports: map[uint32]*Port{}, Paths: PathNormalization(s.Config), JWT: c.requirementFor(w),
		TLS: c.peers.of(w.Namespace, func() *peerPolicies { return newPeerPolicies(s, w.Namespace) }).merge(w),
	}
	declared := s.InboundPorts(w)
	for i := range declared {
		number := uint32(declared[i].Number) //nolint:gosec // a port
		m.Ports[number] = newPort(number, &declared[i], m.TLS.port(number))
	}
	for _, number := range slices.Sorted(maps.Keys(m.TLS.Ports)) {
		if m.Ports[number] == nil {
			m.Ports[number] = newPort(number, nil, m.TLS.port(number))
		}
	}
	m.Passthrough = newPort(0, nil, m.TLS.Mode)
	stages := c.stagesFor(w)
	m.HTTP, m.TCP = stages[0], stages[1]
	return m
}

// Port is what is done on a port.
func (m *Model) Port(number uint32) *Port {
	if p := m.Ports[number]; p != nil {
		return p
	}
	return m.Passthrough
}

// authorizations are the policies that select a workload: of the root
// namespace, then of its own (AP-1..AP-8).
func authorizations(s *mesh.Snapshot, w *mesh.Workload) []*mesh.AuthorizationPolicy {
	var all []*mesh.AuthorizationPolicy
	for _, ns := range namespaces(s, w) {
		for _, p := range s.AuthorizationPolicies(ns) {
			targeted := p.Spec.TargetRef != nil || len(p.Spec.TargetRefs) > 0
			if attaches(w, targeted, p.Spec.GetSelector().GetMatchLabels()) {
				all = append(all, p)
			}
		}
	}
	return all
}

func namespaces(s *mesh.Snapshot, w *mesh.Workload) []string {
	if s.RootNamespace() == w.Namespace || s.RootNamespace() == "" {
		return []string{w.Namespace}
	}
	return []string{s.RootNamespace(), w.Namespace}
}

// attaches tells whether a policy applies to a sidecar. Policies that target
// gateways never do (AP-4).
func attaches(w *mesh.Workload, targeted bool, selector map[string]string) bool {
	return !targeted && mesh.Selects(selector, w.PodLabels)
}

// PathNormalization is how paths are made comparable before any rule sees them
// (section 1.11).
func PathNormalization(config *meshconfig.MeshConfig) Normalization {
	switch config.GetPathNormalization().GetNormalization() {
	case meshconfig.MeshConfig_ProxyPathNormalization_NONE:
		return NoNormalization
	case meshconfig.MeshConfig_ProxyPathNormalization_MERGE_SLASHES:
		return MergeSlashes
	case meshconfig.MeshConfig_ProxyPathNormalization_DECODE_AND_MERGE_SLASHES:
		return DecodeAndMergeSlashes
	}
	return Base
}
