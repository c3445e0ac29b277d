package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// cautions tell what is easily overlooked about a policy's rules.
func (t *teller) cautions(p *mesh.AuthorizationPolicy, workloads []*mesh.Workload) {
	for i, r := range t.compiled(p).http {
		if r == nil {
			continue
		}
		t.splitRule(p, i)
		for _, f := range r.fields() {
			t.valueCautions(r, f)
			t.portCautions(r, f, workloads)
			t.headerCautions(r, f, workloads)
			t.addressCautions(r, f)
			t.issuerCautions(r, f, workloads)
		}
		t.identityCautions(r, workloads)
		t.tokenCautions(r, workloads)
		t.hostCautions(r)
		t.pathCautions(r)
	}
}

// fields are all fields of a rule. A condition is in several branches of it, and
// given once.
func (r *Rule) fields() []*Field {
	var all []*Field
	for _, e := range slices.Concat(r.Principals, r.Permissions) {
		for i := range e.Kids {
			f := e.Kids[i].Field
			same := func(old *Field) bool {
				return old.Name == f.Name && old.Negative == f.Negative && slices.Equal(old.Path, f.Path)
			}
			if f != nil && !slices.ContainsFunc(all, same) {
				all = append(all, f)
			}
		}
	}
	return all
}

// at points at a field of a rule.
func (t *teller) at(r *Rule, f *Field) Cause {
	name := f.Name
	if f.Path[0] == "when" {
		name = pick(f.Negative, "notValues", "values")
	}
	return t.causeAt(r.Policy, r.Index, append(slices.Clone(f.Path), name)...)
}

// meaning is the name of what a field looks at, however it is written.
func (f *Field) meaning() string {
	name := f.Name
	if f.Path[0] == "when" {
		if same, ok := callerConditions()[name]; ok {
			return same
		}
		return name
	}
	return positive(name)
}

// positive is the name of a field without its "not".
func positive(name string) string {
	if bare, ok := strings.CutPrefix(name, "not"); ok && bare != "" {
		return strings.ToLower(bare[:1]) + bare[1:]
	}
	return name
}

// caution says something of a rule, at one of its fields.
func (t *teller) caution(r *Rule, f *Field, format string, args ...any) {
	t.sayBy(OnCaution, t.at(r, f), "%s: %s", t.ruleName(r.Policy, r.Index), fmt.Sprintf(format, args...))
}

// splitRule warns of a rule that says only who before one that says only what:
// often one rule with a dash too many (T-7).
func (t *teller) splitRule(p *mesh.AuthorizationPolicy, i int) {
	if i+1 == len(p.Spec.Rules) {
		return
	}
	one, next := p.Spec.Rules[i], p.Spec.Rules[i+1]
	onlyFrom := func(r *security.Rule) bool { return len(r.GetFrom()) > 0 && len(r.GetTo())+len(r.GetWhen()) == 0 }
	onlyTo := func(r *security.Rule) bool { return len(r.GetTo()) > 0 && len(r.GetFrom())+len(r.GetWhen()) == 0 }
	if onlyFrom(one) && onlyTo(next) {
		t.sayBy(OnCaution, t.causeAt(p, i+1), "%s says only who, and rule %d only what: either is enough. If both are meant to hold, take out the dash that begins rule %d.", t.ruleName(p, i), i+1, i+1)
	}
}

// portCautions warn of ports that are a Service's (AP-51, T-12).
func (t *teller) portCautions(r *Rule, f *Field, workloads []*mesh.Workload) {
	if name := f.meaning(); name != "ports" && name != "destination.port" {
		return
	}
	for _, v := range f.Values {
		e, err := port(v)
		if err != nil {
			continue
		}
		if own := t.ownPorts(workloads, e.Test.Port); own != "" {
			t.caution(r, f, "port %s is a Service's, and what counts here is the workload's own behind it: %s.", v, own)
		}
	}
}

