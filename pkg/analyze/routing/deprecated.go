package routing

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// replacement is what to write instead of a deprecated field.
func replacement(field protoreflect.FullName) string {
	return map[protoreflect.FullName]string{
		"istio.networking.v1alpha3.HTTPFaultInjection.Delay.percent":                        "percentage.value",
		"istio.networking.v1alpha3.HTTPRoute.mirror_percent":                                "mirrorPercentage.value",
		"istio.networking.v1alpha3.CorsPolicy.allow_origin":                                 "allowOrigins",
		"istio.networking.v1alpha3.OutlierDetection.consecutive_errors":                     "consecutive5xxErrors or consecutiveGatewayErrors",
		"istio.networking.v1alpha3.LoadBalancerSettings.ConsistentHashLB.minimum_ring_size": "ringHash.minimumRingSize",
		"istio.networking.v1alpha3.OutboundTrafficPolicy.egress_proxy":                      "a VirtualService to the egress proxy",
		"istio.networking.v1alpha3.Port.target_port":                                        "nothing",
		"istio.networking.v1alpha3.SidecarPort.target_port":                                 "nothing",
		"istio.networking.v1alpha3.LoadBalancerSettings.SimpleLB.LEAST_CONN":                "LEAST_REQUEST",
		"istio.networking.v1alpha3.LoadBalancerSettings.LEAST_CONN":                         "LEAST_REQUEST",
	}[field]
}

// deprecated finds fields, values and providers that Istio is about to drop.
func deprecated(p *analyze.Pass) {
	for _, v := range virtualServices(p) {
		outdated(p, v.Object, v.Spec)
	}
	for _, r := range destinationRules(p) {
		outdated(p, r.Object, r.Spec)
	}
	for _, g := range gateways(p) {
		outdated(p, g.Object, g.Spec)
	}
	for _, s := range allOf(p, networking, "Sidecar", p.Sidecars) {
		outdated(p, s.Object, s.Spec)
	}
	lightstep(p)
}

// outdated reports the deprecated fields that are set in the spec of an object.
func outdated(p *analyze.Pass, o *mesh.Object, spec proto.Message) {
	walk(spec.ProtoReflect(), []string{"spec"}, func(path []string, name protoreflect.FullName, what string) {
		hint := ""
		if instead := replacement(name); instead != "" {
			hint = "; write " + instead + " instead"
		}
		if hint == "; write nothing instead" {
			hint = "; it does nothing, take it away"
		}
		p.Report(o, path, "%s is deprecated, and will go%s", what, hint)
	})
}

// walk visits the deprecated fields and values of a message that are set.
func walk(m protoreflect.Message, path []string, found func(path []string, name protoreflect.FullName, what string)) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := within(path, f.JSONName())
		if options, ok := f.Options().(*descriptorpb.FieldOptions); ok && options.GetDeprecated() || f.FullName() == "istio.networking.v1alpha3.OutboundTrafficPolicy.egress_proxy" {
			found(at, f.FullName(), f.JSONName())
			return true
		}
		switch {
		case f.IsMap():
		case f.Kind() == protoreflect.EnumKind && !f.IsList():
			value := f.Enum().Values().ByNumber(v.Enum())
			if value == nil {
				return true
			}
			if options, ok := value.Options().(*descriptorpb.EnumValueOptions); ok && options.GetDeprecated() {
				found(at, value.FullName(), fmt.Sprintf("%s: %s", f.JSONName(), value.Name()))
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				walk(v.List().Get(i).Message(), within(at, fmt.Sprint(i)), found)
			}
		default:
			walk(v.Message(), at, found)
		}
		return true
	})
}

// lightstep finds Telemetry that traces with a provider of the type lightstep.
func lightstep(p *analyze.Pass) {
	old := map[string]bool{}
	for _, provider := range p.Config.GetExtensionProviders() {
		if _, ok := provider.Provider.(*meshconfig.MeshConfig_ExtensionProvider_Lightstep); ok {
			old[provider.Name] = true
		}
	}
	for _, t := range telemetries(p) {
		for i, tracing := range t.spec.Tracing {
			for j, provider := range tracing.Providers {
				if old[provider.Name] {
					p.Report(t.Object, []string{"spec", "tracing", fmt.Sprint(i), "providers", fmt.Sprint(j), "name"},
						"provider %q is of the type lightstep, which is deprecated; make it one of the type opentelemetry", provider.Name)
				}
			}
		}
	}
}

// telemetryProviders finds access logs that go nowhere: neither they nor the mesh
// name a provider.
func telemetryProviders(p *analyze.Pass) {
	if len(p.Config.GetDefaultProviders().GetAccessLogging()) > 0 {
		return
	}
	for _, t := range telemetries(p) {
		for i, log := range t.spec.AccessLogging {
			if len(log.Providers) == 0 && !log.GetDisabled().GetValue() {
				p.Report(t.Object, []string{"spec", "accessLogging", fmt.Sprint(i)}, "this names no providers, and the mesh has no default ones for access logs: it logs nothing; name providers")
			}
		}
	}
}
