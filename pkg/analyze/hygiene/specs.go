package hygiene

import (
	"slices"

	"google.golang.org/protobuf/proto"
	extensions "istio.io/api/extensions/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	beta "istio.io/api/networking/v1beta1"
	security "istio.io/api/security/v1beta1"
	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// istioSpecs are Istio's kinds.
func istioSpecs() map[string]func() proto.Message {
	return map[string]func() proto.Message{
		"security.istio.io/AuthorizationPolicy":   func() proto.Message { return &security.AuthorizationPolicy{} },
		"security.istio.io/PeerAuthentication":    func() proto.Message { return &security.PeerAuthentication{} },
		"security.istio.io/RequestAuthentication": func() proto.Message { return &security.RequestAuthentication{} },
		"networking.istio.io/DestinationRule":     func() proto.Message { return &networking.DestinationRule{} },
		"networking.istio.io/VirtualService":      func() proto.Message { return &networking.VirtualService{} },
		"networking.istio.io/Gateway":             func() proto.Message { return &networking.Gateway{} },
		"networking.istio.io/ServiceEntry":        func() proto.Message { return &networking.ServiceEntry{} },
		"networking.istio.io/Sidecar":             func() proto.Message { return &networking.Sidecar{} },
		"networking.istio.io/WorkloadEntry":       func() proto.Message { return &networking.WorkloadEntry{} },
		"networking.istio.io/WorkloadGroup":       func() proto.Message { return &networking.WorkloadGroup{} },
		"networking.istio.io/EnvoyFilter":         func() proto.Message { return &networking.EnvoyFilter{} },
		"networking.istio.io/ProxyConfig":         func() proto.Message { return &beta.ProxyConfig{} },
		"telemetry.istio.io/Telemetry":            func() proto.Message { return &telemetry.Telemetry{} },
		"extensions.istio.io/WasmPlugin":          func() proto.Message { return &extensions.WasmPlugin{} },
		"extensions.istio.io/TrafficExtension":    func() proto.Message { return &extensions.TrafficExtension{} },
	}
}

// decoded is the spec of an object of Istio's; nil if it cannot be read.
type decoded struct {
	spec proto.Message
	err  error // that nobody else tells
}

// specs are the specs of all objects of Istio's kinds: those of the snapshot,
// and the others decoded here.
func specs(i *analyze.Inventory) map[*mesh.Object]decoded {
	return analyze.Shared(i, "hygiene.specs", func() map[*mesh.Object]decoded {
		all := inSnapshot(i)
		kinds, told := istioSpecs(), readBySnapshot(i)
		for _, o := range i.Objects {
			kind := kinds[analyze.Group(o)+"/"+o.Kind]
			if _, done := all[o]; done || kind == nil {
				continue
			}
			spec := kind()
			readable, err := mesh.DecodeSpec(o, spec)
			if told[o] {
				err = nil
			}
			if !readable {
				spec = nil
			}
			all[o] = decoded{spec, err}
		}
		return all
	})
}

// readBySnapshot are the objects whose specs the snapshot reads, or tells why
// not: of several that name the same thing the last, and none of the kinds that
// it only names.
func readBySnapshot(i *analyze.Inventory) map[*mesh.Object]bool {
	last := map[string]*mesh.Object{}
	for _, o := range i.Objects {
		last[identity(o)] = o
	}
	told := map[*mesh.Object]bool{}
	for _, o := range i.Objects {
		named := slices.Contains([]string{"EnvoyFilter", "ProxyConfig", "Telemetry", "WasmPlugin", "TrafficExtension"}, o.Kind)
		told[o] = !named && (o.Name == "" || last[identity(o)] == o)
	}
	return told
}

// identity is what makes two objects the same to a cluster.
func identity(o *mesh.Object) string {
	return analyze.Group(o) + "/" + o.Kind + "/" + o.Namespace + "/" + o.Name
}

func inSnapshot(i *analyze.Inventory) map[*mesh.Object]decoded {
	all := map[*mesh.Object]decoded{}
	seen := map[string]bool{}
	for _, o := range i.Objects {
		if seen[o.Namespace] {
			continue
		}
		seen[o.Namespace] = true
		add(all, i.AuthorizationPolicies(o.Namespace))
		add(all, i.PeerAuthentications(o.Namespace))
		add(all, i.RequestAuthentications(o.Namespace))
		add(all, i.DestinationRules(o.Namespace))
		add(all, i.VirtualServices(o.Namespace))
		add(all, i.Gateways(o.Namespace))
		add(all, i.Sidecars(o.Namespace))
	}
	return all
}

func add[S proto.Message](all map[*mesh.Object]decoded, list []*mesh.Resource[S]) {
	for _, r := range list {
		all[r.Object] = decoded{spec: r.Spec}
	}
}
