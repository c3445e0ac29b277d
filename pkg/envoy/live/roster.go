package live

import (
	"fmt"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// Roster are workloads that shall run, each by a name of its own.
type Roster struct {
	Workloads []Workload

	generator *envoy.Generator
	domain    string
	names     map[*mesh.Workload]string // without the namespace
	taken     map[string]bool           // NAMESPACE/NAME
}

// NewRoster is an empty one, for workloads of a generator's mesh.
func NewRoster(g *envoy.Generator, trustDomain string) *Roster {
	return &Roster{generator: g, domain: trustDomain, names: map[*mesh.Workload]string{}, taken: map[string]bool{}}
}

// Add configures a workload, if it is not there yet, and tells its name without
// the namespace. Of workloads of one name the later ones have a number in it.
func (r *Roster) Add(w *mesh.Workload) (string, error) {
	if known := r.names[w]; known != "" {
		return known, nil
	}
	rendered, err := r.generator.Config(w)
	if err != nil {
		return "", err
	}
	name := w.Name
	for n := 2; r.taken[w.Namespace+"/"+name]; n++ {
		name = fmt.Sprintf("%s-%d", w.Name, n)
	}
	r.names[w], r.taken[w.Namespace+"/"+name] = name, true
	config := *rendered
	config.Workload = w.Namespace + "/" + name
	pods, err := r.generator.Pods(w)
	if err != nil {
		return "", err
	}
	running := Workload{Config: &config, Identity: w.Identity(r.domain), Pods: pods}
	for _, port := range config.InboundPorts() {
		if _, bypasses := w.BypassesInbound(int32(port)); bypasses { //nolint:gosec // a port
			running.Bypassing = append(running.Bypassing, port)
		}
	}
	r.Workloads = append(r.Workloads, running)
	return name, nil
}
