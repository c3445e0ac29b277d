package envoy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// StaticForm is how a client says where it wants to go, where no packet filter
// redirects it.
type StaticForm string

const (
	// ProxyProtocol keeps istiod's listener as it is. The client sends one line
	// of the PROXY protocol ahead, and all else is as if it had been redirected:
	// ports that nobody declares too (DP-4).
	ProxyProtocol StaticForm = "proxy-protocol"
	// OwnAddresses lets the listener listen on the declared ports of the
	// workload's address. Any client can call it, but ports that nobody declares
	// are not there (DP-6).
	OwnAddresses StaticForm = "own-addresses"
)

// StaticOptions say how a stock Envoy runs istiod's configuration on loopback
// (EC-142).
type StaticOptions struct {
	Form  StaticForm
	Admin netip.AddrPort
	// AccessLog is a file for LogEntries; "" for none.
	AccessLog string
	// JWK is a key for token rules whose keys are not in the manifests. As in
	// istiod it should be one that nobody signs with (EC-67), unless AddJWK adds it
	// to the keys of all other rules too.
	JWK    string
	AddJWK bool
}

// Place is where the sidecar of a workload runs.
type Place struct {
	Config  *Config
	Address netip.Addr // the workload's own, in 127.0.0.0/8
	// Certificate, Key and Roots are files in PEM.
	Certificate, Key, Roots string
	// Applications are what listens on the workload's ports; 0 is for all other
	// ports. Without one Envoy calls the address that the client wanted.
	Applications map[uint32]netip.AddrPort
	// Authorizers stand in for all external authorizers; without them those are
	// called where they are. Requests over HTTP name the client's address and port
	// in PeerHeader, which gRPC does anyway.
	Authorizers Authorizers
	// Undeclared are ports that nobody declares and that are listened on all the
	// same, for OwnAddresses.
	Undeclared []uint32
	// Bypassing are declared ports that are not listened on, for OwnAddresses: on a
	// pod their connections are not redirected.
	Bypassing []uint32
	// Outbound is for what the workload sends; nil for what comes in only.
	Outbound *Outbound
}

// Authorizers are where external authorizers listen.
type Authorizers struct{ HTTP, GRPC netip.AddrPort }

// PeerHeader tells a stand-in for external authorizers whose request it is.
const PeerHeader = "x-meshctl-peer"

// Static makes of istiod's configuration one that a stock Envoy 1.40 runs on
// loopback, for one or several workloads. It needs neither a control plane nor a
// packet filter. The names of several workloads' parts begin with the workload's
// (DP-1..DP-8, EC-142).
func Static(places []Place, o StaticOptions) (*bootstrapv3.Bootstrap, error) {
	if len(places) == 0 {
		return nil, errors.New("no workload to run")
	}
	resources := &bootstrapv3.Bootstrap_StaticResources{}
	redirected := ""
	for i := range places {
		if places[i].redirected() {
			if redirected != "" {
				return nil, fmt.Errorf("%s, %s: one Envoy hands what is redirected to the listeners of one workload only; let the other one bind its own", redirected, places[i].Config.Workload)
			}
			redirected = places[i].Config.Workload
		}
		b := &staticBuilder{StaticOptions: o, Place: &places[i], used: map[string]bool{}, asked: map[string]netip.AddrPort{}, requests: map[string]bool{}, pods: map[podLead]bool{}}
		if len(places) > 1 {
			b.prefix = places[i].Config.Workload + workloadMark
		}
		if err := b.build(resources); err != nil {
			return nil, fmt.Errorf("%s: %w", places[i].Config.Workload, err)
		}
	}
	return &bootstrapv3.Bootstrap{
		Node:            node(places),
		Admin:           &bootstrapv3.Admin{Address: socketAddress(o.Admin.Addr().String(), uint32(o.Admin.Port()))},
		LayeredRuntime:  runtimeFlags(),
		StaticResources: resources,
	}, nil
}

