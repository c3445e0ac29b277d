package envoy

import (
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// Generator makes the configuration of the sidecars of one mesh. It may be
// shared; what many sidecars have in common is made once (EC-162).
type Generator struct {
	snapshot  *mesh.Snapshot
	simulator *policy.Simulator
}

// NewGenerator prepares to render a mesh.
func NewGenerator(s *mesh.Snapshot, simulator *policy.Simulator) *Generator {
	return &Generator{snapshot: s, simulator: simulator}
}
