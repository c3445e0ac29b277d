package envoy

import (
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	authzhttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	rbachttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	authztcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	rbactcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	udpatype "github.com/cncf/xds/go/udpa/type/v1"

	"github.com/meshctl/meshctl/pkg/policy"
)

// manager reads an HTTP connection manager.
func (e *Enforcement) manager(c *readChain, m *hcmv3.HttpConnectionManager) {
	switch {
	case m.PathWithEscapedSlashesAction == hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD && m.MergeSlashes && m.GetNormalizePath().GetValue():
		c.paths = policy.DecodeAndMergeSlashes
	case m.PathWithEscapedSlashesAction > hcmv3.HttpConnectionManager_KEEP_UNCHANGED, m.PathNormalizationOptions != nil:
		c.distrust("path normalization")
	case m.MergeSlashes && m.GetNormalizePath().GetValue():
		c.paths = policy.MergeSlashes
	case m.MergeSlashes:
		c.distrust("slashes are merged without normalization")
	case m.GetNormalizePath().GetValue():
		c.paths = policy.Base
	default:
		c.paths = policy.NoNormalization
	}
	if m.StripMatchingHostPort || m.StripPortMode != nil || m.StripTrailingHostDot || len(m.EarlyHeaderMutationExtensions) > 0 {
		c.distrust("hosts or headers are changed before the filters")
	}
	s := &stageReader{chain: c, now: e.now}
	s.rules.oddClient = m.GetUseRemoteAddress().GetValue() || m.XffNumTrustedHops > 0 || len(m.OriginalIpDetectionExtensions) > 0 || m.SkipXffAppend
	for _, f := range m.HttpFilters {
		s.rules.filters = append(s.rules.filters, f.Name)
	}
	for _, f := range m.HttpFilters {
		switch {
		case f.Disabled:
		case e.dump.FilterConfig(f) == nil && f.GetConfigDiscovery() != nil:
			c.distrust("filter %s comes from elsewhere", f.Name)
		case e.dump.Unread[f.Name]:
			c.distrust("filter %s has fields that are not known here", f.Name)
		default:
			s.filter(f.Name, e.dump.FilterConfig(f))
		}
	}
	s.finish()
	e.routes(c, m)
}

// FilterConfig is the configuration of an HTTP or network filter: its own, or
// that which it was sent by itself. It is nil for one that is not in the dump.
func (d *Dump) FilterConfig(f interface {
	GetName() string
	GetTypedConfig() *anypb.Any
	GetConfigDiscovery() *corev3.ExtensionConfigSource
},
) *anypb.Any {
	if f.GetConfigDiscovery() == nil {
		return f.GetTypedConfig()
	}
	for _, x := range d.Extensions {
		if x.Name == f.GetName() {
			return x.TypedConfig
		}
	}
	return nil
}

// routes looks for what changes filters for some requests.
func (e *Enforcement) routes(c *readChain, m *hcmv3.HttpConnectionManager) {
	r := m.GetRouteConfig()
	if name := m.GetRds().GetRouteConfigName(); name != "" {
		i := slices.IndexFunc(e.dump.Routes, func(r *routev3.RouteConfiguration) bool { return r.Name == name })
		if i < 0 {
			c.distrust("routes %s are not in the configuration", name)
			return
		}
		if r = e.dump.Routes[i]; e.dump.Unread[name] {
			c.distrust("routes %s have fields that are not known here", name)
		}
	}
	if m.GetScopedRoutes() != nil {
		c.distrust("scoped routes")
	}
	overrides := len(r.GetTypedPerFilterConfig())
	c.routed = len(r.GetVirtualHosts()) != 1
	for _, h := range r.GetVirtualHosts() {
		overrides += len(h.TypedPerFilterConfig)
		c.routed = c.routed || !slices.Equal(h.Domains, []string{"*"}) || len(h.Routes) != 1 || h.Matcher != nil || h.RequireTls != 0
		for _, one := range h.Routes {
			overrides += len(one.TypedPerFilterConfig) + len(one.GetRoute().GetWeightedClusters().GetClusters())
			match := proto.CloneOf(one.GetMatch())
			match.PathSpecifier = nil
			if c.cluster = one.GetRoute().GetCluster(); c.cluster == "" || one.GetMatch().GetPrefix() != "/" || proto.Size(match) > 0 {
				c.routed = true
			}
		}
	}
	if c.routed {
		c.cluster = ""
	}
	if overrides > 0 {
		c.distrust("routes that have filters of their own, or several clusters")
	}
}

