package policy

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Op is the kind of an Expr.
type Op uint8

// The kinds of expressions.
const (
	Any Op = iota // true
	All           // every kid is true
	One           // some kid is true
	Not           // the one kid is false
	Is            // Test
)

// Expr is a tree of matchers, as Envoy's RBAC has them.
type Expr struct {
	Op   Op
	Kids []Expr
	Test Test
	// Field is the field of the policy that the expression stands for; nil
	// within one, and for those that stand for several.
	Field *Field
}

// Field is a field or condition of a rule.
type Field struct {
	Name     string   // such as methods, notPaths, request.headers[x]
	Path     []string // that leads to it, within the rule
	Values   []string
	Negative bool // matches what has none of the values
}

// Attribute is what a Test looks at.
type Attribute uint8

// The attributes of a request.
const (
	PeerIdentity   Attribute = iota // any SAN of the peer's certificate (AP-26, AP-27)
	PeerAddress                     // of the connection (AP-34)
	ClientAddress                   // the one that the last X-Forwarded-For names (AP-35, DP-72)
	LocalAddress                    // the sidecar's own (RUN-10)
	LocalPort                       // the workload's (AP-51)
	ServerName                      // SNI in lower case (DP-62)
	HeaderLine                      // each line alone (DP-65); Name may be a pseudo-header
	URLPath                         // normalized, without query (AP-46)
	TokenClaim                      // of the token's payload; Keys lead to it (AP-39)
	FilterMetadata                  // of another filter, which is never known here (AP-56)
	Unread                          // what a configuration has and is not understood here: never known
)

// Test is one matcher on one attribute.
type Test struct {
	Attribute Attribute
	Name      string   // of a HeaderLine, in lower case; of the filter of FilterMetadata
	Written   string   // the name of a HeaderLine as the policy has it
	Keys      []string // of a TokenClaim or FilterMetadata
	Whole     bool     // of a TokenClaim: a text itself, not one in a list
	List      bool     // of FilterMetadata: a text in a list
	String    StringMatch
	CIDR      netip.Prefix
	Port      uint32
	peer      peerNeed // of tests of a namespace or account
}

// Match is the form of a StringMatch.
type Match uint8

// The forms of string matchers (AP-21..AP-24).
const (
	Exact Match = iota
	Prefix
	Suffix
	NonEmpty // the regular expression .+
	Present  // of headers: there, even if empty
	Regex    // full match
	Template // of paths: Value is the policy's, with {*} and {**} (AP-48)
)

// StringMatch matches text.
type StringMatch struct {
	Form       Match
	Value      string
	IgnoreCase bool

	// One of these does the work of Value where it is a regular expression.
	regex  *regexp.Regexp
	gapped []gapped
	begin  string // of what regex matches, as plain text
}

// matches applies the matcher. Regular expressions match the whole text, and
// their dot no line end (AP-24).
func (m *StringMatch) matches(s string) bool {
	if m.IgnoreCase {
		s = strings.ToLower(s)
	}
	switch m.Form {
	case Exact:
		return s == m.Value
	case Prefix:
		return strings.HasPrefix(s, m.Value)
	case Suffix:
		return strings.HasSuffix(s, m.Value)
	case NonEmpty:
		return s != "" && !strings.Contains(s, "\n")
	case Present:
		return true
	}
	if m.gapped != nil {
		return anyGapped(m.gapped, s)
	}
	return m.regex.MatchString(s)
}

// Pattern is the regular expression (RE2) that fits, as a whole, the texts that
// the matcher does. Case is that of ASCII letters.
func (m *StringMatch) Pattern() string {
	var text strings.Builder
	for _, r := range m.Value {
		if lower, upper := strings.ToLower(string(r)), strings.ToUpper(string(r)); m.IgnoreCase && r < 0x80 && lower != upper {
			text.WriteString("[" + lower + upper + "]")
		} else {
			text.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	switch m.Form {
	case Exact:
		return text.String()
	case Prefix:
		return text.String() + "(?s:.*)"
	case Suffix:
		return "(?s:.*)" + text.String()
	case NonEmpty:
		return ".+"
	case Present:
		return "(?s:.*)"
	case Template:
		return templatePattern(m.Value)
	}
	return m.Value
}

// stringForm reads the four forms of a policy's value: a leading star is
// looked at before a trailing one (AP-21, AP-22).
func stringForm(v string) StringMatch {
	switch {
	case v == "*":
		return StringMatch{Form: NonEmpty}
	case strings.HasPrefix(v, "*"):
		return StringMatch{Form: Suffix, Value: v[1:]}
	case strings.HasSuffix(v, "*"):
		return StringMatch{Form: Prefix, Value: v[:len(v)-1]}
	}
	return StringMatch{Form: Exact, Value: v}
}

// matches evaluates an expression.
func (e *Expr) matches(f *facts) bool {
	switch e.Op {
	case All:
		for i := range e.Kids {
			if !e.Kids[i].matches(f) {
				return false
			}
		}
		return true
	case One:
		return anyMatches(e.Kids, f)
	case Not:
		return !e.Kids[0].matches(f)
	case Is:
		return e.Test.matches(f)
	}
	return true
}

func anyMatches(all []Expr, f *facts) bool {
	for i := range all {
		if all[i].matches(f) {
			return true
		}
	}
	return false
}

func (t *Test) matches(f *facts) bool {
	switch t.Attribute {
	case PeerIdentity:
		return f.peer.identity != "" && t.String.matches(f.peer.identity)
	case PeerAddress:
		return contains(t.CIDR, f.direct)
	case ClientAddress:
		return contains(t.CIDR, f.remote)
	case LocalAddress:
		return contains(t.CIDR, f.local)
	case LocalPort:
		return f.port == t.Port
	case ServerName:
		return f.sni != "" && t.String.matches(f.sni)
	case HeaderLine:
		return t.line(f.headers)
	case URLPath:
		return f.hasPath && t.String.matches(f.path)
	case TokenClaim:
		return t.claim(f.claim(t.Keys))
	}
	return false // FilterMetadata: no filter here writes any; Unread is not asked
}

// line tells whether some line of the header matches.
func (t *Test) line(h headers) bool {
	for i := range h {
		if h[i].Name == t.Name && t.String.matches(h[i].Value) {
			return true
		}
	}
	return false
}

// contains tells whether an address is in a block; IPv4 and IPv6 never match
// each other (AP-36).
func contains(block netip.Prefix, a netip.Addr) bool {
	return a.IsValid() && block.Addr().Is4() == a.Is4() && block.Contains(a)
}

// claim matches a text, or some text of a list (AP-39, DP-42).
func (t *Test) claim(value any) bool {
	switch v := value.(type) {
	case string:
		return t.String.matches(v)
	case []any:
		return slices.ContainsFunc(v, func(item any) bool {
			s, ok := item.(string)
			return ok && t.String.matches(s)
		})
	}
	return false
}

func not(e Expr) Expr { return Expr{Op: Not, Kids: []Expr{e}} }

func is(t Test) Expr { return Expr{Op: Is, Test: t} }

// never matches nothing (CF-6).
func never() Expr { return not(Expr{Op: Any}) }
