package authz

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

func testCases(t *testing.T) []Case {
	t.Helper()
	cases, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	return cases
}

// TestAgreement: our own policies and filters agree in rules, answers and
// fields, and every matcher is put to the test.
func TestAgreement(t *testing.T) {
	t.Parallel()
	for _, c := range testCases(t) {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			x, err := c.Compare()
			if err != nil {
				t.Fatal(err)
			}
			for _, list := range [][]string{x.Misses, x.FieldMisses, x.OneSided} {
				for _, line := range list {
					t.Error(line)
				}
			}
			if x.Requests < fewest || x.Sent < 200 || x.Fields == 0 {
				t.Errorf("too little to show anything: %d requests, %d sent, %d fields", x.Requests, x.Sent, x.Fields)
			}
			again, err := c.Compare()
			if err != nil || again.Sent != x.Sent {
				t.Errorf("the requests of a case change: %d sent, then %d (%v)", x.Sent, again.Sent, err)
			}
		})
	}
}

// TestWrongFilters: whatever is changed in a filter is noticed, and a filter
// that is left out too. So is a policy that the filters do not know.
func TestWrongFilters(t *testing.T) {
	t.Parallel()
	for _, c := range testCases(t) {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			w := newWatch(t, &c)
			for i, f := range w.filters {
				all := mutants(f.config)
				if len(all) < 5 {
					t.Errorf("%s: only %d mutants", f.name, len(all))
				}
				for _, m := range all {
					if proto.Equal(f.config, m.config) {
						t.Errorf("%s: nothing has changed", m.what)
					}
					w.filters[i].config = m.config
					if !w.notices(t) {
						t.Errorf("%s: not noticed", m.what)
					}
				}
				w.filters[i] = f
			}
			for i := range w.filters {
				without := &watch{c: w.c, own: w.own, comparer: w.comparer}
				without.filters = append(append(without.filters, w.filters[:i]...), w.filters[i+1:]...)
				if !without.notices(t) {
					t.Errorf("%s left out: not noticed", w.filters[i].name)
				}
			}
		})
	}
}

// watch compares one side with filters that are wrong. The requests are those
// of the right ones: what is wrong need not be in them.
type watch struct {
	c        *Case
	own      *ours
	filters  []configuredFilter
	comparer *comparer
}

func newWatch(t *testing.T, c *Case) *watch {
	t.Helper()
	own, err := c.compile()
	if err != nil {
		t.Fatal(err)
	}
	filters, err := c.golden()
	if err != nil {
		t.Fatal(err)
	}
	right, err := readChain(filters)
	if err != nil {
		t.Fatal(err)
	}
	return &watch{c, own, filters, newComparer(c, own, right.tables())}
}

// notices asks the questions of a comparison until one shows a difference.
func (w *watch) notices(t *testing.T) bool {
	t.Helper()
	wrong, err := readChain(w.filters)
	if err != nil {
		t.Fatal(err)
	}
	x := &comparer{requests: w.comparer.requests}
	for _, ask := range []func(){
		func() { x.compareTables(w.own.tables, wrong.tables()) },
		func() { x.compareAnswers(w.own.model, wrong) },
		func() { x.compareFields(w.own.tables, wrong.tables()) },
	} {
		if ask(); len(x.Misses)+len(x.FieldMisses) > 0 {
			return true
		}
	}
	return false
}

// TestWrongPolicies: one policy more, and one less, are noticed.
func TestWrongPolicies(t *testing.T) {
	t.Parallel()
	inputs := map[string]string{}
	cases := testCases(t)
	for _, c := range cases {
		inputs[c.ID] = c.Input
	}
	for _, tt := range []struct{ filters, policies string }{
		{"every-action", "nothing-allowed"},
		{"nothing-allowed", "every-field"},
		{"authorizer", "every-action"},
		{"streams", "authorizer-of-streams"},
	} {
		t.Run(tt.filters+" of "+tt.policies, func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				if c.ID != tt.filters {
					continue
				}
				c.Input = inputs[tt.policies]
				x, err := c.Compare()
				if err != nil || len(x.Misses) == 0 {
					t.Errorf("not noticed (%v)", err)
				}
			}
		})
	}
}