// headerCautions tell what some headers are by the time that rules see them
// (RUN-7, T-27).
func (t *teller) headerCautions(r *Rule, f *Field, workloads []*mesh.Workload) {
	if !strings.HasPrefix(f.Name, "request.headers") {
		return
	}
	name, _ := bracketed(strings.TrimPrefix(f.Name, "request.headers"))
	switch name = strings.ToLower(name); name {
	case ":path":
		t.caution(r, f, "the header :path is the normalized path with the query.")
	case ":authority", "host":
		t.caution(r, f, "the header %s is the host as the client sends it, with the port if it names one.", name)
	}
	for _, w := range workloads {
		requirement := t.Model(w).JWT
		if requirement == nil || r.Policy.Spec.Action == security.AuthorizationPolicy_CUSTOM {
			continue // an authorizer is asked before tokens are looked at
		}
		for i := range requirement.Providers {
			p := &requirement.Providers[i]
			taken := slices.ContainsFunc(headersOf(p), func(h *security.JWTHeader) bool { return strings.EqualFold(h.GetName(), name) })
			if taken && !p.Rule.ForwardOriginalToken {
				t.caution(r, f, "%s/%s takes a good token out of the header %s before rules see it, unless it says forwardOriginalToken.", p.Policy.Namespace, p.Policy.Name, name)
			}
		}
	}
}

// addressCautions tell whose address it is (T-4).
func (t *teller) addressCautions(r *Rule, f *Field) {
	switch f.meaning() {
	case "ipBlocks":
		t.caution(r, f, "the connection's address is that of the last hop, so behind a gateway or load balancer it is theirs; the original client's is for remoteIpBlocks.")
	case "remoteIpBlocks":
		t.caution(r, f, "the original client's address is the last one in X-Forwarded-For, which whoever calls the sidecar can set.")
	}
}

// issuerCautions warn of issuers whose tokens nobody takes.
func (t *teller) issuerCautions(r *Rule, f *Field, workloads []*mesh.Workload) {
	if f.meaning() != "requestPrincipals" || f.Negative {
		return
	}
	for _, v := range f.Values {
		if oddRequestPrincipal(v) != nil {
			continue
		}
		e, _ := requestPrincipal(v)
		wanted := e.Kids[0].Test.String
		var deaf []*mesh.Workload
		for _, w := range workloads {
			requirement := t.Model(w).JWT
			if requirement == nil {
				continue // told by tokenCautions
			}
			if !slices.ContainsFunc(requirement.Providers, func(p Provider) bool { return p.Rule.Issuer == "" || wanted.matches(p.Rule.Issuer) }) {
				deaf = append(deaf, w)
			}
		}
		if deaf != nil {
			t.caution(r, f, "%s %s never matches: no RequestAuthentication for %s takes tokens of such an issuer.", f.Name, shown(v), named(deaf))
		}
	}
}

// identityCautions tell what callers without mTLS mean to a rule that looks at
// identities (AP-26, T-9, T-10).
func (t *teller) identityCautions(r *Rule, workloads []*mesh.Workload) {
	var matched, unmatched, nobody []streamPort
	onTCP := t.compiled(r.Policy).tcp[r.Index]
	for _, w := range workloads {
		ports := t.Model(w).Ports
		for _, number := range slices.Sorted(maps.Keys(ports)) {
			p, holds := ports[number], r
			if p.Traffic == mesh.TCPTraffic {
				holds = onTCP
			}
			if p.Mode == Strict || p.Declared == nil || holds == nil || bypassed(w, number) {
				continue
			}
			excludes, matches := holds.withoutIdentity(p)
			switch {
			case matches:
				matched = append(matched, streamPort{w, p})
			case excludes && p.Mode == Disable:
				nobody = append(nobody, streamPort{w, p})
			case excludes:
				unmatched = append(unmatched, streamPort{w, p})
			}
		}
	}
	name := t.ruleName(r.Policy, r.Index)
	if matched != nil {
		t.sayBy(OnCaution, t.causeAt(r.Policy, r.Index), "%s matches callers without mTLS on %s: they have no identity, and so none of those that it excludes.", name, t.portList(matched))
	}
	if unmatched != nil {
		t.sayBy(OnCaution, t.causeAt(r.Policy, r.Index), "%s does not match callers without mTLS, which may come on %s (PERMISSIVE): they have no identity.", name, t.portList(unmatched))
	}
	if nobody != nil {
		t.sayBy(OnCaution, t.causeAt(r.Policy, r.Index), "%s wants an identity, which no caller has on %s (DISABLE).", name, t.portList(nobody))
	}
}

