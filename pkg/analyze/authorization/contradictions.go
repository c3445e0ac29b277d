package authorization

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// contradictions finds rules that ask for two things that cannot both hold.
func contradictions(p *analyze.Pass) {
	for _, r := range policies(p.Inventory) {
		byGroup := map[string][]field{}
		for _, f := range fields(r) {
			beside := byGroup[f.group]
			byGroup[f.group] = append(beside, f)
			for _, other := range beside {
				tellContradiction(p, r, other, f)
			}
		}
	}
}

// tellContradiction reports two fields of which both must hold (AP-16, AP-19).
func tellContradiction(p *analyze.Pass, r *mesh.AuthorizationPolicy, one, two field) {
	if one.not {
		one, two = two, one
	}
	switch {
	case one.not:
	case two.not && two.name == one.name && covers(two, one.values):
		p.Report(r.Object, one.path, "everything that %s asks for is taken out by %s: %s never matches", one.name, two.path[len(two.path)-1], one.owner())
	case !two.not && two.name == one.name && one.isSingle() && disjoint(one, two):
		p.Report(r.Object, two.path, "no %s is among both %s and %s, and both conditions must hold: %s never matches", one.name, strings.Join(one.values, ", "), strings.Join(two.values, ", "), one.owner())
	case two.name == "principals" && one.name == "namespaces" && !two.not:
		tellNamespaces(p, r, two, one)
	case one.name == "principals" && two.name == "namespaces":
		tellNamespaces(p, r, one, two)
	}
}

// tellNamespaces reports principals none of which is of the namespaces that are
// asked for.
func tellNamespaces(p *analyze.Pass, r *mesh.AuthorizationPolicy, principals, namespaces field) {
	possible := slices.ContainsFunc(principals.values, func(principal string) bool {
		namespace := namespaceOf(principal)
		return namespace == "" || namespaces.not != slices.ContainsFunc(namespaces.values, func(n string) bool { return matchesNamespace(n, namespace) })
	})
	if !possible {
		p.Report(r.Object, principals.path, "no principal here is of a namespace that the source %s (%s), and both must hold: %s never matches", leaves(namespaces.not), strings.Join(namespaces.values, ", "), principals.owner())
	}
}

// matchesNamespace compares with a value in which every star stands for any text
// (AP-31).
func matchesNamespace(pattern, namespace string) bool {
	matched, err := path.Match(pattern, namespace)
	return err == nil && matched
}

// leaves says what a list of namespaces does.
func leaves(not bool) string {
	if not {
		return "does not exclude"
	}
	return "asks for"
}

// namespaceOf is the namespace that a principal names; "" if it names none, or a
// pattern of them.
func namespaceOf(principal string) string {
	_, rest, _ := strings.Cut(principal, "/ns/")
	namespace, _, whole := strings.Cut(rest, "/")
	if !whole || strings.Contains(namespace, "*") {
		return ""
	}
	return namespace
}

// owner is what never matches if a field does not.
func (f field) owner() string {
	switch f.path[3] {
	case "from":
		return "this source"
	case "to":
		return "this operation"
	}
	return "the rule"
}

// isSingle tells a condition on what a request has one of. Headers come in
// several lines, and claims in lists.
func (f field) isSingle() bool {
	switch f.name {
	case "source.namespace", "source.ip", "remote.ip", "destination.ip", "destination.port", "connection.sni":
		return true
	}
	return false
}

// isAddress tells a field of addresses and blocks of them.
func (f field) isAddress() bool {
	return f.name == "ipBlocks" || f.name == "remoteIpBlocks" || strings.HasSuffix(f.name, ".ip")
}

// covers tells whether a field matches all that values do.
func covers(f field, values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool {
		return !slices.ContainsFunc(f.values, func(pattern string) bool { return f.includes(pattern, v) })
	})
}

// disjoint tells whether nothing matches both of two fields of one name.
func disjoint(one, two field) bool {
	return !slices.ContainsFunc(one.values, func(a string) bool {
		return slices.ContainsFunc(two.values, func(b string) bool {
			return one.includes(a, b) || one.includes(b, a) || isPattern(a) && isPattern(b) || hasPlainStar(a) || hasPlainStar(b)
		})
	})
}

// includes tells whether all that a value matches is matched by a pattern of the
// same field. It says no where that is not plain to see.
func (f field) includes(pattern, value string) bool {
	if f.isAddress() {
		outer, ok := block(pattern)
		inner, also := block(value)
		return ok && also && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
	}
	if f.name == "hosts" {
		pattern, value = strings.ToLower(pattern), strings.ToLower(value) // AP-43
	}
	switch {
	case pattern == value || pattern == "*":
		return true
	case value == "*" || value == "":
		return false
	case strings.HasPrefix(pattern, "*"):
		return !strings.HasSuffix(value, "*") && strings.HasSuffix(strings.TrimPrefix(value, "*"), pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return !strings.HasPrefix(value, "*") && strings.HasPrefix(strings.TrimSuffix(value, "*"), strings.TrimSuffix(pattern, "*"))
	}
	return false
}

// block reads an address or a block of them.
func block(text string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix, err == nil
}
