package authz

import (
	"net/http"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"

	"github.com/meshctl/meshctl/pkg/policy"
)

// chain is a list of filters in their order.
type chain []filter

// answer is what becomes of a request, in what both sides can say of it.
type answer struct {
	Outcome         policy.Outcome
	Status          int // of HTTP
	By, Custom      string
	DryAllow, DryBy string // of ALLOW policies in a dry run: the result, and the rule
	DryDeny, DenyBy string
}

// passage is one request on its way through a chain.
type passage struct {
	*attributes
	custom  string // what external authorizers say: allow, deny, error
	written map[string]map[string]any
	answer  answer
}

// run takes a request through the filters, as Envoy does. Tokens are verified
// after the CUSTOM filters (EV-1).
func (c chain) run(a *attributes, custom string) answer {
	p := &passage{attributes: a, custom: custom, written: map[string]map[string]any{}}
	before := *a
	before.payload = nil
	p.attributes = &before
	for i := range c {
		f := &c[i]
		if f.authorizer == nil && !f.custom() {
			p.attributes = a
		}
		if !p.pass(f) {
			return p.answer
		}
	}
	p.answer.Outcome = policy.Allow
	if a.http {
		p.answer.Status = http.StatusOK
	}
	return p.answer
}

// pass is false if the filter ends the request.
func (p *passage) pass(f *filter) bool {
	if f.authorizer != nil {
		return p.ask(f.authorizer)
	}
	p.shadow(f)
	if f.rules == nil {
		return true
	}
	id := f.rules.match(p.attributes)
	if f.custom() && id != "" && p.answer.Custom == "" {
		p.answer.Custom = id
	}
	switch f.action {
	case rbacv3.RBAC_ALLOW:
		if id == "" {
			p.deny("none", http.StatusForbidden)
			return false
		}
		p.answer.By = id
	case rbacv3.RBAC_DENY:
		if id != "" {
			p.deny(id, http.StatusForbidden)
			return false
		}
	}
	return true // LOG decides nothing
}

// shadow notes what the shadow rules would do (AP-69).
func (p *passage) shadow(f *filter) {
	if f.shadow == nil {
		return
	}
	id := f.shadow.match(p.attributes)
	result := "allowed"
	if (id != "") == (f.shadowAction == rbacv3.RBAC_DENY) {
		result = "denied"
	}
	switch f.prefix {
	case dryRunPrefix + "allow_":
		p.answer.DryAllow, p.answer.DryBy = result, id
	case dryRunPrefix + "deny_":
		p.answer.DryDeny, p.answer.DenyBy = result, id
	case askPrefix:
		if id != "" {
			p.answer.Custom = id
		}
	}
	if id == "" {
		return
	}
	if p.written[f.name] == nil {
		p.written[f.name] = map[string]any{}
	}
	p.written[f.name][f.prefix+"shadow_effective_policy_id"] = id
}

// ask asks an external authorizer if the rules before it say so (AP-60).
func (p *passage) ask(a *authorizer) bool {
	if !a.enabled.holds(lookUp(p.written[a.filter], a.keys)) {
		return true
	}
	id := p.answer.Custom
	switch p.custom {
	case "allow":
		return true
	case "error":
		if a.failOpen {
			return true
		}
		p.deny(id, a.status)
	default:
		p.deny(id, http.StatusForbidden)
	}
	return false
}

func (p *passage) deny(by string, status int) {
	p.answer.Outcome, p.answer.By = policy.Deny, by
	if p.http {
		p.answer.Status = status
	}
}

// leaves calls f with every matcher of a chain, by table and rule.
func (c chain) leaves(f func(where, name string, l *leaf)) {
	for name, t := range c.tables() {
		for i := range t {
			for _, side := range [][]term{t[i].permissions, t[i].principals} {
				for j := range side {
					side[j].leaves(func(text string, l *leaf) { f(strings.Join([]string{name, t[i].id}, " "), text, l) })
				}
			}
		}
	}
}
