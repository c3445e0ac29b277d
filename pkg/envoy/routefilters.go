package envoy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	commonfaultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	prioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"
)

// Filters that routes configure.
const (
	faultFilter = "envoy.filters.http.fault"
	corsFilter  = "envoy.filters.http.cors"
)

func newConfigs() map[string]*anypb.Any { return map[string]*anypb.Any{} }

// fault delays or ends requests on purpose; nil does neither.
func fault(f *networking.HTTPFaultInjection) *faultv3.HTTPFault {
	if f == nil {
		return nil
	}
	out := &faultv3.HTTPFault{}
	if d := f.Delay; d.GetFixedDelay() != nil {
		out.Delay = &commonfaultv3.FaultDelay{
			FaultDelaySecifier: &commonfaultv3.FaultDelay_FixedDelay{FixedDelay: d.GetFixedDelay()}, Percentage: percent(uint32(d.GetPercent())), //nolint:gosec // a share, from 0 on
		}
		if d.Percentage != nil {
			out.Delay.Percentage = fraction(d.Percentage)
		}
	}
	if a := f.Abort; a != nil {
		abort := &faultv3.FaultAbort{}
		if a.Percentage != nil {
			abort.Percentage = fraction(a.Percentage)
		}
		switch e := a.ErrorType.(type) {
		case *networking.HTTPFaultInjection_Abort_HttpStatus:
			abort.ErrorType, out.Abort = &faultv3.FaultAbort_HttpStatus{HttpStatus: uint32(e.HttpStatus)}, abort //nolint:gosec // a status
		case *networking.HTTPFaultInjection_Abort_GrpcStatus:
			abort.ErrorType, out.Abort = &faultv3.FaultAbort_GrpcStatus{GrpcStatus: grpcStatus(e.GrpcStatus)}, abort
		}
	}
	return out
}

// grpcStatus is the number of a status of gRPC; 0 for no such name.
func grpcStatus(name string) uint32 {
	names := []string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	return uint32(max(slices.Index(names, name), 0)) //nolint:gosec // few
}

// crossOrigin renders a CORS policy; nil is none.
func crossOrigin(c *networking.CorsPolicy) *corsv3.CorsPolicy {
	if c == nil {
		return nil
	}
	out := &corsv3.CorsPolicy{
		AllowMethods: strings.Join(c.AllowMethods, ","), AllowHeaders: strings.Join(c.AllowHeaders, ","), ExposeHeaders: strings.Join(c.ExposeHeaders, ","),
		AllowCredentials: c.AllowCredentials, ForwardNotMatchingPreflights: wrapperspb.Bool(c.UnmatchedPreflights != networking.CorsPolicy_IGNORE),
		FilterEnabled: &corev3.RuntimeFractionalPercent{DefaultValue: percent(100)},
	}
	origins := c.AllowOrigins
	if origins == nil {
		for _, origin := range c.GetAllowOrigin() { // manifests still have it
			origins = append(origins, &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: origin}})
		}
	}
	for _, origin := range origins {
		if origin.GetMatchType() != nil {
			out.AllowOriginStringMatch = append(out.AllowOriginStringMatch, stringMatcher(textMatch(origin)))
		}
	}
	if c.MaxAge != nil {
		out.MaxAge = strconv.FormatInt(c.MaxAge.GetSeconds(), 10)
	}
	return out
}

// retries is how often requests are tried again, and when; nil is never. Those
// that are balanced by a hash go to the same host again (EC-112).
func retries(r *networking.HTTPRetry, hashed bool) *routev3.RetryPolicy {
	const usual, hostAttempts = 2, 5
	p := &routev3.RetryPolicy{
		RetryOn:    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
		NumRetries: wrapperspb.UInt32(usual), HostSelectionRetryMaxAttempts: hostAttempts,
	}
	others := []*routev3.RetryPolicy_RetryHostPredicate{{
		Name:       "envoy.retry_host_predicates.previous_hosts",
		ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: packed(&previoushostsv3.PreviousHostsPredicate{})},
	}}
	if !hashed {
		p.RetryHostPredicate = others
	}
	if r == nil {
		return p
	}
	if r.Attempts <= 0 {
		return nil
	}
	p.NumRetries = wrapperspb.UInt32(uint32(r.Attempts))
	if r.RetryOn != "" {
		p.RetryOn, p.RetriableStatusCodes = retryConditions(r.RetryOn)
	}
	p.PerTryTimeout = r.PerTryTimeout
	if ignore := r.RetryIgnorePreviousHosts; ignore != nil {
		p.RetryHostPredicate = nil
		if ignore.Value {
			p.RetryHostPredicate = others
		}
	}
	if r.RetryRemoteLocalities.GetValue() {
		p.RetryPriority = &routev3.RetryPolicy_RetryPriority{
			Name:       "envoy.retry_priorities.previous_priorities",
			ConfigType: &routev3.RetryPolicy_RetryPriority_TypedConfig{TypedConfig: packed(&prioritiesv3.PreviousPrioritiesConfig{UpdateFrequency: 2})},
		}
	}
	if r.Backoff != nil {
		p.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{BaseInterval: r.Backoff}
	}
	return p
}

// retryConditions tells status codes from conditions by name.
func retryConditions(text string) (conditions string, codes []uint32) {
	var names []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if n, err := strconv.ParseUint(part, 10, 16); err == nil && http.StatusText(int(n)) != "" {
			codes = append(codes, uint32(n))
		} else if part != "" {
			names = append(names, part)
		}
	}
	conditions = strings.Join(names, ",")
	if len(codes) > 0 && !strings.Contains(conditions, "retriable-status-codes") {
		conditions += ",retriable-status-codes"
	}
	return conditions, codes
}

// hashPolicy is by what part of a request it is balanced; nil by none.
func hashPolicy(h *networking.LoadBalancerSettings_ConsistentHashLB) *routev3.RouteAction_HashPolicy {
	switch key := h.GetHashKey().(type) {
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName:
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_Header_{
			Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: key.HttpHeaderName},
		}}
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpCookie:
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_Cookie_{
			Cookie: &routev3.RouteAction_HashPolicy_Cookie{Name: key.HttpCookie.GetName(), Ttl: key.HttpCookie.GetTtl(), Path: key.HttpCookie.GetPath()},
		}}
	case *networking.LoadBalancerSettings_ConsistentHashLB_UseSourceIp:
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_ConnectionProperties_{
			ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: key.UseSourceIp},
		}}
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName:
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_QueryParameter_{
			QueryParameter: &routev3.RouteAction_HashPolicy_QueryParameter{Name: key.HttpQueryParameterName},
		}}
	}
	return nil
}
