package envoy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	authzhttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	rbachttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	authztcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	rbactcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Names of listener filters that need a packet filter.
const (
	originalDst         = "envoy.filters.listener.original_dst"
	originalSrc         = "envoy.filters.listener.original_src"
	proxyProtocolFilter = "envoy.filters.listener.proxy_protocol"
)

// inbound binds the listener to the workload's address. Its chains stay as they
// are, but for the names of clusters and the places of secrets.
func (b *staticBuilder) inbound(original *listenerv3.Listener) (*listenerv3.Listener, error) {
	l := proto.Clone(original).(*listenerv3.Listener)
	l.Name = b.prefix + l.Name
	port := l.GetAddress().GetSocketAddress().GetPortValue()
	l.Address = socketAddress(b.Address.String(), port)
	l.EnableReusePort = wrapperspb.Bool(false) // nobody else shall share what comes in
	l.ListenerFilters = slices.DeleteFunc(l.ListenerFilters, func(f *listenerv3.ListenerFilter) bool {
		return f.Name == originalDst || f.Name == originalSrc
	})
	if b.Form == ProxyProtocol {
		first := listenerFilter(proxyProtocolFilter, &proxyprotocolv3.ProxyProtocol{}, nil)
		l.ListenerFilters = append([]*listenerv3.ListenerFilter{first}, l.ListenerFilters...)
	} else {
		for _, port := range append(declaredPorts(l), b.Undeclared...) {
			if slices.Contains(b.Bypassing, port) {
				continue
			}
			l.AdditionalAddresses = append(l.AdditionalAddresses, &listenerv3.AdditionalAddress{Address: socketAddress(b.Address.String(), port)})
		}
	}
	if b.AccessLog != "" {
		l.AccessLog = append(l.AccessLog, accessLog(b.AccessLog, b.Config.Workload, ConnectionScope))
	}
	for _, c := range l.FilterChains {
		if err := b.chain(c); err != nil {
			return nil, fmt.Errorf("listener %s: %w", original.Name, err)
		}
	}
	return l, nil
}

// declaredPorts are those with chains of their own, without the listener's own
// (EC-31).
func declaredPorts(l *listenerv3.Listener) []uint32 {
	ports := map[uint32]bool{}
	for _, c := range l.FilterChains {
		if p := c.GetFilterChainMatch().GetDestinationPort(); p != nil && p.Value != l.GetAddress().GetSocketAddress().GetPortValue() {
			ports[p.Value] = true
		}
	}
	return slices.Sorted(maps.Keys(ports))
}

func (b *staticBuilder) chain(c *listenerv3.FilterChain) error {
	if err := b.socket(c.TransportSocket); err != nil {
		return err
	}
	var filters []*listenerv3.Filter
	for _, f := range c.Filters {
		if f.Name == tcpRBAC && b.AccessLog != "" {
			told, err := teller(f)
			if err != nil {
				return err
			}
			filters = append(filters, told...)
		}
		if err := edit(f.GetTypedConfig(), b.networkFilter); err != nil {
			return fmt.Errorf("filter %s: %w", f.Name, err)
		}
		filters = append(filters, f)
	}
	c.Filters = filters
	return nil
}

// teller notes which ALLOW rule matches: of a byte stream Envoy notes only what
// shadow rules say, so it gets the same rules as shadow rules.
func teller(f *listenerv3.Filter) ([]*listenerv3.Filter, error) {
	enforcing := &rbactcp.RBAC{}
	if err := f.GetTypedConfig().UnmarshalTo(enforcing); err != nil {
		return nil, err
	}
	if enforcing.Rules == nil || enforcing.Rules.Action != rbacv3.RBAC_ALLOW {
		return nil, nil
	}
	return networkFilters(filter{tcpRBAC, &rbactcp.RBAC{
		ShadowRules: enforcing.Rules, ShadowRulesStatPrefix: enforcedAllow, StatPrefix: enforcing.StatPrefix,
	}}), nil
}

// edit changes a message where it is packed.
func edit(packedMessage *anypb.Any, change func(proto.Message) error) error {
	if packedMessage == nil {
		return nil
	}
	m, err := packedMessage.UnmarshalNew()
	if err != nil {
		return err
	}
	if err := change(m); err != nil {
		return err
	}
	return packedMessage.MarshalFrom(m)
}

