package authentication

import (
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

const warning = report.Warning

// rulePlace is a rule of a RequestAuthentication, and where it stands.
type rulePlace struct {
	of   *mesh.RequestAuthentication
	rule *security.JWTRule
	path []string
}

// together are the rules that apply to one workload, each such list once.
func together(p *analyze.Pass) [][]rulePlace {
	return analyze.Shared(p.Inventory, "authentication.together", func() [][]rulePlace {
		var lists [][]rulePlace
		seen := map[string]bool{}
		add := func(all []*mesh.RequestAuthentication) {
			var list []rulePlace
			var key strings.Builder
			for _, r := range all {
				key.WriteString(r.Namespace + "/" + r.Name + " ")
				for i, rule := range r.Spec.JwtRules {
					list = append(list, rulePlace{r, rule, at([]string{"spec", "jwtRules"}, i)})
				}
			}
			if len(list) > 1 && !seen[key.String()] {
				seen[key.String()] = true
				lists = append(lists, list)
			}
		}
		for _, w := range p.Workloads {
			add(policies(p.Inventory)[w].tokens)
		}
		for _, r := range tokenRules(p) {
			add([]*mesh.RequestAuthentication{r})
		}
		return lists
	})
}

// issuers compares the rules that apply to one workload: whether two of them are
// of one issuer with other keys (RA-5), and whether they read tokens from unlike
// places (DP-40).
func issuers(p *analyze.Pass) {
	type pair struct{ a, b *security.JWTRule }
	told := map[pair]bool{}
	for _, list := range together(p) {
		for i, b := range list {
			for _, a := range list[:i] {
				if told[pair{a.rule, b.rule}] || a.rule == nil || b.rule == nil {
					continue
				}
				told[pair{a.rule, b.rule}] = true
				compare(p, a, b)
			}
		}
	}
}

func compare(p *analyze.Pass, a, b rulePlace) {
	if a.rule.Issuer == b.rule.Issuer && (a.rule.Jwks != b.rule.Jwks || a.rule.JwksUri != b.rule.JwksUri) {
		p.Report(b.of.Object, at(b.path, "issuer"), "another rule for issuer %q has other keys: a token has to satisfy only one of them", b.rule.Issuer).
			Because(a.of.Object, at(a.path, "issuer"), "is that rule")
	}
	if a.rule.Issuer != b.rule.Issuer && !slices.Equal(places(a.rule), places(b.rule)) {
		p.ReportCode("MSH0220", b.of.Object, b.path, "tokens of %q are read from %s, and those of %q from %s: a good token in one place lets a bad one in the other through", b.rule.Issuer, strings.Join(places(b.rule), ", "), a.rule.Issuer, strings.Join(places(a.rule), ", ")).
			Because(a.of.Object, a.path, "reads tokens from elsewhere")
	}
}

// places are where a rule looks for tokens, sorted.
func places(r *security.JWTRule) []string {
	var all []string
	for _, h := range r.FromHeaders {
		all = append(all, "header "+strings.ToLower(h.GetName()))
	}
	for _, name := range r.FromParams {
		all = append(all, "parameter "+name)
	}
	for _, name := range r.FromCookies {
		all = append(all, "cookie "+name)
	}
	if all == nil {
		all = []string{"header authorization", "parameter access_token"}
	}
	slices.Sort(all)
	return all
}

// consumedHeaders finds conditions on the header that carries a token, which is
// taken out before access is decided unless it is forwarded (DP-38).
func consumedHeaders(p *analyze.Pass) {
	told := map[*mesh.AuthorizationPolicy]bool{}
	for _, w := range p.Workloads {
		a := policies(p.Inventory)[w]
		for _, r := range a.access {
			if told[r] {
				continue
			}
			told[r] = true
			for i, rule := range r.Spec.Rules {
				for j, when := range rule.GetWhen() {
					name, ok := strings.CutPrefix(strings.ToLower(when.GetKey()), "request.headers[")
					if by := consumer(a.tokens, strings.TrimSuffix(name, "]")); ok && by != nil {
						p.Report(r.Object, at([]string{"spec", "rules"}, i, "when", j, "key"), "a good token is taken out of this header before access is decided: the condition sees requests without one only. Ask for request.auth.*, or forward the token").
							Because(by.Object, []string{"spec", "jwtRules"}, "takes it out")
					}
				}
			}
		}
	}
}

// consumer is the policy that reads tokens from a header without forwarding
// them.
func consumer(all []*mesh.RequestAuthentication, header string) *mesh.RequestAuthentication {
	for _, r := range all {
		for _, rule := range r.Spec.JwtRules {
			if !rule.GetForwardOriginalToken() && slices.Contains(places(rule), "header "+header) {
				return r
			}
		}
	}
	return nil
}
