package mesh

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// The kinds of Istio's objects that a snapshot holds.
type (
	// AuthorizationPolicy says who may do what.
	AuthorizationPolicy = Resource[*security.AuthorizationPolicy]
	// PeerAuthentication says whether connections need mTLS.
	PeerAuthentication = Resource[*security.PeerAuthentication]
	// RequestAuthentication says which tokens are good.
	RequestAuthentication = Resource[*security.RequestAuthentication]
	// DestinationRule says how clients speak to a host.
	DestinationRule = Resource[*networking.DestinationRule]
	// Sidecar says what a workload's proxy sees and listens to.
	Sidecar = Resource[*networking.Sidecar]
	// Gateway says what a gateway listens to.
	Gateway = Resource[*networking.Gateway]
	// VirtualService says where requests to a host go.
	VirtualService = Resource[*networking.VirtualService]
)

// Snapshot is a mesh as its manifests say it. It is built once and never
// changed, so that goroutines may share it.
type Snapshot struct {
	Config    *meshconfig.MeshConfig
	Domain    string      // of the cluster's host names
	Workloads []*Workload // sorted by namespace, kind and name
	Services  []*Service  // the order in which Istio prefers them
	Warnings  []string    // what is not wrong with the manifests, but may not be meant
	// EnvoyFilters are named only: what they do to a proxy is not known here.
	EnvoyFilters []*Object

	namespaces      map[string]*Object
	accounts        map[string]map[string]bool // by namespace
	inNamespace     map[string][]*Workload
	named           map[string][]*Workload // by "namespace/name"
	servicesIn      map[string][]*Service
	inbound         map[string]*Selectors[*Service] // those of servicesIn that select workloads
	hosts           map[string][]*Service
	authorizations  byNamespace[*AuthorizationPolicy] // each oldest first
	peers           byNamespace[*PeerAuthentication]
	authentications byNamespace[*RequestAuthentication]
	destinations    byNamespace[*DestinationRule]
	sidecars        byNamespace[*Sidecar]
	gateways        byNamespace[*Gateway]
	virtuals        byNamespace[*VirtualService]
}

type byNamespace[R any] map[string][]R

// Options say how to read manifests.
type Options struct {
	Config    *meshconfig.MeshConfig // nil is istiod's default
	Namespace string                 // of objects that name none; empty is "default"
	Domain    string                 // of the cluster's host names; empty is "cluster.local"
	// PodTemplates are kinds of other API groups that run pods, beside the known
	// ones.
	PodTemplates []PodTemplate
	// AssumeOutside takes workloads for such without a sidecar where the files do
	// not tell. Otherwise they are taken for such with one.
	AssumeOutside bool
}

// Build reads the manifests of a mesh. It reports everything that is wrong
// with them.
func Build(streams []*manifest.Stream, o Options) (*Snapshot, error) {
	i := Survey(streams, o)
	if err := errors.Join(i.Problems...); err != nil {
		return nil, err
	}
	return i.Snapshot, nil
}

// Inventory is a mesh whose manifests may have faults: the snapshot is of what
// could be read.
type Inventory struct {
	*Snapshot
	Objects []*Object // all that have a kind, in the order of the files
	Halves  []*Half   // what is meant as an object and is none
	// Problems are of the type *report.InputError or joined of such; those that
	// have a class wrap a *Defect.
	Problems []error
}

// Survey is Build for those who want to see what can be read.
func Survey(streams []*manifest.Stream, o Options) *Inventory {
	s := &Snapshot{
		Config: o.Config, Domain: o.Domain, namespaces: map[string]*Object{}, accounts: map[string]map[string]bool{},
		inNamespace: map[string][]*Workload{}, named: map[string][]*Workload{}, servicesIn: map[string][]*Service{}, inbound: map[string]*Selectors[*Service]{}, hosts: map[string][]*Service{},
		authorizations: byNamespace[*AuthorizationPolicy]{}, peers: byNamespace[*PeerAuthentication]{}, authentications: byNamespace[*RequestAuthentication]{},
		destinations: byNamespace[*DestinationRule]{}, sidecars: byNamespace[*Sidecar]{}, gateways: byNamespace[*Gateway]{}, virtuals: byNamespace[*VirtualService]{},
	}
	if s.Config == nil {
		s.Config = DefaultConfig()
	}
	if s.Domain == "" {
		s.Domain = "cluster.local"
	}
	r := &reader{namespace: o.Namespace}
	if r.namespace == "" {
		r.namespace = "default"
	}
	i := &Inventory{Snapshot: s}
	objects, err := r.read(streams)
	if err != nil {
		i.Problems = append(i.Problems, err)
	}
	i.Objects, i.Halves = slices.Clone(objects), r.halves
	for _, h := range r.halves {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s: it looks like an object and lacks %s: it is left out", h.Location, h.Missing))
	}
	kinds := slices.Concat(o.PodTemplates, KnownPodTemplates(), BuiltinPodTemplates())
	for _, object := range s.keepLast(objects) {
		if err := s.add(object, kinds); err != nil {
			i.Problems = append(i.Problems, err)
		}
	}
	s.index(o.AssumeOutside)
	return i
}

