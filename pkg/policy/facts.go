package policy

import "net/netip"

// facts are what the matchers of one request look at.
type facts struct {
	identities            []string // nil without mTLS
	direct, remote, local netip.Addr
	port                  uint32
	sni                   string
	headers               headers
	method, authority     []string // of headers, which rules ask for most
	path                  string
	hasPath               bool // CONNECT has none (DP-26)
	payload               map[string]any
	unknown               attributes // that nobody told
}

// lines are the lines of a header.
func (f *facts) lines(name string) []string {
	switch name {
	case ":method":
		return f.method
	case ":authority":
		return f.authority
	}
	return f.headers[name]
}

// attributes is a set of Attribute.
type attributes uint16

func setOf(a Attribute) attributes { return 1 << a }

// asks are the attributes that an expression looks at.
func (e *Expr) asks() attributes {
	if e.Op == Is {
		return setOf(e.Test.Attribute)
	}
	var all attributes
	for i := range e.Kids {
		all |= e.Kids[i].asks()
	}
	return all
}

// truth is what an expression comes to if some attributes are not known.
type truth uint8

const (
	no truth = iota
	maybe
	yes
)

// judge evaluates an expression where attributes may be unknown.
func (e *Expr) judge(f *facts) truth {
	switch e.Op {
	case All:
		result := yes
		for i := range e.Kids {
			result = min(result, e.Kids[i].judge(f))
		}
		return result
	case One:
		return anyOf(e.Kids, f)
	case Not:
		return yes - e.Kids[0].judge(f)
	case Is:
		if f.unknown&setOf(e.Test.Attribute) != 0 {
			return maybe
		}
		if !e.Test.matches(f) {
			return no
		}
	}
	return yes
}

func anyOf(all []Expr, f *facts) truth {
	result := no
	for i := range all {
		result = max(result, all[i].judge(f))
	}
	return result
}

func (r *Rule) judge(f *facts) truth {
	return min(anyOf(r.Permissions, f), anyOf(r.Principals, f))
}

// find is the rule that Envoy names, nil for none. Where what is not known
// decides whether a rule matches, and none surely does, the rule is in doubt.
func (s *RuleSet) find(f *facts) (rule, doubt *Rule) {
	if s == nil || s.asks&f.unknown == 0 {
		return s.first(f), nil
	}
	for i := range s.Rules {
		switch s.Rules[i].judge(f) {
		case yes:
			return &s.Rules[i], nil
		case maybe:
			if doubt == nil {
				doubt = &s.Rules[i]
			}
		}
	}
	return nil, doubt
}
