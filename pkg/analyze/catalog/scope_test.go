package catalog_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze/catalog"
)

// TestScope: every code of Istio's analyzers has a rule, or a reason for having
// none.
func TestScope(t *testing.T) {
	t.Parallel()
	const istios = `IST0001 IST0002 IST0101 IST0102 IST0103 IST0106 IST0107 IST0108 IST0109 IST0110 IST0111 IST0112 IST0116 IST0118
IST0123 IST0125 IST0126 IST0127 IST0128 IST0129 IST0130 IST0131 IST0132 IST0133 IST0134 IST0135 IST0136 IST0137 IST0138 IST0139
IST0140 IST0141 IST0142 IST0143 IST0144 IST0145 IST0146 IST0147 IST0148 IST0149 IST0150 IST0151 IST0152 IST0153 IST0154 IST0155
IST0156 IST0157 IST0158 IST0159 IST0160 IST0161 IST0162 IST0163 IST0164 IST0165 IST0166 IST0167 IST0168 IST0169 IST0170 IST0171
IST0172 IST0173 IST0174 IST0175 IST0176 IST0177`
	left, rules := catalog.OutOfScope(), map[string]bool{}
	for _, r := range catalog.Rules() {
		rules[r.Code] = true
	}
	known := map[string]bool{}
	for _, code := range strings.Fields(istios) {
		known[code] = true
		if _, out := left[code]; out == rules[code] {
			t.Errorf("%s: rule %t, out of scope %t; expected one of them", code, rules[code], out)
		}
	}
	for code, reason := range left {
		if !known[code] && !strings.HasPrefix(code, "MSH") || rules[code] || len(reason) < 30 {
			t.Errorf("%s is out of scope because %q; expected a code without a rule, and a reason", code, reason)
		}
	}
	for code := range rules {
		if strings.HasPrefix(code, "IST") && !known[code] {
			t.Errorf("%s is no code of Istio's", code)
		}
	}
}
