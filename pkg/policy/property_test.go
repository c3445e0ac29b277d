package policy_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// randomRule is a rule in flow style, and randomRequest a request that may
// match it.
func randomRule(r *rand.Rand) string {
	pick := func(choices ...string) string { return choices[r.IntN(len(choices))] }
	source := pick("", "from: [{source: {namespaces: [shop]}}], ", "from: [{source: {notNamespaces: [other]}}], ", "from: [{source: {principals: ['*/sa/curl']}}], ", "from: [{source: {ipBlocks: [10.0.0.0/8]}}], ")
	operation := pick("", "to: [{operation: {methods: [GET]}}], ", "to: [{operation: {paths: [/x*]}}, {operation: {ports: ['9000']}}], ", "to: [{operation: {notPaths: [/admin*]}}], ", "to: [{operation: {hosts: [app.shop]}}], ")
	when := pick("", "when: [{key: 'request.headers[x-a]', values: [b]}], ", "when: [{key: source.namespace, notValues: [other]}], ")
	return "{" + strings.TrimSuffix(source+operation+when, ", ") + "}"
}

func randomPolicies(r *rand.Rand, action string, n int) []string {
	var all []string
	for i := range n {
		var rules []string
		for range 1 + r.IntN(3) {
			rules = append(rules, randomRule(r))
		}
		all = append(all, ap(fmt.Sprintf("%s-%d", strings.ToLower(action), i), "action: "+action+", rules: ["+strings.Join(rules, ", ")+"]"))
	}
	return all
}

func randomRequest(r *rand.Rand) *policy.Request {
	changes := []change{}
	maybe := func(c ...change) {
		if i := r.IntN(len(c) + 1); i < len(c) {
			changes = append(changes, c[i])
		}
	}
	maybe(plaintext, from("spiffe://cluster.local/ns/other/sa/curl"), from("spiffe://cluster.local/ns/shop/sa/web"))
	maybe(method("POST"), method("DELETE"))
	maybe(path("/admin"), path("/y"))
	maybe(header("x-a", "b"))
	maybe(host("other"))
	maybe(bytesTo(9000), to(7000))
	return request(changes...)
}

// TestLaws: DENY beats ALLOW; the order of policies never matters; one more
// ALLOW rule, where there are some, takes no access away, and one more DENY
// rule gives none.
func TestLaws(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			allows, denies := randomPolicies(r, "ALLOW", 1+r.IntN(3)), randomPolicies(r, "DENY", r.IntN(3))
			base := model(t, docs(append(allows, denies...)...), "")
			shuffled := append(append([]string{}, denies...), allows...)
			r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			reordered := model(t, docs(shuffled...), "")
			moreAllowed := model(t, docs(append(append([]string{ap("more", "rules: ["+randomRule(r)+"]")}, allows...), denies...)...), "")
			moreDenied := model(t, docs(append(append([]string{ap("more", "action: DENY, rules: ["+randomRule(r)+"]")}, allows...), denies...)...), "")
			onlyDenies := model(t, docs(denies...), "")
			for range 50 {
				request := randomRequest(r)
				v := base.Evaluate(request)
				if w := reordered.Evaluate(request); w.Outcome != v.Outcome || w.By != v.By {
					t.Errorf("another order: %s %s, not %s %s", w.Outcome, w.By, v.Outcome, v.By)
				}
				if v.Outcome == policy.Allow && moreAllowed.Evaluate(request).Outcome != policy.Allow {
					t.Error("one more ALLOW rule takes access away")
				}
				if v.Outcome == policy.Deny && moreDenied.Evaluate(request).Outcome != policy.Deny {
					t.Error("one more DENY rule gives access")
				}
				if onlyDenies.Evaluate(request).Outcome == policy.Deny && v.Outcome != policy.Deny {
					t.Error("ALLOW beats DENY")
				}
			}
		})
	}
}

// FuzzRequests: no line panics, and every request that is read is answered.
func FuzzRequests(f *testing.F) {
	f.Add([]byte(`{"to":{"namespace":"shop","workload":"app","port":8080},"from":{"identity":null},"http":{"method":"GET","path":"/a","authority":"a","headers":{"a":["b"]},"tokens":[{"in":"header","name":"authorization","prefix":"Bearer ","valid":true,"claims":{"iss":"a"}}]}}`))
	f.Add([]byte(`{"to":{"namespace":"shop","workload":"app","port":9000},"from":{"identity":"spiffe://cluster.local/ns/a/sa/b","ip":"1.2.3.4","alpn":["istio"]},"custom":"deny"}`))
	simulator := policy.NewSimulator(snapshot(f, docs(workloadYAML, jwtPolicy("issuer: a, jwks: '{}', fromParams: [t], outputPayloadToHeader: x-p"), ap("a", "rules: [{to: [{operation: {paths: ['/a/{*}', '*/b']}}]}]")), ""))
	f.Fuzz(func(t *testing.T, text []byte) {
		requests, err := policy.ReadRequests("x", bytes.NewReader(text))
		if err != nil {
			return
		}
		for i := range requests {
			if v, err := simulator.Evaluate(&requests[i]); err == nil && v.Outcome == "" {
				t.Errorf("no verdict for %s", text)
			}
		}
	})
}

// FuzzPolicies: no policy panics, whatever its fields say.
func FuzzPolicies(f *testing.F) {
	f.Add([]byte(ap("p", "rules: [{from: [{source: {principals: ['*'], namespaces: ['a*b'], serviceAccounts: [a/b], ipBlocks: [1.2.3.4/8], trustDomains: ['*.x']}}], to: [{operation: {paths: ['{*}/{**}'], ports: ['1']}}], when: [{key: 'request.auth.claims[a][b]', values: ['*']}]}]")))
	f.Add([]byte(pa("p", "shop", "", "selector: {matchLabels: {app: app}}, portLevelMtls: {8080: {mode: STRICT}}")))
	f.Add([]byte(jwtPolicy("issuer: a, fromHeaders: [{name: a, prefix: b}], outputClaimToHeaders: [{header: a, claim: b.c}]")))
	f.Fuzz(func(_ *testing.T, text []byte) {
		s, err := manifest.Read("x", append([]byte(workloadYAML+"---\n"), text...))
		if err != nil {
			return
		}
		built, err := mesh.Build([]*manifest.Stream{s}, mesh.Options{Namespace: "shop"})
		if err != nil {
			return
		}
		for _, w := range built.Workloads {
			m := policy.Compile(built, w)
			m.Evaluate(request(header("authorization", "Bearer x"), path("/a/b?t=1")))
			m.Evaluate(request(bytesTo(9000)))
		}
	})
}
