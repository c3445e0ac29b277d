package envoy

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/policy"
)

// routeMatch renders what a route looks for; nil takes all (EC-113).
func routeMatch(m *networking.HTTPMatchRequest) *routev3.RouteMatch {
	out := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
	if m == nil {
		return out
	}
	addHeaders(out, m.Headers, false)
	addHeaders(out, m.WithoutHeaders, true)
	slices.SortStableFunc(out.Headers, func(a, b *routev3.HeaderMatcher) int { return strings.Compare(a.Name, b.Name) })
	switch uri := m.GetUri().GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: uri.Exact}
	case *networking.StringMatch_Prefix:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: uri.Prefix}
	case *networking.StringMatch_Regex:
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: uri.Regex}}
	}
	out.CaseSensitive = wrapperspb.Bool(!m.IgnoreUriCase)
	for _, pseudo := range []struct {
		name  string
		match *networking.StringMatch
	}{{":method", m.Method}, {":authority", m.Authority}, {":scheme", m.Scheme}} {
		if pseudo.match != nil {
			out.Headers = append(out.Headers, headerMatch(pseudo.name, pseudo.match))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.QueryParams)) {
		out.QueryParameters = append(out.QueryParameters, queryMatch(name, m.QueryParams[name]))
	}
	return out
}

// addHeaders renders conditions on headers, or that they are not met. Names of
// a certain form mean claims of a token.
func addHeaders(out *routev3.RouteMatch, headers map[string]*networking.StringMatch, inverted bool) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		m := headers[name]
		if claims, ok := claimPath(name); ok {
			match := metadataMatcher(&policy.Test{Attribute: policy.TokenClaim, Keys: claims}, []policy.StringMatch{textMatch(m)})
			match.Invert = inverted
			out.DynamicMetadata = append(out.DynamicMetadata, match)
			continue
		}
		match := headerMatch(name, m)
		match.InvertMatch = inverted
		match.TreatMissingHeaderAsEmpty = inverted && !isThere(m)
		out.Headers = append(out.Headers, match)
	}
}

// claimPath reads "@request.auth.claims.a.b" or "@request.auth.claims[a][b]".
func claimPath(name string) (claims []string, ok bool) {
	const prefix = "@request.auth.claims"
	if len(name) < len(prefix)+2 || !strings.EqualFold(name[:len(prefix)], prefix) {
		return nil, false
	}
	rest := name[len(prefix):]
	switch {
	case rest[0] == '.':
		return strings.Split(rest[1:], "."), true
	case rest[0] == '[' && strings.HasSuffix(rest, "]") && len(rest) > 2:
		return strings.Split(rest[1:len(rest)-1], "]["), true
	}
	return nil, false
}

// isThere tells a condition that any value meets.
func isThere(m *networking.StringMatch) bool {
	return m.GetMatchType() == nil || m.GetRegex() == "*"
}

func textMatch(m *networking.StringMatch) policy.StringMatch {
	switch t := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return policy.StringMatch{Form: policy.Exact, Value: t.Exact}
	case *networking.StringMatch_Prefix:
		return policy.StringMatch{Form: policy.Prefix, Value: t.Prefix}
	case *networking.StringMatch_Regex:
		if !isThere(m) {
			return policy.StringMatch{Form: policy.Regex, Value: t.Regex}
		}
	}
	return policy.StringMatch{Form: policy.NonEmpty}
}

func headerMatch(name string, m *networking.StringMatch) *routev3.HeaderMatcher {
	h := &routev3.HeaderMatcher{Name: name, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}
	if !isThere(m) {
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: stringMatcher(textMatch(m))}
	}
	return h
}

func queryMatch(name string, m *networking.StringMatch) *routev3.QueryParameterMatcher {
	q := &routev3.QueryParameterMatcher{Name: name, QueryParameterMatchSpecifier: &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: true}}
	if !isThere(m) {
		q.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: stringMatcher(textMatch(m))}
	}
	return q
}

// hostOf reads the host and port of an outbound cluster's name.
func hostOf(cluster string) (host string, port uint32, ok bool) {
	parts := strings.Split(cluster, "|")
	if len(parts) != 4 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(parts[1], 10, 32)
	return parts[3], uint32(n), err == nil
}
