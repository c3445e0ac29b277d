package envoy

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

const loopback = "127.0.0.1"

// inboundClusters lead to the application: one for each port that a Service or
// the Sidecar declares (EC-55..EC-57).
func (o *outboundSide) inboundClusters(m *policy.Model) []*clusterv3.Cluster {
	w := m.Workload
	var all []*clusterv3.Cluster
	for _, number := range slices.Sorted(maps.Keys(m.Ports)) {
		d := m.Ports[number].Declared
		if d == nil || d.Ingress == nil && o.snapshot.Interception(w) == mesh.NoInterception {
			continue // no listener would lead there (EC-102)
		}
		a := application{number: number, protocol: d.Protocol, pool: o.inboundPool(w, d)}
		if d.Service.Kind != "Sidecar" {
			a.services = append([]*mesh.Service{d.Service}, d.Also...)
		}
		var ok bool
		if a.address, a.port, ok = o.inboundAddress(w, d); ok {
			all = append(all, o.inboundCluster(a))
		}
	}
	return all
}

// application is where an inbound cluster leads.
type application struct {
	number   uint32 // in the cluster's name
	address  string // "" is the address that the client wanted
	port     uint32
	protocol mesh.Protocol
	services []*mesh.Service
	pool     *networking.ConnectionPoolSettings
}

// inboundPool is the Sidecar's, else that of the DestinationRule that the
// workload's own namespace follows for its service (EC-57).
func (o *outboundSide) inboundPool(w *mesh.Workload, d *mesh.InboundPort) *networking.ConnectionPoolSettings {
	if pool := d.Ingress.GetConnectionPool(); pool != nil {
		return pool
	}
	if sidecar := o.snapshot.SidecarFor(w); sidecar != nil && sidecar.Spec.InboundConnectionPool != nil {
		return sidecar.Spec.InboundConnectionPool
	}
	return o.policy.Rule(policy.Proxy{Namespace: w.Namespace}, d.Service).OfPort(d.Port).GetConnectionPool()
}

// inboundAddress is where a declared port leads; false is nowhere.
func (o *outboundSide) inboundAddress(w *mesh.Workload, d *mesh.InboundPort) (address string, port uint32, ok bool) {
	if d.Ingress != nil {
		return o.defaultEndpoint(w, d.Ingress.DefaultEndpoint)
	}
	if o.snapshot.Config.GetInboundTrafficPolicy().GetMode() == meshconfig.MeshConfig_InboundTrafficPolicy_LOCALHOST {
		address = loopback
	}
	return address, uint32(d.Number), true //nolint:gosec // a port
}

// defaultEndpoint is where an ingress listener leads: a socket, loopback, the
// pod's own address, or, if it is empty, where the client wanted to go.
func (o *outboundSide) defaultEndpoint(w *mesh.Workload, text string) (address string, port uint32, ok bool) {
	if text == "" || isSocketPath(text) {
		return text, 0, true
	}
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return "", 0, false
	}
	switch host {
	case anyAddress, "::":
		return cmp.Or(o.addresses.workload(w), loopback), uint32(n), true
	case loopback, "::1":
		return loopback, uint32(n), true
	}
	return "", uint32(n), true
}

func (o *outboundSide) inboundCluster(a application) *clusterv3.Cluster {
	name := fmt.Sprintf("inbound|%d||", a.number)
	b := &clusterBuilder{Cluster: &clusterv3.Cluster{Name: name, AltStatName: name + ";", CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{}}}
	b.speak(a.protocol)
	b.limit(a.pool, o.snapshot.Config)
	if len(a.services) > 0 {
		b.Metadata = istioMetadata(map[string]*structpb.Value{"services": serviceList(a.services...)})
	}
	if a.address == "" {
		const forEver = (math.MaxInt64/int64(time.Second) - 1) // seconds
		b.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST}
		b.LbPolicy, b.CleanupInterval = clusterv3.Cluster_CLUSTER_PROVIDED, &durationpb.Duration{Seconds: forEver}
	} else {
		b.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		b.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: applicationAddress(a)}}}},
		}}}
	}
	if a.address != loopback {
		b.UpstreamBindConfig = passthroughSource()
	}
	return b.built()
}

func applicationAddress(a application) *corev3.Address {
	if isSocketPath(a.address) {
		return pipe(a.address)
	}
	return socketAddress(a.address, a.port)
}
