package live

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// Envoy's words for why a request or connection ended.
const (
	byRule       = "rbac_access_denied_matched_policy["
	byToken      = "jwt_authn_access_denied{" //nolint:gosec // no credential
	byAudience   = byToken + "Audiences_in_Jwt_are_not_allowed}"
	byAuthorizer = "ext_authz_"
	noChain      = "filter_chain_not_found"
	noRoute      = "route_not_found" // of CONNECT, after all policies
	codecError   = "DPE"             // a flag
)

// customRule begins the IDs of the rules of CUSTOM policies.
const customRule = "istio-ext-authz-"

// verdict reads what a client got, and what Envoy wrote of it, in the words of
// the simulator. It fails if neither tells.
func (r *reply) verdict(entries []envoy.LogEntry) (policy.Verdict, error) {
	v := policy.Verdict{HTTPStatus: r.status, GRPCStatus: r.grpc}
	ended := entries[len(entries)-1]
	var request *envoy.LogEntry
	decisive := &ended
	for i := range entries {
		if entries[i].Scope == envoy.RequestScope {
			request = &entries[i]
			decisive = request
			break
		}
	}
	note(&v, decisive)
	reason := cmp.Or(ended.Ended, ended.Details)
	if request != nil {
		reason = request.Details
	}
	switch {
	case strings.HasPrefix(reason, byRule):
		denied(&v, reason)
	case reason == byAudience:
		v.Outcome = policy.Deny
	case strings.HasPrefix(reason, byToken):
		v.Outcome = policy.Unauthenticated
	case strings.HasPrefix(reason, byAuthorizer):
		v.Outcome, v.By = policy.Deny, v.Custom
	case r.answered || reason == noRoute:
		v.Outcome, v.By = policy.Allow, decisive.Allowed()
	case request != nil && (r.status >= 400 && r.status <= 501 || r.grpc != nil):
		v.Outcome = policy.Rejected
	case r.refused(&ended, request):
		v.Outcome = policy.Refused
	default:
		return v, r.untold(entries)
	}
	return v, nil
}

// untold is for what neither the client nor the log explains.
func (r *reply) untold(entries []envoy.LogEntry) error {
	got := fmt.Sprintf("status %d", r.status)
	if r.failed != nil {
		got += ", " + r.failed.Error()
	}
	return fmt.Errorf("no verdict: the client got %s; envoy wrote %+v", got, entries)
}

// denied is the verdict of the rule that Envoy names.
func denied(v *policy.Verdict, reason string) {
	v.Outcome, v.By = policy.Deny, ruleOf(strings.TrimPrefix(reason, byRule))
	if v.Custom == "" && strings.HasPrefix(v.By, customRule) {
		v.Custom = v.By // a rule that denies in place of an authorizer
	}
}

// ruleOf is an ID up to the bracket that ends it; IDs have brackets themselves.
func ruleOf(text string) string {
	if at := strings.LastIndexByte(text, ']'); at >= 0 {
		return text[:at]
	}
	return text
}

// refused tells whether the connection ended for a reason that is known: no
// chain, no handshake, or bytes that the codec does not take.
func (r *reply) refused(ended, request *envoy.LogEntry) bool {
	switch {
	case r.failed == nil || r.status != 0:
		return false
	case ended.Details == noChain || r.handshake || ended.Flags == codecError:
		return true
	case request != nil:
		return request.Code == 0 && strings.HasPrefix(request.Details, "http")
	}
	return strings.Contains(ended.TLSFailure, "CERTIFICATE") || strings.Contains(ended.TLSFailure, "verify_cert_failed")
}

// note takes over what matched without deciding.
func note(v *policy.Verdict, e *envoy.LogEntry) {
	if result, rule := e.DryRunAllow(); result != "" {
		v.DryRun = &policy.DryRun{Allow: &policy.Shadow{Result: result, By: rule}}
	}
	if result, rule := e.DryRunDeny(); result != "" {
		if v.DryRun == nil {
			v.DryRun = &policy.DryRun{}
		}
		v.DryRun.Deny = &policy.Shadow{Result: result, By: rule}
	}
	_, v.Custom = e.Custom()
}

// Differences are what two verdicts disagree about, of the things that Envoy
// tells: the outcome, what the client is told, the rules that matched, and the
// dry run.
func Differences(simulated, live *policy.Verdict) []string {
	var all []string
	compare := func(what string, a, b any) {
		if a != b {
			all = append(all, fmt.Sprintf("%s: simulated %v, envoy %v", what, a, b))
		}
	}
	compare("verdict", simulated.Outcome, live.Outcome)
	compare("HTTP status", simulated.HTTPStatus, live.HTTPStatus)
	compare("gRPC status", pointed(simulated.GRPCStatus), pointed(live.GRPCStatus))
	compare("rule", simulated.By, live.By)
	compare("CUSTOM rule", simulated.Custom, live.Custom)
	a, b := dryRun(simulated), dryRun(live)
	compare("dry-run ALLOW", a.Allow, b.Allow)
	compare("dry-run DENY", a.Deny, b.Deny)
	return all
}

func pointed(n *int) string {
	if n == nil {
		return "none"
	}
	return fmt.Sprint(*n)
}

// shadows are the results of a dry run as values.
type shadows struct{ Allow, Deny policy.Shadow }

func dryRun(v *policy.Verdict) shadows {
	var s shadows
	if v.DryRun == nil {
		return s
	}
	if v.DryRun.Allow != nil {
		s.Allow = *v.DryRun.Allow
	}
	if v.DryRun.Deny != nil {
		s.Deny = *v.DryRun.Deny
	}
	return s
}
