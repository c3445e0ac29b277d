package diff_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy/diff"
	"github.com/meshctl/meshctl/pkg/policy"
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
	from := func(source string) string { return "[{from: [{source: {" + source + "}}]}]" }
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
		{"a principal of a prefix", "ALLOW", from("principals: [cluster.local/ns/data/sa/db]"), from("principals: [cluster.local/ns/data/sa/*]"), true},
		{"a principal of all", "ALLOW", from("principals: [cluster.local/ns/data/sa/db]"), from("principals: ['*']"), true},
		{"a prefix of all principals", "ALLOW", from("principals: [cluster.local/ns/*]"), from("principals: ['*']"), true},
		{"an account of a namespace", "ALLOW", from("serviceAccounts: [data/db]"), from("namespaces: [data]"), true},
		{"a suffix of principals", "ALLOW", from("principals: ['*/sa/db']"), from("principals: ['*/db']"), true},
		{"a subject of an issuer", "ALLOW", from("requestPrincipals: [a/b]"), from("requestPrincipals: [a/*]"), true},
		{"a subject of all", "ALLOW", from("requestPrincipals: [a/b]"), from("requestPrincipals: ['*']"), true},
		{"a claim", "ALLOW", "[{when: [{key: 'request.auth.claims[g]', values: [admin]}]}]", "[{when: [{key: 'request.auth.claims[g]', values: [admin, 'ops-*']}]}]", true},
		{"a claim of a prefix", "ALLOW", "[{when: [{key: 'request.auth.claims[g]', values: [ops-1]}]}]", "[{when: [{key: 'request.auth.claims[g]', values: ['ops-*']}]}]", true},
		{"a header that is there", "ALLOW", "[{when: [{key: 'request.headers[x]', values: ['a*']}]}]", "[{when: [{key: 'request.headers[x]', values: ['*']}]}]", true},
		{"a header without a value", "ALLOW", "[{when: [{key: 'request.headers[x]', notValues: ['a*']}]}]", "[{when: [{key: 'request.headers[x]', notValues: [ab]}]}]", true},
		{"a prefix of a prefix", "ALLOW", to("{paths: [/public/*]}"), to("{paths: [/p*]}"), true},
		{"a segment", "ALLOW", to("{paths: ['/t/{*}']}"), to("{paths: ['/t/{**}']}"), true},
		{"a template of a prefix", "ALLOW", to("{paths: ['/t/{*}/x']}"), to("{paths: ['/t/*']}"), true},
		{"a path of a template", "ALLOW", to("{paths: [/t/a/x]}"), to("{paths: ['/t/{*}/x']}"), true},
		{"no template of another", "ALLOW", to("{paths: ['/t/{*}/x']}"), to("{paths: ['/t/{*}/y']}"), false},
		{"a template, which takes fewer signs", "ALLOW", to("{paths: ['/t/{**}']}"), to("{paths: ['/t/*']}"), true},
		{"a block", "ALLOW", from("ipBlocks: [127.0.0.0/30]"), from("ipBlocks: [127.0.0.0/8]"), true},
		{"another block", "ALLOW", from("ipBlocks: [127.0.0.0/30]"), from("ipBlocks: [127.0.1.0/24]"), false},
		{"another family", "ALLOW", from("ipBlocks: [127.0.0.0/30]"), from("ipBlocks: ['::/0']"), false},
		{"a method that is none of others", "ALLOW", to("{methods: [GET]}"), to("{notMethods: [POST]}"), true},
		{"a port that is none of others", "ALLOW", to("{ports: ['9080']}"), to("{notPorts: ['80']}"), true},
		{"a prefix", "DENY", to("{paths: ['/secret*']}"), to("{paths: [/secret]}"), true},
		{"a prefix", "CUSTOM", to("{paths: ['/*']}"), to("{paths: ['/ext/*']}"), true},
		{"a host in any case", "ALLOW", to("{hosts: [web.shop]}"), to("{hosts: ['WEB*']}"), true},
		{"a method", "DENY", to(both), to(one), true},
		{"a condition", "DENY", to(both), when(both), true},
	} {
		policy := func(rules string) diff.Side {
			return side(t, strings.Replace(authz(tt.action, rules), "action: CUSTOM,", "action: CUSTOM, provider: {name: ext},", 1), randomConfig)
		}
		less, more := policy(tt.less), policy(tt.more)
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

// TestRelationIsSound: where the lines on a rule with other values say that it is
// narrower, wider or the same, no request says otherwise.
func TestRelationIsSound(t *testing.T) {
	t.Parallel()
	pairs, asked := 600, 150
	if testing.Short() {
		pairs = 100
	}
	found := map[string]int{}
	for seed := range pairs {
		d := dice{rand.New(rand.NewPCG(uint64(seed), 5))}
		values := d.valuesOfOneField()
		action := d.of("ALLOW", "DENY")
		old, now := authz(action, "[{"+values()+"}]"), authz(action, "[{"+values()+"}]")
		before, after := sideOf(t, randomBase()+tokens("iss")+old, ""), sideOf(t, randomBase()+tokens("iss")+now, "")
		r := diff.Compare(before, after)
		tags := tagsOf(r)
		found[tags]++
		for range asked {
			request := d.request()
			was, is := before.Models["prod/reviews"].Evaluate(request).Outcome, after.Models["prod/reviews"].Evaluate(request).Outcome
			if was != policy.Allow && is == policy.Allow && !strings.Contains(tags, "looser") || was == policy.Allow && is != policy.Allow && !strings.Contains(tags, "tighter") {
				t.Fatalf("seed %d: %s, then %s: %+v\n%s\nbefore:\n%s\nafter:\n%s", seed, was, is, request.HTTP, strings.Join(told(r), "\n"), old, now)
			}
		}
	}
	if found["looser"] < pairs/20 || found["tighter"] < pairs/20 || found["cosmetic"] == 0 {
		t.Errorf("%v: that says little", found)
	}
}
