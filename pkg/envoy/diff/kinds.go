package diff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// kindWords say what a port takes.
func kindWords(kinds map[string]string) string {
	if len(kinds) == 0 {
		return "nothing"
	}
	return strings.Join(slices.Sorted(maps.Keys(kinds)), " or ")
}

func kindTopic(port uint32) string { return fmt.Sprintf("kind %d", port) }

// kinds tells of ports on which what comes is seen as something else, since a
// Service declares them otherwise, or does so no longer.
func (n *narrator) kinds(before, after *summary) {
	for _, port := range ports(before, after) {
		_, had := before.modes[port]
		_, has := after.modes[port]
		old, now := kindWords(before.kindsOf(port)), kindWords(after.kindsOf(port))
		if old == now && had == has || port == 0 && had != has || after.mode(port) == "" || before.mode(port) == "" {
			continue
		}
		if n.about(kindTopic(port)); !after.blind {
			n.about(kindTopic(port), "inspectors")
		}
		where := fmt.Sprintf("inbound :%d of %s", port, n.name)
		if port == 0 {
			where = "what comes to other inbound ports of " + n.name
		}
		cause := n.portCause()
		switch {
		case had && has:
			n.say(Looser, cause, "%s is now taken as %s (was %s)", where, now, old)
		case has:
			n.say(Looser, cause, "%s is now a declared port, and taken as %s (was %s)", where, now, old)
		default:
			n.say(Looser, cause, "%s is no longer a declared port, and taken as %s (was %s)", where, now, old)
		}
	}
}

// portCause is the object that declares ports of the workload otherwise.
func (n *narrator) portCause() *policy.Cause {
	return n.originOf(&Change{Op: Changed, Kind: "chain", Key: []string{"inbound listener virtualInbound"}})
}

// portOf is the port of the chain that a change is of, or in; 0 for all others.
func (n *narrator) portOf(c *Change) uint32 {
	for _, key := range c.Key {
		if port, ok := chainPort(key); ok {
			return cmp.Or(port, n.own[c.Key[0]])
		}
	}
	return n.own[c.Key[0]]
}

// partOfKind tells whether a change is of what a chain has for the kind of traffic
// alone, where lines say that this is another.
func (n *narrator) partOfKind(c *Change, own string, only func(func(string) bool) bool) bool {
	if len(c.Key) < 2 || !strings.HasPrefix(c.Key[0], "inbound listener ") || len(n.said[kindTopic(n.portOf(c))]) == 0 {
		return false
	}
	if c.Kind == "chain" {
		return c.Op == Changed && only(func(p string) bool { return strings.HasSuffix(p, "alpnProtocols") })
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(own, "filter "), " ")
	return c.Kind == "filter" && c.Op != Changed && slices.Contains([]string{
		"envoy.filters.network.http_connection_manager", "envoy.filters.network.tcp_proxy", "envoy.filters.network.rbac",
	}, name)
}

// isServers tells whether a field says who a server may be.
func isServers(path string) bool {
	return strings.HasSuffix(path, "alidationContext") || strings.HasSuffix(path, "alidationContext.matchSubjectAltNames")
}

func serversTopic(c *Change) string { return "servers of " + c.Key[0] }

// servers tells whose certificates are taken from those who are called.
func (n *narrator) servers(changes []Change) {
	for i := range changes {
		c := &changes[i]
		name, ok := strings.CutPrefix(c.Key[0], "cluster ")
		if !ok || c.Op != Changed || slices.ContainsFunc(c.Fields, func(f Field) bool { return !isServers(f.Path) }) {
			continue
		}
		at := slices.IndexFunc(c.Fields, func(f Field) bool { return strings.HasSuffix(f.Path, "matchSubjectAltNames") })
		n.about(serversTopic(c))
		if at < 0 || len(n.said[serversTopic(c)]) > 0 {
			continue
		}
		f := c.Fields[at]
		n.say(setTag(f), n.originOf(c), "%s takes %s at %s (was %s)", n.name, serverWords(f.After), clusterWords(name), serverWords(f.Before))
	}
}

// serverWords are names of a certificate's list.
func serverWords(list string) string {
	var names []string
	for _, text := range elements(list) {
		for _, form := range []string{`{"exact":"`, `{"prefix":"`, `{"suffix":"`} {
			if rest, ok := strings.CutPrefix(text, form); ok {
				text = strings.TrimSuffix(rest, `"}`)
			}
		}
		names = append(names, text)
	}
	if names == nil {
		return "any server of the mesh"
	}
	return strings.Join(names, " or ")
}
