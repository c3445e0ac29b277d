package policy

// Prepared is a request on its way, as far as the rules of the workload. What
// they look at is known by then, so that it can be decided again and again at no
// more than what the rules themselves cost.
type Prepared struct {
	stages *Stages
	facts  *facts
}

// Prepare takes a request as far as the workload's rules. It is false if the
// request does not get there; Evaluate then says why. CUSTOM rules are left out,
// as someone else decides for them.
func (m *Model) Prepare(r *Request) (p Prepared, ok bool) {
	e := evaluation{model: m, request: r}
	stages := e.approach()
	if stages == nil || !e.authenticate() {
		return p, false
	}
	return Prepared{stages, &e.facts}, true
}

// Decide asks the DENY rules, then the ALLOW rules. The rule is the one that
// decided, if one did. Where what nobody told decides, the outcome is unknown.
func (p *Prepared) Decide() (Outcome, *Rule) {
	doubt := Allow
	if deny := p.stages.Deny; deny != nil {
		rule, open := deny.Enforced.find(p.facts)
		if rule != nil {
			return Deny, rule
		}
		if open != nil {
			doubt = Unknown
		}
	}
	allow := p.stages.Allow
	if allow == nil || allow.Enforced == nil {
		return doubt, nil
	}
	rule, open := allow.Enforced.find(p.facts)
	switch {
	case rule != nil:
		return doubt, rule
	case open != nil:
		return Unknown, nil
	}
	return Deny, nil
}
