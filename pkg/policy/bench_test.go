package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// rules are a workload with n ALLOW rules of everyday form, of which a request
// by the last account matches the last.
func rules(n int) string {
	var out strings.Builder
	out.WriteString(workloadYAML)
	out.WriteString("---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: many, namespace: shop}\nspec:\n  rules:\n")
	for i := range n {
		fmt.Fprintf(&out, "  - from: [{source: {principals: [cluster.local/ns/shop/sa/client-%d]}}]\n    to: [{operation: {methods: [GET], paths: [/items/%d/*]}}]\n", i, i)
	}
	return out.String()
}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{1, 10, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			s := snapshot(b, rules(n), "")
			m := policy.Compile(s, s.Workload("shop", "app"))
			id := fmt.Sprintf("spiffe://cluster.local/ns/shop/sa/client-%d", n-1)
			r := policy.Request{
				To:   policy.Destination{Namespace: "shop", Workload: "app", Port: 8080},
				From: policy.Client{Identity: &id, IP: "10.0.0.1", ALPN: []string{"istio-http/1.1", "istio", "http/1.1"}},
				HTTP: &policy.HTTP{Method: "GET", Path: fmt.Sprintf("/items/%d/x", n-1), Authority: "app"},
			}
			if v := m.Evaluate(&r); v.Outcome != policy.Allow {
				b.Fatal(v)
			}
			for b.Loop() {
				m.Evaluate(&r)
			}
		})
	}
}