// stageReader reads the filters of a chain into the stages of a Model, which run
// in this order: CUSTOM, tokens, AUDIT, DENY, ALLOW.
type stageReader struct {
	chain *readChain
	rules matcherReader
	now   time.Time
	step  int
	used  bool // some stage was read
}

// finish forgets marks that nobody asks about.
func (s *stageReader) finish() {
	for i := range s.chain.stages.Custom {
		if c := &s.chain.stages.Custom[i]; c.Provider == "" {
			c.Asks = nil
		}
	}
}

// Steps of the stages.
const (
	customStep = iota
	tokenStep
	auditStep
	denyStep
	allowStep
)

// enter is false for a filter that comes out of order, or twice.
func (s *stageReader) enter(step int, name string) bool {
	if s.used = true; step < s.step {
		s.chain.distrust("filter %s comes behind those that run after it here", name)
		return false
	}
	if s.step = step; step != customStep {
		s.step = step + 1
	}
	return true
}

func (s *stageReader) filter(name string, config *anypb.Any) {
	m, err := config.UnmarshalNew()
	if err != nil {
		s.chain.distrust("filter %s", name)
		return
	}
	switch m := m.(type) {
	case *rbachttp.RBAC:
		if m.Matcher != nil || m.ShadowMatcher != nil {
			s.chain.distrust("filter %s has matchers in place of rules", name)
			return
		}
		s.rbac(name, m.Rules, m.ShadowRules, m.ShadowRulesStatPrefix)
	case *rbactcp.RBAC:
		if m.Matcher != nil || m.ShadowMatcher != nil || m.EnforcementType != 0 || m.DelayDeny != nil {
			s.chain.distrust("filter %s has matchers in place of rules, or enforces them in another way", name)
			return
		}
		s.rbac(name, m.Rules, m.ShadowRules, m.ShadowRulesStatPrefix)
	case *jwtv3.JwtAuthentication:
		if !s.enter(tokenStep, name) {
			return
		}
		if s.chain.jwt, err = requirement(m, s.now); err != nil {
			s.chain.distrust("filter %s %v", name, err)
		}
	case *authzhttp.ExtAuthz:
		odd := m.FilterEnabled != nil || m.DenyAtDisable != nil
		s.authorizer(name, m.FilterEnabledMetadata, m.FailureModeAllow, int(m.GetStatusOnError().GetCode()), odd)
	case *authztcp.ExtAuthz:
		s.authorizer(name, m.FilterEnabledMetadata, m.FailureModeAllow, 0, false)
	default:
		if !harmless(m) {
			s.chain.distrust("filter %s", name)
		}
	}
}

func (s *stageReader) rbac(name string, rules, shadow *rbacv3.RBAC, prefix string) {
	custom := shadow != nil && prefix == shadowCustom || allCustom(rules)
	if custom {
		if s.enter(customStep, name) {
			stage := policy.CustomStage{Denied: s.rules.ruleSet(rules)}
			if prefix == shadowCustom {
				stage.Asks = s.rules.ruleSet(shadow)
			}
			s.chain.stages.Custom = append(s.chain.stages.Custom, stage)
		}
		return
	}
	action := rules.GetAction()
	if rules == nil {
		action = shadow.GetAction()
	}
	if rules != nil && shadow != nil && rules.Action != shadow.Action {
		s.chain.distrust("filter %s tries out another action than it enforces", name)
		return
	}
	stage := &policy.Stage{Enforced: s.rules.ruleSet(rules), Shadow: s.rules.ruleSet(shadow)}
	stages := &s.chain.stages
	switch action {
	case rbacv3.RBAC_LOG:
		if s.enter(auditStep, name) {
			stages.Audit = stage
		}
	case rbacv3.RBAC_DENY:
		if s.enter(denyStep, name) {
			stages.Deny = stage
		}
	default:
		if s.enter(allowStep, name) {
			stages.Allow = stage
		}
	}
}

