package policy

import (
	"net/netip"
	"strings"
)

// facts are what the matchers of one request look at.
type facts struct {
	peer                  peer // of the client's certificate; empty without mTLS
	direct, remote, local netip.Addr
	port                  uint32
	sni                   string
	headers               headers
	path                  string
	hasPath               bool // CONNECT has none (DP-26)
	payload               map[string]any
	unknown               attributes // that nobody told
}

// claim is the claim of the token that keys lead to; nil if it has none.
func (f *facts) claim(keys []string) any {
	var value any = f.payload
	for _, key := range keys {
		m, _ := value.(map[string]any)
		value = m[key]
	}
	return value
}

// peer is an identity of a client. If it is of the usual form,
// spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT, and can be read in that way only, it
// has a namespace, and an account, which is "NAMESPACE/sa/ACCOUNT".
type peer struct{ identity, namespace, account string }

func newPeer(identity string) peer {
	p := peer{identity: identity}
	rest, ok := strings.CutPrefix(identity, "spiffe://")
	domain, rest, _ := strings.Cut(rest, "/ns/")
	namespace, account, _ := strings.Cut(rest, "/sa/")
	if ok && domain != "ns" && namespace != "ns" && isSegment(domain) && isSegment(namespace) && isSegment(account) {
		p.namespace, p.account = namespace, rest
	}
	return p
}

// peerNeed is what a test needs of identities of the usual form.
type peerNeed struct {
	part part
	text string
}

// isSegment tells whether a text can be one segment of an identity.
func isSegment(s string) bool { return s != "" && !strings.ContainsAny(s, "/\n") }

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