// withoutIdentity tells whether a rule cannot match callers without an identity
// on a port, only because they have none, and whether it can because what it
// says about identities holds for them.
func (r *Rule) withoutIdentity(p *Port) (excludes, matches bool) {
	f := &facts{port: p.Number, unknown: ^setOf(LocalPort) &^ setOf(FilterMetadata) &^ setOf(PeerIdentity)}
	if anyOf(r.Permissions, f) == no {
		return false, false
	}
	excludes = true
	for i := range r.Principals {
		e := &r.Principals[i]
		asks, holds := e.asks()&setOf(PeerIdentity) != 0, e.judge(f) != no
		matches = matches || asks && holds
		excludes = excludes && asks && !holds
	}
	return excludes, matches
}

// tokenCautions warn of rules that look at tokens where none is ever verified
// (T-15).
func (t *teller) tokenCautions(r *Rule, workloads []*mesh.Workload) {
	var asked attributes
	for _, e := range r.Principals {
		asked |= e.asks()
	}
	if asked&setOf(TokenClaim) == 0 {
		return
	}
	without := "never matches"
	if r.judge(&facts{unknown: ^setOf(TokenClaim) &^ setOf(FilterMetadata)}) != no {
		without = "matches as for requests without one"
	}
	name := t.ruleName(r.Policy, r.Index)
	if r.Policy.Spec.Action == security.AuthorizationPolicy_CUSTOM {
		t.sayBy(OnCaution, t.causeAt(r.Policy, r.Index), "%s looks at tokens, which nobody has verified when an external authorizer is asked: it %s.", name, without)
		return
	}
	bare := slices.DeleteFunc(slices.Clone(workloads), func(w *mesh.Workload) bool { return t.Model(w).JWT != nil })
	if len(bare) > 0 {
		t.sayBy(OnCaution, t.causeAt(r.Policy, r.Index), "%s looks at tokens, but no RequestAuthentication is for %s, so there is never a good one: it %s.", name, named(bare), without)
	}
}

// hostCautions tell that hosts come with ports (AP-43, AP-44, T-5).
func (t *teller) hostCautions(r *Rule) {
	for _, f := range r.fields() {
		if f.meaning() != "hosts" {
			continue
		}
		var bare []string
		for _, v := range f.Values {
			if !strings.HasSuffix(v, "*") && !strings.Contains(v, ":") {
				bare = append(bare, shown(v))
			}
		}
		if bare == nil {
			continue
		}
		evasion := ""
		if r.evadable(f) {
			evasion = ", and gets around the rule"
		}
		t.caution(r, f, "a client that sends the host with its port, such as %s:80, is not matched by %s%s.", strings.Replace(bare[0], "*", "www", 1), either(bare), evasion)
	}
}

// pathCautions tell where a path can be written in another way (T-6).
func (t *teller) pathCautions(r *Rule) {
	for _, f := range r.fields() {
		if f.meaning() != "paths" || !r.evadable(f) || slices.Contains(f.Values, "*") {
			continue
		}
		i := slices.IndexFunc(f.Values, func(v string) bool { return strings.HasPrefix(v, "/") && strings.Trim(v, "/*") != "" })
		if i < 0 {
			continue
		}
		path := shown(strings.TrimSuffix(f.Values[i], "*"))
		switch PathNormalization(t.snapshot.Config) {
		case NoNormalization:
			t.caution(r, f, "the mesh does not normalize paths (NONE): /%s and /.%s are other paths than %s to this rule, and maybe not to the workload.", path, path, path)
		case Base:
			t.caution(r, f, "the mesh keeps double slashes (path normalization %s): /%s is another path than %s to this rule, and maybe not to the workload.", normalizationName(t.snapshot.Config), path, path)
		}
	}
}

// evadable tells whether a client gains by not being matched by a field's values.
func (r *Rule) evadable(f *Field) bool {
	switch r.Policy.Spec.Action {
	case security.AuthorizationPolicy_DENY, security.AuthorizationPolicy_CUSTOM:
		return !f.Negative
	case security.AuthorizationPolicy_ALLOW:
		return f.Negative
	}
	return false
}

func normalizationName(config *meshconfig.MeshConfig) string {
	return config.GetPathNormalization().GetNormalization().String()
}
