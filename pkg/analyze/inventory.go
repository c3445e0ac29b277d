package analyze

import (
	"strings"
	"sync"
	"time"

	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Input is what there is to analyze.
type Input struct {
	Streams []*manifest.Stream
	Options mesh.Options
	// Faults are of files that could not be read, and are not in Streams.
	Faults []*report.InputError
	// ConfigGiven tells that Options.Config is the mesh's own, not a default.
	ConfigGiven bool
	// ConfigFile is where it stands, and ConfigText what is there.
	ConfigFile string
	ConfigText []byte
	// Networks are the mesh's networks; nil for none. NetworksFile is where they
	// stand, and NetworksText what stands there.
	Networks     *meshconfig.MeshNetworks
	NetworksFile string
	NetworksText []byte
	// Time is when it is, for what expires; zero is now.
	Time time.Time
	// Complete says that the files are the whole world: what is not there does
	// not exist.
	Complete bool
}

// Inventory is all that rules look at. Rules share it, and do not change it.
type Inventory struct {
	Input
	*mesh.Inventory

	kinds map[string][]*mesh.Object // by "group/Kind"
	memo  sync.Map                  // what several rules need, by its name
}

func newInventory(in Input) *Inventory {
	i := &Inventory{Input: in, Inventory: mesh.Survey(in.Streams, in.Options), kinds: map[string][]*mesh.Object{}}
	for _, o := range i.Objects {
		key := Group(o) + "/" + o.Kind
		i.kinds[key] = append(i.kinds[key], o)
	}
	return i
}

// Group is the API group of an object, "" for Kubernetes' core.
func Group(o *mesh.Object) string {
	group, _, versioned := strings.Cut(o.APIVersion, "/")
	if !versioned {
		return ""
	}
	return group
}

// Now is the time at which certificates are looked at.
func (in Input) Now() time.Time {
	if in.Time.IsZero() {
		return time.Now()
	}
	return in.Time
}

// Kind are the objects of a kind, in the order of the files, whatever their
// version.
func (i *Inventory) Kind(group, kind string) []*mesh.Object { return i.kinds[group+"/"+kind] }

// ConfigPlace is where the mesh config's file names a key, or the file.
func (i *Inventory) ConfigPlace(key string) report.Location {
	at := report.Location{File: i.ConfigFile}
	for n, line := range strings.Split(string(i.ConfigText), "\n") {
		if column := strings.Index(line, key); column >= 0 {
			at.Line, at.Column = n+1, column+1
			break
		}
	}
	return at
}

// WorkloadOf is the workload that an object describes, if it does.
func (i *Inventory) WorkloadOf(o *mesh.Object) (*mesh.Workload, bool) {
	w := i.Workload(o.Namespace, o.Name)
	return w, w != nil && w.Object == o
}

// Listens tells whether a workload says that it listens on a port, or says
// nothing of its ports.
func (i *Inventory) Listens(w *mesh.Workload, port uint32) bool {
	declared := 0
	for _, c := range w.Containers {
		declared += len(c.Ports)
		for _, at := range c.Ports {
			if uint32(at.ContainerPort) == port { //nolint:gosec // a port
				return true
			}
		}
	}
	for _, at := range i.InboundPorts(w) {
		if uint32(at.Number) == port { //nolint:gosec // a port
			return true
		}
		declared++
	}
	return declared == 0
}

// Shared computes what several rules need once. The name is the value's own.
func Shared[T any](i *Inventory, name string, compute func() T) T {
	once, _ := i.memo.LoadOrStore(name, sync.OnceValue(func() any { return compute() }))
	return once.(func() any)().(T)
}
