package envoy

import (
	"fmt"
	"sync"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// Generator makes the configuration of the sidecars of one mesh. It may be
// shared; what many sidecars have in common is made once (EC-162).
type Generator struct {
	snapshot  *mesh.Snapshot
	simulator *policy.Simulator
	outbound  func() (*outboundSide, error)
	fixed     func() fixedClusters
}

// fixedClusters are the same in all sidecars (EC-12).
type fixedClusters struct{ blackHole, passthrough, inboundPassthrough *clusterv3.Cluster }

// NewGenerator prepares to render a mesh.
func NewGenerator(s *mesh.Snapshot, simulator *policy.Simulator) *Generator {
	return &Generator{
		snapshot: s, simulator: simulator,
		outbound: sync.OnceValues(func() (*outboundSide, error) { return newOutboundSide(s) }),
		fixed:    sync.OnceValue(func() fixedClusters { return newFixedClusters(s.Config) }),
	}
}

// Pods are the addresses of a workload's pods. It fails as Config does.
func (g *Generator) Pods(w *mesh.Workload) ([]string, error) {
	side, err := g.outbound()
	if err != nil {
		return nil, err
	}
	return side.addresses.pods[w], nil
}

// Config is what istiod would tell the sidecar of a workload (EC-1). It fails
// for a gateway, and if the mesh has more pods or services than addresses.
func (g *Generator) Config(w *mesh.Workload) (*Config, error) {
	if w.IsGateway() {
		return nil, fmt.Errorf("%s is a gateway: only sidecars have a configuration here", w)
	}
	side, err := g.outbound()
	if err != nil {
		return nil, err
	}
	m, out := g.simulator.Model(w), side.config(w)
	c := &Config{
		Workload:  w.Namespace + "/" + w.Name,
		Listeners: out.listeners[:len(out.listeners):len(out.listeners)],
		Clusters:  append(out.clusters[:len(out.clusters):len(out.clusters)], g.fixed().blackHole, g.fixed().passthrough),
		Routes:    out.routes,
		Endpoints: out.endpoints,
		direct:    out.direct,
	}
	c.Clusters = append(append(c.Clusters, side.inboundClusters(m)...), g.fixed().inboundPassthrough)
	c.Listeners = append(c.Listeners, g.inboundListeners(m, side.addresses)...)
	return c, nil
}
