package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// index finds the few rules of a set that a request may match, so that a
// decision looks at those alone. A rule is filed under one thing that it needs
// of a request: an account, a namespace, a path, a header, a claim. Of several
// such needs it is the one that the fewest other rules share. The index leaves
// out rules, and nothing else: whether one of the others matches is for its
// trees to say.
type index struct {
	shelves []shelf
	rest    []int // rules that are filed under nothing
}

// aspect is a part of a request that rules may be filed under.
type aspect struct {
	attribute Attribute
	part      part
	name      string // of a HeaderLine; of a TokenClaim its keys, joined
	lower     bool   // compared in lower case
}

// part is how much of an identity is looked at.
type part uint8

const (
	whole part = iota
	namespacePart
	accountPart // with its namespace
)

// need says that a request has one of some values at an aspect, or the rule
// does not match.
type need struct {
	aspect
	keys   []string // of a TokenClaim
	values []value
}

// value is a text, or the beginning of one.
type value struct {
	text   string
	prefix bool
}

// shelf has the rules that are filed under one aspect.
type shelf struct {
	aspect
	keys     []string
	exact    map[string][]int
	prefixes prefixes
}

// leastOnShelf is how many rules make a shelf worth its look.
const leastOnShelf = 4

// newIndex files the rules of a set.
func newIndex(rules []*Rule) index {
	type place struct {
		aspect
		value
	}
	crowd := map[place]int{}
	for i := range rules {
		for _, n := range rules[i].needs {
			for _, v := range n.values {
				crowd[place{n.aspect, v}]++
			}
		}
	}
	company := func(n need) int {
		most := 0
		for _, v := range n.values {
			most = max(most, crowd[place{n.aspect, v}])
		}
		return most
	}
	filed := map[aspect][]filing{}
	var x index
	for i := range rules {
		if needs := rules[i].needs; len(needs) == 0 {
			x.rest = append(x.rest, i)
		} else {
			best := slices.MinFunc(needs, func(a, b need) int { return company(a) - company(b) })
			filed[best.aspect] = append(filed[best.aspect], filing{i, best})
		}
	}
	for _, all := range filed {
		if len(all) >= leastOnShelf {
			x.shelves = append(x.shelves, newShelf(all))
			continue
		}
		for _, f := range all {
			x.rest = append(x.rest, f.rule)
		}
	}
	slices.Sort(x.rest)
	slices.SortFunc(x.shelves, func(a, b shelf) int {
		return cmp.Or(cmp.Compare(a.attribute, b.attribute), cmp.Compare(a.part, b.part), strings.Compare(a.name, b.name))
	})
	return x
}

// filing is a rule and the need under which it is filed.
type filing struct {
	rule int
	need
}

// newShelf files rules of one aspect, which come in order.
func newShelf(all []filing) shelf {
	s := shelf{aspect: all[0].aspect, keys: all[0].keys, exact: map[string][]int{}}
	begin := map[string][]int{}
	for _, f := range all {
		for _, v := range f.values {
			to := s.exact
			if v.prefix {
				to = begin
			}
			if list := to[v.text]; len(list) == 0 || list[len(list)-1] != f.rule {
				to[v.text] = append(list, f.rule)
			}
		}
	}
	s.prefixes = newPrefixes(begin)
	return s
}

// run tries the rules that a request may match.
func (x *index) run(q *search) {
	q.try(x.rest)
	for i := range x.shelves {
		x.shelves[i].run(q)
	}
}

func (s *shelf) run(q *search) {
	f := q.facts
	switch s.attribute {
	case PeerIdentity:
		s.tryPeer(q, &f.peer)
	case ServerName:
		s.try(q, f.sni)
	case HeaderLine:
		for i := range f.headers {
			if f.headers[i].Name == s.name {
				s.try(q, f.headers[i].Value)
			}
		}
	case URLPath:
		s.try(q, f.path)
	case TokenClaim:
		switch v := f.claim(s.keys).(type) {
		case string:
			s.try(q, v)
		case []any:
			for _, item := range v {
				if text, ok := item.(string); ok {
					s.try(q, text)
				}
			}
		}
	}
}

