package diff

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	rbachttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	rbactcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// mode is what a port wants of connections.
type mode string

const (
	disable    mode = "plaintext"
	permissive mode = "mTLS or plaintext"
	strict     mode = "mTLS"
)

// takes are the kinds of connections that a mode lets in.
func (m mode) takes() []string {
	return map[mode][]string{disable: {"plaintext"}, permissive: {"plaintext", "mTLS"}, strict: {"mTLS"}}[m]
}

// to are the tags of another mode: looser if it takes what was refused, or no
// caller has an identity any more; tighter if it refuses what was taken.
func (m mode) to(now mode) []Tag {
	var tags []Tag
	if len(common(now.takes(), m.takes())) < len(now.takes()) || now == disable && m != disable {
		tags = append(tags, Looser)
	}
	if m != "" && len(common(m.takes(), now.takes())) < len(m.takes()) && now != disable {
		tags = append(tags, Tighter)
	}
	return tags
}

// ruleKey is a rule in the filters of one kind of traffic.
type ruleKey struct {
	tcp        bool
	action, id string
	shadow     bool
}

// topic is what lines about the rule are about, and filter those about any of its
// filter's.
func (k ruleKey) topic() string { return k.kind() + " " + k.id + " of " + k.filter() }

func (k ruleKey) filter() string { return traffic(k.tcp) + " " + k.action }

// kind is that of its changes.
func (k ruleKey) kind() string {
	if k.shadow {
		return "shadow rule"
	}
	return "rule"
}

type ruleText struct{ what, who []string }

// summary is what a sidecar enforces and where it leads, all chains together.
type summary struct {
	dump      *envoy.Dump
	own       map[string]uint32 // ports of listeners that nothing is redirected to
	modes     map[uint32]mode
	stages    map[ruleKey]bool // id is empty
	rules     map[ruleKey]ruleText
	issuers   map[string]bool
	providers map[string]*jwtv3.JwtProvider // nil where an issuer has several
	domains   []string
	paths     string
	enforced  map[ruleKey]*rbacv3.Policy
	clients   map[string]string // how clusters are called
	// kinds are what a port takes, requests (HTTP) or bytes (TCP), with the options
	// by which they are read. filters are what it has beside policy that is told
	// elsewhere, with their configuration.
	kinds   map[uint32]map[string]string
	filters map[uint32]map[string]bool
	// blind are ports with chains that want TLS or HTTP to be seen, where nobody
	// looks.
	blind bool
}

// kindsOf are those of a port; those without chains follow the others'.
func (s *summary) kindsOf(port uint32) map[string]string {
	if _, own := s.modes[port]; own {
		return s.kinds[port]
	}
	return s.kinds[0]
}

func (s *summary) kind(port uint32, kind, options string) {
	if s.kinds[port] == nil {
		s.kinds[port] = map[string]string{}
	}
	s.kinds[port][kind] = options
}

// filtersOf are those of a port; those without chains follow the others'.
func (s *summary) filtersOf(port uint32) map[string]bool {
	if _, own := s.modes[port]; own {
		return s.filters[port]
	}
	return s.filters[0]
}

// mode is that of a port; those without chains follow the others'.
func (s *summary) mode(port uint32) mode {
	if m, own := s.modes[port]; own {
		return m
	}
	return s.modes[0]
}

// summarize is nil for nothing. Clusters are those that matter.
func summarize(d *envoy.Dump, clusters []*clusterv3.Cluster) *summary {
	if d == nil {
		return nil
	}
	s := &summary{
		dump: d, own: map[string]uint32{}, modes: map[uint32]mode{}, stages: map[ruleKey]bool{}, rules: map[ruleKey]ruleText{}, enforced: map[ruleKey]*rbacv3.Policy{}, issuers: map[string]bool{}, providers: map[string]*jwtv3.JwtProvider{}, clients: map[string]string{}, filters: map[uint32]map[string]bool{},
		kinds: map[uint32]map[string]string{},
	}
	for _, l := range d.Listeners {
		if l.TrafficDirection == corev3.TrafficDirection_OUTBOUND {
			continue
		}
		s.listener(l)
	}
	for _, c := range clusters {
		if how := clientTLS(c); how != "" {
			s.clients[c.Name] = how
		}
	}
	return s
}

func (s *summary) listener(l *listenerv3.Listener) {
	own := uint32(0)
	if !envoy.Redirected(l) {
		own = l.GetAddress().GetSocketAddress().GetPortValue()
		s.own[listenerKind(l)+" "+listenerName(l)] = own
	}
	secure, open := map[uint32]bool{}, map[uint32]bool{}
	for _, c := range append(slices.Clone(l.FilterChains), defaultChain(l)...) {
		port := cmp.Or(c.GetFilterChainMatch().GetDestinationPort().GetValue(), own)
		if c.Name == "virtualInbound-blackhole" {
			continue
		}
		t := &tlsv3.DownstreamTlsContext{}
		if c.GetTransportSocket().GetTypedConfig().UnmarshalTo(t) == nil && t.RequireClientCertificate.GetValue() {
			secure[port] = true
			s.trust(t)
		} else {
			open[port] = true
		}
		for _, f := range c.Filters {
			s.filter(port, f.Name, s.dump.FilterConfig(f))
		}
		tls, http := envoy.Inspected(l, port)
		match := c.GetFilterChainMatch()
		s.blind = s.blind || match.GetTransportProtocol() == "tls" && !tls ||
			match.GetTransportProtocol() == "raw_buffer" && len(match.GetApplicationProtocols()) > 0 && !http
	}
	for port := range secure {
		s.modes[port] = strict
	}
	for port := range open {
		if s.modes[port] = disable; secure[port] {
			s.modes[port] = permissive
		}
	}
}

