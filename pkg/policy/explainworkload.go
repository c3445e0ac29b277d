package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// workload explains what a workload's sidecar does, in its own order: mTLS,
// CUSTOM, tokens, AUDIT, DENY, ALLOW, and what is left (EV-1).
func (t *teller) workload(w *mesh.Workload) {
	if w.ServiceAccount != "" {
		t.sayBy(OnSidecar, causeOf(w.Object), "It runs as %s.", w.Identity(t.snapshot.Config.TrustDomain))
	}
	by := membershipCauses(w)[0]
	switch {
	case w.IsGateway():
		t.sayBy(OnSidecar, by, "It is a gateway: what its own listeners do is outside of this explanation.")
		return
	case !w.Membership.Sidecar:
		t.sayBy(OnSidecar, by, "It has no sidecar (%s), so nothing is enforced here: every request reaches it.", w.Membership.Describe())
		return
	}
	t.sayBy(OnSidecar, by, "It has a sidecar: %s.", w.Membership.Describe())
	m := t.Model(w)
	t.transport(m)
	t.tokens(m)
	t.policies(m)
	t.rest(m)
}

// transport tells the mTLS mode of each port.
func (t *teller) transport(m *Model) {
	for _, number := range slices.Sorted(maps.Keys(m.Ports)) {
		p := m.Ports[number]
		if annotation, bypasses := m.Workload.BypassesInbound(int32(number)); bypasses { //nolint:gosec // a port
			t.sayBy(OnTransport, causeOf(m.Workload.Object), "Port %d (%s) bypasses the sidecar (%s): nothing is enforced there.", number, p.describe(), annotation)
			continue
		}
		t.sayBy(OnTransport, m.modeCause(number), "Port %d (%s) is %s: %s.", number, p.describe(), p.Mode, modeWords(p.Mode))
	}
	rest := "Every port"
	if len(m.Ports) > 0 {
		rest = "Every other port"
	}
	t.sayBy(OnTransport, m.modeCause(0), "%s is %s%s.", rest, m.TLS.Mode, emptyOr(m.TLS.From == nil, ", as no PeerAuthentication says otherwise", ""))
}

// modeCause is what set the mode of a port; zero if nothing did.
func (m *Model) modeCause(number uint32) Cause {
	if _, own := m.TLS.Ports[number]; own {
		return causeOf(m.TLS.PortsFrom.Object, "spec", "portLevelMtls", strconv.Itoa(int(number)))
	}
	if m.TLS.From != nil {
		return causeOf(m.TLS.From.Object, "spec", "mtls")
	}
	return Cause{}
}

// tokens tell what the workload's RequestAuthentications make of tokens.
func (t *teller) tokens(m *Model) {
	if m.JWT == nil {
		t.say(OnTokens, "No RequestAuthentication is for it: tokens are not looked at.")
		return
	}
	for i := range m.JWT.Providers {
		p := &m.JWT.Providers[i]
		t.accepts(p, fmt.Sprintf("Rule %d of %s/%s", p.Index, p.Policy.Namespace, p.Policy.Name))
	}
	by := causeOf(m.JWT.Providers[0].Policy.Object)
	t.withoutToken(by, []*mesh.Workload{m.Workload})
	t.badToken(by, m.JWT.Providers)
	if m.JWT.scattered() {
		t.sayBy(OnCaution, by, "The rules look for tokens in different places: a good token in one lets a bad one in another pass.")
	}
}

// policies tell the rules of the workload's AuthorizationPolicies, by action.
func (t *teller) policies(m *Model) {
	topics := map[security.AuthorizationPolicy_Action]Topic{
		security.AuthorizationPolicy_CUSTOM: OnCustom, security.AuthorizationPolicy_AUDIT: OnAudit,
		security.AuthorizationPolicy_DENY: OnDeny, security.AuthorizationPolicy_ALLOW: OnAllow,
	}
	one := []*mesh.Workload{m.Workload}
	for _, p := range authorizations(t.snapshot, m.Workload) {
		topic, known := topics[p.Spec.Action]
		if !known {
			continue
		}
		if topic == OnCustom {
			t.provider(topic, p, one)
		}
		if dryRun(p) && topic != OnCustom {
			t.sayBy(topic, causeOf(p.Object, "metadata", "annotations", dryRunAnnotation), "%s/%s is a dry run: it decides nothing.", p.Namespace, p.Name)
		}
		if len(p.Spec.Rules) == 0 && topic != OnCustom {
			t.sayBy(topic, causeOf(p.Object, "spec"), "%s/%s has no rules: it %s nothing.", p.Namespace, p.Name, verb(p.Spec.Action, dryRun(p)))
		}
		t.rules(topic, p)
		t.streams(p, one)
		t.cautions(p, one)
	}
}

// rest tells what becomes of requests that no rule has decided, and of the ports
// on which nothing can be allowed (EV-5, AP-59).
func (t *teller) rest(m *Model) {
	if m.HTTP.Allow.enforced() == nil {
		t.say(OnRest, "No ALLOW policy is in force for it, so everything else is allowed.")
		return
	}
	var names []string
	for _, p := range m.HTTP.Allow.Enforced.Policies {
		names = append(names, p.Namespace+"/"+p.Name)
	}
	t.sayBy(OnRest, causeOf(m.HTTP.Allow.Enforced.Policies[0].Object), "Everything else is denied, on every port, as there are ALLOW policies: %s.", few(names))
	for _, number := range slices.Sorted(maps.Keys(m.Ports)) {
		if p := m.Ports[number]; !m.allowsSome(p) {
			t.sayBy(OnRest, causeOf(m.HTTP.Allow.Enforced.Policies[0].Object), "On port %d (%s) nothing is allowed at all: no rule of theirs can match there.", number, p.describe())
		}
	}
}

// allowsSome tells whether some ALLOW rule can match on a port.
func (m *Model) allowsSome(p *Port) bool {
	some := func(s *Stage) bool {
		return slices.ContainsFunc(s.Enforced.Rules, func(r *Rule) bool { return r.reaches(p) })
	}
	return p.Traffic != mesh.HTTPTraffic && some(m.TCP.Allow) || p.Traffic != mesh.TCPTraffic && some(m.HTTP.Allow)
}
