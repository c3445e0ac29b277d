package policy_test

import (
	"encoding/json"
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
	f.Fuzz(func(t *testing.T, v, key string) {
		type object = map[string]any
		values := []string{v}
		source := object{"principals": values, "notNamespaces": values, "requestPrincipals": values, "serviceAccounts": values, "notIpBlocks": values, "trustDomains": values}
		operation := object{"paths": values, "notMethods": values, "hosts": values, "ports": values}
		when := []object{{"key": "request.headers" + key, "values": values}, {"key": "request.auth.claims" + key, "notValues": values}, {"key": "connection.sni", "values": values}}
		for _, action := range []string{"ALLOW", "DENY", "AUDIT", "CUSTOM"} {
			rules := []object{{"from": []object{{"source": source}}}, {"to": []object{{"operation": operation}}}, {"when": when}, {"when": []object{{"key": key, "values": values}}}}
			lines := explainFuzzed(t, object{"action": action, "rules": rules})
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
			spec := object{"rules": []object{tt.rule}}
			if !says(explainFuzzed(t, spec), "never matches") {
				continue
			}
			s := fuzzed(t, spec)
			if verdict, err := policy.NewSimulator(s).Evaluate(tt.request); err != nil || verdict.Outcome == policy.Allow {
				t.Errorf("%v is said never to match, and matches (%v)", tt.rule, err)
			}
		}
	})
}

// fuzzed is a mesh with a policy; nil if its values cannot be read.
func fuzzed(t *testing.T, spec map[string]any) *mesh.Snapshot {
	t.Helper()
	text, err := json.Marshal(map[string]any{"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": map[string]string{"name": "p", "namespace": "shop"}, "spec": spec})
	if err != nil {
		t.Skip(err)
	}
	stream, err := manifest.Read("mesh.yaml", []byte(workloadYAML+"---\n"+string(text)))
	if err != nil {
		t.Skip(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		t.Skip(err)
	}
	return s
}

// explainFuzzed explains the policy, and its workload so that nothing panics
// there.
func explainFuzzed(t *testing.T, spec map[string]any) []string {
	t.Helper()
	s := fuzzed(t, spec)
	policy.NewSimulator(s).Describe(s.Workload("shop", "app"))
	return append(explain(t, s, "ap/p.shop"), explain(t, s, "deploy/app.shop")...)
}
