package diff

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// narrator puts the differences of one workload into words.
type narrator struct {
	name          string
	before, after *policy.Model // nil if not known
	origins       origins
	intents       []Intent
	// said are the tags of what was said, by what it was about, and topics what is
	// said now: changes of it need no words of their own.
	said   map[string][]Tag
	topics []string
	own    map[string]uint32 // ports of listeners
	// matches is how what rules match changes, in all chains alike: in the filters
	// of their action, since a rule may move to those of another. renamed are the
	// ids of rules that are called another, "" for those that were.
	matches map[ruleKey]relation
	renamed map[ruleKey]string
}

func (n *narrator) say(tag Tag, cause *policy.Cause, format string, args ...any) {
	n.intents = append(n.intents, Intent{fmt.Sprintf(format, args...), tag, cause})
	for _, topic := range n.topics {
		n.said[topic] = append(n.said[topic], tag)
	}
}

// about tells what the next words are about.
func (n *narrator) about(topics ...string) { n.topics = topics }

// tell finds the words for all changes.
func (n *narrator) tell(before, after *summary, w *Workload) []Intent {
	n.said, n.own = map[string][]Tag{}, map[string]uint32{}
	switch {
	case before == nil:
		n.say(Routing, nil, "%s is new", n.name)
		return n.intents
	case after == nil:
		n.say(Looser, nil, "%s is gone, and what its sidecar enforced", n.name)
		return n.intents
	}
	maps.Copy(n.own, before.own)
	maps.Copy(n.own, after.own)
	n.kept(w.Changes)
	n.bypassed(n.bypasses())
	n.modes(before, after)
	n.kinds(before, after)
	n.trust(before, after)
	n.stages(before, after)
	n.rules(before, after)
	n.issuers(before, after)
	n.providers(before, after)
	n.clients(before, after)
	n.servers(w.Changes)
	n.rest(w.Changes)
	return n.intents
}

func (n *narrator) modes(before, after *summary) {
	for _, port := range ports(before, after) {
		old, now := before.mode(port), after.mode(port)
		if old == now {
			continue
		}
		if n.about(chainTopic(port)); !after.blind {
			n.about(chainTopic(port), "inspectors")
		}
		n.mode(port, old, now)
	}
}

func chainTopic(port uint32) string { return fmt.Sprintf("chain %d", port) }

// mode tells of a port that takes other connections than before.
func (n *narrator) mode(port uint32, old, now mode) {
	where, verb := fmt.Sprintf("inbound :%d of %s", port, n.name), map[mode]string{strict: "requires mTLS", permissive: "takes mTLS and plaintext", disable: "takes plaintext only", "": "is not served"}[now]
	if port == 0 {
		where = "inbound ports of " + n.name + " that no Service declares"
		verb = map[mode]string{strict: "require mTLS", permissive: "take mTLS and plaintext", disable: "take plaintext only", "": "are not served"}[now]
	}
	was := cmp.Or(string(old), "not served")
	for _, tag := range old.to(now) {
		if tag == Looser && old == disable && now == strict {
			n.say(tag, n.modeCause(port), "mTLS to %s is no longer refused, and brings identities (was %s)", where, was)
			continue
		}
		cause := n.modeCause(port)
		if old == "" || now == "" {
			cause = nil
		}
		n.say(tag, cause, "%s now %s (was %s)", where, verb, was)
	}
}

func (n *narrator) trust(before, after *summary) {
	n.topics = nil
	if !slices.Equal(before.domains, after.domains) && before.domains != nil && after.domains != nil {
		n.about("trust")
		n.say(upIf(len(common(after.domains, before.domains)) == len(after.domains)), nil, "clients of %s may now be of the trust domains %s (were %s)",
			n.name, strings.Join(after.domains, ", "), strings.Join(before.domains, ", "))
	}
	if before.paths != after.paths && before.paths != "" && after.paths != "" {
		n.about("paths")
		ranks := []string{"NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"}
		n.say(upIf(slices.Index(ranks, after.paths) > slices.Index(ranks, before.paths)), nil, "%s now normalizes paths by %s (was %s)", n.name, after.paths, before.paths)
	}
}

func traffic(tcp bool) string {
	if tcp {
		return "TCP"
	}
	return "HTTP"
}

// stages tells of ALLOW filters that come or go: they deny what no rule allows.
func (n *narrator) stages(before, after *summary) {
	for _, tcp := range []bool{false, true} {
		key := ruleKey{tcp: tcp, action: "ALLOW"}
		n.about(key.filter())
		switch old, now := before.stages[key], after.stages[key]; {
		case !old && now:
			n.say(Tighter, nil, "%s to %s is now denied where no ALLOW rule matches", traffic(tcp), n.name)
		case old && !now:
			n.say(Looser, nil, "%s to %s no longer needs an ALLOW rule", traffic(tcp), n.name)
		}
	}
}

