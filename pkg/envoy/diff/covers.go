package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// literal is a matcher that must match, or must not.
type literal struct {
	not  bool
	id   string       // tells it from others
	test *policy.Test // nil for a matcher that is not understood: it is like itself only
}

func (l literal) String() string {
	if l.not {
		return "-" + l.id
	}
	return "+" + l.id
}

func testID(t *policy.Test) string {
	return fmt.Sprintf("%d %q %q %t %t %d %t %q %s %d", t.Attribute, t.Name, t.Keys, t.Whole, t.List, t.String.Form, t.String.IgnoreCase, t.String.Value, t.CIDR, t.Port)
}

// Limit of regular expressions that are compared for a filter.
const maxPatterns = 512

// scales compare matchers, and remember what is dear.
type scales struct {
	patterns map[[2]string]bool // of ids: whether one covers the other
}

// implies tells whether a literal holds wherever another does.
func (s *scales) implies(l, m literal) bool {
	switch {
	case l.not == m.not && l.id == m.id:
		return true
	case l.test == nil || m.test == nil:
		return false
	case l.not && m.not:
		return s.covers(m, l)
	case !l.not && !m.not:
		return s.covers(l, m)
	case m.not:
		return disjoint(l.test, m.test)
	}
	return false
}

// sameSubject tells whether two tests look at the same.
func sameSubject(a, b *policy.Test) bool {
	return a.Attribute == b.Attribute && a.Name == b.Name && slices.Equal(a.Keys, b.Keys)
}

// covers tells whether what matches a test matches another. Where a header, a
// claim or a certificate has several values, one that fits is enough for both.
func (s *scales) covers(l, m literal) bool {
	a, b := l.test, m.test
	if !sameSubject(a, b) || a.List != b.List || b.Whole && !a.Whole {
		return false
	}
	switch a.Attribute {
	case policy.LocalPort:
		return a.Port == b.Port
	case policy.LocalAddress, policy.PeerAddress, policy.ClientAddress:
		return b.CIDR.Bits() <= a.CIDR.Bits() && b.CIDR.Contains(a.CIDR.Addr())
	case policy.Unread:
		return false
	}
	if yes, sure := coversText(&a.String, &b.String); sure {
		return yes
	}
	at := [2]string{l.id, m.id}
	yes, known := s.patterns[at]
	if !known && len(s.patterns) < maxPatterns {
		small, read := readLanguage(a.String.Pattern())
		large, too := readLanguage(b.String.Pattern())
		yes = read && too && small.within(large, a.Attribute == policy.TokenClaim || a.Attribute == policy.FilterMetadata) // names, paths and headers have no line ends
		s.patterns[at] = yes
	}
	return yes
}

// plainForm are the forms of text that are compared without regular expressions.
func plainForm(m *policy.StringMatch) bool {
	return m.Form == policy.Exact || m.Form == policy.Prefix || m.Form == policy.Suffix
}

// coversText compares plain forms; it is not sure of others.
func coversText(a, b *policy.StringMatch) (yes, sure bool) {
	switch {
	case b.Form == policy.Present:
		return true, true
	case a.Form == b.Form && a.Value == b.Value && a.IgnoreCase == b.IgnoreCase:
		return true, true
	case !plainForm(a) || !plainForm(b) || a.IgnoreCase && !b.IgnoreCase:
		return false, false
	}
	text := a.Value
	if b.IgnoreCase {
		text = strings.ToLower(text)
	}
	switch b.Form {
	case policy.Exact:
		return a.Form == policy.Exact && text == b.Value, true
	case policy.Prefix:
		return a.Form != policy.Suffix && strings.HasPrefix(text, b.Value) || b.Value == "", true
	}
	return a.Form != policy.Prefix && strings.HasSuffix(text, b.Value) || b.Value == "", true
}

// disjoint tells whether no request matches both tests: they ask for different
// values of what has only one.
func disjoint(a, b *policy.Test) bool {
	if !sameSubject(a, b) {
		return false
	}
	switch a.Attribute {
	case policy.LocalPort:
		return a.Port != b.Port
	case policy.LocalAddress, policy.PeerAddress, policy.ClientAddress:
		return !a.CIDR.Overlaps(b.CIDR)
	case policy.HeaderLine:
		if !strings.HasPrefix(a.Name, ":") { // others may have several lines
			return false
		}
	case policy.URLPath, policy.ServerName:
	default:
		return false
	}
	exact, other := &a.String, &b.String
	if exact.Form != policy.Exact {
		exact, other = other, exact
	}
	if exact.Form != policy.Exact || exact.IgnoreCase && !other.IgnoreCase {
		return false
	}
	yes, sure := coversText(exact, other)
	return sure && !yes
}
