package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Trace tells how a verdict came about, a step for each stage that ran, in
// Envoy's order.
type Trace []Step

// Title is the stage as people know it.
func (s StageName) Title() string {
	title := map[StageName]string{
		ClientTLS: "client TLS", Codec: "path", CustomAction: "CUSTOM", AuditAction: "AUDIT", DenyAction: "DENY", AllowAction: "ALLOW",
	}[s]
	if title == "" {
		return string(s)
	}
	return title
}

// Step is what one stage found.
type Step struct {
	Stage StageName `json:"stage"`
	// Finding is what happened, in words.
	Finding string `json:"finding"`
	// By are the objects and rules that made it so.
	By []Cause `json:"by,omitempty"`
	// Nearest is, where no ALLOW rule matches, the one that lacked least.
	Nearest *NearMiss `json:"nearest,omitempty"`
	// Matched are all rules that match, also those that Envoy does not name.
	Matched []*Rule `json:"-"`
}

// Cause is an object, or a rule of a policy, that had a part in a verdict.
type Cause struct {
	Object string          `json:"object"` // such as AuthorizationPolicy shop/web
	Rule   *int            `json:"rule,omitempty"`
	At     report.Location `json:"at"`
}

// String names the cause and its place.
func (c Cause) String() string {
	s := c.Object
	if c.Rule != nil {
		s += " rule " + strconv.Itoa(*c.Rule)
	}
	if at := c.At.String(); at != "" {
		s += " (" + at + ")"
	}
	return s
}

// causeOf points at a field of an object.
func causeOf(o *mesh.Object, path ...string) Cause {
	return Cause{Object: o.String(), At: o.Locate(path...)}
}

// Cause points at the rule in its policy.
func (r *Rule) Cause() Cause {
	if len(r.Policy.Spec.Rules) == 0 {
		return causeOf(r.Policy.Object)
	}
	c := causeOf(r.Policy.Object, "spec", "rules", strconv.Itoa(r.Index))
	c.Rule = &r.Index
	return c
}

func causesOf(rules []*Rule) []Cause {
	var all []Cause
	for _, r := range rules {
		all = append(all, r.Cause())
	}
	return all
}

func (e *evaluation) note(s Step) { *e.trace = append(*e.trace, s) }

// traceNone tells of what no object has a part in: a stage that is not there, or
// an end before the policies.
func (e *evaluation) traceNone(stage StageName, finding string) {
	if e.trace != nil {
		e.note(Step{Stage: stage, Finding: finding})
	}
}

// traceTransport tells which filter chain takes the connection.
func (e *evaluation) traceTransport(port *Port, tls bool) {
	if e.trace == nil {
		return
	}
	client := "plaintext"
	if id := e.request.From.Identity; id != nil {
		client = "mTLS as " + *id
	} else if tls {
		client = "TLS without an identity of the mesh"
	}
	ending := "ends at the sidecar"
	switch {
	case e.chain == nil:
		ending = "no filter chain takes it, the connection is reset"
	case tls && !e.chain.Terminates && e.chain.HTTP:
		ending = "the sidecar does not look for TLS here and reads the bytes as HTTP"
	case tls && !e.chain.Terminates:
		ending = "TLS passes through opaque, without an identity"
	case e.chain.HTTP:
		ending += ", as HTTP requests"
	default:
		ending += ", as a byte stream"
	}
	e.note(Step{
		Stage: Transport, Finding: fmt.Sprintf("%s; port %d (%s) is %s: %s", client, e.request.To.Port, port.describe(), port.Mode, ending),
		By: e.model.modeCauses(port, e.request.To.Port),
	})
}

// describe is what the sidecar knows of a port's traffic.
func (p *Port) describe() string {
	if p.Declared == nil {
		return "no Service declares it, sniffed"
	}
	if p.Traffic == mesh.SniffedTraffic {
		return "sniffed"
	}
	return string(p.Declared.Protocol)
}

// modeCauses are what set the mTLS mode of a port and the kind of its traffic.
func (m *Model) modeCauses(port *Port, number uint32) []Cause {
	var all []Cause
	if _, own := m.TLS.Ports[number]; own {
		all = append(all, causeOf(m.TLS.PortsFrom.Object, "spec", "portLevelMtls", strconv.Itoa(int(number))))
	} else if m.TLS.From != nil {
		all = append(all, causeOf(m.TLS.From.Object, "spec", "mtls"))
	}
	if port.Declared != nil {
		all = append(all, causeOf(port.Declared.Service.Object))
	}
	return all
}

// traceRequest tells what rules see in place of what was sent.
func (e *evaluation) traceRequest() {
	if e.trace == nil || e.message.method == "CONNECT" {
		return
	}
	if sent, _, _ := strings.Cut(e.message.target, "?"); sent != e.path {
		e.note(Step{Stage: Codec, Finding: fmt.Sprintf("rules see the path %s, normalized by %s", e.path, e.model.Paths)})
	}
}

