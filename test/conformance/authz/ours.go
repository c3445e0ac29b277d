package authz

import (
	"fmt"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// stageTables are the tables of our own model, under the names that the
// filters' have.
func stageTables(s *policy.Stages) (map[string]table, error) {
	tables := map[string]table{}
	var problem error
	add := func(name string, set *policy.RuleSet) {
		if set == nil {
			return
		}
		t := table{}
		for i := range set.Rules {
			r, err := readRule(set.Rules[i])
			if err != nil {
				problem = err
			}
			t = append(t, r)
		}
		put(tables, name, t)
	}
	for i, c := range s.Custom {
		add(fmt.Sprintf("CUSTOM %d denies", i), c.Denied)
		add(fmt.Sprintf("CUSTOM %d asks", i), c.Asks)
	}
	for name, stage := range map[string]*policy.Stage{"LOG": s.Audit, "DENY": s.Deny, "ALLOW": s.Allow} {
		if stage != nil {
			add(name, stage.Enforced)
			add(name+dryRunSuffix, stage.Shadow)
		}
	}
	return tables, problem
}

func readRule(r *policy.Rule) (rule, error) {
	own := rule{id: r.ID}
	for i := range r.Permissions {
		t, err := readExpr(&r.Permissions[i])
		if err != nil {
			return own, err
		}
		own.permissions = append(own.permissions, t)
	}
	for i := range r.Principals {
		t, err := readExpr(&r.Principals[i])
		if err != nil {
			return own, err
		}
		own.principals = append(own.principals, t)
	}
	return own, nil
}

// readExpr reads a tree of the model, from what its types say of themselves.
func readExpr(e *policy.Expr) (term, error) {
	t := term{op: map[policy.Op]op{policy.Any: anything, policy.All: all, policy.One: one, policy.Not: not, policy.Is: test}[e.Op]}
	if e.Field != nil {
		t.name = fmt.Sprintf("%s %q", e.Field.Name, e.Field.Values)
	}
	if e.Op == policy.Is {
		l, err := readTest(&e.Test)
		t.leaf, t.name = l, fmt.Sprintf("%+v", e.Test)
		return t, err
	}
	for i := range e.Kids {
		kid, err := readExpr(&e.Kids[i])
		if err != nil {
			return t, err
		}
		t.kids = append(t.kids, kid)
	}
	return t, nil
}

func readTest(t *policy.Test) (*leaf, error) {
	m, err := readStringMatch(&t.String)
	if err != nil {
		return nil, err
	}
	switch t.Attribute {
	case policy.PeerIdentity:
		return textLeaf(m, setIdentity, setIdentity(""), func(a *attributes) bool { return a.identity != "" && m.holds(a.identity) }), nil
	case policy.PeerAddress:
		return blockLeaf(t.CIDR, setDirect, direct), nil
	case policy.ClientAddress:
		return blockLeaf(t.CIDR, setRemote, remote), nil
	case policy.LocalAddress:
		return blockLeaf(t.CIDR, setLocal, local), nil
	case policy.LocalPort:
		return portLeaf(t.Port, t.Port), nil
	case policy.ServerName:
		return textLeaf(m, setServerName, setServerName(""), func(a *attributes) bool { return a.sni != "" && m.holds(a.sni) }), nil
	case policy.HeaderLine:
		return headerLeaf(t.Name, m), nil
	case policy.URLPath:
		return pathLeaf(m), nil
	case policy.TokenClaim:
		return claimLeaf(t.Keys, m.samples, m.samples, func(a *attributes) bool { return holdsClaim(lookUp(a.payload, t.Keys), m) }), nil
	case policy.FilterMetadata:
		return &leaf{holds: func(*attributes) bool { return false }, dark: true}, nil
	}
	return nil, fmt.Errorf("attribute %d of the model is not known here", t.Attribute)
}

// holdsClaim matches a text, or some text of a list.
func holdsClaim(v any, m text) bool {
	switch v := v.(type) {
	case string:
		return m.holds(v)
	case []any:
		for _, item := range v {
			if s, ok := item.(string); ok && m.holds(s) {
				return true
			}
		}
	}
	return false
}

// readStringMatch reads the model's matcher of strings.
func readStringMatch(m *policy.StringMatch) (text, error) {
	fold := func(s string) string { return s }
	if m.IgnoreCase {
		fold = strings.ToLower
	}
	v := m.Value
	switch m.Form {
	case policy.Exact:
		return text{func(s string) bool { return fold(s) == v }, []string{v, strings.ToUpper(v)}}, nil
	case policy.Prefix:
		return text{func(s string) bool { return strings.HasPrefix(fold(s), v) }, []string{v, v + "y", v + "y/1"}}, nil
	case policy.Suffix:
		return text{func(s string) bool { return strings.HasSuffix(fold(s), v) }, []string{v, "y" + v, "/1/y" + v}}, nil
	case policy.NonEmpty:
		return regexText(".+")
	case policy.Present:
		return text{func(string) bool { return true }, []string{"", "y"}}, nil
	case policy.Regex:
		return regexText(v)
	case policy.Template:
		return templateText(strings.NewReplacer("{**}", "**", "{*}", "*").Replace(v))
	}
	return text{}, fmt.Errorf("form %d of the model is not known here", m.Form)
}
