package policytest_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

// TestWhatWouldTell: an answer that is unknown names the fields of a test file
// that would make it known, not the flags of other commands.
func TestWhatWouldTell(t *testing.T) {
	t.Parallel()
	policy := func(rule string) string {
		return shop + "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec: {" + rule + "}\n"
	}
	for rule, want := range map[string]string{
		"action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]":          "it depends on the client's address (sourceIP)",
		"action: DENY, rules: [{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}]":    "it depends on the address of the original client (header x-forwarded-for or sourceIP)",
		"action: DENY, rules: [{when: [{key: destination.ip, values: [10.0.0.0/8]}]}]": "it depends on the workload's address (destinationIP)",
		"action: CUSTOM, provider: {name: prometheus}, rules: [{}]":                    "",
	} {
		r, err := run(t, snapshot(t, policy(rule)), `
cases:
- {name: c, from: shop/reader, to: svc/web.shop:80, path: /items/1, expect: allow}
`, policytest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := r.Suites[0].Cases[0]
		if want == "" { // a provider that cannot be used denies without asking anyone (AP-62)
			if c.Status != "failed" || !strings.Contains(c.Message, "cannot be used") {
				t.Errorf("%s: %+v", rule, c)
			}
			continue
		}
		if c.Status != "unknown" || c.Message != want {
			t.Errorf("%s: %s %q, want %q", rule, c.Status, c.Message, want)
		}
		if strings.Contains(c.Detail, "--") {
			t.Errorf("%s: flags in\n%s", rule, c.Detail)
		}
	}
}
