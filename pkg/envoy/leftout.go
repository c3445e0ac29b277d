package envoy

import "github.com/meshctl/meshctl/pkg/mesh"

// LeftOut says what istiod would send, or heed, that a Config does not have.
func LeftOut(s *mesh.Snapshot) []string {
	all := []string{
		"Istio's own extensions: istio.stats, istio.metadata_exchange, istio.alpn, and its telemetry",
		"tracing, access logs, statistics tags and WasmPlugins",
		"secrets: they are named, with who hands them out; of keys of token rules, what is secret is not shown",
		"the proxy's bootstrap, and listeners for probes and metrics that are part of it",
		"gateways, waypoints, and clusters of other networks and of other clusters",
		"locality failover, and endpoints that only Endpoints and EndpointSlices name",
		"dual stack, internalTrafficPolicy, persistent sessions, discoverySelectors and most of proxyHeaders",
	}
	for _, o := range s.EnvoyFilters {
		all = append(all, "what EnvoyFilter "+o.Namespace+"/"+o.Name+" changes")
	}
	return all
}
