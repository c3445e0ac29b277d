package diff

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// renameable are the kinds of parts whose key is a name that can change while
// they stay what they are. A chain goes by its match and a JWT provider by its
// issuer: another one is another part.
func renameable(kind string) bool {
	return slices.Contains([]string{
		"rule", "shadow rule", "cluster", "routes", "virtual host", "route", "filter", "transport socket", "extension", "endpoints",
		"inbound listener", "outbound listener", "listener",
	}, kind)
}

// renames pairs parts that are gone with those that are new and hold the same: by
// the old key, the new one. What is not the only one of its kind with its content
// is left alone.
func renames(before, after map[string]*item) map[string]string {
	gone, added := byContent(before, after), byContent(after, before)
	pairs := map[string]string{}
	for content, olds := range gone {
		if news := added[content]; len(olds) == 1 && len(news) == 1 && sameAuthorizer(olds[0], news[0]) {
			pairs[olds[0]] = news[0]
		}
	}
	return pairs
}

// byContent are the keys of parts that the others do not have.
func byContent(all, others map[string]*item) map[string][]string {
	found := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if it := all[key]; others[key] == nil && renameable(it.kind) {
			content := it.kind + it.content()
			found[content] = append(found[content], key)
		}
	}
	return found
}

// sameAuthorizer is false for rules of a CUSTOM action of two authorizers, whom
// their ids name (EC-81).
func sameAuthorizer(a, b string) bool {
	return authorizer(a) == authorizer(b)
}

// authorizer is the one in the key or id of a rule, "" for none.
func authorizer(key string) string {
	_, name, found := strings.Cut(key, "istio-ext-authz-")
	if at := strings.LastIndex(name, "-ns["); found && at >= 0 {
		return name[:at]
	}
	return name
}

// content is all that an item holds but its name, and that by which traces call
// it.
func (it *item) content() string {
	var text strings.Builder
	for _, at := range slices.Sorted(maps.Keys(it.fields)) {
		if at != "name" && at != "clusterName" && at != "decorator.operation" {
			text.WriteString(strconv.Quote(at) + "=" + strconv.Quote(it.fields[at].exact) + ";")
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(it.order)) {
		text.WriteString(strconv.Quote(kind) + "<" + strconv.Quote(strings.Join(it.order[kind], "\x00")) + ";")
	}
	for _, k := range slices.Sorted(maps.Keys(it.kids)) {
		text.WriteString(strconv.Quote(k) + "{" + it.kids[k].content() + "}")
	}
	return text.String()
}

// renamed is the change of a part that is called another name.
func renamed(before, after *item, above []string) Change {
	return Change{Op: Renamed, Kind: after.kind, Key: append(slices.Clone(above), after.String()), Fields: []Field{{"name", before.key, after.key}}}
}

// renameTag is what another name does. Others lead to clusters, routes and
// extensions by name, and routes change filters by name.
func renameTag(c *Change, inbound bool) Tag {
	switch c.Kind {
	case "cluster", "routes", "endpoints":
		return Routing
	case "filter", "extension":
		if inbound {
			return Looser
		}
		return Routing
	}
	return Cosmetic
}