// add decodes an object into its place; kinds that no verdict reads are left.
func (s *Snapshot) add(o *Object, kinds []PodTemplate) error {
	group, _, versioned := strings.Cut(o.APIVersion, "/")
	if !versioned {
		group = ""
	}
	if err := checkAPI(o); err != nil {
		return err
	}
	switch group {
	case securityGroup:
		return s.addSecurity(o)
	case networkingGroup:
		return s.addNetworking(o)
	case "":
		if taken, err := s.addCore(o); taken {
			return err
		}
	}
	i := slices.IndexFunc(kinds, func(t PodTemplate) bool { return t.Group == group && t.Kind == o.Kind })
	if i < 0 {
		return nil
	}
	w, err := decodeWorkload(o, kinds[i].Path)
	if err == nil && w != nil {
		s.Workloads = append(s.Workloads, w)
	}
	return err
}

// addCore takes the kinds of Kubernetes' core that do not run pods.
func (s *Snapshot) addCore(o *Object) (taken bool, err error) {
	switch o.Kind {
	case "Namespace":
		s.namespaces[o.Name] = o
	case "ServiceAccount":
		s.addAccount(o.Namespace, o.Name)
	case "Service":
		service, err := s.decodeService(o)
		if err != nil {
			return true, err
		}
		s.Services = append(s.Services, service)
	default:
		return false, nil
	}
	return true, nil
}

func (s *Snapshot) addAccount(namespace, name string) {
	if s.accounts[namespace] == nil {
		s.accounts[namespace] = map[string]bool{"default": true}
	}
	s.accounts[namespace][name] = true
}

func (s *Snapshot) addSecurity(o *Object) error {
	switch o.Kind {
	case "AuthorizationPolicy":
		return addResource(s.authorizations, o, &security.AuthorizationPolicy{})
	case "PeerAuthentication":
		return addResource(s.peers, o, &security.PeerAuthentication{})
	case "RequestAuthentication":
		return addResource(s.authentications, o, &security.RequestAuthentication{})
	}
	return unknownKind(o, securityKinds())
}

func (s *Snapshot) addNetworking(o *Object) error {
	switch o.Kind {
	case "DestinationRule":
		return addResource(s.destinations, o, &networking.DestinationRule{})
	case "Sidecar":
		return addResource(s.sidecars, o, &networking.Sidecar{})
	case "Gateway":
		return addResource(s.gateways, o, &networking.Gateway{})
	case "VirtualService":
		return addResource(s.virtuals, o, &networking.VirtualService{})
	case "ServiceEntry":
		services, err := decodeServiceEntry(o)
		s.Services = append(s.Services, services...)
		return err
	case "WorkloadEntry", "WorkloadGroup":
		decode := decodeWorkloadEntry
		if o.Kind == "WorkloadGroup" {
			decode = decodeWorkloadGroup
		}
		w, err := decode(o)
		if w != nil {
			s.Workloads = append(s.Workloads, w)
		}
		return err
	case "EnvoyFilter":
		s.EnvoyFilters = append(s.EnvoyFilters, o)
		return nil
	case "ProxyConfig":
		return nil // it sets images, threads and variables
	}
	return unknownKind(o, networkingKinds())
}

func unknownKind(o *Object, known []string) error {
	if group := homeOf(o.Kind); group != "" {
		return o.fault([]string{"apiVersion"}, "write "+group+"/v1", &Defect{Class: UnknownKind, text: fmt.Sprintf("%s is no kind of %q", o.Kind, o.APIVersion)})
	}
	return o.fault([]string{"kind"}, DidYouMean(o.Kind, known), &Defect{Class: UnknownKind, text: fmt.Sprintf("unknown kind %q of %s", o.Kind, o.APIVersion)})
}

