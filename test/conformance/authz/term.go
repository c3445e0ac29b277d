package authz

// op is the kind of a term.
type op int

const (
	anything op = iota // true
	all                // every kid is true
	one                // some kid is true
	not                // the one kid is false
	test               // leaf
)

// term is a tree of matchers, read from either side.
type term struct {
	op   op
	kids []term
	leaf *leaf
	name string // for people
}

// leaf is one matcher, and how to make requests that it is about.
type leaf struct {
	holds func(*attributes) bool
	// hits make a request match, as far as one change can; near leaves it just
	// short of that.
	hits, near []change
	// dark says that no request here can match: another filter would have to
	// write metadata.
	dark bool
}

// change sets something in a request.
type change func(*attributes)

func (t *term) holds(a *attributes) bool {
	switch t.op {
	case all:
		for i := range t.kids {
			if !t.kids[i].holds(a) {
				return false
			}
		}
		return true
	case one:
		for i := range t.kids {
			if t.kids[i].holds(a) {
				return true
			}
		}
		return false
	case not:
		return !t.kids[0].holds(a)
	case test:
		return t.leaf.holds(a)
	}
	return true
}

// fields are the parts of a conjunction that ask for something.
func (t *term) fields() []term {
	switch t.op {
	case anything:
		return nil
	case all:
		var fields []term
		for i := range t.kids {
			if t.kids[i].op != anything {
				fields = append(fields, t.kids[i])
			}
		}
		return fields
	}
	return []term{*t}
}

// leaves calls f with every matcher of the tree.
func (t *term) leaves(f func(name string, l *leaf)) {
	if t.op == test {
		f(t.name, t.leaf)
	}
	for i := range t.kids {
		t.kids[i].leaves(f)
	}
}

// rule is one policy of an RBAC filter, in Envoy's words: it matches if some
// permission and some principal do.
type rule struct {
	id                      string
	permissions, principals []term
}

func (r *rule) holds(a *attributes) bool {
	anyOf := func(terms []term) bool { t := term{op: one, kids: terms}; return t.holds(a) }
	return anyOf(r.permissions) && anyOf(r.principals)
}

// table is the policies of one action, sorted by ID.
type table []rule

// match is the ID that Envoy names: the first of those that match; "" is none.
func (t table) match(a *attributes) string {
	for i := range t {
		if t[i].holds(a) {
			return t[i].id
		}
	}
	return ""
}

// find is the rule of an ID; nil if there is none.
func (t table) find(id string) *rule {
	for i := range t {
		if t[i].id == id {
			return &t[i]
		}
	}
	return nil
}
