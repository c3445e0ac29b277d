package envoy

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	uritemplate "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshctl/meshctl/pkg/policy"
)

// matcherReader reads the trees of RBAC filters. What it does not understand
// becomes a test whose outcome nobody knows.
type matcherReader struct {
	// oddClient says that the client's address is not found in istiod's way.
	oddClient bool
	// filters are the names of those on the chain: they may write metadata.
	filters []string
}

// ReadPermission reads a matcher of what a rule of an RBAC filter permits. What is
// not understood is an Unread test.
func ReadPermission(x *rbacv3.Permission) policy.Expr { return (&matcherReader{}).permission(x) }

// ReadPrincipal is ReadPermission's twin for who asks.
func ReadPrincipal(x *rbacv3.Principal) policy.Expr { return (&matcherReader{}).principal(x) }

func unread() policy.Expr { return is(policy.Test{Attribute: policy.Unread}) }

func is(t policy.Test) policy.Expr { return policy.Expr{Op: policy.Is, Test: t} }

// exprs reads alternatives or parts.
func exprs[T any](all []T, read func(T) policy.Expr) []policy.Expr {
	var kids []policy.Expr
	for _, x := range all {
		kids = append(kids, read(x))
	}
	return kids
}

// ruleSet reads the rules of a filter; nil for none.
func (r *matcherReader) ruleSet(m *rbacv3.RBAC) *policy.RuleSet {
	if m == nil {
		return nil
	}
	var all []policy.Rule
	for id, p := range m.Policies {
		rule := policy.Rule{ID: id, Permissions: exprs(p.GetPermissions(), r.permission), Principals: exprs(p.GetPrincipals(), r.principal)}
		if p.GetCondition() != nil || p.GetCheckedCondition() != nil {
			rule.Permissions = []policy.Expr{{Op: policy.All, Kids: []policy.Expr{{Op: policy.One, Kids: rule.Permissions}, unread()}}}
		}
		all = append(all, rule)
	}
	return policy.NewRuleSet(all)
}

func (r *matcherReader) permission(x *rbacv3.Permission) policy.Expr {
	switch rule := x.GetRule().(type) {
	case *rbacv3.Permission_Any:
		if rule.Any {
			return policy.Expr{Op: policy.Any}
		}
	case *rbacv3.Permission_AndRules:
		return policy.Expr{Op: policy.All, Kids: exprs(rule.AndRules.GetRules(), r.permission)}
	case *rbacv3.Permission_OrRules:
		return policy.Expr{Op: policy.One, Kids: exprs(rule.OrRules.GetRules(), r.permission)}
	case *rbacv3.Permission_NotRule:
		return policy.Expr{Op: policy.Not, Kids: []policy.Expr{r.permission(rule.NotRule)}}
	case *rbacv3.Permission_Header:
		return header(rule.Header)
	case *rbacv3.Permission_UrlPath:
		return text(policy.Test{Attribute: policy.URLPath}, rule.UrlPath.GetPath())
	case *rbacv3.Permission_UriTemplate:
		m := &uritemplate.UriTemplateMatchConfig{}
		if rule.UriTemplate.GetTypedConfig().UnmarshalTo(m) == nil {
			if match, ok := policy.TemplateMatch(m.PathTemplate); ok {
				return is(policy.Test{Attribute: policy.URLPath, String: match})
			}
		}
	case *rbacv3.Permission_DestinationPort:
		return is(policy.Test{Attribute: policy.LocalPort, Port: rule.DestinationPort})
	case *rbacv3.Permission_DestinationIp:
		return block(policy.LocalAddress, rule.DestinationIp)
	case *rbacv3.Permission_RequestedServerName:
		return text(policy.Test{Attribute: policy.ServerName}, rule.RequestedServerName)
	case *rbacv3.Permission_Metadata:
		return r.metadata(rule.Metadata)
	}
	return unread()
}

func (r *matcherReader) principal(x *rbacv3.Principal) policy.Expr {
	switch id := x.GetIdentifier().(type) {
	case *rbacv3.Principal_Any:
		if id.Any {
			return policy.Expr{Op: policy.Any}
		}
	case *rbacv3.Principal_AndIds:
		return policy.Expr{Op: policy.All, Kids: exprs(id.AndIds.GetIds(), r.principal)}
	case *rbacv3.Principal_OrIds:
		return policy.Expr{Op: policy.One, Kids: exprs(id.OrIds.GetIds(), r.principal)}
	case *rbacv3.Principal_NotId:
		return policy.Expr{Op: policy.Not, Kids: []policy.Expr{r.principal(id.NotId)}}
	case *rbacv3.Principal_Authenticated_:
		if name := id.Authenticated.GetPrincipalName(); name != nil {
			return text(policy.Test{Attribute: policy.PeerIdentity}, name)
		}
	case *rbacv3.Principal_DirectRemoteIp:
		return block(policy.PeerAddress, id.DirectRemoteIp)
	case *rbacv3.Principal_RemoteIp:
		if !r.oddClient {
			return block(policy.ClientAddress, id.RemoteIp)
		}
	case *rbacv3.Principal_Header:
		return header(id.Header)
	case *rbacv3.Principal_UrlPath:
		return text(policy.Test{Attribute: policy.URLPath}, id.UrlPath.GetPath())
	case *rbacv3.Principal_Metadata:
		return r.metadata(id.Metadata)
	}
	return unread()
}

