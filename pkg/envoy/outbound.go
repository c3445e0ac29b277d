package envoy

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// outboundSide makes what sidecars need to call others. What many of them have
// in common is made once, and shared (EC-162).
type outboundSide struct {
	snapshot  *mesh.Snapshot
	policy    *policy.Outbound
	routes    *mesh.SidecarRoutes
	addresses *addresses
	paths     policy.Normalization

	scopes        sync.Map // scopeKey -> func() *scope
	keys          sync.Map // namespace -> func() []string
	configs       sync.Map // configKey -> func() *outboundConfig
	clusters      sync.Map // clusterKey -> func() []builtCluster
	defaultRoutes sync.Map // clusterKey -> func() *routev3.Route
}

// outboundConfig is what a sidecar is told about others: all but the inbound
// listener and clusters. It is shared and must not be changed.
type outboundConfig struct {
	listeners []*listenerv3.Listener
	clusters  []*clusterv3.Cluster
	routes    []*routev3.RouteConfiguration
	endpoints []*endpointv3.ClusterLoadAssignment
	direct    []*endpointv3.ClusterLoadAssignment // Config.direct

	// onPods are the listeners on addresses of single pods, by name; a pod has
	// none on its own.
	onPods map[string]bool
	// asks are the route configurations that a listener asks for, by its name.
	asks map[string][]string
}

// scopeKey tells scopes apart; without a Sidecar they differ by namespace.
type scopeKey struct {
	namespace string
	sidecar   *mesh.Sidecar
}

// configKey has all that the outbound side of a sidecar depends on.
type configKey struct {
	scopeKey
	interception mesh.Interception
	idle         time.Duration
	labels       string // those by which rules choose clients
}

// client is a sidecar as far as its outbound side depends on it.
type client struct {
	*scope
	policy.Proxy
	interception mesh.Interception
	idle         time.Duration
}

func newOutboundSide(s *mesh.Snapshot) (*outboundSide, error) {
	assigned, err := assignAddresses(s)
	if err != nil {
		return nil, err
	}
	return &outboundSide{
		snapshot: s, policy: policy.NewOutbound(s), routes: mesh.NewSidecarRoutes(s), addresses: assigned,
		paths: policy.PathNormalization(s.Config),
	}, nil
}

// cached makes a value for a key once.
func cached[V any](m *sync.Map, key any, make func() V) V {
	f, ok := m.Load(key)
	if !ok {
		f, _ = m.LoadOrStore(key, sync.OnceValue(make))
	}
	return f.(func() V)()
}

// config is the outbound side of a workload's sidecar.
func (o *outboundSide) config(w *mesh.Workload) *outboundConfig {
	key := configKey{
		scopeKey{w.Namespace, o.snapshot.SidecarFor(w)}, o.snapshot.Interception(w), o.snapshot.IdleTimeout(w), o.clientLabels(w),
	}
	shared := cached(&o.configs, key, func() *outboundConfig {
		labels := w.PodLabels
		if labels == nil {
			labels = map[string]string{}
		}
		sc := cached(&o.scopes, key.scopeKey, func() *scope { return o.newScope(w.Namespace, key.sidecar) })
		return o.build(&client{sc, policy.Proxy{Namespace: w.Namespace, Labels: labels}, key.interception, key.idle})
	})
	return shared.without(o.addresses.workload(w))
}

// build makes the outbound side of all sidecars that are alike.
func (o *outboundSide) build(c *client) *outboundConfig {
	config := &outboundConfig{}
	for _, v := range c.services {
		if v.Resolution == mesh.Alias {
			continue
		}
		for _, p := range v.Ports {
			for _, b := range o.portClusters(c, v, p) {
				config.clusters = append(config.clusters, b.cluster)
				if b.endpoints != nil {
					config.endpoints = append(config.endpoints, b.endpoints)
				}
				if b.direct != nil {
					config.direct = append(config.direct, b.direct)
				}
			}
		}
	}
	o.addListeners(c, config)
	config.routes = o.routeConfigurations(c, config.asked(config.listeners))
	return config
}

// without leaves out what would lead a pod to itself (EC-98).
func (c *outboundConfig) without(pod string) *outboundConfig {
	own := func(l *listenerv3.Listener) bool {
		return c.onPods[l.Name] && l.Address.GetSocketAddress().GetAddress() == pod
	}
	if !slices.ContainsFunc(c.listeners, own) {
		return c
	}
	rest := *c
	rest.listeners = slices.DeleteFunc(slices.Clone(c.listeners), own)
	asked := c.asked(rest.listeners)
	rest.routes = slices.DeleteFunc(slices.Clone(c.routes), func(r *routev3.RouteConfiguration) bool { return !slices.Contains(asked, r.Name) })
	return &rest
}

// asked are the route configurations that listeners ask for, sorted.
func (c *outboundConfig) asked(listeners []*listenerv3.Listener) []string {
	names := map[string]bool{}
	for _, l := range listeners {
		for _, name := range c.asks[l.Name] {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// clientLabels are those labels of a workload by which some rule chooses its
// clients, in one text.
func (o *outboundSide) clientLabels(w *mesh.Workload) string {
	keys := cached(&o.keys, w.Namespace, func() []string { return o.labelKeys(w.Namespace) })
	var text strings.Builder
	for _, key := range keys {
		if value, ok := w.PodLabels[key]; ok {
			text.WriteString(key + "=" + value + ",")
		}
	}
	return text.String()
}

// labelKeys are the keys of labels by which DestinationRules of a namespace and
// VirtualServices that it follows choose clients.
func (o *outboundSide) labelKeys(namespace string) []string {
	keys := map[string]bool{}
	add := func(labels map[string]string) {
		for key := range labels {
			keys[key] = true
		}
	}
	for _, r := range o.snapshot.DestinationRules(namespace) {
		add(r.Spec.GetWorkloadSelector().GetMatchLabels())
	}
	for _, r := range o.routes.For(namespace) {
		for _, h := range r.Spec.Http {
			for _, m := range h.Match {
				add(m.SourceLabels)
			}
		}
		for _, t := range r.Spec.Tls {
			for _, m := range t.Match {
				add(m.SourceLabels)
			}
		}
		for _, t := range r.Spec.Tcp {
			for _, m := range t.Match {
				add(m.SourceLabels)
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}
