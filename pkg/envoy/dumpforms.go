package envoy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// document reads a value of any of the forms.
func (p *parser) document(s span) ([]*Dump, error) {
	switch s.text[0] {
	case '[':
		d := &Dump{}
		return []*Dump{d}, p.resources(d, "", s)
	case '{':
	default:
		return nil, p.fault(s.at, errForeign)
	}
	fields, err := p.members(s)
	if err != nil {
		return nil, err
	}
	find := func(names ...string) (span, bool) {
		i := slices.IndexFunc(fields, func(m member) bool { return slices.Contains(names, m.key) })
		if i < 0 {
			return span{}, false
		}
		return fields[i].span, true
	}
	is, _ := find("kind")
	switch items, _ := find("items"); {
	case string(is.text) == `"`+kind+`"`:
		d, err := p.own(fields)
		return []*Dump{d}, err
	case string(is.text) == `"List"`:
		return p.list(items)
	}
	if configs, ok := find("configs"); ok {
		d, err := p.configDump(configs)
		return []*Dump{d}, err
	}
	if _, ok := find("staticResources", "static_resources"); ok {
		d := &Dump{}
		return []*Dump{d}, p.bootstrap(d, s)
	}
	return nil, p.fault(s.at, errForeign)
}

// list reads the items of a List.
func (p *parser) list(s span) ([]*Dump, error) {
	if s.text == nil {
		return nil, p.fault(s.at, errors.New("a List without items"))
	}
	items, err := p.elements(s)
	if err != nil {
		return nil, err
	}
	var all []*Dump
	for _, item := range items {
		fields, err := p.members(item)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(fields, func(m member) bool { return m.key == "kind" && string(m.text) == `"`+kind+`"` }) {
			return nil, p.fault(item.at, errForeign)
		}
		d, err := p.own(fields)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// own reads the document of MarshalJSON.
func (p *parser) own(fields []member) (*Dump, error) {
	d := &Dump{}
	for _, f := range fields {
		var err error
		switch f.key {
		case "kind", "apiVersion":
		case "workload":
			if json.Unmarshal(f.text, &d.Workload) != nil {
				err = p.fault(f.at, errors.New("workload: expected a text"))
			}
		case "listeners", "clusters", "routes", "endpoints":
			err = p.resources(d, f.key, f.span)
		default:
			err = p.fault(f.at, fmt.Errorf("unknown field %q of an %s", f.key, kind))
		}
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

// resources reads a list of resources of one kind; "" finds out which.
func (p *parser) resources(d *Dump, of string, s span) error {
	items, err := p.elements(s)
	if err != nil {
		return err
	}
	for _, item := range items {
		if of == "" {
			if of, err = p.guess(item); err != nil {
				return err
			}
		}
		if err := p.resource(d, of, item); err != nil {
			return err
		}
	}
	return nil
}

// guess tells the kind of a resource by what only it has.
func (p *parser) guess(s span) (string, error) {
	fields, err := p.members(s)
	if err != nil {
		return "", err
	}
	for _, f := range fields {
		switch f.key {
		case "filterChains", "filter_chains", "listenerFilters", "listener_filters", "trafficDirection", "address":
			return "listeners", nil
		case "virtualHosts", "virtual_hosts":
			return "routes", nil
		case "clusterName", "cluster_name":
			return "endpoints", nil
		case "connectTimeout", "connect_timeout", "lbPolicy", "edsClusterConfig", "loadAssignment", "load_assignment":
			return "clusters", nil
		}
	}
	return "", p.fault(s.at, errForeign)
}

func (p *parser) resource(d *Dump, of string, s span) error {
	var m proto.Message
	switch of {
	case "listeners":
		m = &listenerv3.Listener{}
	case "clusters":
		m = &clusterv3.Cluster{}
	case "routes":
		m = &routev3.RouteConfiguration{}
	default:
		m = &endpointv3.ClusterLoadAssignment{}
	}
	unread, err := p.read(s, m)
	if err != nil {
		return err
	}
	d.add(m, unread)
	return nil
}

// add takes a resource. unread is a field of it that is not known here.
func (d *Dump) add(m proto.Message, unread string) {
	name := ""
	switch m := m.(type) {
	case *listenerv3.Listener:
		d.Listeners, name = append(d.Listeners, m), m.Name
	case *clusterv3.Cluster:
		d.Clusters, name = append(d.Clusters, m), m.Name
	case *routev3.RouteConfiguration:
		d.Routes, name = append(d.Routes, m), m.Name
	case *endpointv3.ClusterLoadAssignment:
		d.Endpoints, name = append(d.Endpoints, m), m.ClusterName
	case *tlsv3.Secret:
		d.Secrets, name = append(d.Secrets, newSecret(m)), m.Name
	}
	if unread == "" {
		return
	}
	if d.Unread == nil {
		d.Unread = map[string]bool{}
	}
	d.Unread[name] = true
	d.note("%s %q has the field %q, which is not known here and left out", m.ProtoReflect().Descriptor().Name(), name, unread)
}

func (d *Dump) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// bootstrap reads what an Envoy was started with: its static resources.
func (p *parser) bootstrap(d *Dump, s span) error {
	b := &bootstrapv3.Bootstrap{}
	unread, err := p.read(s, b)
	if err != nil {
		return err
	}
	d.started(b)
	for _, l := range b.GetStaticResources().GetListeners() {
		d.add(l, unread)
	}
	for _, c := range b.GetStaticResources().GetClusters() {
		d.add(c, unread)
	}
	for _, secret := range b.GetStaticResources().GetSecrets() {
		d.add(secret, unread)
	}
	return nil
}

// started finds out whose proxy it is: istio-agent writes the workload into the
// metadata, and the pod into the id.
func (d *Dump) started(b *bootstrapv3.Bootstrap) {
	fields := b.GetNode().GetMetadata().GetFields()
	namespace, workload := fields["NAMESPACE"].GetStringValue(), fields["WORKLOAD_NAME"].GetStringValue()
	parts := strings.Split(b.GetNode().GetId(), "~")
	if workload == "" && len(parts) == 4 {
		if at := strings.LastIndexByte(parts[2], '.'); at > 0 {
			workload, namespace = parts[2][:at], parts[2][at+1:]
		}
	}
	if workload != "" && namespace != "" {
		d.Workload = namespace + "/" + workload
	}
}

// configDump reads the sections of /config_dump. Of each resource the state that
// is in use counts.
func (p *parser) configDump(s span) (*Dump, error) {
	sections, err := p.elements(s)
	if err != nil {
		return nil, err
	}
	d := &Dump{}
	known := 0
	for _, section := range sections {
		name := ""
		if m := typeNames.FindSubmatch(section.text); m != nil {
			name = string(m[1])
		}
		m := sectionMessage(name)
		if m == nil {
			d.note("section %q of the dump is not known here and left out", name)
			continue
		}
		known++
		unread, err := p.section(section, m)
		if err != nil {
			return nil, err
		}
		if err := d.addSection(m, unread); err != nil {
			return nil, p.fault(section.at, err)
		}
	}
	if known == 0 {
		return nil, p.fault(s.at, errors.New("a config dump without any section that is known here"))
	}
	return d, nil
}

// section reads one section. Its type is a field like the others to an Any, but
// not to the message itself.
func (p *parser) section(s span, m proto.Message) (unread string, err error) {
	wrapped := &anypb.Any{}
	if unread, err = p.read(s, wrapped); err != nil {
		return "", err
	}
	if err := wrapped.UnmarshalTo(m); err != nil {
		return "", p.fault(s.at, err)
	}
	return unread, nil
}

func sectionMessage(typeURL string) proto.Message {
	switch _, name, _ := strings.Cut(typeURL, "/"); name {
	case "envoy.admin.v3.BootstrapConfigDump":
		return &adminv3.BootstrapConfigDump{}
	case "envoy.admin.v3.ListenersConfigDump":
		return &adminv3.ListenersConfigDump{}
	case "envoy.admin.v3.ClustersConfigDump":
		return &adminv3.ClustersConfigDump{}
	case "envoy.admin.v3.RoutesConfigDump":
		return &adminv3.RoutesConfigDump{}
	case "envoy.admin.v3.EndpointsConfigDump":
		return &adminv3.EndpointsConfigDump{}
	case "envoy.admin.v3.SecretsConfigDump":
		return &adminv3.SecretsConfigDump{}
	case "envoy.admin.v3.ScopedRoutesConfigDump":
		return &adminv3.ScopedRoutesConfigDump{}
	case "envoy.admin.v3.EcdsConfigDump":
		return &adminv3.EcdsConfigDump{}
	}
	return nil
}

func (d *Dump) addSection(m proto.Message, unread string) error {
	var all []*anypb.Any
	switch m := m.(type) {
	case *adminv3.BootstrapConfigDump:
		d.started(m.GetBootstrap()) // the static resources come again in the sections below
		return nil
	case *adminv3.ListenersConfigDump:
		for _, l := range m.StaticListeners {
			all = append(all, l.Listener)
		}
		for _, l := range m.DynamicListeners {
			if l.ActiveState == nil && l.ErrorState != nil {
				d.note("listener %q is not in use, Envoy refused it: %s", l.Name, l.ErrorState.Details)
			}
			all = append(all, l.GetActiveState().GetListener())
		}
	case *adminv3.ClustersConfigDump:
		for _, c := range m.StaticClusters {
			all = append(all, c.Cluster)
		}
		for _, c := range m.DynamicActiveClusters {
			all = append(all, c.Cluster)
		}
	case *adminv3.RoutesConfigDump:
		for _, r := range m.DynamicRouteConfigs {
			all = append(all, r.RouteConfig)
		}
	case *adminv3.EndpointsConfigDump:
		for _, e := range m.StaticEndpointConfigs {
			all = append(all, e.EndpointConfig)
		}
		for _, e := range m.DynamicEndpointConfigs {
			all = append(all, e.EndpointConfig)
		}
	case *adminv3.SecretsConfigDump:
		for _, s := range m.StaticSecrets {
			all = append(all, s.Secret)
		}
		for _, s := range m.DynamicActiveSecrets {
			all = append(all, s.Secret)
		}
	case *adminv3.ScopedRoutesConfigDump, *adminv3.EcdsConfigDump:
		if proto.Size(m) > 0 {
			d.note("%s is left out: it has what no sidecar of Istio has", m.ProtoReflect().Descriptor().Name())
		}
	}
	for _, a := range all {
		if a == nil {
			continue
		}
		resource, err := a.UnmarshalNew()
		if err != nil {
			return err
		}
		switch resource.(type) {
		case *listenerv3.Listener, *clusterv3.Cluster, *routev3.RouteConfiguration, *endpointv3.ClusterLoadAssignment, *tlsv3.Secret:
			d.add(resource, unread)
		default:
			return fmt.Errorf("a %s where a resource is expected", resource.ProtoReflect().Descriptor().FullName())
		}
	}
	return nil
}
