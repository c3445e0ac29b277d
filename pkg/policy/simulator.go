package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Simulator answers requests to any workload of a snapshot. It compiles a
// workload's model when it is first asked for, and may be shared.
type Simulator struct {
	snapshot *mesh.Snapshot
	shared   *compilation
	models   memo[*mesh.Workload, *Model]
	outbound func() *Outbound
	routes   func() *mesh.SidecarRoutes
}

// NewSimulator answers requests to the workloads of a snapshot.
func NewSimulator(s *mesh.Snapshot) *Simulator { return Options{}.NewSimulator(s) }

// NewSimulator answers requests to the workloads of a snapshot.
func (o Options) NewSimulator(s *mesh.Snapshot) *Simulator {
	return &Simulator{
		snapshot: s, shared: newCompilation(s, o),
		outbound: sync.OnceValue(func() *Outbound { return NewOutbound(s) }),
		routes:   sync.OnceValue(func() *mesh.SidecarRoutes { return mesh.NewSidecarRoutes(s) }),
	}
}

// Model is the enforcement model of a workload.
func (s *Simulator) Model(w *mesh.Workload) *Model {
	if m, made := s.models.get(w); made {
		return m
	}
	return s.models.of(w, func() *Model { return s.shared.model(w) })
}

// Evaluate decides a request. It fails if there is no such workload.
func (s *Simulator) Evaluate(r *Request) (Verdict, error) {
	w := s.snapshot.Workload(r.To.Namespace, r.To.Workload)
	if w == nil {
		return Verdict{}, s.unknownWorkload(r.To)
	}
	declared := s.Model(w).Port(r.To.Port).Declared
	if stop := withoutSidecar(w, r.To.Port, r, declared != nil && endsAtApplication(declared.Protocol)); stop != nil {
		stop.ID = r.ID
		return *stop, nil
	}
	return s.Model(w).Evaluate(r), nil
}

// unknownWorkload names the workloads that may have been meant.
func (s *Simulator) unknownWorkload(to Destination) error {
	var near []string
	for _, w := range s.snapshot.Workloads {
		if w.Namespace == to.Namespace || w.Name == to.Workload {
			near = append(near, w.Namespace+"/"+w.Name)
		}
	}
	err := fmt.Errorf("no workload %s/%s in the manifests", to.Namespace, to.Workload)
	if near == nil {
		return err
	}
	slices.Sort(near)
	const most = 5
	if len(near) > most {
		near = append(near[:most], "...")
	}
	return fmt.Errorf("%w; there are %s", err, strings.Join(near, ", "))
}