func defaultChain(l *listenerv3.Listener) []*listenerv3.FilterChain {
	if l.DefaultFilterChain == nil {
		return nil
	}
	return []*listenerv3.FilterChain{l.DefaultFilterChain}
}

func (s *summary) trust(t *tlsv3.DownstreamTlsContext) {
	context := t.GetCommonTlsContext().GetCombinedValidationContext().GetDefaultValidationContext()
	for _, m := range context.GetMatchSubjectAltNames() { // istiod writes the older field
		if domain, ok := strings.CutPrefix(m.GetPrefix(), "spiffe://"); ok {
			s.domains = append(s.domains, strings.TrimSuffix(domain, "/"))
		}
	}
	s.domains = slices.Compact(slices.Sorted(slices.Values(s.domains)))
}

// filter reads a network filter, or an HTTP filter.
func (s *summary) filter(port uint32, name string, config *anypb.Any) {
	m, err := config.UnmarshalNew()
	if err != nil {
		s.other(port, name, config)
		return
	}
	switch m := m.(type) {
	case *hcmv3.HttpConnectionManager:
		s.paths = pathWords(m)
		s.kind(port, "HTTP", managerOptions(m))
		for _, f := range m.HttpFilters {
			s.filter(port, f.Name, s.dump.FilterConfig(f))
		}
	case *rbachttp.RBAC:
		s.stage(false, rbacAction(config), m.Rules, m.ShadowRules)
	case *rbactcp.RBAC:
		s.stage(true, rbacAction(config), m.Rules, m.ShadowRules)
	case *jwtv3.JwtAuthentication:
		own := map[string]*jwtv3.JwtProvider{}
		for _, p := range m.Providers {
			s.issuers[p.Issuer] = true
			if _, several := own[p.Issuer]; several {
				own[p.Issuer] = nil
				continue
			}
			own[p.Issuer] = p
		}
		maps.Copy(s.providers, own)
	case *tcpproxyv3.TcpProxy:
		s.kind(port, "TCP", "")
	default:
		s.other(port, name, config)
	}
}

// managerOptions are how requests are read, on all chains of a port alike.
func managerOptions(m *hcmv3.HttpConnectionManager) string {
	m = proto.CloneOf(m)
	m.HttpFilters, m.RouteSpecifier, m.StatPrefix, m.Tracing, m.AccessLog, m.RequestIdExtension, m.ServerName = nil, nil, "", nil, nil, nil, ""
	return bytesOf(m)
}

// other notes a filter, unless it decides nothing.
func (s *summary) other(port uint32, name string, config *anypb.Any) {
	if !envoy.Harmless(config) {
		s.note(port, name+"\x00"+config.GetTypeUrl()+"\x00"+string(config.GetValue()))
	}
}

func (s *summary) note(port uint32, what string) {
	if s.filters[port] == nil {
		s.filters[port] = map[string]bool{}
	}
	s.filters[port][what] = true
}

func (s *summary) stage(tcp bool, action string, rules, shadow *rbacv3.RBAC) {
	if rules != nil {
		s.stages[ruleKey{tcp: tcp, action: action}] = true
	}
	take := func(all map[string]*rbacv3.Policy, isShadow bool) {
		for id, p := range all {
			what, who := envoy.RuleWords(p)
			key := ruleKey{tcp, action, id, isShadow}
			s.rules[key] = ruleText{what, who}
			if isShadow == (action == "CUSTOM") && action != "LOG" {
				s.enforced[key] = p
			}
		}
	}
	take(rules.GetPolicies(), false)
	take(shadow.GetPolicies(), true)
}

func pathWords(m *hcmv3.HttpConnectionManager) string {
	switch {
	case m.PathWithEscapedSlashesAction == hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD:
		return "DECODE_AND_MERGE_SLASHES"
	case m.MergeSlashes:
		return "MERGE_SLASHES"
	case m.NormalizePath.GetValue():
		return "BASE"
	}
	return "NONE"
}

// clientTLS says how a cluster is called; "" for those of what comes in.
func clientTLS(c *clusterv3.Cluster) string {
	if !strings.HasPrefix(c.Name, "outbound|") {
		return ""
	}
	if len(c.TransportSocketMatches) > 0 {
		return "mTLS where the endpoint has it"
	}
	t := &tlsv3.UpstreamTlsContext{}
	if c.GetTransportSocket().GetTypedConfig().UnmarshalTo(t) != nil {
		return "plaintext"
	}
	if slices.ContainsFunc(t.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs(), func(s *tlsv3.SdsSecretConfig) bool { return s.Name == "default" }) {
		return "mTLS"
	}
	return "TLS"
}

func ports(a, b *summary) []uint32 {
	all := maps.Clone(a.modes)
	maps.Copy(all, b.modes)
	return slices.Sorted(maps.Keys(all))
}
