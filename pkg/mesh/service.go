package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Resolution is how a sidecar finds the endpoints of a service (EC-85).
type Resolution string

// The resolutions.
const (
	// Listed endpoints come from the control plane.
	Listed Resolution = "listed"
	// Passthrough goes to the address that the client asked for: a headless
	// Service, or a ServiceEntry without resolution.
	Passthrough Resolution = "passthrough"
	// DNS asks for all addresses of a name, DNSRoundRobin for one at a time.
	DNS           Resolution = "dns"
	DNSRoundRobin Resolution = "dns-round-robin"
	// Alias is another name of something else: an ExternalName Service.
	Alias Resolution = "alias"
)

// Service is what clients call by a host name: a Kubernetes Service, or one
// host of a ServiceEntry.
type Service struct {
	*Object
	Hostname   string
	Selector   map[string]string // of workloads in its namespace; empty selects none
	Ports      []ServicePort
	Resolution Resolution
	External   bool     // not of the mesh (MESH_EXTERNAL)
	Addresses  []string // virtual ones that the files name
	ExportTo   []string // namespaces that see it; empty is the mesh's default
	// Accounts are the SPIFFE IDs that annotations or subjectAltNames add to the
	// service's own (DR-26).
	Accounts []string
	// Entry is set for a ServiceEntry.
	Entry *networking.ServiceEntry
	// AliasOf is the name that an Alias stands for.
	AliasOf string
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Name     string
	Number   int32
	Target   intstr.IntOrString // the workload's port
	Protocol Protocol
}

// Headless tells a Kubernetes Service without an address of its own.
func (s *Service) Headless() bool { return s.Entry == nil && s.Resolution == Passthrough }

// Host is the service's full name.
func (s *Service) Host() string { return s.Hostname }

// Port finds a port by number or name.
func (s *Service) Port(text string) (ServicePort, bool) {
	i := slices.IndexFunc(s.Ports, func(p ServicePort) bool { return text == fmt.Sprint(p.Number) || text == p.Name && text != "" })
	if i < 0 {
		return ServicePort{}, false
	}
	return s.Ports[i], true
}

func (s *Snapshot) decodeService(o *Object) (*Service, error) {
	var object struct {
		Spec corev1.ServiceSpec `json:"spec"`
	}
	if err := json.Unmarshal(o.text, &object); err != nil {
		return nil, o.document.ExplainAt(o.Object, o.path, fmt.Errorf("error unmarshaling JSON: while decoding JSON: %w", err))
	}
	spec := object.Spec
	service := &Service{
		Object: o, Hostname: o.Name + "." + o.Namespace + ".svc." + s.Domain, Selector: spec.Selector,
		Resolution: Listed, ExportTo: annotationList(o, "networking.istio.io/exportTo"),
	}
	switch {
	case spec.Type == corev1.ServiceTypeExternalName:
		service.Resolution, service.AliasOf = Alias, spec.ExternalName
	case spec.ClusterIP == corev1.ClusterIPNone:
		service.Resolution = Passthrough
	case spec.ClusterIP != "":
		service.Addresses = []string{spec.ClusterIP}
	}
	service.Accounts = annotationList(o, "alpha.istio.io/canonical-serviceaccounts")
	for _, account := range annotationList(o, "alpha.istio.io/kubernetes-serviceaccounts") {
		service.Accounts = append(service.Accounts, spiffeID(s.Config.TrustDomain, o.Namespace, account))
	}
	if err := o.checkPorts(spec.Ports); err != nil {
		return nil, err
	}
	for _, p := range spec.Ports {
		app := ""
		if p.AppProtocol != nil {
			app = *p.AppProtocol
		}
		target := p.TargetPort
		if target.Type == intstr.Int && target.IntVal == 0 {
			target = intstr.FromInt32(p.Port)
		}
		service.Ports = append(service.Ports, ServicePort{
			Name: p.Name, Number: p.Port, Target: target, Protocol: protocolOf(string(p.Protocol), p.Name, app, p.Port),
		})
	}
	return service, nil
}

// checkPorts wants ports that a cluster takes.
func (o *Object) checkPorts(ports []corev1.ServicePort) error {
	const last = 65535
	var problems []error
	for i, p := range ports {
		for _, of := range []struct {
			field  string
			number int32
			least  int32
		}{{"port", p.Port, 1}, {"targetPort", p.TargetPort.IntVal, 0}, {"nodePort", p.NodePort, 0}} { // 0 is one that is not given
			if of.number < of.least || of.number > last {
				problems = append(problems, o.fault([]string{"spec", "ports", fmt.Sprint(i), of.field}, "", fmt.Errorf("%s %d: expected a number from 1 to %d", of.field, of.number, last)))
			}
		}
	}
	return errors.Join(problems...)
}

