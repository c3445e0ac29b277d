package routing

import (
	"slices"
	"strings"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// coversHTTP tells whether a match takes all requests that another one does.
// gateways are those of the VirtualService.
func coversHTTP(a, b *api.HTTPMatchRequest, gateways []string) bool {
	return coversURI(a, b) && coversString(a.Scheme, b.Scheme) && coversString(a.Method, b.Method) && coversString(a.Authority, b.Authority) &&
		coversStrings(a.Headers, b.Headers) && coversStrings(a.QueryParams, b.QueryParams) && coversWithout(a.WithoutHeaders, b.WithoutHeaders) &&
		coversPort(a.Port, b.Port) && coversSource(a, b, gateways)
}

func coversTLS(a, b *api.TLSMatchAttributes, gateways []string) bool {
	return (len(a.SniHosts) == 0 || len(b.SniHosts) > 0) && coversAll(a.SniHosts, b.SniHosts, mesh.HostCovers) && coversSubnets(a.DestinationSubnets, b.DestinationSubnets) &&
		coversPort(a.Port, b.Port) && coversSource(a, b, gateways)
}

func coversL4(a, b *api.L4MatchAttributes, gateways []string) bool {
	return coversSubnets(a.DestinationSubnets, b.DestinationSubnets) && (a.SourceSubnet == "" || a.SourceSubnet == b.SourceSubnet) &&
		coversPort(a.Port, b.Port) && coversSource(a, b, gateways)
}

func coversPort(a, b uint32) bool { return a == 0 || a == b }

// source is what all kinds of matches say of the client.
type source interface {
	GetSourceLabels() map[string]string
	GetSourceNamespace() string
	GetGateways() []string
}

func coversSource(a, b source, gateways []string) bool {
	in := func(m source) []string {
		if own := m.GetGateways(); len(own) > 0 {
			return own
		}
		return gateways
	}
	return mesh.Selects(a.GetSourceLabels(), b.GetSourceLabels()) &&
		(a.GetSourceNamespace() == "" || a.GetSourceNamespace() == b.GetSourceNamespace()) &&
		coversAll(in(a), in(b), func(x, y string) bool { return x == y })
}

// coversAll tells whether each of b is covered by one of a.
func coversAll(a, b []string, covers func(x, y string) bool) bool {
	return !slices.ContainsFunc(b, func(y string) bool {
		return len(a) > 0 && !slices.ContainsFunc(a, func(x string) bool { return covers(x, y) })
	})
}

func coversSubnets(a, b []string) bool {
	return len(a) == 0 || len(b) > 0 && coversAll(a, b, func(x, y string) bool { return x == y })
}

func coversURI(a, b *api.HTTPMatchRequest) bool {
	x, y := a.Uri, b.Uri
	switch {
	case x == nil || x.GetPrefix() == "/" || x.GetRegex() == ".*" || x.GetRegex() == "/.*":
		return true // every path begins with a slash
	case b.IgnoreUriCase && !a.IgnoreUriCase:
		return false
	case a.IgnoreUriCase:
		x, y = lowered(x), lowered(y)
	}
	return coversString(x, y)
}

func lowered(m *api.StringMatch) *api.StringMatch {
	switch t := m.GetMatchType().(type) {
	case *api.StringMatch_Exact:
		return &api.StringMatch{MatchType: &api.StringMatch_Exact{Exact: strings.ToLower(t.Exact)}}
	case *api.StringMatch_Prefix:
		return &api.StringMatch{MatchType: &api.StringMatch_Prefix{Prefix: strings.ToLower(t.Prefix)}}
	}
	return m
}

// coversString tells whether all values that fit a match fit another one, too.
// No match fits all, a match without a value those that are there.
func coversString(a, b *api.StringMatch) bool {
	if a == nil {
		return true
	}
	if b == nil {
		return false
	}
	switch t := a.MatchType.(type) {
	case nil:
		return true
	case *api.StringMatch_Exact:
		exact, ok := b.MatchType.(*api.StringMatch_Exact)
		return ok && exact.Exact == t.Exact
	case *api.StringMatch_Prefix:
		switch u := b.MatchType.(type) {
		case *api.StringMatch_Exact:
			return strings.HasPrefix(u.Exact, t.Prefix)
		case *api.StringMatch_Prefix:
			return strings.HasPrefix(u.Prefix, t.Prefix)
		}
	case *api.StringMatch_Regex:
		regex, ok := b.MatchType.(*api.StringMatch_Regex)
		return ok && regex.Regex == t.Regex || t.Regex == ".*"
	}
	return false
}

func coversStrings(a, b map[string]*api.StringMatch) bool {
	for key, match := range a {
		other, ok := b[key]
		if !ok || match.GetMatchType() != nil && !coversString(match, other) {
			return false
		}
	}
	return true
}

// coversWithout compares what must not be there: the covering match may ask for
// the absence of less only.
func coversWithout(a, b map[string]*api.StringMatch) bool {
	for key, match := range a {
		other, ok := b[key]
		if !ok || other.GetMatchType() != nil && !coversString(other, match) {
			return false
		}
	}
	return true
}
