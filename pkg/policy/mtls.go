package policy

import (
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
	// Ports are the exceptions, by the workload's port (PA-7).
	Ports map[uint32]Mode
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
	var meshWide, namespaced, own *mesh.PeerAuthentication
	for _, p := range s.PeerAuthentications(s.RootNamespace()) {
		if len(p.Spec.GetSelector().GetMatchLabels()) == 0 && meshWide == nil {
			meshWide = p
		}
	}
	for _, p := range s.PeerAuthentications(w.Namespace) {
		selector := p.Spec.GetSelector().GetMatchLabels()
		switch {
		case w.Namespace == s.RootNamespace():
			// Selectors have no effect here (PA-6), and the rest is mesh-wide.
		case len(selector) == 0 && namespaced == nil:
			namespaced = p
		case len(selector) > 0 && own == nil && mesh.Selects(selector, w.PodLabels):
			own = p
		}
	}
	m := MutualTLS{Mode: Permissive, Ports: map[uint32]Mode{}}
	for _, p := range []*mesh.PeerAuthentication{meshWide, namespaced, own} {
		if mode, set := modeOfPolicy(p); set {
			m.Mode, m.From = mode, p
		}
	}
	if own != nil {
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