func (n *narrator) rules(before, after *summary) {
	all := maps.Clone(before.rules)
	maps.Copy(all, after.rules)
	reworded := map[string]bool{}
	for _, key := range slices.SortedFunc(maps.Keys(all), compareKeys) {
		n.about(key.topic(), key.filter(), key.action)
		if n.reworded(key, before, after, reworded) {
			continue
		}
		old, had := before.rules[key]
		now, has := after.rules[key]
		restricts := key.action != "ALLOW"
		stage := ruleKey{tcp: key.tcp, action: key.action}
		tag := func(t Tag) Tag {
			if key.action == "ALLOW" && !key.shadow && before.stages[stage] != after.stages[stage] {
				return upIf(after.stages[stage]) // it is part of what came or went as a whole
			}
			if key.action == "LOG" || key.shadow && key.action != "CUSTOM" {
				return Cosmetic
			}
			switch r := n.matches[key]; r {
			case narrower, wider:
				return upIf((r == wider) == restricts)
			}
			return t
		}
		rule := n.ruleName(key)
		switch {
		case !had:
			n.say(tag(upIf(restricts)), n.ruleCause(key, n.after), "%s is new on %s to %s: %s", rule, traffic(key.tcp), n.name, ruleWords(now))
		case !has:
			n.say(tag(upIf(!restricts)), n.ruleCause(key, n.before), "%s is gone from %s to %s: %s", rule, traffic(key.tcp), n.name, ruleWords(old))
		default:
			n.changedRule(rule, key, old, now, tag)
		}
	}
}

// kept notes the rules that are what they were, though something of them
// changes.
func (n *narrator) kept(changes []Change) {
	n.matches, n.renamed = map[ruleKey]relation{}, map[ruleKey]string{}
	for i := range changes {
		c := &changes[i]
		key, ok := changedRuleKey(c)
		if !ok {
			continue
		}
		if c.Op == Renamed {
			old := key
			old.id = c.Fields[0].Before
			n.renamed[old], n.renamed[key] = key.id, ""
			continue
		}
		if others, seen := n.matches[key]; seen && others != c.matches {
			n.matches[key] = incomparable
			continue
		}
		n.matches[key] = c.matches
	}
	for key, r := range n.matches { // in another chain it is more than a name
		if r != equal {
			delete(n.renamed, key)
		}
	}
}

// changedRuleKey is the rule that a change is of, false for another part.
func changedRuleKey(c *Change) (ruleKey, bool) {
	if c.Kind != "rule" && c.Kind != "shadow rule" || len(c.Key) < 2 {
		return ruleKey{}, false
	}
	id := strings.TrimPrefix(c.Key[len(c.Key)-1], c.Kind+" ")
	return ruleKey{!inManager(c), filterAction(c.Key[len(c.Key)-2]), id, c.Kind == "shadow rule"}, true
}

// inManager tells a rule of an HTTP filter: it is within a filter of connections.
func inManager(c *Change) bool {
	return len(c.Key) > 2 && strings.HasPrefix(c.Key[len(c.Key)-3], "filter ")
}

// filterAction is the action in the key of an RBAC filter, after its name; ALLOW
// if there is none.
func filterAction(key string) string {
	for _, word := range slices.Backward(strings.Fields(key)) {
		if slices.Contains([]string{"ALLOW", "DENY", "LOG", "CUSTOM"}, word) {
			return word
		}
	}
	return "ALLOW"
}

// reworded tells of a rule that is what it was, and whether it is one. Several of
// one kind are told once.
func (n *narrator) reworded(key ruleKey, before, after *summary, told map[string]bool) bool {
	now, moved := n.renamed[key]
	_, had := before.rules[key]
	_, has := after.rules[key]
	where := traffic(key.tcp) + " to " + n.name
	switch {
	case moved && had != has:
		if had {
			next := key
			next.id = now
			n.about(next.topic())
			n.say(Cosmetic, n.ruleCause(next, n.after), "%s on %s is now called %s", n.ruleName(key), where, now)
		}
		return true
	case n.matches[key] == equal && (had != has || !slices.Equal(before.rules[key].what, after.rules[key].what) || !slices.Equal(before.rules[key].who, after.rules[key].who)):
		id := key.action + key.kind() + " " + where
		if !told[id] {
			n.say(Cosmetic, n.ruleCause(key, n.after), "%s rules on %s are written in another way and mean the same", key.stage(), where)
		} else {
			n.said[key.topic()] = append(n.said[key.topic()], Cosmetic)
		}
		told[id] = true
		return true
	}
	return false
}

