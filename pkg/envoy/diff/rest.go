package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// rest are the changes that were not told yet, alike ones once.
func (n *narrator) rest(changes []Change) {
	type alike struct{ kind, text, cause string }
	n.topics = nil
	var order []alike
	groups := map[alike][]*Change{}
	for i := range changes {
		c := &changes[i]
		if n.told(c) {
			continue
		}
		c.Cause = n.originOf(c)
		key := alike{kind: c.Kind, text: restWords(c)}
		if c.Cause != nil {
			key.cause = because(c.Cause)
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], c)
	}
	for _, key := range order {
		first := groups[key][0]
		text := key.text
		if more := len(groups[key]); more > 1 {
			text += fmt.Sprintf(" (in %d places)", more)
		} else if len(first.Key) > 1 {
			text += " (" + strings.Join(first.Key[:len(first.Key)-1], " / ") + ")"
		}
		n.say(worst(first.Tags), first.Cause, "%s", text)
	}
}

// originOf is the object that makes a change, nil if that is not known.
func (n *narrator) originOf(c *Change) *policy.Cause {
	if n.origins == nil {
		return nil
	}
	var w *mesh.Workload
	if n.after != nil {
		w = n.after.Workload
	}
	return n.origins.of(c, w)
}

func worst(tags []Tag) Tag {
	for _, t := range []Tag{Looser, Tighter, Routing} {
		if slices.Contains(tags, t) {
			return t
		}
	}
	return Cosmetic
}

// told tells whether a change is in the lines already. What is looser must be in
// one that says so.
func (n *narrator) told(c *Change) bool {
	said := n.said[n.topic(c)]
	return said != nil && (!slices.Contains(c.Tags, Looser) || slices.Contains(said, Looser))
}

// topic is what lines about a change are about, "" if none ever is.
func (n *narrator) topic(c *Change) string {
	if key, ok := changedRuleKey(c); ok {
		return key.topic()
	}
	own := c.Key[len(c.Key)-1]
	only := func(fits func(string) bool) bool {
		return len(c.Fields) > 0 && !slices.ContainsFunc(c.Fields, func(f Field) bool { return !fits(f.Path) })
	}
	socket := func(path string) bool { return strings.HasPrefix(path, "transportSocket") }
	switch {
	case c.Kind == bypassKind:
		return bypassKind
	case c.Kind == "JWT provider" && c.Op != Changed:
		return "issuers"
	case worded(c):
		return providerTopic(c)
	case n.partOfKind(c, own, only):
		return kindTopic(n.portOf(c))
	case c.Kind == "filter":
		return filterTopic(c, own, only)
	case c.Kind == "listener filter" && strings.HasSuffix(own, "_inspector"):
		return "inspectors"
	case c.Kind == "chain" && only(func(p string) bool { return strings.HasSuffix(p, "matchSubjectAltNames") }) && n.said["trust"] != nil:
		return "trust"
	case c.Kind == "chain" && !c.unlike && (c.Op != Changed || only(socket)):
		if port := n.portOf(c); len(n.said[kindTopic(port)]) > 0 && c.Op != Changed {
			return kindTopic(port)
		}
		return chainTopic(n.portOf(c))
	case len(n.said[serversTopic(c)]) > 0 && only(isServers):
		return serversTopic(c)
	case strings.HasPrefix(c.Key[0], "cluster ") && (c.Kind == "transport socket" || only(func(p string) bool { return socket(p) || cosmetic(c, p) })):
		return c.Key[0]
	}
	return ""
}

// filterTopic is that of a filter which is told by what its parts do.
func filterTopic(c *Change, own string, only func(func(string) bool) bool) string {
	in := ruleKey{tcp: len(c.Key) < 2 || !strings.HasPrefix(c.Key[len(c.Key)-2], "filter "), action: filterAction(own)}
	switch {
	case c.Op == Renamed:
	case strings.Contains(own, ".rbac ") && (c.Op != Changed || only(func(p string) bool {
		return strings.HasSuffix(p, "shadowRulesStatPrefix") || slices.Contains(stageFields(), p)
	})):
		if !slices.Contains(c.Tags, Looser) && !slices.Contains(c.Tags, Tighter) {
			return in.action // the rules of either kind of traffic tell enough
		}
		return in.filter()
	case strings.HasSuffix(own, ".ext_authz") && c.Op != Changed:
		in.action = "CUSTOM"
		return in.filter()
	case strings.Contains(own, ".jwt_authn") && (c.Op != Changed || only(func(p string) bool { return strings.HasSuffix(p, ".rules") })):
		return "issuers" // requirements follow from the providers
	case only(func(p string) bool {
		return slices.Contains([]string{"typedConfig.normalizePath", "typedConfig.mergeSlashes", "typedConfig.pathWithEscapedSlashesAction"}, p)
	}):
		return "paths"
	}
	return ""
}

func restWords(c *Change) string {
	own := c.Key[len(c.Key)-1]
	if c.Op == Renamed {
		return fmt.Sprintf("%s %s is now called %s", c.Kind, c.Fields[0].Before, c.Fields[0].After)
	}
	if c.Op != Changed {
		return own + " is " + map[Op]string{Added: "new", Removed: "gone"}[c.Op]
	}
	if f := c.Fields[0]; len(c.Fields) == 1 && c.Kind == "endpoint" && strings.HasSuffix(f.Path, "[envoy.transport_socket_match]") {
		if f.After == "" {
			return own + " no longer offers mTLS"
		}
		return own + " now offers mTLS"
	}
	var paths []string
	for _, f := range c.Fields {
		paths = append(paths, f.Path)
	}
	const most = 3
	if len(paths) > most {
		paths = append(paths[:most], fmt.Sprintf("%d more", len(paths)-most))
	}
	return own + " has changed: " + strings.Join(paths, ", ")
}
