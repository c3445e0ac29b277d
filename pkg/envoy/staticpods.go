package envoy

import (
	"cmp"
	"maps"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"
)

// podLead is a way to one pod: a headless Service has listeners on the addresses
// of its pods, and one cluster that goes to where the client wanted to go (EC-85,
// EC-98). Without a packet filter it takes a cluster for each.
type podLead struct {
	cluster  string // istiod's name
	address  string // the pod's, as istiod knows it
	requests bool
}

func (l podLead) name(prefix string) string {
	name := prefix + l.cluster + " (" + l.address + ")"
	if l.requests {
		name += requestSuffix
	}
	return name
}

// leadOut is lead for what the workload sends as a byte stream.
func (b *staticBuilder) leadOut(cluster string) string {
	if pod, ok := b.leadPod(cluster, false); ok {
		return pod
	}
	return b.lead(cluster)
}

// leadPod notes that the listener that is being made leads to the pod whose
// address it has; it is false for all other listeners.
func (b *staticBuilder) leadPod(cluster string, requests bool) (string, bool) {
	if b.redirected() || !hasEndpoint(assignmentOf(b.Config.direct, cluster), b.bound) {
		return "", false
	}
	l := podLead{cluster, b.bound, requests}
	b.pods[l] = true
	return l.name(b.prefix), true
}

// addPodClusters adds those of single pods that are made of one of istiod's.
func (b *staticBuilder) addPodClusters(c *clusterv3.Cluster, out *bootstrapv3.Bootstrap_StaticResources) error {
	leads := slices.DeleteFunc(slices.Collect(maps.Keys(b.pods)), func(l podLead) bool { return l.cluster != c.Name })
	slices.SortFunc(leads, func(x, y podLead) int { return cmp.Compare(x.name(""), y.name("")) })
	for _, l := range leads {
		built, err := b.upstream(c, l.requests)
		if err != nil {
			return err
		}
		built.Name = l.name(b.prefix)
		built.LoadAssignment = b.peers(only(b.Config.assignment(c), l.address), built.Name)
		out.Clusters = append(out.Clusters, built)
	}
	return nil
}

// assignment are the endpoints of a cluster, in it or beside it.
func (c *Config) assignment(of *clusterv3.Cluster) *endpointv3.ClusterLoadAssignment {
	switch of.GetType() {
	case clusterv3.Cluster_EDS:
		return assignmentOf(c.Endpoints, of.Name)
	case clusterv3.Cluster_ORIGINAL_DST:
		return assignmentOf(c.direct, of.Name)
	}
	return of.LoadAssignment
}

func assignmentOf(all []*endpointv3.ClusterLoadAssignment, cluster string) *endpointv3.ClusterLoadAssignment {
	at := slices.IndexFunc(all, func(a *endpointv3.ClusterLoadAssignment) bool { return a.ClusterName == cluster })
	if at < 0 {
		return nil
	}
	return all[at]
}

func hasEndpoint(a *endpointv3.ClusterLoadAssignment, address string) bool {
	return len(only(a, address).Endpoints) > 0
}

// only keeps the endpoints of one address.
func only(a *endpointv3.ClusterLoadAssignment, address string) *endpointv3.ClusterLoadAssignment {
	kept := &endpointv3.ClusterLoadAssignment{ClusterName: a.GetClusterName()}
	for _, group := range a.GetEndpoints() {
		own := proto.Clone(group).(*endpointv3.LocalityLbEndpoints)
		own.LbEndpoints = slices.DeleteFunc(own.LbEndpoints, func(e *endpointv3.LbEndpoint) bool {
			return e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress() != address
		})
		if len(own.LbEndpoints) > 0 {
			kept.Endpoints = append(kept.Endpoints, own)
		}
	}
	return kept
}
