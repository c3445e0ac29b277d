package diff_test

import (
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy/diff"
)

// TestOneWay: rules that match less of what they matched are looser or tighter,
// and not both; what cannot be compared is taken for looser.
func TestOneWay(t *testing.T) {
	t.Parallel()
	const (
		both, one   = `{methods: [GET, POST], paths: [/a, /b]}`, `{methods: [GET], paths: [/a, /b]}`
		onePath     = `{methods: [GET, POST], paths: [/a]}`
		otherMethod = `{methods: [GET, PUT], paths: [/a, /b]}`
	)
	to := func(operation string) string { return "[{to: [{operation: " + operation + "}]}]" }
	when := func(operation string) string {
		return "[{to: [{operation: " + operation + "}], when: [{key: 'request.headers[x]', values: [a]}]}]"
	}
	for _, tt := range []struct {
		name, action, less, more string
		oneWay                   bool
	}{
		{"a method", "ALLOW", to(one), to(both), true},
		{"a path", "ALLOW", to(onePath), to(both), true},
		{"a condition", "ALLOW", when(both), to(both), true},
		{"an operation", "ALLOW", to(one), "[{to: [{operation: " + one + "}, {operation: {methods: [PUT]}}]}]", true},
		{"a rule", "ALLOW", to(one), "[{to: [{operation: " + one + "}]}, {to: [{operation: {methods: [PUT]}}]}]", true},
		{"two things", "ALLOW", when(one), to(both), true},
		{"everything", "ALLOW", to(one), "[{}]", true},
		{"one for another", "ALLOW", to(one), to(otherMethod), true},
		{"a method for another", "ALLOW", to(both), to(otherMethod), false},
		{"a prefix", "ALLOW", to(`{paths: [/a/b*]}`), to(`{paths: [/a/*]}`), true},
		{"a method", "DENY", to(both), to(one), true},
		{"a condition", "DENY", to(both), when(both), true},
	} {
		less, more := side(t, authz(tt.action, tt.less), ""), side(t, authz(tt.action, tt.more), "")
		tighter, looser := diff.Compare(more, less), diff.Compare(less, more)
		if tighter.Looser() == tt.oneWay || !looser.Looser() || tighter.Same() {
			t.Errorf("%s %s: looser one way %t, the other %t", tt.action, tt.name, tighter.Looser(), looser.Looser())
		}
		for _, w := range looser.Workloads {
			for _, i := range w.Intents {
				if tt.oneWay && i.Tag == diff.Tighter {
					t.Errorf("%s %s: %s: %s", tt.action, tt.name, i.Tag, i.Text)
				}
			}
		}
	}
}
