package envoy

import (
	"net/netip"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	uritemplate "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshctl/meshctl/pkg/policy"
)

// jwtFilter is the filter whose metadata holds a token's payload (RA-16).
const jwtFilter = "envoy.filters.http.jwt_authn"

// permissionTest renders a matcher of what is asked for (EC-75).
func permissionTest(t *policy.Test) *rbacv3.Permission {
	switch t.Attribute {
	case policy.HeaderLine:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: headerMatcher(t)}}
	case policy.URLPath:
		return pathPermission(t)
	case policy.LocalPort:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_DestinationPort{DestinationPort: t.Port}}
	case policy.LocalAddress:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_DestinationIp{DestinationIp: cidr(t.CIDR)}}
	case policy.ServerName:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_RequestedServerName{RequestedServerName: stringMatcher(t.String)}}
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_Metadata{Metadata: metadataMatcher(t, []policy.StringMatch{t.String})}}
}

func pathPermission(t *policy.Test) *rbacv3.Permission {
	if t.String.Form != policy.Template {
		path := &matcherv3.PathMatcher{Rule: &matcherv3.PathMatcher_Path{Path: stringMatcher(t.String)}}
		return &rbacv3.Permission{Rule: &rbacv3.Permission_UrlPath{UrlPath: path}}
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_UriTemplate{UriTemplate: &corev3.TypedExtensionConfig{
		Name:        "uri-template",
		TypedConfig: packed(&uritemplate.UriTemplateMatchConfig{PathTemplate: policy.EnvoyTemplate(t.String.Value)}),
	}}}
}

// principalTest renders a matcher of who asks (EC-75).
func principalTest(t *policy.Test) *rbacv3.Principal {
	switch t.Attribute {
	case policy.PeerIdentity:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{Authenticated: &rbacv3.Principal_Authenticated{PrincipalName: stringMatcher(t.String)}}}
	case policy.PeerAddress:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_DirectRemoteIp{DirectRemoteIp: cidr(t.CIDR)}}
	case policy.ClientAddress:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_RemoteIp{RemoteIp: cidr(t.CIDR)}}
	case policy.HeaderLine:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_Header{Header: headerMatcher(t)}}
	}
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_Metadata{Metadata: metadataMatcher(t, []policy.StringMatch{t.String})}}
}

// oneMetadata renders alternatives of one claim or of one filter's metadata:
// they are told apart within the value (CF-4). Issuer and subject of request
// principals are not such.
func oneMetadata(e *policy.Expr) (*matcherv3.MetadataMatcher, bool) {
	if e.Op != policy.One || len(e.Kids) == 0 {
		return nil, false
	}
	first := &e.Kids[0].Test
	var matches []policy.StringMatch
	for i := range e.Kids {
		kid := &e.Kids[i]
		if kid.Op != policy.Is || kid.Test.Attribute != policy.TokenClaim && kid.Test.Attribute != policy.FilterMetadata || !slices.Equal(kid.Test.Keys, first.Keys) {
			return nil, false
		}
		matches = append(matches, kid.Test.String)
	}
	return metadataMatcher(first, matches), true
}

// metadataMatcher looks for a text, or for a text of a list (AP-39, AP-56).
func metadataMatcher(t *policy.Test, matches []policy.StringMatch) *matcherv3.MetadataMatcher {
	m := &matcherv3.MetadataMatcher{Filter: jwtFilter}
	keys := t.Keys
	if t.Attribute == policy.FilterMetadata {
		m.Filter = t.Name
	} else {
		keys = append([]string{"payload"}, keys...)
	}
	for _, key := range keys {
		m.Path = append(m.Path, &matcherv3.MetadataMatcher_PathSegment{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: key}})
	}
	var values []*matcherv3.ValueMatcher
	for _, match := range matches {
		values = append(values, &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: stringMatcher(match)}})
	}
	value := anyValue(values)
	inList := &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_ListMatch{ListMatch: &matcherv3.ListMatcher{MatchPattern: &matcherv3.ListMatcher_OneOf{OneOf: value}}}}
	switch {
	case t.Attribute == policy.FilterMetadata && t.List:
		m.Value = inList
	case t.Attribute == policy.FilterMetadata || t.Whole:
		m.Value = value
	default:
		m.Value = anyValue([]*matcherv3.ValueMatcher{inList, value})
	}
	return m
}

func anyValue(values []*matcherv3.ValueMatcher) *matcherv3.ValueMatcher {
	if len(values) == 1 {
		return values[0]
	}
	return &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_OrMatch{OrMatch: &matcherv3.OrMatcher{ValueMatchers: values}}}
}

// stringMatcher renders one of the forms of text (AP-21..AP-24).
func stringMatcher(m policy.StringMatch) *matcherv3.StringMatcher {
	s := &matcherv3.StringMatcher{IgnoreCase: m.IgnoreCase}
	switch m.Form {
	case policy.Exact:
		s.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: m.Value}
	case policy.Prefix:
		s.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: m.Value}
	case policy.Suffix:
		s.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: m.Value}
	case policy.NonEmpty:
		s.MatchPattern = safeRegex(".+")
	default:
		s.MatchPattern = safeRegex(m.Value)
	}
	return s
}

func safeRegex(pattern string) *matcherv3.StringMatcher_SafeRegex {
	return &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: pattern}}
}

// headerMatcher looks at a header; a lone star wants it to be there (CF-8).
func headerMatcher(t *policy.Test) *routev3.HeaderMatcher {
	h := &routev3.HeaderMatcher{Name: t.Name}
	if t.String.Form == policy.Present {
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}
	} else {
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: stringMatcher(t.String)}
	}
	return h
}

func cidr(p netip.Prefix) *corev3.CidrRange {
	return &corev3.CidrRange{AddressPrefix: p.Addr().String(), PrefixLen: wrapperspb.UInt32(uint32(p.Bits()))} //nolint:gosec // 0..128
}
