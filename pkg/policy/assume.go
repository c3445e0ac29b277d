package policy

import (
	"fmt"
	"maps"
	"reflect"
)

// unverified is a token at keys that are not here.
type unverified struct{ source, token string }

// pending is one that decides whether the request goes on.
type pending struct {
	unverified
	provider *Provider
}

// signature verifies a real token, unless its provider's keys are not here. The
// same token at the same keys is assumed to be the same each time.
func (p *Provider) signature(v *verification, c *credential) jwtStatus {
	if p.Keys != nil {
		return p.Keys.verify(c.real)
	}
	u := unverified{source: p.Rule.JwksUri, token: c.text}
	if u.source == "" {
		u.source = p.Rule.Issuer // OpenID Connect discovery
	}
	verifies, answered := v.assumed[u]
	switch {
	case p.KeysErr != nil || !answered:
		v.pending = &pending{u, p}
		return jwtPending
	case verifies:
		return jwtOK
	}
	return jwtSignature
}

// maxAssumed limits how many assumptions are made for one request.
const maxAssumed = 8

// decide runs a request. Where keys are missing it looks at what follows if they
// verify the token and at what follows if they do not: only if that makes a
// difference they leave the verdict unknown.
func (e *evaluation) decide() {
	e.run()
	if e.pending == nil {
		e.settle()
		return
	}
	e.verdict.Outcome, e.verdict.Reason = Unknown, "request authentication: "+e.pending.provider.keysMissing()
	if e.pending.provider.KeysErr != nil || len(e.assumed) == maxAssumed {
		return
	}
	good, bad := e.assume(true), e.assume(false)
	if good.verdict.sameAs(&bad.verdict) {
		e.verdict, e.trace = good.verdict, good.trace
		return
	}
	e.verdict.Reason += fmt.Sprintf("; %s if they verify the token, %s if they do not", good.verdict.Outcome, bad.verdict.Outcome)
}

// assume decides the request as if the keys verified the pending token, or did
// not.
func (e *evaluation) assume(verifies bool) *evaluation {
	next := &evaluation{model: e.model, request: e.request, assumed: map[unverified]bool{e.pending.unverified: verifies}}
	maps.Copy(next.assumed, e.assumed)
	next.verdict = Verdict{ID: e.request.ID, Stage: Transport}
	if e.trace != nil {
		next.trace = &Trace{}
	}
	next.decide()
	return next
}

// keysMissing says which keys are wanted, and how to give them.
func (p *Provider) keysMissing() string {
	issuer := "any issuer"
	if p.Rule.Issuer != "" {
		issuer = fmt.Sprintf("issuer %q", p.Rule.Issuer)
	}
	switch {
	case p.KeysErr != nil:
		return fmt.Sprintf("Envoy refuses the listener: jwks of %s: %v", issuer, p.KeysErr)
	case p.Rule.JwksUri != "":
		return fmt.Sprintf("the keys of %s are at jwksUri %s: give them with --jwks FILE", issuer, p.Rule.JwksUri)
	}
	return fmt.Sprintf("the keys of %s are where its OpenID discovery says: give them with --jwks FILE", issuer)
}

// sameAs tells whether two verdicts are the same to the client, by the same
// rules. Reasons may differ.
func (v *Verdict) sameAs(w *Verdict) bool {
	return v.Outcome == w.Outcome && v.HTTPStatus == w.HTTPStatus && reflect.DeepEqual(v.GRPCStatus, w.GRPCStatus) &&
		v.Stage == w.Stage && v.By == w.By && v.Custom == w.Custom && reflect.DeepEqual(v.DryRun, w.DryRun)
}
