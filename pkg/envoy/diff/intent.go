package diff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// narrator puts the differences of one workload into words.
type narrator struct {
	name          string
	before, after *policy.Model // nil if not known
	origins       *origins
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
