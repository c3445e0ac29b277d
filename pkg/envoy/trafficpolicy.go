package envoy

import (
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// apply renders all of a traffic policy but TLS (EC-91).
func (b *clusterBuilder) apply(p *networking.TrafficPolicy, protocol mesh.Protocol, config *meshconfig.MeshConfig) {
	b.limit(p.GetConnectionPool(), config)
	if upgrades(p.GetConnectionPool(), protocol, config) {
		b.speakHTTP2()
	}
	b.eject(p.GetOutlierDetection())
	b.balance(p.GetLoadBalancer(), config)
}

// upgrades tells whether HTTP/1.1 requests go out as HTTP/2.
func upgrades(pool *networking.ConnectionPoolSettings, protocol mesh.Protocol, config *meshconfig.MeshConfig) bool {
	switch pool.GetHttp().GetH2UpgradePolicy() {
	case networking.ConnectionPoolSettings_HTTPSettings_UPGRADE:
		return true
	case networking.ConnectionPoolSettings_HTTPSettings_DO_NOT_UPGRADE:
		return false
	}
	return protocol.Traffic() == mesh.HTTPTraffic && config.GetH2UpgradePolicy() == meshconfig.MeshConfig_UPGRADE
}

// count is a setting of which zero says nothing.
func count(n int32) *wrapperspb.UInt32Value {
	if n <= 0 {
		return nil
	}
	return wrapperspb.UInt32(uint32(n))
}

func orMost(n *wrapperspb.UInt32Value) *wrapperspb.UInt32Value {
	if n == nil {
		return wrapperspb.UInt32(math.MaxUint32)
	}
	return n
}

// limit renders a connection pool; without one all is unlimited (EC-85).
func (b *clusterBuilder) limit(pool *networking.ConnectionPoolSettings, config *meshconfig.MeshConfig) {
	tcp, http := pool.GetTcp(), pool.GetHttp()
	b.ConnectTimeout = config.GetConnectTimeout()
	if t := tcp.GetConnectTimeout(); t != nil {
		b.ConnectTimeout = t
	}
	b.CircuitBreakers = &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: orMost(count(tcp.GetMaxConnections())), MaxPendingRequests: orMost(count(http.GetHttp1MaxPendingRequests())),
		MaxRequests: orMost(count(http.GetHttp2MaxRequests())), MaxRetries: orMost(count(http.GetMaxRetries())),
	}}}
	b.keepAlive(config.GetTcpKeepalive(), tcp.GetTcpKeepalive())
	b.limitHTTP(tcp, http)
	if http.GetUseClientProtocol() {
		b.speakAsClient()
	}
}

func (b *clusterBuilder) limitHTTP(tcp *networking.ConnectionPoolSettings_TCPSettings, http *networking.ConnectionPoolSettings_HTTPSettings) {
	common := &corev3.HttpProtocolOptions{
		IdleTimeout: http.GetIdleTimeout(), MaxConnectionDuration: tcp.GetMaxConnectionDuration(),
		MaxRequestsPerConnection: count(http.GetMaxRequestsPerConnection()),
	}
	if common.IdleTimeout == nil {
		common.IdleTimeout = tcp.GetIdleTimeout()
	}
	streams := count(http.GetMaxConcurrentStreams())
	if common.IdleTimeout == nil && common.MaxConnectionDuration == nil && common.MaxRequestsPerConnection == nil && streams == nil {
		return
	}
	b.options().CommonHttpProtocolOptions = common
	if h2 := b.http.GetExplicitHttpConfig().GetHttp2ProtocolOptions(); h2 != nil && streams != nil {
		h2.MaxConcurrentStreams = streams
	}
}

// keepAlive sets the probes of idle connections: the mesh's settings, with
// those of the rule over them.
func (b *clusterBuilder) keepAlive(settings ...*networking.ConnectionPoolSettings_TCPSettings_TcpKeepalive) {
	for _, s := range settings {
		if s == nil {
			continue
		}
		if b.UpstreamConnectionOptions == nil {
			b.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: &corev3.TcpKeepalive{}}
		}
		to := b.UpstreamConnectionOptions.TcpKeepalive
		if s.Probes > 0 {
			to.KeepaliveProbes = wrapperspb.UInt32(s.Probes)
		}
		if s.Time != nil {
			to.KeepaliveTime = wrapperspb.UInt32(uint32(s.Time.GetSeconds())) //nolint:gosec // seconds
		}
		if s.Interval != nil {
			to.KeepaliveInterval = wrapperspb.UInt32(uint32(s.Interval.GetSeconds())) //nolint:gosec // seconds
		}
	}
}

// enforced is how much of a rule that has a threshold is enforced: all of it,
// or nothing if the threshold is zero.
func enforced(threshold *wrapperspb.UInt32Value) *wrapperspb.UInt32Value {
	switch {
	case threshold == nil:
		return nil
	case threshold.Value == 0:
		return wrapperspb.UInt32(0)
	}
	return wrapperspb.UInt32(100)
}