// traceTokens tells what became of the request's tokens.
func (e *evaluation) traceTokens(v *verification, status jwtStatus) {
	if e.trace == nil {
		return
	}
	step := Step{Stage: Authentication, Finding: "no token where one is looked for: the request goes on without a request principal"}
	issuer, _ := v.payload["iss"].(string)
	subject, _ := v.payload["sub"].(string)
	switch {
	case v.pending != nil:
		step.Finding = v.pending.provider.keysMissing()
	case status != jwtOK:
		step.Finding = status.String()
	case isPreflight(e.headers):
		step.Finding = "a CORS preflight needs no token"
	case v.payload != nil && subject == "":
		step.Finding = fmt.Sprintf("the token of %s is good; it has no subject, so there is no request principal", issuer)
	case v.payload != nil:
		step.Finding = fmt.Sprintf("the token is good, request principal %s/%s", issuer, subject)
	}
	if len(v.assumed) > 0 { // of what is told, that they verify
		step.Finding += "; keys are missing, which here makes no difference: as if they verified the token"
	}
	for _, p := range e.model.JWT.Providers {
		step.By = append(step.By, causeOf(p.Policy.Object, "spec", "jwtRules", strconv.Itoa(p.Index)))
	}
	e.note(step)
}

// traceCustom tells whether an external authorizer is asked. One of asks,
// denied and open decides; nil is no such rule.
func (e *evaluation) traceCustom(c *CustomStage, asks, denied, open *Rule) {
	if e.trace == nil {
		return
	}
	step := Step{Stage: CustomAction, Finding: fmt.Sprintf("no rule for the external authorizer %q matches", c.Provider)}
	switch {
	case denied != nil && !strings.HasSuffix(denied.ID, badCustom):
		step.Finding = "a dry-run CUSTOM policy denies what its rules match, and asks nobody"
		step.Matched = []*Rule{denied}
	case denied != nil:
		step.Finding = fmt.Sprintf("the provider %q cannot be used, so what its rules match is denied: %s", c.Provider, c.Unusable)
		step.Matched = []*Rule{denied}
	case asks != nil:
		answer := e.request.Custom
		if answer == "" {
			answer = "not told"
		}
		step.Finding = fmt.Sprintf("the external authorizer %q is asked; its answer: %s", c.Provider, answer)
		step.Matched = c.Asks.all(&e.facts)
	case open != nil:
		step.Finding = fmt.Sprintf("whether a rule for the external authorizer %q matches depends on %s", c.Provider, e.unknownNames(open))
		step.By = []Cause{open.Cause()}
	}
	if step.Matched != nil {
		step.By = causesOf(step.Matched)
	}
	e.note(step)
}

// traceAudit tells which requests are only noted.
func (e *evaluation) traceAudit(set *RuleSet) {
	if e.trace == nil || set == nil {
		return
	}
	step := Step{Stage: AuditAction, Finding: "no AUDIT rule matches", Matched: set.all(&e.facts)}
	if step.Matched != nil {
		step.Finding = "matches, and is only noted"
	}
	step.By = causesOf(step.Matched)
	e.note(step)
}

// traceShadow tells what dry-run policies would do.
func (e *evaluation) traceShadow(stage StageName, set *RuleSet, result *Shadow) {
	if e.trace == nil {
		return
	}
	step := Step{Stage: stage, Finding: "dry run: would be " + result.Result, Matched: set.all(&e.facts)}
	step.By = causesOf(step.Matched)
	if step.By == nil {
		for _, p := range set.Policies {
			step.By = append(step.By, causeOf(p.Object))
		}
	}
	e.note(step)
}

// traceRules tells which rules of an action match or, where none of an ALLOW
// stage does, which came nearest.
func (e *evaluation) traceRules(stage StageName, set *RuleSet, rule, open *Rule) {
	if e.trace == nil {
		return
	}
	step := Step{Stage: stage, Matched: set.all(&e.facts)}
	switch {
	case rule != nil:
		step.Finding = "matches"
	case open != nil:
		step.Finding = "it depends on " + e.unknownNames(open)
		step.By = []Cause{open.Cause()}
	default:
		step.Finding = fmt.Sprintf("no rule of %s matches", counted(len(set.Policies), "policy", "policies"))
	}
	if step.Matched != nil {
		step.By = causesOf(step.Matched)
	}
	if stage == AllowAction && rule == nil && open == nil {
		step.Nearest = set.nearest(&e.facts)
		for _, p := range set.Policies {
			step.By = append(step.By, causeOf(p.Object))
		}
	}
	e.note(step)
}

// all are the rules that surely match.
func (s *RuleSet) all(f *facts) []*Rule {
	if s == nil {
		return nil
	}
	var matched []*Rule
	for _, r := range s.Rules {
		if r.judge(f) == yes {
			matched = append(matched, r)
		}
	}
	return matched
}

// unknownNames are the attributes that nobody told and that a rule looks at,
// with the flag and field that tell them.
func (e *evaluation) unknownNames(r *Rule) string {
	var asked attributes
	for _, x := range slices.Concat(r.Permissions, r.Principals) {
		asked |= x.asks()
	}
	var names []string
	for _, known := range []struct {
		attribute Attribute
		name      string
	}{
		{PeerAddress, "the client's address (--source-ip, from.ip)"},
		{ClientAddress, "the address of the original client (--xff or --source-ip)"},
		{LocalAddress, "the workload's address (--destination-ip, to.ip)"},
		{Unread, "a matcher that is not understood here"},
	} {
		if asked&e.unknown&setOf(known.attribute) != 0 {
			names = append(names, known.name)
		}
	}
	return strings.Join(names, " and ")
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
