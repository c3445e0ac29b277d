package policy

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
)

// stages runs CUSTOM, authentication, DENY and ALLOW; AUDIT never decides. It is
// false if one of them ended the request.
func (e *evaluation) stages(s *Stages) bool {
	if len(s.Custom) == 0 {
		e.traceNone(CustomAction, "no policy asks an external authorizer")
	}
	if !e.custom(s.Custom) || !e.authenticate() {
		return false
	}
	e.traceAudit(s.Audit.enforced())
	e.shadow(s.Deny.shadow(), DenyAction)
	if !e.denies(s.Deny.enforced()) {
		return false
	}
	e.shadow(s.Allow.shadow(), AllowAction)
	return e.allows(s.Allow.enforced())
}

// denies runs the enforced DENY rules; it is false if one ended the request.
func (e *evaluation) denies(set *RuleSet) bool {
	if set == nil {
		e.traceNone(DenyAction, "no policy")
		return true
	}
	rule, open := set.find(&e.facts)
	e.traceRules(DenyAction, set, rule, open)
	if rule != nil {
		e.deny(DenyAction, http.StatusForbidden, rule.ID, rule)
		return false
	}
	e.doubt(DenyAction, http.StatusForbidden, open)
	return true
}

// allows runs the enforced ALLOW rules; without any, all is allowed.
func (e *evaluation) allows(set *RuleSet) bool {
	if set == nil {
		e.traceNone(AllowAction, "no policy: what is not denied is allowed")
		return true
	}
	rule, open := set.find(&e.facts)
	e.traceRules(AllowAction, set, rule, open)
	switch {
	case rule != nil:
		e.verdict.By, e.verdict.Rule = rule.ID, rule
	case open != nil:
		e.doubt(AllowAction, http.StatusForbidden, open)
	default:
		e.deny(AllowAction, http.StatusForbidden, "none", nil)
		return false
	}
	return true
}

func (e *evaluation) doubt(stage StageName, status int, open *Rule) {
	if open != nil {
		e.doubts = append(e.doubts, doubt{stage, status, open})
	}
}

// settle makes the verdict unknown if a rule in doubt would change it. A denial
// stays one whichever rule makes it, as long as the client is told the same.
func (e *evaluation) settle() {
	v := &e.verdict
	at := slices.IndexFunc(e.doubts, func(d doubt) bool {
		return v.Outcome != Deny || e.chain.HTTP && d.status != e.denial
	})
	if at < 0 || v.Outcome == Unknown {
		return
	}
	d := e.doubts[at]
	v.Outcome, v.HTTPStatus, v.GRPCStatus = Unknown, 0, nil
	v.Stage, v.By, v.Rule = d.stage, d.rule.ID, d.rule
	v.Reason = "it depends on " + e.unknownNames(d.rule)
}

// shadow notes what dry-run policies would have done (RUN-1).
func (e *evaluation) shadow(set *RuleSet, stage StageName) {
	if set == nil {
		return
	}
	if e.verdict.DryRun == nil {
		e.verdict.DryRun = &DryRun{}
	}
	rule, open := set.find(&e.facts)
	result := &Shadow{Result: "allowed"}
	switch {
	case open != nil:
		result.Result = "unknown"
	case (rule != nil) == (stage == DenyAction):
		result.Result = "denied"
	}
	if rule != nil {
		result.By = rule.ID
	}
	e.traceShadow(stage, set, result)
	if stage == DenyAction {
		e.verdict.DryRun.Deny = result
	} else {
		e.verdict.DryRun.Allow = result
	}
}

// custom asks the external authorizers, in the order of their names (AP-62).
func (e *evaluation) custom(all []CustomStage) bool {
	for _, c := range all {
		rule, open := c.Asks.find(&e.facts)
		denied, openDenial := c.Denied.find(&e.facts)
		e.traceCustom(&c, rule, denied, cmp.Or(openDenial, open))
		if rule != nil {
			e.verdict.Custom = rule.ID
		}
		if denied != nil {
			if rule == nil {
				e.verdict.Custom = denied.ID
			}
			e.deny(CustomAction, http.StatusForbidden, denied.ID, denied)
			return false
		}
		e.doubt(CustomAction, http.StatusForbidden, openDenial)
		switch {
		case e.request.Custom == "allow" || e.request.Custom == "error" && c.FailOpen: // asked or not, it goes on
		case e.request.Custom == "error":
			e.doubt(CustomAction, c.StatusOnError, open)
		default:
			e.doubt(CustomAction, http.StatusForbidden, open)
		}
		if rule == nil {
			continue
		}
		switch e.request.Custom {
		case "allow":
		case "deny":
			e.deny(CustomAction, http.StatusForbidden, rule.ID, rule)
			return false
		case "error":
			if !c.FailOpen {
				e.deny(CustomAction, c.StatusOnError, rule.ID, rule)
				return false
			}
		default:
			e.verdict.Outcome, e.verdict.Stage, e.verdict.By, e.verdict.Rule = Unknown, CustomAction, rule.ID, rule
			e.verdict.Reason = fmt.Sprintf("external authorizer %q decides; --custom says what it answers", c.Provider)
			return false
		}
	}
	return true
}

// authenticate verifies the tokens of a request, if it is one.
func (e *evaluation) authenticate() bool {
	switch {
	case !e.chain.HTTP:
		e.traceNone(Authentication, "tokens are not looked for in a byte stream")
		return true
	case e.model.JWT == nil:
		e.traceNone(Authentication, "no RequestAuthentication: tokens are not looked at")
		return true
	}
	v := &verification{headers: e.headers, tokens: e.tokens, now: e.model.JWT.now, assumed: e.assumed}
	status := e.model.JWT.verify(v)
	e.headers = v.headers
	e.traceTokens(v, status)
	if e.pending = v.pending; e.pending != nil {
		e.verdict.Stage = Authentication
		return false
	}
	if status != jwtOK {
		e.verdict.Stage, e.verdict.Reason = Authentication, status.describe()
		e.answer(status.outcome())
		return false
	}
	e.payload = v.payload
	e.look()
	return true
}
