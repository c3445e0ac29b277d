package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// FuzzExplain: whatever stands in a policy, its explanation is whole sentences;
// and what is said to match nothing does not match a request that has it.
func FuzzExplain(f *testing.F) {
	for _, seed := range []string{"*", "", "/a/{*}", "cluster.local/ns/a/sa/b", "spiffe://x", "get", "https://issuer/*", "*x*", "a[b][c]", "10.0.0.0/8", "8080", "[", "not", "\x00"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, v, key string) { checkExplained(t, v, key) })
}

// TestExplainAnything does the same with values put together of parts that mean
// something.
func TestExplainAnything(t *testing.T) {
	t.Parallel()
	parts := []string{"*", "/", "spiffe://", "{*}", "{**}", "?", "#", "[", "]", "a", "A", ".", " ", ":80", "10.0.0.0/8", "::", "cluster.local", "/ns/a/sa/b", "https://", "not", "\u00e9", "-", "0"}
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 2))
			word := func() string {
				text := ""
				for range 1 + r.IntN(4) {
					text += parts[r.IntN(len(parts))]
				}
				return text
			}
			if v, key := word(), word(); !checkExplained(t, v, key) {
				t.Errorf("no manifest can be made of %q and %q", v, key)
			}
		})
	}
}

// checkExplained is false if the values cannot be written into a manifest.
func checkExplained(t *testing.T, v, key string) bool {
	type object = map[string]any
	values := []string{v}
	source := object{"principals": values, "notNamespaces": values, "requestPrincipals": values, "serviceAccounts": values, "notIpBlocks": values, "trustDomains": values}
	operation := object{"paths": values, "notMethods": values, "hosts": values, "ports": values}
	when := []object{{"key": "request.headers" + key, "values": values}, {"key": "request.auth.claims" + key, "notValues": values}, {"key": "connection.sni", "values": values}}
	for _, action := range []string{"ALLOW", "DENY", "AUDIT", "CUSTOM"} {
		rules := []object{{"from": []object{{"source": source}}}, {"to": []object{{"operation": operation}}}, {"when": when}, {"when": []object{{"key": key, "values": values}}}}
		s := fuzzed(t, object{"action": action, "rules": rules})
		if s == nil {
			return false
		}
		lines := append(explain(t, s, "ap/p.shop"), explain(t, s, "deploy/app.shop")...)
		policy.NewSimulator(s).Describe(s.Workload("shop", "app"))
		for _, line := range lines {
			if text := strings.TrimSpace(line); !strings.HasSuffix(text, ".") || strings.Contains(text, "%!") {
				t.Errorf("no sentence: %q", line)
			}
		}
	}
	for _, tt := range []struct {
		rule    object
		request *policy.Request
	}{
		{object{"to": []object{{"operation": object{"paths": values}}}}, request(path(v))},
		{object{"to": []object{{"operation": object{"methods": values}}}}, request(method(v))},
		{object{"from": []object{{"source": object{"principals": values}}}}, request(from(v))},
		{object{"from": []object{{"source": object{"principals": values}}}}, request(from("spiffe://" + v))},
		{object{"when": []object{{"key": "connection.sni", "values": values}}}, request(sni(v))},
	} {
		s := fuzzed(t, object{"rules": []object{tt.rule}})
		if s == nil || !says(explain(t, s, "ap/p.shop"), "never matches") {
			continue
		}
		if verdict, err := policy.NewSimulator(s).Evaluate(tt.request); err != nil || verdict.Outcome == policy.Allow {
			t.Errorf("%v is said never to match, and matches (%v)", tt.rule, err)
		}
	}
	return true
}

// fuzzed is a mesh with a policy; nil if its values cannot be read.
func fuzzed(t *testing.T, spec map[string]any) *mesh.Snapshot {
	t.Helper()
	text, err := json.Marshal(map[string]any{"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": map[string]string{"name": "p", "namespace": "shop"}, "spec": spec})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := manifest.Read("mesh.yaml", []byte(workloadYAML+"---\n"+string(text)))
	if err != nil {
		return nil
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		return nil
	}
	return s
}
