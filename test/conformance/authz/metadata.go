package authz

import (
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// readMetadata matches what another filter wrote: here that is the payload of
// a token.
func readMetadata(m *matcherv3.MetadataMatcher) (*leaf, error) {
	if m.GetInvert() {
		return nil, unknown(m)
	}
	v, err := readValue(m.GetValue())
	if err != nil {
		return nil, err
	}
	keys := pathOf(m)
	holds := func(a *attributes) bool { return v.holds(lookUp(a.metadata(m.GetFilter()), keys)) }
	if m.GetFilter() != jwtFilter || len(keys) < 2 || keys[0] != "payload" {
		return &leaf{holds: holds, dark: true}, nil
	}
	return claimLeaf(keys[1:], v.scalars, v.items, holds), nil
}

func pathOf(m *matcherv3.MetadataMatcher) []string {
	var keys []string
	for _, segment := range m.GetPath() {
		keys = append(keys, segment.GetKey())
	}
	return keys
}

// lookUp follows keys into nested values; nil is nothing there.
func lookUp(fields map[string]any, keys []string) any {
	var at any = fields
	for _, key := range keys {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[key]
	}
	return at
}

// value is a matcher of metadata, and texts that it is about: alone, or as
// items of a list.
type value struct {
	holds          func(any) bool
	scalars, items []string
}

func readValue(m *matcherv3.ValueMatcher) (value, error) {
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.ValueMatcher_StringMatch:
		t, err := readText(p.StringMatch)
		holds := func(v any) bool { s, ok := v.(string); return ok && t.holds(s) }
		return value{holds: holds, scalars: t.samples}, err
	case *matcherv3.ValueMatcher_ListMatch:
		item, err := readValue(p.ListMatch.GetOneOf())
		holds := func(v any) bool {
			list, _ := v.([]any)
			for _, one := range list {
				if item.holds(one) {
					return true
				}
			}
			return false
		}
		return value{holds: holds, items: item.scalars}, err
	case *matcherv3.ValueMatcher_OrMatch:
		return readAlternatives(p.OrMatch.GetValueMatchers())
	}
	return value{}, unknown(m)
}

func readAlternatives(matchers []*matcherv3.ValueMatcher) (value, error) {
	var v value
	var kids []value
	for _, m := range matchers {
		kid, err := readValue(m)
		if err != nil {
			return v, err
		}
		kids = append(kids, kid)
		v.scalars, v.items = append(v.scalars, kid.scalars...), append(v.items, kid.items...)
	}
	v.holds = func(x any) bool {
		for _, kid := range kids {
			if kid.holds(x) {
				return true
			}
		}
		return false
	}
	return v, nil
}