// text completes a test with what its text must be.
func text(t policy.Test, m *matcherv3.StringMatcher) policy.Expr {
	match, ok := stringMatch(m)
	if !ok {
		return unread()
	}
	t.String = match
	return is(t)
}

// stringMatch is false for what is not understood.
func stringMatch(m *matcherv3.StringMatcher) (policy.StringMatch, bool) {
	s := policy.StringMatch{IgnoreCase: m.GetIgnoreCase()}
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		s.Form, s.Value = policy.Exact, p.Exact
	case *matcherv3.StringMatcher_Prefix:
		s.Form, s.Value = policy.Prefix, p.Prefix
	case *matcherv3.StringMatcher_Suffix:
		s.Form, s.Value = policy.Suffix, p.Suffix
	case *matcherv3.StringMatcher_Contains:
		if s.IgnoreCase {
			return s, false
		}
		match, err := policy.RegexMatch("(?s:.*)" + regexp.QuoteMeta(p.Contains) + "(?s:.*)")
		return match, err == nil
	case *matcherv3.StringMatcher_SafeRegex: // has no use for ignore_case
		match, err := policy.RegexMatch(p.SafeRegex.GetRegex())
		return match, err == nil
	default:
		return s, false
	}
	if s.IgnoreCase {
		s.Value = strings.ToLower(s.Value)
	}
	return s, true
}

func header(h *routev3.HeaderMatcher) policy.Expr {
	t := policy.Test{Attribute: policy.HeaderLine, Name: strings.ToLower(h.GetName()), Written: h.GetName()}
	if h.GetInvertMatch() || h.GetTreatMissingHeaderAsEmpty() {
		return unread()
	}
	switch m := h.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_StringMatch:
		return text(t, m.StringMatch)
	case *routev3.HeaderMatcher_PresentMatch:
		if m.PresentMatch {
			t.String.Form = policy.Present
			return is(t)
		}
	}
	return unread()
}

func block(a policy.Attribute, c *corev3.CidrRange) policy.Expr {
	address, err := netip.ParseAddr(c.GetAddressPrefix())
	if err != nil {
		return unread()
	}
	prefix := netip.PrefixFrom(address, int(c.GetPrefixLen().GetValue()))
	if !prefix.IsValid() {
		return unread()
	}
	return is(policy.Test{Attribute: a, CIDR: prefix})
}

// metadata reads what a token must have. That of other filters is never there,
// unless one of that name is on the chain.
func (r *matcherReader) metadata(m *matcherv3.MetadataMatcher) policy.Expr {
	var keys []string
	for _, s := range m.GetPath() {
		keys = append(keys, s.GetKey())
	}
	t := policy.Test{Attribute: policy.TokenClaim}
	switch {
	case m.GetInvert() || slices.Contains(keys, ""):
		return unread()
	case m.GetFilter() == jwtFilter && len(keys) > 1 && keys[0] == "payload":
		t.Keys = keys[1:]
	case m.GetFilter() == jwtFilter || slices.Contains(r.filters, m.GetFilter()):
		return unread()
	default:
		t.Attribute, t.Name, t.Keys = policy.FilterMetadata, m.GetFilter(), keys
	}
	return value(t, m.GetValue())
}

// value reads the forms in which istiod asks for texts, and for lists with them.
func value(t policy.Test, v *matcherv3.ValueMatcher) policy.Expr {
	switch p := v.GetMatchPattern().(type) {
	case *matcherv3.ValueMatcher_StringMatch:
		t.Whole = t.Attribute == policy.TokenClaim
		return text(t, p.StringMatch)
	case *matcherv3.ValueMatcher_ListMatch:
		if t.Attribute == policy.FilterMetadata {
			t.List = true
			return texts(t, p.ListMatch.GetOneOf())
		}
	case *matcherv3.ValueMatcher_OrMatch:
		all := p.OrMatch.GetValueMatchers()
		if len(all) == 2 && t.Attribute == policy.TokenClaim {
			if list := all[0].GetListMatch().GetOneOf(); list != nil && slices.Equal(valueWords(list), valueWords(all[1])) {
				return texts(t, all[1])
			}
		}
		return policy.Expr{Op: policy.One, Kids: exprs(all, func(v *matcherv3.ValueMatcher) policy.Expr { return value(t, v) })}
	}
	return unread()
}

// texts are alternatives of one value.
func texts(t policy.Test, v *matcherv3.ValueMatcher) policy.Expr {
	switch p := v.GetMatchPattern().(type) {
	case *matcherv3.ValueMatcher_StringMatch:
		return text(t, p.StringMatch)
	case *matcherv3.ValueMatcher_OrMatch:
		return policy.Expr{Op: policy.One, Kids: exprs(p.OrMatch.GetValueMatchers(), func(v *matcherv3.ValueMatcher) policy.Expr { return texts(t, v) })}
	}
	return unread()
}