func compareKeys(a, b ruleKey) int {
	return cmp.Or(strings.Compare(a.action, b.action), strings.Compare(a.id, b.id), strings.Compare(traffic(a.tcp), traffic(b.tcp)), strings.Compare(strconv.FormatBool(a.shadow), strconv.FormatBool(b.shadow)))
}

func (n *narrator) changedRule(rule string, key ruleKey, old, now ruleText, tag func(Tag) Tag) {
	restricts := key.action != "ALLOW"
	for _, side := range []struct {
		name     string
		old, now []string
	}{{"operations", old.what, now.what}, {"sources", old.who, now.who}} {
		gained := slices.DeleteFunc(slices.Clone(side.now), func(w string) bool { return slices.Contains(side.old, w) })
		lost := slices.DeleteFunc(slices.Clone(side.old), func(w string) bool { return slices.Contains(side.now, w) })
		cause := n.ruleCause(key, n.after)
		if how := n.matches[key]; len(gained) > 0 && len(lost) > 0 && how != incomparable {
			verb := map[relation]string{narrower: "fewer", wider: "more"}[how]
			n.say(tag(Looser), cause, "%s on %s to %s now matches %s %s: %s instead of %s", rule, traffic(key.tcp), n.name, verb, side.name, strings.Join(gained, " or "), strings.Join(lost, " or "))
			continue
		}
		if len(gained) > 0 {
			n.say(tag(upIf(restricts)), cause, "%s on %s to %s now matches %s %s", rule, traffic(key.tcp), n.name, side.name, strings.Join(gained, " or "))
		}
		if len(lost) > 0 {
			n.say(tag(upIf(!restricts)), cause, "%s on %s to %s no longer matches %s %s", rule, traffic(key.tcp), n.name, side.name, strings.Join(lost, " or "))
		}
	}
}

func ruleWords(r ruleText) string {
	return strings.Join(r.what, " or ") + ", from " + strings.Join(r.who, " or ")
}

// ruleID is how istiod names a rule (CF-1).
var ruleID = regexp.MustCompile(`ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]`)

// stage is what policies call the action.
func (k ruleKey) stage() string {
	action := k.action
	if action == "LOG" {
		action = "AUDIT"
	}
	if k.shadow && action != "CUSTOM" {
		action = "dry-run " + action
	}
	return action
}

func (n *narrator) ruleName(key ruleKey) string {
	action := key.stage()
	if m := ruleID.FindStringSubmatch(key.id); m != nil {
		return fmt.Sprintf("%s rule %s/%s#%s", action, m[1], m[2], m[3])
	}
	return fmt.Sprintf("%s rule %s", action, key.id)
}

func (n *narrator) issuers(before, after *summary) {
	n.about("issuers")
	all := maps.Clone(before.issuers)
	maps.Copy(all, after.issuers)
	for _, issuer := range slices.Sorted(maps.Keys(all)) {
		switch {
		case before.issuers[issuer] == after.issuers[issuer]:
			continue
		case after.issuers[issuer] && len(before.issuers) == 0:
			n.say(Tighter, issuerCause(n.after, issuer), "tokens sent to %s are now verified, and those of issuer %q count", n.name, issuer)
			if after.tokensLetIn() {
				n.say(Looser, issuerCause(n.after, issuer), "rules of %s that let in, or spare, who has a token now find tokens of issuer %q", n.name, issuer)
			}
		case after.issuers[issuer]:
			n.say(Looser, issuerCause(n.after, issuer), "tokens of issuer %q now count at %s", issuer, n.name)
		case len(after.issuers) == 0:
			n.say(Looser, issuerCause(n.before, issuer), "tokens sent to %s are no longer verified; those of issuer %q counted", n.name, issuer)
			if after.tokensLetIn() {
				n.say(Tighter, issuerCause(n.before, issuer), "rules of %s that let in, or spare, who has a token no longer find tokens of issuer %q", n.name, issuer)
			}
		default:
			n.say(Tighter, issuerCause(n.before, issuer), "tokens of issuer %q no longer count at %s", issuer, n.name)
		}
	}
}

func (n *narrator) clients(before, after *summary) {
	for _, name := range slices.Sorted(maps.Keys(after.clients)) {
		old, now := before.clients[name], after.clients[name]
		if old == "" || old == now {
			continue
		}
		n.about("cluster " + name)
		n.say(callTag(old, now), n.originOf(&Change{Op: Changed, Kind: "cluster", Key: []string{"cluster " + name}}), "%s now calls %s by %s (was %s)", n.name, clusterWords(name), now, old)
	}
}

// clusterWords is the service that a cluster leads to.
func clusterWords(name string) string {
	parts := strings.Split(name, "|")
	if len(parts) != 4 || parts[3] == "" {
		return name
	}
	text := parts[3] + ":" + parts[1]
	if parts[2] != "" {
		text += " subset " + parts[2]
	}
	return text
}

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