func (b *staticBuilder) networkFilter(m proto.Message) error {
	switch f := m.(type) {
	case *hcmv3.HttpConnectionManager:
		return b.manager(f)
	case *tcpproxyv3.TcpProxy:
		f.ClusterSpecifier = &tcpproxyv3.TcpProxy_Cluster{Cluster: b.lead(f.GetCluster())}
	case *authztcp.ExtAuthz:
		b.authorizer(f.GrpcService)
	}
	return nil
}

// enforcedPrefix tells the notes of the actions apart.
func enforcedPrefix(rules *rbacv3.RBAC) string {
	switch {
	case rules == nil:
		return ""
	case rules.Action == rbacv3.RBAC_LOG:
		return enforcedAudit
	case rules.Action == rbacv3.RBAC_DENY:
		return enforcedDeny
	}
	return enforcedAllow
}

func (b *staticBuilder) manager(m *hcmv3.HttpConnectionManager) error {
	if b.AccessLog != "" {
		m.AccessLog = []*accesslogv3.AccessLog{accessLog(b.AccessLog, b.Config.Workload, RequestScope)}
	}
	for _, host := range m.GetRouteConfig().GetVirtualHosts() {
		for _, r := range host.Routes {
			if action := r.GetRoute(); action.GetCluster() != "" {
				action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: b.lead(action.GetCluster())}
			}
		}
	}
	for _, f := range m.HttpFilters {
		if err := edit(f.GetTypedConfig(), b.httpFilter); err != nil {
			return fmt.Errorf("filter %s: %w", f.Name, err)
		}
	}
	return nil
}

func (b *staticBuilder) httpFilter(m proto.Message) error {
	switch f := m.(type) {
	case *rbachttp.RBAC:
		f.RulesStatPrefix = enforcedPrefix(f.Rules)
		return checkRules(f)
	case *jwtv3.JwtAuthentication:
		for _, name := range slices.Sorted(maps.Keys(f.Providers)) {
			if err := b.keys(f.Providers[name]); err != nil {
				return fmt.Errorf("tokens of issuer %q: %w", f.Providers[name].Issuer, err)
			}
		}
	case *authzhttp.ExtAuthz:
		b.authorizer(f.GetGrpcService())
		b.httpAuthorizer(f.GetHttpService())
	}
	return nil
}

func (b *staticBuilder) authorizer(s *corev3.GrpcService) {
	if g := s.GetEnvoyGrpc(); g != nil {
		b.asked[g.ClusterName] = b.Authorizers.GRPC
		g.ClusterName = b.lead(g.ClusterName)
	}
}

func (b *staticBuilder) httpAuthorizer(s *authzhttp.HttpService) {
	uri := s.GetServerUri()
	if uri == nil {
		return
	}
	b.asked[uri.GetCluster()] = b.Authorizers.HTTP
	uri.HttpUpstreamType = &corev3.HttpUri_Cluster{Cluster: b.lead(uri.GetCluster())}
	if !b.Authorizers.HTTP.IsValid() {
		return
	}
	if s.AuthorizationRequest == nil {
		s.AuthorizationRequest = &authzhttp.AuthorizationRequest{}
	}
	s.AuthorizationRequest.HeadersToAdd = append(s.AuthorizationRequest.HeadersToAdd,
		&corev3.HeaderValue{Key: PeerHeader, Value: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"})
}

// keys are those of a token rule, and what stands in for those that only a
// control plane could fetch. A set of another form than a list stays as it is. It
// fails for a list of none, with which Envoy takes no listener (DP-5).
func (b *staticBuilder) keys(p *jwtv3.JwtProvider) error {
	text := p.GetLocalJwks().GetInlineString()
	set := map[string]any{}
	list := []any{}
	unfetched := strings.HasPrefix(text, unfetchedMark)
	if !unfetched {
		var ok bool
		if json.Unmarshal([]byte(text), &set) != nil {
			return nil
		}
		if list, ok = set["keys"].([]any); !ok {
			return nil
		}
	}
	if unfetched || b.AddJWK {
		list = append(list, json.RawMessage(b.JWK))
		set["keys"] = list
		joined, err := json.Marshal(set)
		if err != nil {
			return fmt.Errorf("key %s: %w", b.JWK, err)
		}
		p.JwksSourceSpecifier = &jwtv3.JwtProvider_LocalJwks{LocalJwks: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: string(joined)},
		}}
	}
	if len(list) == 0 {
		return errors.New("its jwks has no keys; Envoy takes no listener with such a rule")
	}
	return nil
}