// index sorts what was read, and makes it quick to find.
func (s *Snapshot) index(assumeOutside bool) {
	slices.SortStableFunc(s.Services, func(a, b *Service) int { // EC-24
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Hostname, b.Hostname))
	})
	slices.SortStableFunc(s.Workloads, func(a, b *Workload) int {
		return strings.Compare(a.Namespace+"\x00"+a.Kind+"\x00"+a.Name, b.Namespace+"\x00"+b.Kind+"\x00"+b.Name)
	})
	s.foldOwned()
	for _, v := range s.Services {
		s.servicesIn[v.Namespace] = append(s.servicesIn[v.Namespace], v)
		s.hosts[v.Hostname] = append(s.hosts[v.Hostname], v)
	}
	for ns, services := range s.servicesIn {
		selecting := slices.DeleteFunc(slices.Clone(services), func(v *Service) bool { return len(v.Selector) == 0 })
		s.inbound[ns] = NewSelectors(selecting, func(v *Service) map[string]string { return v.Selector })
	}
	for _, w := range s.Workloads {
		s.inNamespace[w.Namespace] = append(s.inNamespace[w.Namespace], w)
		s.named[w.Namespace+"/"+w.Name] = append(s.named[w.Namespace+"/"+w.Name], w)
		if w.ServiceAccount != "" {
			s.addAccount(w.Namespace, w.ServiceAccount)
		}
		s.joinNamespace(w, assumeOutside)
	}
	sortResources(s.authorizations)
	sortResources(s.peers)
	sortResources(s.authentications)
	sortResources(s.destinations)
	sortResources(s.sidecars)
	sortResources(s.gateways)
	sortResources(s.virtuals)
}

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

// DestinationRules are those of a namespace, oldest first.
func (s *Snapshot) DestinationRules(namespace string) []*DestinationRule {
	return s.destinations[namespace]
}

// DestinationNamespaces are the namespaces that have DestinationRules, sorted.
func (s *Snapshot) DestinationNamespaces() []string {
	return slices.Sorted(maps.Keys(s.destinations))
}

// Sidecars are those of a namespace, oldest first.
func (s *Snapshot) Sidecars(namespace string) []*Sidecar { return s.sidecars[namespace] }

// Gateways are those of a namespace, oldest first.
func (s *Snapshot) Gateways(namespace string) []*Gateway { return s.gateways[namespace] }

// VirtualServices are those of a namespace, oldest first.
func (s *Snapshot) VirtualServices(namespace string) []*VirtualService { return s.virtuals[namespace] }

// Workload finds a workload by namespace and name, whatever its kind; nil if
// there is none.
func (s *Snapshot) Workload(namespace, name string) *Workload {
	if found := s.named[namespace+"/"+name]; len(found) > 0 {
		return found[0]
	}
	return nil
}

// Service finds a Kubernetes Service; nil if there is none.
func (s *Snapshot) Service(namespace, name string) *Service {
	for _, v := range s.servicesIn[namespace] {
		if v.Name == name && v.Entry == nil {
			return v
		}
	}
	return nil
}

// ServicesOf are the services of a host name, the one that Istio prefers first.
func (s *Snapshot) ServicesOf(host string) []*Service { return s.hosts[host] }

// InboundPort is a port of a workload that a Service declares.
type InboundPort struct {
	Number   int32 // the workload's
	Service  *Service
	Port     ServicePort
	Protocol Protocol
	// Also are other Services with this port that lead to the same one.
	Also []*Service
	// Ingress is the Sidecar's listener that declares the port; nil for none.
	Ingress *networking.IstioIngressListener
}

// InboundPorts are the declared ports of a workload, sorted. Of several
// Services on one port the oldest decides the protocol (EC-24, EC-37).
func (s *Snapshot) InboundPorts(w *Workload) []InboundPort {
	if sidecar := s.SidecarFor(w); sidecar != nil && len(sidecar.Spec.Ingress) > 0 {
		return s.ingressPorts(w, sidecar)
	}
	return s.servicePorts(w)
}

// servicePorts are those that Services declare.
func (s *Snapshot) servicePorts(w *Workload) []InboundPort {
	seen := map[int32]int{}
	var ports []InboundPort
	for _, service := range s.inbound[w.Namespace].Of(w.PodLabels) {
		for _, p := range service.Ports {
			number := w.Port(p)
			if p.Protocol == UDP || number == 0 {
				continue
			}
			if i, known := seen[number]; !known {
				seen[number] = len(ports)
				ports = append(ports, InboundPort{Number: number, Service: service, Port: p, Protocol: p.Protocol})
			} else if ports[i].Service != service && ports[i].Port.Number == p.Number {
				ports[i].Also = append(ports[i].Also, service)
			}
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
