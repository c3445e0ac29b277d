package validation

import (
	"google.golang.org/protobuf/proto"
	extensions "istio.io/api/extensions/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	proxyconfig "istio.io/api/networking/v1beta1"
	security "istio.io/api/security/v1beta1"
	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Check validates the decoded spec of an object. It finds nothing in kinds that
// it does not know.
func Check(o *mesh.Object, spec proto.Message) []Problem {
	switch s := spec.(type) {
	case *security.AuthorizationPolicy:
		return AuthorizationPolicy(&mesh.AuthorizationPolicy{Object: o, Spec: s})
	case *security.PeerAuthentication:
		return PeerAuthentication(&mesh.PeerAuthentication{Object: o, Spec: s})
	case *security.RequestAuthentication:
		return RequestAuthentication(&mesh.RequestAuthentication{Object: o, Spec: s})
	case *networking.DestinationRule:
		return DestinationRule(&mesh.DestinationRule{Object: o, Spec: s})
	}
	c := &checker{}
	if c.dryRun(o, nil) {
		c.others(o, spec)
	}
	return c.problems
}

// others checks the kinds that carry traffic and extend proxies.
func (c *checker) others(o *mesh.Object, spec proto.Message) {
	at := path{"spec"}
	switch s := spec.(type) {
	case *networking.VirtualService:
		c.virtualService(at, o.Namespace, s)
	case *networking.Gateway:
		c.gateway(at, s)
	case *networking.ServiceEntry:
		c.serviceEntry(at, o.Namespace, s)
	case *networking.Sidecar:
		c.sidecar(at, s)
	case *networking.WorkloadEntry:
		c.workloadEntry(at, s)
	case *networking.WorkloadGroup:
		c.workloadGroup(at, s)
	case *networking.EnvoyFilter:
		c.envoyFilter(at, s)
	case *proxyconfig.ProxyConfig:
		c.selector(s.Selector)
		c.notNegative(at.to("concurrency"), s.Concurrency.GetValue())
	case *telemetry.Telemetry:
		c.telemetry(at, s)
	case *extensions.WasmPlugin:
		c.wasmPlugin(at, s)
	}
}