// eject renders outlier detection; that by success rate is off.
func (b *clusterBuilder) eject(o *networking.OutlierDetection) {
	if o == nil {
		return
	}
	d := &clusterv3.OutlierDetection{
		EnforcingSuccessRate: wrapperspb.UInt32(0), Interval: o.Interval, BaseEjectionTime: o.BaseEjectionTime,
		Consecutive_5Xx: o.Consecutive_5XxErrors, EnforcingConsecutive_5Xx: enforced(o.Consecutive_5XxErrors),
		ConsecutiveGatewayFailure: o.ConsecutiveGatewayErrors, EnforcingConsecutiveGatewayFailure: enforced(o.ConsecutiveGatewayErrors),
		MaxEjectionPercent: count(o.MaxEjectionPercent), SplitExternalLocalOriginErrors: o.SplitExternalLocalOriginErrors,
	}
	if o.SplitExternalLocalOriginErrors {
		d.EnforcingLocalOriginSuccessRate = wrapperspb.UInt32(0)
		if local := o.ConsecutiveLocalOriginFailures; local.GetValue() > 0 {
			d.ConsecutiveLocalOriginFailure, d.EnforcingConsecutiveLocalOriginFailure = local, enforced(local)
		}
	}
	b.OutlierDetection = d
	if o.MinHealthPercent > 0 {
		b.CommonLbConfig.HealthyPanicThreshold = &typev3.Percent{Value: float64(o.MinHealthPercent)}
	}
}

// balance renders a load balancer; the default is the one with the least
// requests.
func (b *clusterBuilder) balance(lb *networking.LoadBalancerSettings, config *meshconfig.MeshConfig) {
	locality := lb.GetLocalityLbSetting()
	if locality == nil {
		locality = config.GetLocalityLbSetting()
	}
	failsOver := b.OutlierDetection != nil && (locality.GetFailover() != nil || locality.GetFailoverPriority() != nil)
	if (locality.GetEnabled() == nil || locality.GetEnabled().Value) && (failsOver || locality.GetDistribute() != nil) {
		b.CommonLbConfig.LocalityConfigSpecifier = &clusterv3.Cluster_CommonLbConfig_LocalityWeightedLbConfig_{
			LocalityWeightedLbConfig: &clusterv3.Cluster_CommonLbConfig_LocalityWeightedLbConfig{},
		}
	}
	if b.GetType() == clusterv3.Cluster_ORIGINAL_DST {
		b.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
		return
	}
	switch lb.GetSimple() {
	case networking.LoadBalancerSettings_RANDOM:
		b.LbPolicy = clusterv3.Cluster_RANDOM
	case networking.LoadBalancerSettings_ROUND_ROBIN:
		b.LbPolicy = clusterv3.Cluster_ROUND_ROBIN
		if start := slowStart(lb); start != nil {
			b.LbConfig = &clusterv3.Cluster_RoundRobinLbConfig_{RoundRobinLbConfig: &clusterv3.Cluster_RoundRobinLbConfig{SlowStartConfig: start}}
		}
	default:
		b.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
		if start := slowStart(lb); start != nil {
			b.LbConfig = &clusterv3.Cluster_LeastRequestLbConfig_{LeastRequestLbConfig: &clusterv3.Cluster_LeastRequestLbConfig{SlowStartConfig: start}}
		}
	}
	b.hash(lb.GetConsistentHash())
}

// slowStart is the time in which a new endpoint gets its full share.
func slowStart(lb *networking.LoadBalancerSettings) *clusterv3.Cluster_SlowStartConfig {
	if w := lb.GetWarmup(); w != nil {
		start := &clusterv3.Cluster_SlowStartConfig{SlowStartWindow: w.Duration}
		if w.Aggression != nil {
			start.Aggression = &corev3.RuntimeDouble{DefaultValue: w.Aggression.Value, RuntimeKey: "aggression"}
		}
		if w.MinimumPercent != nil {
			start.MinWeightPercent = &typev3.Percent{Value: w.MinimumPercent.Value}
		}
		return start
	}
	if window := warmupSeconds(lb); window != nil {
		return &clusterv3.Cluster_SlowStartConfig{SlowStartWindow: window}
	}
	return nil
}

func warmupSeconds(lb *networking.LoadBalancerSettings) *durationpb.Duration {
	return lb.GetWarmupDurationSecs() // manifests still have it
}

// hash balances by a hash of the request, which routes compute.
func (b *clusterBuilder) hash(h *networking.LoadBalancerSettings_ConsistentHashLB) {
	if h == nil {
		return
	}
	const usualRing = 1024
	ring := func(size uint64) *clusterv3.Cluster_RingHashLbConfig_ {
		return &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{MinimumRingSize: wrapperspb.UInt64(size)}}
	}
	b.LbPolicy, b.LbConfig = clusterv3.Cluster_RING_HASH, nil
	switch {
	case h.GetMaglev() != nil:
		b.LbPolicy = clusterv3.Cluster_MAGLEV
		if size := h.GetMaglev().TableSize; size != 0 {
			b.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{TableSize: wrapperspb.UInt64(size)}}
		}
	case h.GetRingHash() != nil:
		if size := h.GetRingHash().MinimumRingSize; size != 0 {
			b.LbConfig = ring(size)
		}
	case h.GetMinimumRingSize() != 0: // manifests still have it
		b.LbConfig = ring(h.GetMinimumRingSize()) // and here
	default:
		b.LbConfig = ring(usualRing)
	}
}
