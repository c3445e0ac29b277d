package mesh

import (
	"slices"

	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ingressPorts are those that a Sidecar declares for a workload, in place of
// all that Services do (EC-37, EC-38). A Service that leads to one of them
// stays with it; without one the Sidecar stands there itself.
func (s *Snapshot) ingressPorts(w *Workload, sidecar *Sidecar) []InboundPort {
	declared := s.servicePorts(w)
	var ports []InboundPort
	for _, l := range sidecar.Spec.Ingress {
		number := int32(l.GetPort().GetNumber()) //nolint:gosec // a port
		p := InboundPort{
			Number: number, Protocol: ParseProtocol(l.GetPort().GetProtocol()), Ingress: l,
			Service: &Service{Object: sidecar.Object, Hostname: sidecar.Name + "." + w.Namespace, Resolution: Listed, External: true},
		}
		p.Port = ServicePort{Name: l.GetPort().GetName(), Number: number, Target: intstr.FromInt32(number), Protocol: p.Protocol}
		if i := slices.IndexFunc(declared, func(d InboundPort) bool { return d.Number == number }); i >= 0 {
			p.Service, p.Port = declared[i].Service, declared[i].Port
		}
		if p.Protocol != UDP && !slices.ContainsFunc(ports, func(other InboundPort) bool { return other.Number == number }) {
			ports = append(ports, p)
		}
	}
	slices.SortFunc(ports, func(a, b InboundPort) int { return int(a.Number - b.Number) })
	return ports
}

// BoundIngress tells whether a port of a Sidecar is bound for real, which it is
// where no traffic is intercepted (EC-102).
func (s *Snapshot) BoundIngress(w *Workload, l *networking.IstioIngressListener) bool {
	return l.GetCaptureMode() == networking.CaptureMode_NONE || s.Interception(w) == NoInterception
}
