package envoy

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// clusterName is istiod's for the cluster that it runs in.
const clusterName = "Kubernetes"

// loadAssignment lists the endpoints of a cluster by locality (EC-120, EC-121).
func (o *outboundSide) loadAssignment(c *policy.Cluster, name string) *endpointv3.ClusterLoadAssignment {
	byName := c.Service.Resolution == mesh.DNS || c.Service.Resolution == mesh.DNSRoundRobin
	groups := map[string][]*endpointv3.LbEndpoint{}
	endpoints := o.policy.Endpoints(c)
	for _, e := range endpoints {
		for _, address := range o.addresses.endpoint(e) {
			if address == "" || !byName && !isAddress(address) && !isSocketPath(address) {
				continue // the control plane looks no names up
			}
			at := locality(e)
			groups[at] = append(groups[at], endpoint(e, address, metadata(c, e, o.policy.Offered(c, e))))
		}
	}
	if byName && len(c.Service.Entry.GetEndpoints()) == 0 && len(c.Service.Selector) == 0 {
		itself := mesh.Endpoint{Entry: nil, Port: c.Port.Target.IntVal}
		groups[""] = append(groups[""], endpoint(itself, c.Service.Hostname, metadata(c, itself, false)))
	}
	a := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	for _, at := range slices.Sorted(maps.Keys(groups)) {
		sum := uint32(0)
		for _, e := range groups[at] {
			sum += e.LoadBalancingWeight.Value
		}
		a.Endpoints = append(a.Endpoints, &endpointv3.LocalityLbEndpoints{
			Locality: localityOf(at), LbEndpoints: groups[at], LoadBalancingWeight: wrapperspb.UInt32(sum),
		})
	}
	return a
}

// direct are the endpoints that a client may pick itself. It calls them at the
// port of the Service, unless something between it and them changes that: an
// override, or a cluster's own address for the Service (EC-85).
func (o *outboundSide) direct(c *policy.Cluster, name string) *endpointv3.ClusterLoadAssignment {
	a := o.loadAssignment(c, name)
	if c.Service.Resolution != mesh.Passthrough {
		return a
	}
	port := c.Port.Number
	if c.Service.Entry != nil && c.Port.Target.IntVal != 0 {
		port = c.Port.Target.IntVal
	}
	for _, group := range a.Endpoints {
		for _, e := range group.LbEndpoints {
			if at := e.GetEndpoint().GetAddress().GetSocketAddress(); at != nil {
				at.PortSpecifier = &corev3.SocketAddress_PortValue{PortValue: uint32(port)} //nolint:gosec // a port
			}
		}
	}
	return a
}

// locality is REGION/ZONE/SUBZONE of a machine; pods have theirs from nodes,
// which manifests do not name.
func locality(e mesh.Endpoint) string {
	if e.Workload != nil {
		return e.Workload.Locality
	}
	return e.Entry.GetLocality()
}

func localityOf(text string) *corev3.Locality {
	l := &corev3.Locality{}
	for i, part := range strings.SplitN(text, "/", 3) {
		*[]*string{&l.Region, &l.Zone, &l.SubZone}[i] = part
	}
	return l
}

func endpoint(e mesh.Endpoint, address string, about *corev3.Metadata) *endpointv3.LbEndpoint {
	weight := e.Entry.GetWeight()
	health := corev3.HealthStatus_UNKNOWN // of what no cluster watches
	if e.Workload != nil {
		weight, health = e.Workload.Weight, corev3.HealthStatus_HEALTHY
	}
	at := socketAddress(address, uint32(e.Port)) //nolint:gosec // a port
	if isSocketPath(address) {
		at = pipe(address)
	}
	return &endpointv3.LbEndpoint{
		HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: at}},
		HealthStatus:   health, Metadata: about, LoadBalancingWeight: wrapperspb.UInt32(max(weight, 1)),
	}
}

// pipe is the address of a Unix domain socket.
func pipe(address string) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: strings.TrimPrefix(address, unixPrefix)}}}
}

// metadata marks an endpoint for mTLS and says whose it is (EC-86, EC-120).
func metadata(c *policy.Cluster, e mesh.Endpoint, mutual bool) *corev3.Metadata {
	about := istioMetadata(map[string]*structpb.Value{"workload": structpb.NewStringValue(workloadText(c.Service, e))})
	if mutual {
		about.FilterMetadata[socketMatchMetadata] = tlsModeMatch()
	}
	return about
}

// workloadText is NAME;NAMESPACE;SERVICE;REVISION;CLUSTER, where service and
// revision are the canonical ones.
func workloadText(service *mesh.Service, e mesh.Endpoint) string {
	name, namespace, revision := service.Name, service.Namespace, ""
	if e.Workload != nil {
		name, namespace = e.Workload.Name, e.Workload.Namespace
		if e.Workload.Membership.Sidecar {
			revision = "latest" // as injection labels it
		}
	}
	labels := e.Labels()
	canonical := cmp.Or(labels["service.istio.io/canonical-name"], labels["app.kubernetes.io/name"], labels["app"], name)
	revision = cmp.Or(labels["service.istio.io/canonical-revision"], labels["app.kubernetes.io/version"], labels["version"], revision)
	return strings.Join([]string{name, namespace, canonical, revision, clusterName}, ";")
}
