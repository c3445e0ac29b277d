package envoy_test

import (
	"strings"
	"testing"
)

// TestTrafficPolicies: what a rule says beside TLS (EC-85, EC-91). Fields are
// compared as JSON.
func TestTrafficPolicies(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, policy, want string }{
		{"nothing", "", `"connectTimeout":"10s","lbPolicy":"LEAST_REQUEST","circuitBreakers":{"thresholds":[{"maxConnections":4294967295,"maxPendingRequests":4294967295,"maxRequests":4294967295,"maxRetries":4294967295}]}`},
		{"limits", "connectionPool: {tcp: {maxConnections: 1, connectTimeout: 3s}, http: {http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4}}", `"connectTimeout":"3s","lbPolicy":"LEAST_REQUEST","circuitBreakers":{"thresholds":[{"maxConnections":1,"maxPendingRequests":2,"maxRequests":3,"maxRetries":4}]}`},
		{"probes of idle connections", "connectionPool: {tcp: {tcpKeepalive: {probes: 1, time: 2s, interval: 3s}}}", `"upstreamConnectionOptions":{"tcpKeepalive":{"keepaliveProbes":1,"keepaliveTime":2,"keepaliveInterval":3}}`},
		{"outliers", "outlierDetection: {consecutive5xxErrors: 7, consecutiveGatewayErrors: 0, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 50}", `"outlierDetection":{"consecutive5xx":7,"interval":"1s","baseEjectionTime":"2s","maxEjectionPercent":50,"enforcingConsecutive5xx":100,"enforcingSuccessRate":0,"consecutiveGatewayFailure":0,"enforcingConsecutiveGatewayFailure":0}`},
		{"outliers of connections", "outlierDetection: {splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 3}", `"outlierDetection":{"enforcingSuccessRate":0,"splitExternalLocalOriginErrors":true,"consecutiveLocalOriginFailure":3,"enforcingConsecutiveLocalOriginFailure":100,"enforcingLocalOriginSuccessRate":0}`},
		{"no panic", "", `"commonLbConfig":{"healthyPanicThreshold":{}}`},
		{"a panic threshold", "outlierDetection: {minHealthPercent: 30}", `"commonLbConfig":{"healthyPanicThreshold":{"value":30}}`},
		{"at random", "loadBalancer: {simple: RANDOM}", `"lbPolicy":"RANDOM"`},
		{"in turn, slowly at first", "loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 5s, minimumPercent: 10, aggression: 2}}", `"roundRobinLbConfig":{"slowStartConfig":{"slowStartWindow":"5s","aggression":{"defaultValue":2,"runtimeKey":"aggression"},"minWeightPercent":{"value":10}}}`},
		{"slowly by the older field", "loadBalancer: {warmupDurationSecs: 5s}", `"leastRequestLbConfig":{"slowStartConfig":{"slowStartWindow":"5s"}}`},
		{"by hash", "loadBalancer: {consistentHash: {useSourceIp: true}}", `"ringHashLbConfig":{"minimumRingSize":"1024"}`},
		{"by hash, of a size", "loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 7}}}", `"ringHashLbConfig":{"minimumRingSize":"7"}`},
		{"by hash, the older size", "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 8}}", `"ringHashLbConfig":{"minimumRingSize":"8"}`},
		{"by Maglev", "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 11}}}", `"maglevLbConfig":{"tableSize":"11"}`},
		{"to other localities", "outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [a]}}", `"localityWeightedLbConfig":{}`},
		{"which service and rule", "tls: {mode: SIMPLE}", `"metadata":{"filterMetadata":{"istio":{"alpn_override":"false","config":"/apis/networking.istio.io/v1/namespaces/shop/destination-rule/web","services":[{"host":"web.shop.svc.cluster.local","name":"web","namespace":"shop"}]}}}`},
		{"the PROXY protocol", "proxyProtocol: {version: V2}, tls: {mode: DISABLE}", `"transportSocket":{"name":"envoy.transport_sockets.upstream_proxy_protocol","typedConfig":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport","config":{"version":"V2"},"transportSocket":{"name":"envoy.transport_sockets.raw_buffer"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			manifests := ""
			if tt.policy != "" {
				manifests = destinationRule("trafficPolicy: {" + tt.policy + "}")
			}
			got := compactJSON(t, clusterOf(shopConfig(t, manifests), "outbound|80||web.shop.svc.cluster.local"))
			if !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestByteProxies: what a rule says of byte streams stands on the listener.
func TestByteProxies(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, manifests, meshConfig, want string }{
		{"nothing", "", "", `"cluster":"outbound|90||t.shop.svc.cluster.local"}`},
		{"times", "connectionPool: {tcp: {idleTimeout: 4s, maxConnectionDuration: 5s}}", "", `"idleTimeout":"4s","maxDownstreamConnectionDuration":"5s"`},
		{"the proxy's own idle time", "", "defaultConfig: {proxyMetadata: {ISTIO_META_IDLE_TIMEOUT: 9s}}", `"idleTimeout":"9s"`},
		{"by hash of the source", "loadBalancer: {consistentHash: {useSourceIp: true}}", "", `"hashPolicy":[{"sourceIp":{}}]`},
		{"through a tunnel", "tunnel: {protocol: POST, targetHost: far.example, targetPort: 443}", "", `"tunnelingConfig":{"hostname":"far.example:443","usePost":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			manifests := clientYAML + service("t", "10.96.0.1", "{name: tcp, port: 90}")
			if tt.manifests != "" {
				manifests += "---\n" + strings.Replace(destinationRule("trafficPolicy: {"+tt.manifests+"}"), "host: web", "host: t", 1)
			}
			l := listenerOf(configOf(t, buildMesh(t, manifests, tt.meshConfig), "shop/curl"), "10.96.0.1_90")
			if got := compactJSON(t, l); !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
