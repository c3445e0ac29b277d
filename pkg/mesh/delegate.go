package mesh

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
)

// delegatedMatches are the conditions of a delegate within those of its root.
// Each must fit into some condition of the root; otherwise the route is left
// out.
func delegatedMatches(root, delegate []*networking.HTTPMatchRequest) (matches []*networking.HTTPMatchRequest, fit bool) {
	if len(root) == 0 {
		return delegate, true
	}
	if len(delegate) == 0 {
		return root, true
	}
	for _, own := range delegate {
		fits := false
		for _, outer := range root {
			if !contradict(outer, own) {
				matches, fits = append(matches, delegatedMatch(outer, own)), true
			}
		}
		if !fits {
			return nil, false
		}
	}
	return matches, true
}

// delegatedMatch adds what a root asks for to what its delegate does.
func delegatedMatch(root, delegate *networking.HTTPMatchRequest) *networking.HTTPMatchRequest {
	own := proto.Clone(delegate).(*networking.HTTPMatchRequest)
	merged := proto.Clone(root).(*networking.HTTPMatchRequest)
	own.Name = joinNames(root.Name, delegate.Name)
	own.Headers = union(root.Headers, delegate.Headers)
	own.WithoutHeaders = union(root.WithoutHeaders, delegate.WithoutHeaders)
	own.QueryParams = union(root.QueryParams, delegate.QueryParams)
	own.SourceLabels = union(root.SourceLabels, delegate.SourceLabels)
	to, from := merged.ProtoReflect(), own.ProtoReflect()
	for i := range from.Descriptor().Fields().Len() {
		if field := from.Descriptor().Fields().Get(i); from.Has(field) {
			to.Set(field, from.Get(field))
		}
	}
	return merged
}

func union[V any](a, b map[string]V) map[string]V {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := map[string]V{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

// contradict tells whether a delegate's condition does not lie within its
// root's.
func contradict(root, delegate *networking.HTTPMatchRequest) bool {
	outside := func(pairs ...[2]*networking.StringMatch) bool {
		return slices.ContainsFunc(pairs, func(p [2]*networking.StringMatch) bool { return textContradicts(p[0], p[1]) })
	}
	if outside(
		[2]*networking.StringMatch{root.Uri, delegate.Uri}, [2]*networking.StringMatch{root.Scheme, delegate.Scheme},
		[2]*networking.StringMatch{root.Method, delegate.Method}, [2]*networking.StringMatch{root.Authority, delegate.Authority},
	) || anyOutside(root.Headers, delegate.Headers) || anyOutside(root.WithoutHeaders, delegate.WithoutHeaders) || anyOutside(root.QueryParams, delegate.QueryParams) {
		return true
	}
	for key, value := range delegate.SourceLabels {
		if outer, ok := root.SourceLabels[key]; ok && outer != value {
			return true
		}
	}
	otherGateway := func(name string) bool { return !slices.Contains(root.Gateways, name) }
	return root.IgnoreUriCase != delegate.IgnoreUriCase ||
		root.Port > 0 && delegate.Port > 0 && root.Port != delegate.Port ||
		root.SourceNamespace != "" && delegate.SourceNamespace != root.SourceNamespace ||
		len(root.Gateways) > 0 && slices.ContainsFunc(delegate.Gateways, otherGateway)
}

func anyOutside(root, delegate map[string]*networking.StringMatch) bool {
	for key, own := range delegate {
		if textContradicts(root[key], own) {
			return true
		}
	}
	return false
}

// textContradicts compares conditions on one text. Expressions cannot be
// compared; beside one nothing else may stand.
func textContradicts(root, delegate *networking.StringMatch) bool {
	if root == nil || delegate == nil {
		return false
	}
	if root.GetRegex() != "" || delegate.GetRegex() != "" {
		return root.MatchType != nil && delegate.MatchType != nil
	}
	own := delegate.GetExact() + delegate.GetPrefix()
	if exact := root.GetExact(); exact != "" {
		return delegate.GetExact() != exact
	}
	return root.GetPrefix() == "" || own == "" || !strings.HasPrefix(own, root.GetPrefix())
}
