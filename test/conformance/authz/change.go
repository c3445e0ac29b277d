package authz

import (
	"maps"
	"net/netip"
	"strings"
	"unicode"
)

// text is a matcher of strings, and some that it matches.
type text struct {
	holds   func(string) bool
	samples []string
}

// textLeaf is a matcher of a string that set puts into a request. absent takes
// it out; nil if it is always there.
func textLeaf(m text, set func(string) change, absent change, holds func(*attributes) bool) *leaf {
	l := &leaf{holds: holds}
	for _, s := range m.samples {
		l.hits = append(l.hits, set(s))
		for _, n := range nearby(s) {
			l.near = append(l.near, set(n))
		}
	}
	if absent != nil {
		l.near = append(l.near, absent)
	}
	return l
}

// nearby are strings that look like one: longer, shorter, in other letters.
func nearby(s string) []string {
	all := []string{s + "x", "x" + s, "x" + s + "x", s + "/x", swapCase(s)}
	if len(s) > 1 {
		all = append(all, s[1:], s[:len(s)-1])
	}
	return all
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

func setIdentity(s string) change { return func(a *attributes) { a.identity = s } }

func setServerName(s string) change { return func(a *attributes) { a.sni = strings.ToLower(s) } }

// setHeader gives a header one line.
func setHeader(name string) func(string) change {
	name = strings.ToLower(name)
	if name == "host" {
		name = ":authority"
	}
	return func(s string) change { return func(a *attributes) { a.headers[name] = []string{s} } }
}

// addHeader adds a line before those that are there.
func addHeader(name string) func(string) change {
	return func(s string) change {
		return func(a *attributes) {
			name := strings.ToLower(name)
			if strings.HasPrefix(name, ":") || name == "host" {
				return // these have one
			}
			a.headers[name] = append([]string{s}, a.headers[name]...)
		}
	}
}

// headerLeaf matches any line of a header.
func headerLeaf(name string, m text) *leaf {
	l := textLeaf(m, setHeader(name), dropHeader(name), func(a *attributes) bool {
		for _, line := range a.lines(name) {
			if m.holds(line) {
				return true
			}
		}
		return false
	})
	for _, s := range m.samples {
		l.hits = append(l.hits, addHeader(name)(s))
	}
	l.near = append(l.near, setHeader(name)(""), setHeader(name)("other"))
	return l
}

// pathLeaf matches the path.
func pathLeaf(m text) *leaf {
	l := textLeaf(m, setPath, nil, func(a *attributes) bool { path, ok := a.path(); return ok && m.holds(path) })
	for _, s := range m.samples {
		l.hits = append(l.hits, setPath(s+"?q=/1"))
	}
	l.near = append(l.near, setPath("/"), setPath("/other"), dropHeader(":path"))
	return l
}

func dropHeader(name string) change {
	return func(a *attributes) { delete(a.headers, strings.ToLower(name)) }
}

func setPath(s string) change {
	return func(a *attributes) { a.headers[":path"] = []string{s} }
}

// setClaim puts a value where the keys lead to, in the payload of a token.
func setClaim(keys []string, value any) change {
	return func(a *attributes) {
		if len(keys) == 0 || !verifiable(keys, value) {
			return
		}
		if a.payload == nil {
			a.payload = map[string]any{}
		}
		at := a.payload
		for _, key := range keys[:len(keys)-1] {
			next, ok := at[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[key] = next
			}
			at = next
		}
		if m, ok := value.(map[string]any); ok {
			value = maps.Clone(m) // another change may write into it
		}
		at[keys[len(keys)-1]] = value
	}
}

// verifiable tells whether a token with such a claim can be good: registered
// claims have their types (RA-5), and the words of scope and permission are
// split (AP-42).
func verifiable(keys []string, value any) bool {
	_, isText := value.(string)
	list, isList := value.([]any)
	switch keys[0] {
	case "iss", "sub", "jti":
		return len(keys) == 1 && isText
	case "exp", "nbf", "iat":
		return false
	case "aud":
		for _, v := range list {
			if _, ok := v.(string); !ok {
				return false
			}
		}
		return len(keys) == 1 && (isText || isList)
	case "scope", "permission":
		return len(keys) > 1 || isList
	}
	return true
}

// claimLeaf is a matcher of a claim: of texts, and of lists of texts.
func claimLeaf(keys, scalars, items []string, holds func(*attributes) bool) *leaf {
	l := &leaf{holds: holds}
	for _, s := range scalars {
		l.hits = append(l.hits, setClaim(keys, s))
		for _, n := range nearby(s) {
			l.near = append(l.near, setClaim(keys, n))
		}
	}
	for _, s := range items {
		l.hits = append(l.hits, setClaim(keys, []any{s}), setClaim(keys, []any{"other", s}))
		l.near = append(l.near, setClaim(keys, []any{s + "x", 7.0}), setClaim(keys, []any{[]any{s}}), setClaim(keys, map[string]any{s: s}))
	}
	l.near = append(l.near, setClaim(keys, 7.0), setClaim(keys, true), setClaim(keys, nil), setClaim(keys, []any{}),
		func(a *attributes) { a.payload = nil })
	return l
}

// blockLeaf is a matcher of an address.
func blockLeaf(block netip.Prefix, set func(netip.Addr) change, get func(*attributes) netip.Addr) *leaf {
	first, last := block.Masked().Addr(), lastOf(block)
	l := &leaf{holds: func(a *attributes) bool { return block.Contains(get(a)) }, hits: []change{set(first), set(last)}}
	for _, outside := range []netip.Addr{first.Prev(), last.Next(), netip.AddrFrom16(first.As16())} {
		if outside.IsValid() {
			l.near = append(l.near, set(outside))
		}
	}
	return l
}

// lastOf is the last address of a block.
func lastOf(block netip.Prefix) netip.Addr {
	bytes := block.Masked().Addr().AsSlice()
	for bit := block.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes) // of the length that it had
	return a
}

func setDirect(p netip.Addr) change {
	return func(a *attributes) {
		if a.remote == a.direct {
			a.remote = p
		}
		a.direct = p
	}
}

func setRemote(p netip.Addr) change {
	return func(a *attributes) {
		if !a.http {
			a.direct = p // there is no other way to say it
		}
		a.remote = p
	}
}

func setLocal(p netip.Addr) change { return func(a *attributes) { a.local = p } }

func direct(a *attributes) netip.Addr { return a.direct }
func remote(a *attributes) netip.Addr { return a.remote }
func local(a *attributes) netip.Addr  { return a.local }

// portLeaf is a matcher of ports, from first to last.
func portLeaf(first, last uint32) *leaf {
	set := func(n uint32) change { return func(a *attributes) { a.port = n } }
	l := &leaf{
		holds: func(a *attributes) bool { return a.port >= first && a.port <= last },
		hits:  []change{set(first), set(last)}, near: []change{set(last + 1), set(10 * last)},
	}
	if first > 0 {
		l.near = append(l.near, set(first-1))
	}
	return l
}
