package diff

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rules tells of those that come, go or change.
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