// allCustom tells rules of a CUSTOM action that deny without asking anyone
// (EC-81a).
func allCustom(rules *rbacv3.RBAC) bool {
	if rules.GetAction() != rbacv3.RBAC_DENY || len(rules.GetPolicies()) == 0 {
		return false
	}
	for id := range rules.Policies {
		if !strings.HasPrefix(id, "istio-ext-authz-") {
			return false
		}
	}
	return true
}

// authorizer reads a filter that asks someone else: about what a filter before it
// marked, or about all.
func (s *stageReader) authorizer(name string, marked *matcherv3.MetadataMatcher, failOpen bool, status int, odd bool) {
	if odd || !s.enter(customStep, name) {
		if odd {
			s.chain.distrust("filter %s is not always on", name)
		}
		return
	}
	if status == 0 {
		status = 403
	}
	all := &s.chain.stages.Custom
	if marked == nil {
		anything := policy.Expr{Op: policy.Any}
		*all = append(*all, policy.CustomStage{
			Provider: name, FailOpen: failOpen, StatusOnError: status,
			Asks: policy.NewRuleSet([]policy.Rule{{ID: name, Permissions: []policy.Expr{anything}, Principals: []policy.Expr{anything}}}),
		})
		return
	}
	prefix := marked.GetValue().GetStringMatch().GetPrefix()
	path := marked.GetPath()
	if len(*all) == 0 || prefix == "" || marked.Invert || len(path) != 1 || path[0].GetKey() != shadowCustom+"shadow_effective_policy_id" {
		s.chain.distrust("filter %s is asked on conditions that are not understood", name)
		return
	}
	last := &(*all)[len(*all)-1]
	last.Provider, last.FailOpen, last.StatusOnError = strings.TrimPrefix(prefix, "istio-ext-authz-"), failOpen, status
	if last.Asks != nil && slices.ContainsFunc(last.Asks.Rules, func(r *policy.Rule) bool { return !strings.HasPrefix(r.ID, prefix) }) {
		s.chain.distrust("filter %s is asked about some of the rules", name)
	}
}

// Harmless tells whether a filter decides nothing about requests.
func Harmless(config *anypb.Any) bool {
	m, err := config.UnmarshalNew()
	return err == nil && harmless(m)
}

// harmless are filters that decide nothing here (EC-131, EC-133).
func harmless(m proto.Message) bool {
	name := string(m.ProtoReflect().Descriptor().FullName())
	switch m := m.(type) {
	case *udpatype.TypedStruct:
		name = m.TypeUrl[strings.LastIndexByte(m.TypeUrl, '/')+1:]
	case *faultv3.HTTPFault:
		return proto.Size(m) == 0
	}
	return slices.Contains([]string{
		"envoy.extensions.filters.http.cors.v3.Cors", "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
		"envoy.extensions.filters.http.grpc_web.v3.GrpcWeb", "envoy.extensions.filters.http.router.v3.Router",
		"envoy.extensions.filters.http.on_demand.v3.OnDemand", "envoy.extensions.filters.http.set_filter_state.v3.Config",
		"envoy.extensions.filters.network.set_filter_state.v3.Config", "envoy.extensions.filters.network.sni_cluster.v3.SniCluster",
		"stats.PluginConfig", "io.istio.http.peer_metadata.Config", "envoy.tcp.metadataexchange.config.MetadataExchange",
		"istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
	}, name)
}
