package envoy

import (
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	grpcstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	grpcwebv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	uuidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

const connectionManager = "envoy.filters.network.http_connection_manager"

// inboundManager is the HTTP connection manager of a port (EC-45, EC-46).
func (in *inbound) inboundManager(p *policy.Port) *hcmv3.HttpConnectionManager {
	m := newManager(in.model.Paths)
	m.StatPrefix = fmt.Sprintf("inbound_0.0.0.0_%d;", p.Number)
	if p.Declared == nil {
		m.StatPrefix = inboundPassthrough + ";"
	}
	m.ServerName = "istio-envoy"
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_APPEND_FORWARD
	m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{Subject: wrapperspb.Bool(true), Dns: true, Uri: true}
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: inboundRoutes(p)}
	filters := slices.Clone(in.http)
	if p.Declared != nil {
		switch p.Declared.Protocol {
		case mesh.HTTP2, mesh.GRPC:
			m.Http2ProtocolOptions = &corev3.Http2ProtocolOptions{}
		case mesh.GRPCWeb:
			m.Http2ProtocolOptions = &corev3.Http2ProtocolOptions{}
			filters = append(filters, filter{"envoy.filters.http.grpc_web", &grpcwebv3.GrpcWeb{}})
		}
	}
	m.HttpFilters = httpFilters(append(filters, commonFilters()...)...)
	return m
}

// newManager has what all connection managers of a sidecar have in common.
func newManager(paths policy.Normalization) *hcmv3.HttpConnectionManager {
	m := &hcmv3.HttpConnectionManager{
		UseRemoteAddress:             wrapperspb.Bool(false),
		NormalizePath:                wrapperspb.Bool(paths != policy.NoNormalization),
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED,
		StreamIdleTimeout:            durationpb.New(0),
		Proxy_100Continue:            true,
		UpgradeConfigs:               []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		RequestIdExtension: &hcmv3.RequestIDExtension{TypedConfig: packed(&uuidv3.UuidRequestIdConfig{
			UseRequestIdForTraceSampling: wrapperspb.Bool(true),
		})},
	}
	switch paths {
	case policy.MergeSlashes:
		m.MergeSlashes = true
	case policy.DecodeAndMergeSlashes:
		m.MergeSlashes = true
		m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD
	}
	return m
}

// commonFilters end every list of HTTP filters. Istio's own extensions are left
// out: they decide nothing about what comes in (EC-131).
func commonFilters() []filter {
	return []filter{
		{"envoy.filters.http.grpc_stats", &grpcstatsv3.FilterConfig{
			EmitFilterState: true, PerMethodStatSpecifier: &grpcstatsv3.FilterConfig_StatsForAllMethods{StatsForAllMethods: wrapperspb.Bool(false)},
		}},
		{"envoy.filters.http.fault", &faultv3.HTTPFault{}},
		{"envoy.filters.http.cors", &corsv3.Cors{}},
		{"envoy.filters.http.router", &routerv3.Router{}},
	}
}

func httpFilters(list ...filter) []*hcmv3.HttpFilter {
	var all []*hcmv3.HttpFilter
	for _, f := range list {
		all = append(all, &hcmv3.HttpFilter{Name: f.name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(f.message)}})
	}
	return all
}

// inboundRoutes lead all requests to the application (EC-50).
func inboundRoutes(p *policy.Port) *routev3.RouteConfiguration {
	cluster, operation, number := inboundCluster(p), ":0/*", int32(0)
	retry := &routev3.RetryPolicy{RetryOn: "reset-before-request", NumRetries: wrapperspb.UInt32(2)}
	if p.Declared != nil {
		number = p.Declared.Port.Number
		operation = fmt.Sprintf("%s:%d/*", p.Declared.Service.Hostname, number)
		if p.Declared.Protocol == mesh.GRPC || p.Declared.Protocol == mesh.GRPCWeb {
			retry = nil
		}
	}
	return &routev3.RouteConfiguration{
		Name: cluster, ValidateClusters: wrapperspb.Bool(false),
		VirtualHosts: []*routev3.VirtualHost{{
			Name: fmt.Sprintf("inbound|http|%d", number), Domains: []string{"*"},
			Routes: []*routev3.Route{{
				Name: "default", Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Decorator: &routev3.Decorator{Operation: operation},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
					Timeout:          durationpb.New(0), RetryPolicy: retry,
					MaxStreamDuration: &routev3.RouteAction_MaxStreamDuration{
						MaxStreamDuration: durationpb.New(0), GrpcTimeoutHeaderMax: durationpb.New(0),
					},
				}},
			}},
		}},
	}
}

func sortedPorts(ports []uint32) []uint32 { return slices.Sorted(slices.Values(ports)) }
