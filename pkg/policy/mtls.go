package policy

import (
	"slices"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Mode is what a port wants of a connection.
type Mode string

// The modes.
const (
	Disable    Mode = "DISABLE"
	Permissive Mode = "PERMISSIVE"
	Strict     Mode = "STRICT"
)

// MutualTLS is the effective PeerAuthentication of a workload.
type MutualTLS struct {
	Mode Mode
	// From set Mode; nil says that nothing did, and the mesh's default holds.
	From *mesh.PeerAuthentication
	// Ports are the exceptions, by the workload's port (PA-7), and PortsFrom the
	// policy that makes them.
	Ports     map[uint32]Mode
	PortsFrom *mesh.PeerAuthentication
}

// port is the mode of a port.
func (m *MutualTLS) port(number uint32) Mode {
	if mode, ok := m.Ports[number]; ok {
		return mode
	}
	return m.Mode
}

// mutualTLS merges the oldest policy of each level: mesh, namespace, workload
// (PA-1..PA-8).
func mutualTLS(s *mesh.Snapshot, w *mesh.Workload) MutualTLS {
	return newPeerPolicies(s, w.Namespace).merge(w)
}

// peerPolicies are what the workloads of a namespace follow.
type peerPolicies struct {
	levels []*mesh.PeerAuthentication                // without selectors
	own    *mesh.Selectors[*mesh.PeerAuthentication] // with selectors
}

func newPeerPolicies(s *mesh.Snapshot, namespace string) *peerPolicies {
	var own []*mesh.PeerAuthentication
	if namespace != s.RootNamespace() { // selectors have no effect there (PA-6)
		for _, p := range s.PeerAuthentications(namespace) {
			if len(p.Spec.GetSelector().GetMatchLabels()) > 0 {
				own = append(own, p)
			}
		}
	}
	return &peerPolicies{
		levels: namespacePeers(s, namespace),
		own:    mesh.NewSelectors(own, func(p *mesh.PeerAuthentication) map[string]string { return p.Spec.GetSelector().GetMatchLabels() }),
	}
}

// merge is what one workload follows.
func (l *peerPolicies) merge(w *mesh.Workload) MutualTLS {
	var own *mesh.PeerAuthentication
	if found := l.own.Of(w.PodLabels); len(found) > 0 {
		own = found[0]
	}
	m := MutualTLS{Mode: Permissive, Ports: map[uint32]Mode{}}
	for _, p := range append(slices.Clone(l.levels), own) {
		if mode, set := modeOfPolicy(p); set {
			m.Mode, m.From = mode, p
		}
	}
	if own != nil {
		m.PortsFrom = own
		for number, tls := range own.Spec.GetPortLevelMtls() {
			mode, set := modeOf(tls)
			if !set {
				mode = m.Mode
			}
			m.Ports[number] = mode
		}
	}
	return m
}

// namespacePeers are the oldest policy of the mesh and that of a namespace,
// without selectors; either may be nil (PA-2..PA-4).
func namespacePeers(s *mesh.Snapshot, namespace string) []*mesh.PeerAuthentication {
	oldest := func(ns string) *mesh.PeerAuthentication {
		for _, p := range s.PeerAuthentications(ns) {
			if len(p.Spec.GetSelector().GetMatchLabels()) == 0 {
				return p
			}
		}
		return nil
	}
	levels := []*mesh.PeerAuthentication{oldest(s.RootNamespace())}
	if namespace != s.RootNamespace() {
		levels = append(levels, oldest(namespace))
	}
	return levels
}

func modeOf(m *security.PeerAuthentication_MutualTLS) (Mode, bool) {
	switch m.GetMode() {
	case security.PeerAuthentication_MutualTLS_DISABLE:
		return Disable, true
	case security.PeerAuthentication_MutualTLS_PERMISSIVE:
		return Permissive, true
	case security.PeerAuthentication_MutualTLS_STRICT:
		return Strict, true
	}
	return "", false
}

// modeOfPolicy is false if there is no policy, or it leaves the mode open.
func modeOfPolicy(p *mesh.PeerAuthentication) (Mode, bool) {
	if p == nil {
		return "", false
	}
	return modeOf(p.Spec.GetMtls())
}