// node says whose sidecar it is, where it is that of one workload.
func node(places []Place) *corev3.Node {
	n := &corev3.Node{Id: "sidecar~" + places[0].Address.String() + "~meshctl~loopback", Cluster: "meshctl"}
	if namespace, name, ok := strings.Cut(places[0].Config.Workload, "/"); ok && len(places) == 1 {
		n.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{
			"NAMESPACE": structpb.NewStringValue(namespace), "WORKLOAD_NAME": structpb.NewStringValue(name),
		}}
	}
	return n
}

// runtimeFlags are those of istiod's bootstrap that change what Envoy accepts
// and decides (EC-126, DP-2a).
func runtimeFlags() *bootstrapv3.LayeredRuntime {
	const programSize = 32768
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
		Name: "global config",
		LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{
			"re2.max_program_size.error_level":                         structpb.NewNumberValue(programSize),
			"envoy.reloadable_features.http_reject_path_with_fragment": structpb.NewBoolValue(false),
		}}},
	}}}
}

// staticBuilder rewrites the configuration of one workload.
type staticBuilder struct {
	StaticOptions
	*Place
	prefix string                    // of all names
	used   map[string]bool           // clusters that listeners lead to, by istiod's name
	asked  map[string]netip.AddrPort // those of external authorizers among them, and where they lead
	// Those of the clusters to others that requests are sent by.
	requests map[string]bool
	pods     map[podLead]bool // what leads to single pods
	bound    string           // where istiod would have the listener that is being made
}

func (b *staticBuilder) build(out *bootstrapv3.Bootstrap_StaticResources) error {
	for _, l := range b.Config.Listeners {
		if l.Name != virtualInbound {
			continue
		}
		listener, err := b.inbound(l)
		if err != nil {
			return err
		}
		out.Listeners = append(out.Listeners, listener)
	}
	if len(b.used) == 0 {
		return errors.New("it has no inbound listener")
	}
	if missing := b.missing(); missing != nil {
		return fmt.Errorf("filters lead to clusters that are not there: %s", strings.Join(missing, ", "))
	}
	if err := b.addOutbound(out); err != nil {
		return err
	}
	for _, c := range b.Config.Clusters {
		if err := b.addClusters(c, out); err != nil {
			return fmt.Errorf("cluster %s: %w", c.Name, err)
		}
	}
	return nil
}

// missing are the clusters that something leads to and that are not there. Of
// what a workload sends, Envoy takes them: a route may name a subset that no
// DestinationRule has.
func (b *staticBuilder) missing() []string {
	wanted := maps.Clone(b.used)
	for _, c := range b.Config.Clusters {
		delete(wanted, c.Name)
	}
	return slices.Sorted(maps.Keys(wanted))
}

// addOutbound adds the listeners for what the workload sends.
func (b *staticBuilder) addOutbound(out *bootstrapv3.Bootstrap_StaticResources) error {
	if b.Outbound == nil {
		return nil
	}
	for _, l := range b.Config.Listeners {
		if !isOutbound(l) && (l.Name != virtualOutbound || !b.redirected()) {
			continue
		}
		listener, ok, err := b.outbound(l)
		if err != nil {
			return err
		}
		if ok {
			out.Listeners = append(out.Listeners, listener)
		}
	}
	return nil
}

// addClusters adds those that are made of one of istiod's, if something leads
// there: for byte streams, and for requests.
func (b *staticBuilder) addClusters(c *clusterv3.Cluster, out *bootstrapv3.Bootstrap_StaticResources) error {
	if b.used[c.Name] {
		built, err := b.cluster(c)
		if err != nil {
			return err
		}
		out.Clusters = append(out.Clusters, built)
		delete(b.used, c.Name)
	}
	if b.requests[c.Name] {
		built, err := b.upstream(c, true)
		if err != nil {
			return err
		}
		out.Clusters = append(out.Clusters, built)
		delete(b.requests, c.Name)
	}
	return b.addPodClusters(c, out)
}

// lead notes that something leads to a cluster, and gives it its name here.
func (b *staticBuilder) lead(cluster string) string {
	b.used[cluster] = true
	return b.prefix + cluster
}
