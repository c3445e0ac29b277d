package diff

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// causes finds the objects that make the changes.
func (n *narrator) causes(w *Workload) {
	for i := range w.Changes {
		c := &w.Changes[i]
		own := c.Key[len(c.Key)-1]
		m := n.after
		if c.Op == Removed {
			m = n.before
		}
		switch c.Kind {
		case "rule", "shadow rule":
			id := strings.TrimPrefix(own, c.Kind+" ")
			if c.Cause = n.ruleCause(ruleKey{id: id}, m); c.Cause == nil {
				c.Cause = n.ruleCause(ruleKey{id: id, tcp: true}, m)
			}
		case "JWT provider":
			c.Cause = issuerCause(m, strings.TrimPrefix(own, c.Kind+" "))
		case "chain":
			if port, ok := chainPort(own); ok && n.said[chainTopic(port)] != nil {
				c.Cause = n.modeCause(port)
			}
		}
	}
}

// modeCause is the policy that sets a port's mode; nil if none is known.
func (n *narrator) modeCause(port uint32) *policy.Cause {
	if n.after == nil {
		return nil
	}
	t := n.after.TLS
	if _, own := t.Ports[port]; own && t.PortsFrom != nil {
		return causeOf(t.PortsFrom.Object, "spec", "portLevelMtls", strconv.Itoa(int(port)))
	}
	if t.From != nil {
		return causeOf(t.From.Object, "spec", "mtls")
	}
	return &policy.Cause{Object: "no PeerAuthentication sets it"}
}

func causeOf(o *mesh.Object, path ...string) *policy.Cause {
	return &policy.Cause{Object: o.String(), At: o.Locate(path...)}
}

// because names a cause and its place.
func because(c *policy.Cause) string {
	text := c.Object
	if c.Rule != nil {
		text += fmt.Sprintf(" rule %d", *c.Rule)
	}
	if at := c.At; at.File != "" {
		at.Column = 0
		text += ", " + at.String()
	}
	return text
}

// ruleCause is where a model has a rule.
func (n *narrator) ruleCause(key ruleKey, m *policy.Model) *policy.Cause {
	if m == nil {
		return nil
	}
	stages := &m.HTTP
	if key.tcp {
		stages = &m.TCP
	}
	var sets []*policy.RuleSet
	for _, s := range []*policy.Stage{stages.Audit, stages.Deny, stages.Allow} {
		if s != nil {
			sets = append(sets, s.Enforced, s.Shadow)
		}
	}
	for _, c := range stages.Custom {
		sets = append(sets, c.Denied, c.Asks)
	}
	for _, set := range sets {
		if set == nil {
			continue
		}
		for _, r := range set.Rules {
			if r.ID == key.id && r.Policy != nil {
				c := r.Cause()
				return &c
			}
		}
	}
	return nil
}

func issuerCause(m *policy.Model, issuer string) *policy.Cause {
	if m == nil || m.JWT == nil {
		return nil
	}
	for _, p := range m.JWT.Providers {
		if p.Rule.Issuer == issuer && p.Policy != nil {
			return causeOf(p.Policy.Object, "spec", "jwtRules", strconv.Itoa(p.Index))
		}
	}
	return nil
}
