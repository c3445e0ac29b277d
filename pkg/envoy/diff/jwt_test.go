package diff_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/envoy/diff"
)

// TestProviders: what changes for the tokens of an issuer is said in words, with
// the object that makes it so, and no key is shown.
func TestProviders(t *testing.T) {
	t.Parallel()
	const wants = `[{from: [{source: {requestPrincipals: ['*']}}]}]`
	key := func(name, key string) string { return `{"kty":"oct","kid":"` + name + `","k":"` + key + `"}` }
	keys := func(all ...string) string { return `jwks: '{"keys":[` + strings.Join(all, ",") + `]}'` }
	rule := func(text string) string {
		if !strings.Contains(text, "jwks: ") {
			text += ", " + keys(key("k", "c2VjcmV0"))
		}
		return "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: t, namespace: prod}\nspec: {jwtRules: [{issuer: a" + text + "}]}\n"
	}
	for _, tt := range []struct {
		name, before, after, rules string
		want                       []string // without what is the same in all lines
	}{
		{"more audiences", ", audiences: [x]", ", audiences: [x, z]", "", []string{"looser: now count if they are for audience x or z (was audience x)"}},
		{"any audience", ", audiences: [x]", "", "", []string{"looser: now count if they are for any audience (was audience x)"}},
		{"fewer audiences", ", audiences: [x, z]", ", audiences: [z]", "", []string{"tighter: no longer count unless they are for audience z (was audience x or z)"}},
		{"another audience", ", audiences: [x]", ", audiences: [z]", "", []string{
			"looser: now count if they are for audience z (was audience x)", "tighter: no longer count unless they are for audience z (was audience x)",
		}},
		{"a place", ", fromParams: [t]", ", fromParams: [t, u]", "", []string{"tighter: in parameter u are now verified"}},
		{"no place", ", fromParams: [t], fromHeaders: [{name: X, prefix: 'T '}]", ", fromParams: [t]", wants, []string{
			`looser: in header x after "T " are no longer verified`, `tighter: in header x after "T " are no longer found by the rules that let in, or spare, who has a token`,
		}},
		{"a place that rules look at", ", fromParams: [t]", ", fromParams: [t], fromCookies: [c]", wants, []string{
			"tighter: in cookie c are now verified", "looser: in cookie c are now found by the rules that let in, or spare, who has a token",
		}},
		{"the first place is another", "", ", fromHeaders: [{name: authorization, prefix: 'Bearer '}]", "", []string{"looser: in parameter access_token are no longer verified"}},
		{"forwarded", "", ", forwardOriginalToken: true", "", []string{"cosmetic: are now passed on to the application"}},
		{"kept back", ", forwardOriginalToken: true", "", "", []string{"cosmetic: are no longer passed on to the application"}},
		{"output", "", ", outputClaimToHeaders: [{header: X-User, claim: sub}]", "", []string{"tighter: now set the header x-user from claim sub: clients can no longer send it themselves"}},
		{"no output", ", outputPayloadToHeader: x-p", "", "", []string{"looser: no longer set the header x-p from the payload: clients can send it themselves"}},
		{"another key of that name", "", ", " + keys(key("k", "b3RoZXI")), "", []string{
			`looser: now count if they are signed by the new key "k"`, `tighter: no longer count if they are signed by the old key "k"`,
		}},
		{"a key more", "", ", " + keys(key("k", "c2VjcmV0"), key("l", "b3RoZXI")), "", []string{`looser: now count if they are signed by the new key "l"`}},
	} {
		policies := ""
		if tt.rules != "" {
			policies = authz("ALLOW", tt.rules)
		}
		r := diff.Compare(side(t, rule(tt.before)+policies, ""), side(t, rule(tt.after)+policies, ""))
		var got []string
		for _, line := range told(r) {
			line = strings.Replace(line, `tokens of issuer "a" `, "", 1)
			line, ok := strings.CutSuffix(line, ", at prod/reviews, because RequestAuthentication prod/t, deploy.yaml:14")
			if !ok {
				t.Errorf("%s: %s: no cause", tt.name, line)
			}
			got = append(got, line)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		text, err := json.Marshal(r)
		if err != nil || strings.Contains(string(text), "c2VjcmV0") || strings.Contains(string(text), "b3RoZXI") {
			t.Errorf("%s: %v, or a key is shown", tt.name, err)
		}
		if strings.Contains(tt.name, "key of that name") && !strings.Contains(string(text), "(another value)") {
			t.Errorf("%s: the fields are the same: %s", tt.name, text)
		}
		if hiddenPart(r) != "" {
			t.Errorf("%s: %s is looser, and in no line", tt.name, hiddenPart(r))
		}
	}
}
