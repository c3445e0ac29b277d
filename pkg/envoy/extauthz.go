package envoy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	authzhttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	authztcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/pkg/policy"
)

// Names of the filters that ask an external authorizer.
const (
	httpAuthorizer = "envoy.filters.http.ext_authz"
	tcpAuthorizer  = "envoy.filters.network.ext_authz"
)

// filter is a filter of either kind of chain.
type filter struct {
	name    string
	message proto.Message
}

// customFilters are, for each provider, the rules that say when it is asked and
// the filter that asks it (EC-81, AP-60).
func (g *Generator) customFilters(stages []policy.CustomStage, http bool) []filter {
	var all []filter
	for i := range stages {
		s := &stages[i]
		rules := &rbacRules{rules: ruleSet(s.Denied, rbacv3.RBAC_DENY), shadow: ruleSet(s.Asks, rbacv3.RBAC_DENY)}
		prefix := shadowCustom
		if s.Authorizer == nil {
			prefix = "" // a provider that cannot be used is not asked (EC-81a)
		}
		all = append(all, filter{rbacName(http), rules.message(http, prefix)})
		if s.Authorizer == nil {
			continue
		}
		if http {
			all = append(all, filter{httpAuthorizer, g.httpAuthorizer(s)})
		} else {
			all = append(all, filter{tcpAuthorizer, g.tcpAuthorizer(s)})
		}
	}
	return all
}

func rbacName(http bool) string {
	if http {
		return httpRBAC
	}
	return tcpRBAC
}

// asked is true for requests that a rule of the provider matched.
func asked(rbac string, s *policy.CustomStage) *matcherv3.MetadataMatcher {
	return &matcherv3.MetadataMatcher{
		Filter: rbac,
		Path: []*matcherv3.MetadataMatcher_PathSegment{{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{
			Key: shadowCustom + "shadow_effective_policy_id",
		}}},
		Value: &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{
			StringMatch: stringMatcher(policy.StringMatch{Form: policy.Prefix, Value: "istio-ext-authz-" + s.Provider}),
		}},
	}
}

func (g *Generator) httpAuthorizer(s *policy.CustomStage) *authzhttp.ExtAuthz {
	f := &authzhttp.ExtAuthz{
		FailureModeAllow: s.FailOpen, TransportApiVersion: corev3.ApiVersion_V3, FilterEnabledMetadata: asked(httpRBAC, s),
	}
	status := s.Authorizer.GetEnvoyExtAuthzHttp().GetStatusOnError() + s.Authorizer.GetEnvoyExtAuthzGrpc().GetStatusOnError()
	if status != "" {
		f.StatusOnError = &typev3.HttpStatus{Code: typev3.StatusCode(int32(s.StatusOnError))} //nolint:gosec // an HTTP status
	}
	if p := s.Authorizer.GetEnvoyExtAuthzGrpc(); p != nil {
		f.Services = &authzhttp.ExtAuthz_GrpcService{GrpcService: g.grpcService(p)}
		f.WithRequestBody = requestBody(p.IncludeRequestBodyInCheck)
		f.ClearRouteCache = p.ClearRouteCache
		return f
	}
	p := s.Authorizer.GetEnvoyExtAuthzHttp()
	host, cluster := g.authorizerCluster(p.Service, p.Port)
	f.WithRequestBody = requestBody(p.IncludeRequestBodyInCheck)
	f.ClearRouteCache = p.ClearRouteCache
	f.AllowedHeaders = headerPatterns(slices.Concat(p.IncludeRequestHeadersInCheck, p.IncludeHeadersInCheck)) // the older field still counts
	service := &authzhttp.HttpService{
		PathPrefix: p.PathPrefix,
		ServerUri: &corev3.HttpUri{
			Uri: "http://" + host, Timeout: timeout(p.Timeout), HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: cluster},
		},
	}
	if len(p.IncludeAdditionalHeadersInCheck) > 0 {
		service.AuthorizationRequest = &authzhttp.AuthorizationRequest{}
		for _, name := range slices.Sorted(maps.Keys(p.IncludeAdditionalHeadersInCheck)) {
			service.AuthorizationRequest.HeadersToAdd = append(service.AuthorizationRequest.HeadersToAdd,
				&corev3.HeaderValue{Key: name, Value: p.IncludeAdditionalHeadersInCheck[name]})
		}
	}
	if len(p.HeadersToUpstreamOnAllow)+len(p.HeadersToDownstreamOnDeny)+len(p.HeadersToDownstreamOnAllow) > 0 {
		service.AuthorizationResponse = &authzhttp.AuthorizationResponse{
			AllowedUpstreamHeaders:        headerPatterns(p.HeadersToUpstreamOnAllow),
			AllowedClientHeaders:          headerPatterns(p.HeadersToDownstreamOnDeny),
			AllowedClientHeadersOnSuccess: headerPatterns(p.HeadersToDownstreamOnAllow),
		}
	}
	f.Services = &authzhttp.ExtAuthz_HttpService{HttpService: service}
	return f
}

func (g *Generator) tcpAuthorizer(s *policy.CustomStage) *authztcp.ExtAuthz {
	return &authztcp.ExtAuthz{
		StatPrefix: "tcp.", FailureModeAllow: s.FailOpen, TransportApiVersion: corev3.ApiVersion_V3,
		GrpcService: g.grpcService(s.Authorizer.GetEnvoyExtAuthzGrpc()), FilterEnabledMetadata: asked(tcpRBAC, s),
	}
}

func (g *Generator) grpcService(p *meshconfig.MeshConfig_ExtensionProvider_EnvoyExternalAuthorizationGrpcProvider) *corev3.GrpcService {
	host, cluster := g.authorizerCluster(p.Service, p.Port)
	return &corev3.GrpcService{
		Timeout: timeout(p.Timeout),
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
			ClusterName: cluster, Authority: fmt.Sprintf("outbound_.%d_._.%s", p.Port, host),
		}},
	}
}

// authorizerCluster is the host of a provider's service and the cluster that
// leads there.
func (g *Generator) authorizerCluster(service string, port uint32) (host, cluster string) {
	_, host, qualified := strings.Cut(service, "/")
	if !qualified {
		host = service
	}
	return host, "outbound|" + strconv.Itoa(int(port)) + "||" + host
}

// timeout is istiod's default where none is set (AP-65).
func timeout(t *durationpb.Duration) *durationpb.Duration {
	return cmp.Or(t, durationpb.New(600*time.Second))
}

type bodyInCheck = meshconfig.MeshConfig_ExtensionProvider_EnvoyExternalAuthorizationRequestBody

func requestBody(b *bodyInCheck) *authzhttp.BufferSettings {
	if b == nil {
		return nil
	}
	return &authzhttp.BufferSettings{MaxRequestBytes: b.MaxRequestBytes, AllowPartialMessage: b.AllowPartialMessage, PackAsBytes: b.PackAsBytes}
}

// headerPatterns match names in any case: whole ones, prefixes with a trailing
// star and suffixes with a leading one (AP-65).
func headerPatterns(names []string) *matcherv3.ListStringMatcher {
	if len(names) == 0 {
		return nil
	}
	list := &matcherv3.ListStringMatcher{}
	for _, name := range names {
		m := policy.StringMatch{Form: policy.Exact, Value: name, IgnoreCase: true}
		switch {
		case strings.HasPrefix(name, "*"):
			m.Form, m.Value = policy.Suffix, name[1:]
		case strings.HasSuffix(name, "*"):
			m.Form, m.Value = policy.Prefix, name[:len(name)-1]
		}
		list.Patterns = append(list.Patterns, stringMatcher(m))
	}
	return list
}
