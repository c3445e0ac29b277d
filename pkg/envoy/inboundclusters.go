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
	sidecar := o.snapshot.SidecarFor(w)
	if sidecar != nil && len(sidecar.Spec.Ingress) > 0 {
		return o.ingressClusters(w, sidecar)
	}
	if o.snapshot.Interception(w) == mesh.NoInterception {
		return nil // without a Sidecar there are no listeners that would lead there (EC-102)
	}
	address := ""
	if o.snapshot.Config.GetInboundTrafficPolicy().GetMode() == meshconfig.MeshConfig_InboundTrafficPolicy_LOCALHOST {
		address = loopback
	}
	var all []*clusterv3.Cluster
	for _, number := range slices.Sorted(maps.Keys(m.Ports)) {
		if d := m.Ports[number].Declared; d != nil {
			all = append(all, o.inboundCluster(application{
				number: number, port: number, address: address, protocol: d.Protocol, services: append([]*mesh.Service{d.Service}, d.Also...),
				pool: o.inboundPool(w, sidecar, number, d),
			}))
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
func (o *outboundSide) inboundPool(w *mesh.Workload, sidecar *mesh.Sidecar, number uint32, d *mesh.InboundPort) *networking.ConnectionPoolSettings {
	if sidecar != nil {
		for _, l := range sidecar.Spec.Ingress {
			if l.GetPort().GetNumber() == number && l.ConnectionPool != nil {
				return l.ConnectionPool
			}
		}
		if sidecar.Spec.InboundConnectionPool != nil {
			return sidecar.Spec.InboundConnectionPool
		}
	}
	if d == nil {
		return nil
	}
	return o.policy.Rule(policy.Proxy{Namespace: w.Namespace}, d.Service).OfPort(d.Port).GetConnectionPool()
}

// ingressClusters are those of the listeners that a Sidecar declares in place
// of all others (EC-38).
func (o *outboundSide) ingressClusters(w *mesh.Workload, sidecar *mesh.Sidecar) []*clusterv3.Cluster {
	services := map[uint32][]*mesh.Service{}
	for _, d := range o.snapshot.InboundPorts(w) {
		services[uint32(d.Number)] = []*mesh.Service{d.Service} //nolint:gosec // a port
	}
	var all []*clusterv3.Cluster
	for _, l := range sidecar.Spec.Ingress {
		a := application{
			number: l.GetPort().GetNumber(), protocol: mesh.ParseProtocol(l.GetPort().GetProtocol()),
			services: services[l.GetPort().GetNumber()],
		}
		a.pool = o.inboundPool(w, sidecar, a.number, nil)
		var ok bool
		if a.address, a.port, ok = o.defaultEndpoint(w, l.DefaultEndpoint); ok {
			all = append(all, o.inboundCluster(a))
		}
	}
	return all
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