// tryPeer looks for a namespace or account in an identity of the usual form; in
// any other they could be anywhere, so all rules are tried.
func (s *shelf) tryPeer(q *search, p *peer) {
	switch {
	case p.identity == "":
	case s.part == whole:
		s.try(q, p.identity)
	case p.namespace == "":
		for _, list := range s.exact {
			q.try(list)
		}
	case s.part == namespacePart:
		s.try(q, p.namespace)
	default:
		s.try(q, p.account)
	}
}

// try tries the rules that are filed under a text, or under how it begins.
func (s *shelf) try(q *search, text string) {
	if s.lower {
		text = strings.ToLower(text)
	}
	q.try(s.exact[text])
	for at := s.prefixes.longest(text); at >= 0; at = s.prefixes[at].parent {
		q.try(s.prefixes[at].rules)
	}
}

// prefixes are sorted by their text.
type prefixes []prefix

// prefix has the rules that are filed under the beginning of a text.
type prefix struct {
	text   string
	parent int // the longest other prefix that this one begins with; -1 for none
	rules  []int
}

func newPrefixes(begin map[string][]int) prefixes {
	var all prefixes
	for _, text := range slices.Sorted(maps.Keys(begin)) {
		all = append(all, prefix{text, all.longest(text), begin[text]})
	}
	return all
}

// longest finds the longest prefix of a text; -1 is none. The last one that does
// not come after the text begins with it, or is it.
func (all prefixes) longest(text string) int {
	low, high := 0, len(all)
	for low < high {
		if middle := (low + high) / 2; all[middle].text <= text {
			low = middle + 1
		} else {
			high = middle
		}
	}
	at := low - 1
	for at >= 0 && !strings.HasPrefix(text, all[at].text) {
		at = all[at].parent
	}
	return at
}

// needs are what a request must have for an expression to match.
func (e *Expr) needs() []need {
	switch e.Op {
	case All:
		var all []need
		for i := range e.Kids {
			all = bothNeeds(all, e.Kids[i].needs())
		}
		return all
	case One:
		if len(e.Kids) == 0 {
			return nil
		}
		all := e.Kids[0].needs()
		for i := 1; i < len(e.Kids) && all != nil; i++ {
			all = eitherNeeds(all, e.Kids[i].needs())
		}
		return all
	case Is:
		return e.Test.needs()
	}
	return nil
}

// bothNeeds are the needs of two expressions that must match; of two for the same
// aspect the one with fewer values stays.
func bothNeeds(a, b []need) []need {
	for _, n := range b {
		at := slices.IndexFunc(a, func(m need) bool { return m.aspect == n.aspect })
		if at < 0 {
			a = append(a, n)
		} else if len(n.values) < len(a[at].values) {
			a[at] = n
		}
	}
	return a
}

// eitherNeeds are the needs of two expressions of which one must match.
func eitherNeeds(a, b []need) []need {
	var all []need
	for _, n := range a {
		at := slices.IndexFunc(b, func(m need) bool { return m.aspect == n.aspect })
		if at >= 0 {
			n.values = append(n.values, b[at].values...)
			all = append(all, n)
		}
	}
	return all
}

// needs are what a request must have for a test to match. Tests of namespaces
// and accounts say themselves what they need; others must compare a whole text
// or its beginning.
func (t *Test) needs() []need {
	if t.peer.text != "" {
		return []need{{aspect: aspect{attribute: PeerIdentity, part: t.peer.part}, values: []value{{text: t.peer.text}}}}
	}
	v := value{text: t.String.Value}
	switch t.String.Form {
	case Exact:
	case Prefix:
		v.prefix = true
	case Regex, Template:
		v = value{t.String.begin, true}
	default:
		return nil
	}
	if v.prefix && (len(v.text) < 2 || v.text == "spiffe://") {
		return nil // what all begin with leaves nothing out
	}
	a := aspect{attribute: t.Attribute, lower: t.String.IgnoreCase}
	switch t.Attribute {
	case PeerIdentity, ServerName, URLPath:
	case HeaderLine:
		a.name = t.Name
	case TokenClaim:
		a.name = strings.Join(t.Keys, "\x00")
	default:
		return nil
	}
	return []need{{aspect: a, keys: t.Keys, values: []value{v}}}
}
