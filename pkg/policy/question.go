package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Question asks for one request in the words of manifests: which workload or
// account calls which Service.
type Question struct {
	From Caller
	To   Callee
	// HTTP is the request as the calling program makes it; nil is raw bytes.
	HTTP          *HTTP
	SourceIP      string // the caller's address; empty is not known
	DestinationIP string // the called workload's; empty is not known
	SNI           string // in place of the one that a client's sidecar sends
	Subset        string // of the DestinationRule that applies; empty is none
	Routed        bool   // the caller's routes led to the Service already
	Custom        string // what external authorizers answer: allow, deny, error, or "" for not told
}

// Caller is who calls. The zero Caller is a program without a sidecar.
type Caller struct {
	Workload  *mesh.Workload // one that the files describe
	Namespace string         // of a service account, all that is known of the caller
	Account   string
	Principal string // a SPIFFE ID from outside of the files, which speaks mTLS itself
}

// String names the caller.
func (c Caller) String() string {
	switch {
	case c.Workload != nil:
		return c.Workload.String()
	case c.Account != "":
		return "service account " + c.Namespace + "/" + c.Account
	case c.Principal != "":
		return c.Principal
	}
	return "a client without mTLS"
}

// Callee is what is called: a port of a Service, or a workload's own.
type Callee struct {
	Service  *mesh.Service
	Port     mesh.ServicePort // of Service
	Workload *mesh.Workload
	Number   uint32 // of Workload
}

// String names the callee.
func (c Callee) String() string {
	if c.Service != nil {
		return fmt.Sprintf("%s:%d", c.Service.Hostname, c.Port.Number)
	}
	return fmt.Sprintf("%s:%d", c.Workload, c.Number)
}

// ParseCaller reads who calls: NAMESPACE/ACCOUNT, or a workload as
// KIND/NAME.NAMESPACE. It fails with the names that are near.
func ParseCaller(s *mesh.Snapshot, text, namespace string) (Caller, error) {
	kind, name, ok := strings.Cut(text, "/")
	switch {
	case !ok || kind == "" || name == "" || strings.Contains(name, "/"):
		return Caller{}, fmt.Errorf("caller %q: expected NAMESPACE/SERVICEACCOUNT, or a workload such as deploy/web.shop; an identity from elsewhere goes to --principal", text)
	case mesh.IsKind(kind, "ServiceAccount"):
		account, ns := name, namespace
		if i := strings.LastIndex(name, "."); i > 0 && s.FindAccount(namespace, name) != nil {
			account, ns = name[:i], name[i+1:]
		}
		return Caller{Namespace: ns, Account: account}, s.FindAccount(ns, account)
	case s.IsWorkloadKind(kind):
		w, err := s.FindWorkload(text, namespace)
		return Caller{Workload: w}, err
	}
	return Caller{Namespace: kind, Account: name}, s.FindAccount(kind, name)
}

// ParsePrincipal reads a SPIFFE ID, or a principal as policies write it, which is
// one of a service account without its scheme (CA-5).
func ParsePrincipal(text string) (Caller, error) {
	id := text
	if !strings.Contains(text, "://") {
		parts := strings.Split(text, "/")
		if len(parts) != 5 || parts[1] != "ns" || parts[3] != "sa" || parts[2] == "" || parts[4] == "" {
			return Caller{}, notPrincipal(text)
		}
		id = "spiffe://" + text
	}
	domain, path, ok := strings.Cut(strings.TrimPrefix(id, "spiffe://"), "/")
	if !strings.HasPrefix(id, "spiffe://") || !ok || domain == "" || path == "" || strings.Contains(text, "*") {
		return Caller{}, notPrincipal(text)
	}
	return Caller{Principal: id}, nil
}

func notPrincipal(text string) error {
	return fmt.Errorf("principal %q: expected a SPIFFE ID such as spiffe://cluster.local/ns/shop/sa/web", text)
}

// ParseCallee reads what is called: svc/NAME.NAMESPACE:PORT, with the port's
// number or name, or KIND/NAME.NAMESPACE:PORT with the workload's own. A port
// may be left out where there is only one.
func ParseCallee(s *mesh.Snapshot, text, namespace string) (Callee, error) {
	reference, port := text, ""
	if i := strings.LastIndex(text, ":"); i >= 0 {
		reference, port = text[:i], text[i+1:]
	}
	kind, name, ok := strings.Cut(reference, "/")
	if !ok || kind == "" || name == "" {
		return Callee{}, fmt.Errorf("destination %q: expected svc/NAME.NAMESPACE:PORT, or a workload such as deploy/web.shop:8080", text)
	}
	if mesh.IsKind(kind, "Service") || mesh.IsKind(kind, "ServiceEntry") {
		service, err := s.FindService(name, namespace)
		if err != nil {
			return Callee{}, err
		}
		return servicePort(service, port)
	}
	w, err := s.FindWorkload(reference, namespace)
	if err != nil {
		return Callee{}, err
	}
	return workloadPort(s, w, port)
}

func servicePort(service *mesh.Service, port string) (Callee, error) {
	if port == "" && len(service.Ports) == 1 {
		return Callee{Service: service, Port: service.Ports[0]}, nil
	}
	if p, ok := service.Port(port); ok {
		return Callee{Service: service, Port: p}, nil
	}
	var all []string
	for _, p := range service.Ports {
		one := strconv.Itoa(int(p.Number))
		if p.Name != "" {
			one += " (" + p.Name + ")"
		}
		all = append(all, one)
	}
	if port == "" {
		return Callee{}, fmt.Errorf("%s has several ports, name one: %s", service, strings.Join(all, ", "))
	}
	return Callee{}, fmt.Errorf("%s has no port %s; it has %s", service, port, strings.Join(all, ", "))
}

func workloadPort(s *mesh.Snapshot, w *mesh.Workload, port string) (Callee, error) {
	declared := s.InboundPorts(w)
	if port == "" && len(declared) == 1 {
		return Callee{Workload: w, Number: uint32(declared[0].Number)}, nil //nolint:gosec // a port
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
		return Callee{Workload: w, Number: uint32(n)}, nil
	}
	for _, c := range w.Containers {
		for _, p := range c.Ports {
			if p.Name == port && port != "" {
				return Callee{Workload: w, Number: uint32(p.ContainerPort)}, nil //nolint:gosec // a port
			}
		}
	}
	var all []string
	for _, p := range declared {
		all = append(all, strconv.Itoa(int(p.Number)))
	}
	hint := "no Service declares any; give a number"
	if all != nil {
		hint = "Services declare " + strings.Join(all, ", ")
	}
	if port == "" {
		return Callee{}, fmt.Errorf("%s: name a port: %s", w, hint)
	}
	return Callee{}, fmt.Errorf("%s has no port %s: %s", w, port, hint)
}

// Traffic is what the callee's port carries.
func (c Callee) Traffic(s *mesh.Snapshot) mesh.Traffic {
	if c.Service != nil {
		return c.Port.Protocol.Traffic()
	}
	for _, p := range s.InboundPorts(c.Workload) {
		if uint32(p.Number) == c.Number { //nolint:gosec // a port
			return p.Protocol.Traffic()
		}
	}
	return mesh.SniffedTraffic
}

// Authority is what a client that names the callee puts into its requests.
func (c Callee) Authority() string {
	if c.Service == nil {
		return fmt.Sprintf("%s:%d", c.Workload.Name, c.Number)
	}
	if c.Port.Number == 80 {
		return c.Service.Hostname
	}
	return fmt.Sprintf("%s:%d", c.Service.Hostname, c.Port.Number)
}
