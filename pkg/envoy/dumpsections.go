package envoy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
)

// admin begins the types of what Envoy's administration interface answers.
const admin = "envoy.admin.v3."

// configDump reads what /config_dump answers: sections, or with ?resource= the
// elements of one. Of each resource the state that is in use counts.
func (p *parser) configDump(d *Dump, s span) error {
	sections, err := p.elements(s)
	if err != nil {
		return err
	}
	known := 0
	for _, section := range sections {
		fields, err := p.members(section)
		if err != nil {
			return err
		}
		typeURL := typeOf(fields)
		_, name, _ := strings.Cut(typeURL, "/")
		switch m := adminMessage(name); {
		case m == nil:
			d.note("section %q of the dump is not known here and left out", typeURL)
			continue
		case strings.Contains(strings.TrimPrefix(name, admin), "."):
			err = p.lone(d, m, section)
		default:
			err = p.section(d, name, fields)
		}
		if err != nil {
			return err
		}
		known++
	}
	if known == 0 {
		return p.fault(s.at, errors.New("a config dump without any section that is known here"))
	}
	return nil
}

// adminMessage is an empty message of a section, or of an element of one; nil
// for what is neither.
func adminMessage(name string) proto.Message {
	if !strings.HasPrefix(name, admin) || !strings.Contains(name, "ConfigDump") {
		return nil
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	return kind.New().Interface()
}

// bareSection tells the section that istioctl prints for itself: secrets and
// bootstrap.
func bareSection(fields []member) string {
	for _, f := range fields {
		switch f.key {
		case "dynamicActiveSecrets", "dynamic_active_secrets", "dynamicWarmingSecrets", "dynamic_warming_secrets", "staticSecrets", "static_secrets":
			return admin + "SecretsConfigDump"
		case "bootstrap":
			return admin + "BootstrapConfigDump"
		}
	}
	return ""
}

// typeOf is the type that a section names.
func typeOf(fields []member) string {
	name := ""
	for _, f := range fields {
		if f.key == "@type" {
			_ = json.Unmarshal(f.text, &name) // "" for what is no text
		}
	}
	return name
}

// section reads the lists of a section, element by element: what is not
// understood in one of them does not spoil the others.
func (p *parser) section(d *Dump, name string, fields []member) error {
	of := adminMessage(name).ProtoReflect()
	for _, f := range fields {
		fd := of.Descriptor().Fields().ByTextName(f.key)
		if fd == nil {
			fd = of.Descriptor().Fields().ByJSONName(f.key)
		}
		var err error
		switch {
		case f.key == "@type" || f.key == "version_info" || f.key == "versionInfo":
		case fd == nil:
			d.note("%s has %q, which is not known here and left out", of.Descriptor().Name(), f.key)
		case fd.IsList():
			err = p.sectionList(d, of.NewField(fd).List(), fd, f.span)
		case fd.Name() == "bootstrap":
			b := &bootstrapv3.Bootstrap{}
			if _, err = p.read(f.span, b); err == nil {
				d.started(b) // the static resources come again in other sections
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) sectionList(d *Dump, list protoreflect.List, fd protoreflect.FieldDescriptor, s span) error {
	items, err := p.elements(s)
	if err != nil {
		return err
	}
	if d.Secrets == nil && strings.HasSuffix(string(fd.Name()), "_secrets") {
		d.Secrets = []Secret{}
	}
	for _, item := range items {
		m := list.NewElement().Message().Interface()
		unread, err := p.read(item, m)
		if err != nil {
			return err
		}
		if err := d.element(m, strings.Contains(string(fd.Name()), "warming"), unread); err != nil {
			return p.fault(item.at, err)
		}
	}
	return nil
}

// lone reads an element that stands by itself. Its type is a field like the
// others to an Any, but not to the message itself.
func (p *parser) lone(d *Dump, m proto.Message, s span) error {
	wrapped := &anypb.Any{}
	unread, err := p.read(s, wrapped)
	if err != nil {
		return err
	}
	if err := wrapped.UnmarshalTo(m); err != nil {
		return p.fault(s.at, err)
	}
	if err := d.element(m, false, unread); err != nil {
		return p.fault(s.at, err)
	}
	return nil
}

// element takes one of a section. Static routes come again in the listeners.
func (d *Dump) element(m proto.Message, warming bool, unread string) error {
	var resource *anypb.Any
	switch m := m.(type) {
	case *adminv3.ListenersConfigDump_StaticListener:
		resource = m.Listener
	case *adminv3.ListenersConfigDump_DynamicListener:
		d.state(m)
		resource = m.GetActiveState().GetListener()
	case *adminv3.ClustersConfigDump_StaticCluster:
		resource = m.Cluster
	case *adminv3.ClustersConfigDump_DynamicCluster:
		resource = m.Cluster
	case *adminv3.RoutesConfigDump_DynamicRouteConfig:
		resource = m.RouteConfig
	case *adminv3.EndpointsConfigDump_StaticEndpointConfig:
		resource = m.EndpointConfig
	case *adminv3.EndpointsConfigDump_DynamicEndpointConfig:
		resource = m.EndpointConfig
	case *adminv3.SecretsConfigDump_StaticSecret:
		resource = m.Secret
	case *adminv3.SecretsConfigDump_DynamicSecret:
		resource = m.Secret
	case *adminv3.EcdsConfigDump_EcdsFilterConfig:
		resource = m.EcdsFilter
	case *adminv3.ScopedRoutesConfigDump_InlineScopedRouteConfigs, *adminv3.ScopedRoutesConfigDump_DynamicScopedRouteConfigs:
		d.note("scoped routes are left out: no sidecar of Istio has any")
	}
	if resource == nil {
		return nil
	}
	inner, err := resource.UnmarshalNew()
	if err != nil {
		return err
	}
	return d.resource(inner, warming, unread)
}

// state tells of listeners that are not, or not only, what is in use.
func (d *Dump) state(l *adminv3.ListenersConfigDump_DynamicListener) {
	if l.ErrorState != nil {
		which := "is not in use"
		if l.ActiveState != nil {
			which = "is in use in an earlier version"
		}
		d.note("listener %q %s, Envoy refused it: %s", l.Name, which, l.ErrorState.Details)
	}
	switch {
	case l.WarmingState != nil && l.ActiveState != nil:
		d.note("listener %q is in use in an earlier version, the later one is warming", l.Name)
	case l.WarmingState != nil:
		d.note("listener %q is not in use yet, it is warming", l.Name)
	case l.DrainingState != nil && l.ActiveState == nil:
		d.note("listener %q is no longer in use, it is draining", l.Name)
	}
}

// resource takes what an element holds, unless it is warming.
func (d *Dump) resource(m proto.Message, warming bool, unread string) error {
	name := m.ProtoReflect().Descriptor()
	if !slices.Contains([]protoreflect.FullName{
		"envoy.config.listener.v3.Listener", "envoy.config.cluster.v3.Cluster", "envoy.config.route.v3.RouteConfiguration", "envoy.config.endpoint.v3.ClusterLoadAssignment",
		"envoy.extensions.transport_sockets.tls.v3.Secret", "envoy.config.core.v3.TypedExtensionConfig",
	}, name.FullName()) {
		return errors.New("a " + string(name.FullName()) + " where a resource is expected")
	}
	if warming && name.Name() != "Secret" {
		d.note("%s %q is not in use yet, it is warming", strings.ToLower(string(name.Name())), nameOf(m))
		return nil
	}
	d.add(m, unread)
	if warming {
		d.Secrets[len(d.Secrets)-1].Warming = true
	}
	return nil
}

func nameOf(m proto.Message) string {
	if named, ok := m.(interface{ GetName() string }); ok {
		return named.GetName()
	}
	return ""
}

// assignment is what /clusters tells of the endpoints of a cluster.
func assignment(c *adminv3.ClusterStatus) *endpointv3.ClusterLoadAssignment {
	a := &endpointv3.ClusterLoadAssignment{ClusterName: c.Name}
	for _, h := range c.HostStatuses {
		health := h.GetHealthStatus().GetEdsHealthStatus()
		if h.GetHealthStatus().GetFailedOutlierCheck() || h.GetHealthStatus().GetFailedActiveHealthCheck() {
			health = corev3.HealthStatus_UNHEALTHY
		}
		a.Endpoints = append(a.Endpoints, &endpointv3.LocalityLbEndpoints{
			Locality: h.Locality, Priority: h.Priority,
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: h.Address}}, HealthStatus: health}},
		})
	}
	return a
}
