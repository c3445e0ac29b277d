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
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
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
	d := &Dump{}
	if configs, ok := find("configs"); ok {
		return []*Dump{d}, p.configDump(d, configs)
	}
	if _, ok := find("staticResources", "static_resources"); ok {
		return []*Dump{d}, p.bootstrap(d, s)
	}
	if name := bareSection(fields); name != "" {
		return []*Dump{d}, p.section(d, name, fields)
	}
	if statuses, ok := find("clusterStatuses", "cluster_statuses"); ok {
		return []*Dump{d}, p.resources(d, "statuses", statuses)
	}
	if len(fields) == 0 {
		return nil, p.fault(s.at, errNothing)
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
		case "hostStatuses", "host_statuses":
			return "statuses", nil
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
	case "statuses":
		m = &adminv3.ClusterStatus{}
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
	case *corev3.TypedExtensionConfig:
		d.Extensions, name = append(d.Extensions, m), m.Name
	case *adminv3.ClusterStatus:
		d.Endpoints, name = append(d.Endpoints, assignment(m)), m.Name
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