// annotationList reads a list with commas.
func annotationList(o *Object, name string) []string {
	var all []string
	for item := range strings.SplitSeq(o.Annotations[name], ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

// decodeServiceEntry reads the hosts of a ServiceEntry, a service each.
func decodeServiceEntry(o *Object) ([]*Service, error) {
	r, err := decodeResource(o, &networking.ServiceEntry{})
	if r == nil {
		return nil, err
	}
	var ports []ServicePort
	for _, p := range r.Spec.Ports {
		target := p.GetTargetPort()
		if target == 0 {
			target = p.GetNumber()
		}
		ports = append(ports, ServicePort{
			Name: p.GetName(), Number: int32(p.GetNumber()), Target: intstr.FromInt32(int32(target)), //nolint:gosec // ports
			Protocol: namedProtocol(p.GetProtocol()),
		})
	}
	resolution := map[networking.ServiceEntry_Resolution]Resolution{
		networking.ServiceEntry_NONE: Passthrough, networking.ServiceEntry_STATIC: Listed,
		networking.ServiceEntry_DNS: DNS, networking.ServiceEntry_DNS_ROUND_ROBIN: DNSRoundRobin,
	}[r.Spec.Resolution]
	var services []*Service
	for _, host := range r.Spec.Hosts {
		service := &Service{
			Object: o, Hostname: host, Ports: ports, Resolution: resolution, External: r.Spec.Location == networking.ServiceEntry_MESH_EXTERNAL,
			Selector: r.Spec.GetWorkloadSelector().GetLabels(), ExportTo: r.Spec.ExportTo, Accounts: r.Spec.SubjectAltNames, Entry: r.Spec,
		}
		for _, address := range r.Spec.Addresses {
			if _, err := netip.ParseAddr(address); err == nil || strings.Contains(address, "/") {
				service.Addresses = append(service.Addresses, address)
			}
		}
		services = append(services, service)
	}
	return services, err
}

// Endpoint is where a port of a service is served: by a workload, or at an
// address that a ServiceEntry lists.
type Endpoint struct {
	Workload *Workload                 // nil for a listed address
	Entry    *networking.WorkloadEntry // the listed address
	Port     int32                     // the workload's own
}

// Account is the SPIFFE ID of the endpoint, "" if it has none.
func (s *Snapshot) Account(service *Service, e Endpoint) string {
	namespace, account := service.Namespace, e.Entry.GetServiceAccount()
	if e.Workload != nil {
		namespace, account = e.Workload.Namespace, e.Workload.ServiceAccount
	}
	if account == "" {
		return ""
	}
	return spiffeID(s.Config.TrustDomain, namespace, account)
}

// ClaimsTLS tells whether clients take the endpoint for one that speaks mTLS.
func (e Endpoint) ClaimsTLS() bool {
	if e.Workload != nil {
		return e.Workload.ClaimsTLS()
	}
	if mode, ok := e.Entry.GetLabels()[tlsModeLabel]; ok {
		return mode == istioTLSMode
	}
	return e.Entry.GetServiceAccount() != ""
}

// Labels are those by which subsets choose endpoints.
func (e Endpoint) Labels() map[string]string {
	if e.Workload != nil {
		return e.Workload.PodLabels
	}
	return e.Entry.GetLabels()
}

// Endpoints are the endpoints of a service's port, in the order of workloads;
// those of its namesakes count too, where the port has the same name.
func (s *Snapshot) Endpoints(service *Service, p ServicePort) []Endpoint {
	all := s.ownEndpoints(service, p)
	for _, v := range s.Namesakes(service)[1:] {
		if i := slices.IndexFunc(v.Ports, func(other ServicePort) bool { return other.Name == p.Name }); i >= 0 {
			all = append(all, s.ownEndpoints(v, v.Ports[i])...)
		}
	}
	return all
}

// Namesakes are a service and the others that have its host name in its
// namespace: a ServiceEntry may add endpoints to a Service, or to another one.
func (s *Snapshot) Namesakes(service *Service) []*Service {
	all := []*Service{service}
	for _, v := range s.hosts[service.Hostname] {
		if v != service && v.Namespace == service.Namespace && v.Resolution != Alias {
			all = append(all, v)
		}
	}
	return all
}

func (s *Snapshot) ownEndpoints(service *Service, p ServicePort) []Endpoint {
	var all []Endpoint
	for _, w := range s.Selected(service) {
		if number := w.Port(p); number != 0 {
			all = append(all, Endpoint{Workload: w, Port: number})
		}
	}
	for _, entry := range service.Entry.GetEndpoints() {
		number := p.Target.IntVal
		if own, ok := entry.GetPorts()[p.Name]; ok {
			number = int32(own) //nolint:gosec // a port
		}
		all = append(all, Endpoint{Entry: entry, Port: number})
	}
	return all
}

// Selected are the workloads behind a service.
func (s *Snapshot) Selected(service *Service) []*Workload {
	if len(service.Selector) == 0 {
		return nil
	}
	var all []*Workload
	for _, w := range s.inNamespace[service.Namespace] {
		if Selects(service.Selector, w.PodLabels) {
			all = append(all, w)
		}
	}
	return all
}
