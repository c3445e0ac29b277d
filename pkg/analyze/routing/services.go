package routing

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// systemNamespaces are those of Kubernetes itself, which no mesh is in.
func systemNamespaces() []string {
	return []string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage"}
}

// portNames finds ports of Services whose protocol Istio has to guess, and such
// of ExternalName Services that take over a port of the whole mesh.
func portNames(p *analyze.Pass) {
	for _, v := range p.Services {
		_, istio := v.Labels["istio"]
		if v.Entry != nil || slices.Contains(systemNamespaces(), v.Namespace) || istio || v.Labels["release"] == "istio" {
			continue
		}
		for i, port := range v.Ports {
			path := []string{"spec", "ports", fmt.Sprint(i)}
			if port.Name != "" {
				path = within(path, "name")
			}
			external := v.Resolution == mesh.Alias
			switch {
			case external && takesPort(port.Protocol):
				p.ReportCode("IST0150", v.Object, path, "port %d of an ExternalName Service, named %q, is %s: sidecars take all traffic to this port, whatever its address, for it; name it http, https or tls", port.Number, port.Name, described(port.Protocol))
			case port.Protocol == mesh.Unsupported:
				p.Report(v.Object, path, "port %d, named %q, does not say its protocol, so sidecars guess it from the first bytes: name it such as http, grpc-NAME or tcp, or set appProtocol", port.Number, port.Name)
			}
		}
	}
}

// takesPort tells whether a sidecar opens a listener for a protocol that knows no
// hosts.
func takesPort(protocol mesh.Protocol) bool {
	switch protocol {
	case mesh.TCP, mesh.Unsupported, mesh.Mongo, mesh.Redis, mesh.MySQL:
		return true
	}
	return false
}

func described(protocol mesh.Protocol) string {
	if protocol == mesh.Unsupported {
		return "of no known protocol"
	}
	return string(protocol)
}

// sharedPorts finds workloads whose port several Services declare with different
// protocols, or under different numbers.
func sharedPorts(p *analyze.Pass) {
	services := servicesIn(p)
	for _, w := range p.Workloads {
		selecting := services[w.Namespace].Of(w.PodLabels)
		if len(selecting) < 2 || w.IsGateway() || outside(p, w) || inAmbient(w) {
			continue
		}
		protocolConflicts(p, w, selecting)
		targetConflicts(p, w, selecting)
	}
}

// declared is a port of a Service, and its place.
type declared struct {
	v         *mesh.Service
	port      mesh.ServicePort
	target    string
	transport corev1.Protocol
	path      []string
}

// declaredPorts are the ports of Services by a key of theirs.
func declaredPorts[K comparable](services []*mesh.Service, key func(declared) K) (byKey map[K][]declared, keys []K) {
	byKey = map[K][]declared{}
	for _, v := range services {
		transports := transportsOf(v)
		for i, port := range v.Ports {
			d := declared{v: v, port: port, target: port.Target.String(), path: []string{"spec", "ports", fmt.Sprint(i)}}
			if i < len(transports) {
				d.transport = transports[i]
			}
			k := key(d)
			if byKey[k] == nil {
				keys = append(keys, k)
			}
			byKey[k] = append(byKey[k], d)
		}
	}
	return byKey, keys
}

// transportsOf are the transport protocols of a Service's ports as it writes
// them; TCP is what Kubernetes takes where it writes none.
func transportsOf(v *mesh.Service) []corev1.Protocol {
	var object struct {
		Spec struct {
			Ports []struct {
				Protocol corev1.Protocol `json:"protocol"`
			} `json:"ports"`
		} `json:"spec"`
	}
	if v.Decode(&object) != nil {
		return nil
	}
	var all []corev1.Protocol
	for _, port := range object.Spec.Ports {
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		all = append(all, port.Protocol)
	}
	return all
}

func protocolConflicts(p *analyze.Pass, w *mesh.Workload, services []*mesh.Service) {
	byNumber, numbers := declaredPorts(services, func(d declared) int32 { return d.port.Number })
	for _, number := range numbers {
		all := byNumber[number]
		first := all[0]
		i := slices.IndexFunc(all, func(d declared) bool {
			known := d.port.Protocol != mesh.Unsupported && first.port.Protocol != mesh.Unsupported
			return d.v != first.v && (d.transport != first.transport || known && d.port.Protocol != first.port.Protocol)
		})
		if i < 0 {
			continue
		}
		other := all[i]
		r := p.Report(w.Object, nil, "Services %s and %s declare port %d of these pods as %s and %s: sidecars take it for one of them, and the other's clients fail",
			first.v.Name, other.v.Name, number, spoken(first), spoken(other)).
			Because(first.v.Object, first.path, "declares %s", spoken(first)).Because(other.v.Object, other.path, "declares %s", spoken(other))
		if first.target != other.target || first.transport == corev1.ProtocolUDP || other.transport == corev1.ProtocolUDP {
			// The pods tell them apart; it is clients that may not expect it.
			r.As(report.Info)
		}
	}
}

func spoken(d declared) string {
	if d.transport != corev1.ProtocolTCP {
		return string(d.transport)
	}
	return string(d.port.Protocol)
}

func targetConflicts(p *analyze.Pass, w *mesh.Workload, services []*mesh.Service) {
	byTarget, targets := declaredPorts(services, func(d declared) string { return d.target })
	for _, target := range targets {
		all := byTarget[target]
		first := all[0]
		i := slices.IndexFunc(all, func(d declared) bool { return d.v != first.v && d.port.Number != first.port.Number })
		if i < 0 {
			continue
		}
		other := all[i]
		p.ReportCode("IST0137", w.Object, nil, "Services %s and %s lead from their ports %d and %d to port %s of these pods: sidecars there know it by one of them only",
			first.v.Name, other.v.Name, first.port.Number, other.port.Number, target).
			Because(first.v.Object, first.path, "leads to port %s", target).Because(other.v.Object, other.path, "leads to port %s", target)
	}
}
