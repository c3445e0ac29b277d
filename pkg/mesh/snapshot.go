package mesh

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// AuthorizationPolicy says who may do what.
type AuthorizationPolicy = Resource[*security.AuthorizationPolicy]

// PeerAuthentication says whether connections need mTLS.
type PeerAuthentication = Resource[*security.PeerAuthentication]

// RequestAuthentication says which tokens are good.
type RequestAuthentication = Resource[*security.RequestAuthentication]

// Snapshot is a mesh as its manifests say it. It is built once and never
// changed, so that goroutines may share it.
type Snapshot struct {
	Config    *meshconfig.MeshConfig
	Workloads []*Workload // sorted by namespace, kind and name
	Services  []*Service  // the order in which Istio prefers them

	namespaces      map[string]*Object
	authorizations  map[string][]*AuthorizationPolicy // by namespace, oldest first
	peers           map[string][]*PeerAuthentication
	authentications map[string][]*RequestAuthentication
}

// Options say how to read manifests.
type Options struct {
	Config    *meshconfig.MeshConfig // nil is istiod's default
	Namespace string                 // of objects that name none; empty is "default"
}

// Build reads the manifests of a mesh. It reports everything that is wrong
// with them.
func Build(streams []*manifest.Stream, o Options) (*Snapshot, error) {
	s := &Snapshot{
		Config: o.Config, namespaces: map[string]*Object{}, authorizations: map[string][]*AuthorizationPolicy{},
		peers: map[string][]*PeerAuthentication{}, authentications: map[string][]*RequestAuthentication{},
	}
	if s.Config == nil {
		s.Config = DefaultConfig()
	}
	r := &reader{namespace: o.Namespace}
	if r.namespace == "" {
		r.namespace = "default"
	}
	objects, err := r.read(streams)
	problems := []error{err}
	for _, object := range objects {
		problems = append(problems, s.add(object))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	s.sort()
	return s, nil
}

// add decodes an object into its place; kinds that no verdict reads are left.
func (s *Snapshot) add(o *Object) error {
	group, _, _ := strings.Cut(o.APIVersion, "/")
	switch {
	case group == "security.istio.io":
		return s.addPolicy(o)
	case o.Kind == "Namespace" && o.APIVersion == "v1":
		s.namespaces[o.Name] = o
	case o.Kind == "Service" && o.APIVersion == "v1":
		service, err := decodeService(o)
		if err != nil {
			return err
		}
		s.Services = append(s.Services, service)
	case group == "v1" || group == "apps" || group == "batch" || group == "argoproj.io":
		path, runsPods := podTemplates()[o.Kind]
		if !runsPods {
			return nil
		}
		w, err := decodeWorkload(o, path)
		if err != nil {
			return err
		}
		s.Workloads = append(s.Workloads, w)
	}
	return nil
}

func (s *Snapshot) addPolicy(o *Object) error {
	switch o.Kind {
	case "AuthorizationPolicy":
		p, err := decodeResource(o, &security.AuthorizationPolicy{})
		if err != nil {
			return err
		}
		s.authorizations[o.Namespace] = append(s.authorizations[o.Namespace], p)
	case "PeerAuthentication":
		p, err := decodeResource(o, &security.PeerAuthentication{})
		if err != nil {
			return err
		}
		s.peers[o.Namespace] = append(s.peers[o.Namespace], p)
	case "RequestAuthentication":
		p, err := decodeResource(o, &security.RequestAuthentication{})
		if err != nil {
			return err
		}
		s.authentications[o.Namespace] = append(s.authentications[o.Namespace], p)
	default:
		return o.fault([]string{"kind"}, "expected AuthorizationPolicy, PeerAuthentication or RequestAuthentication", fmt.Errorf("unknown kind %q of %s", o.Kind, o.APIVersion))
	}
	return nil
}

func (s *Snapshot) sort() {
	slices.SortStableFunc(s.Services, func(a, b *Service) int { return older(a.Object, b.Object) })
	slices.SortStableFunc(s.Workloads, func(a, b *Workload) int {
		return strings.Compare(a.Namespace+"\x00"+a.Kind+"\x00"+a.Name, b.Namespace+"\x00"+b.Kind+"\x00"+b.Name)
	})
	for _, list := range s.authorizations {
		sortResources(list)
	}
	for _, list := range s.peers {
		sortResources(list)
	}
	for _, list := range s.authentications {
		sortResources(list)
	}
}

func sortResources[R interface{ object() *Object }](list []R) {
	slices.SortStableFunc(list, func(a, b R) int { return older(a.object(), b.object()) })
}

func (r *Resource[S]) object() *Object { return r.Object }

// RootNamespace is where policies for the whole mesh live.
func (s *Snapshot) RootNamespace() string { return s.Config.RootNamespace }

// TrustDomains are the mesh's own and its aliases, which are the same domain
// under other names.
func (s *Snapshot) TrustDomains() []string {
	return append([]string{s.Config.TrustDomain}, s.Config.TrustDomainAliases...)
}

// AuthorizationPolicies are those of a namespace, oldest first.
func (s *Snapshot) AuthorizationPolicies(namespace string) []*AuthorizationPolicy {
	return s.authorizations[namespace]
}

// PeerAuthentications are those of a namespace, oldest first.
func (s *Snapshot) PeerAuthentications(namespace string) []*PeerAuthentication {
	return s.peers[namespace]
}

// RequestAuthentications are those of a namespace, oldest first.
func (s *Snapshot) RequestAuthentications(namespace string) []*RequestAuthentication {
	return s.authentications[namespace]
}

// Workload finds a workload by namespace and name, whatever its kind; nil if
// there is none.
func (s *Snapshot) Workload(namespace, name string) *Workload {
	i := slices.IndexFunc(s.Workloads, func(w *Workload) bool { return w.Namespace == namespace && w.Name == name })
	if i < 0 {
		return nil
	}
	return s.Workloads[i]
}

// Service finds a Service; nil if there is none.
func (s *Snapshot) Service(namespace, name string) *Service {
	i := slices.IndexFunc(s.Services, func(v *Service) bool { return v.Namespace == namespace && v.Name == name })
	if i < 0 {
		return nil
	}
	return s.Services[i]
}

// InboundPort is a port of a workload that a Service declares.
type InboundPort struct {
	Number   int32 // the workload's
	Service  *Service
	Port     ServicePort
	Protocol Protocol
}

// InboundPorts are the declared ports of a workload, sorted. Of several
// Services on one port the oldest decides the protocol (EC-24, EC-37).
func (s *Snapshot) InboundPorts(w *Workload) []InboundPort {
	seen := map[int32]bool{}
	var ports []InboundPort
	for _, service := range s.Services {
		if service.Namespace != w.Namespace || len(service.Selector) == 0 || !Selects(service.Selector, w.PodLabels) {
			continue
		}
		for _, p := range service.Ports {
			number := w.port(p.Target)
			if p.Protocol == UDP || number == 0 || seen[number] {
				continue
			}
			seen[number] = true
			ports = append(ports, InboundPort{number, service, p, p.Protocol})
		}
	}
	slices.SortFunc(ports, func(a, b InboundPort) int { return int(a.Number - b.Number) })
	return ports
}

// Selects tells whether labels have all pairs of a selector; the empty one
// selects all (AP-3).
func Selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}
