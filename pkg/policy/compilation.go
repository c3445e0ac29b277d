package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// compilation compiles the workloads of a snapshot. What several of them have
// in common is compiled once. Goroutines may share it.
type compilation struct {
	snapshot *mesh.Snapshot
	options  Options
	domains  []string

	bundles   memo[string, *mesh.Selectors[*bundle]] // by namespace
	stages    memo[string, [2]Stages]                // by the bundles that they are of; HTTP, TCP
	tokens    memo[string, *mesh.Selectors[*mesh.RequestAuthentication]]
	providers memo[*mesh.RequestAuthentication, []Provider]
	peers     memo[string, *peerPolicies]
}

func newCompilation(s *mesh.Snapshot, o Options) *compilation {
	return &compilation{snapshot: s, options: o, domains: s.TrustDomains()}
}

// bundle are the policies of a namespace that have one selector: a workload has
// all of them or none, so their rules are sorted and indexed once.
type bundle struct {
	name     string // of the namespace and the selector
	selector map[string]string
	policies []placed
	groups   memo[groupKey, *group]
}

// placed is a policy and its place among those of the root namespace and, after
// them, of the workload's own.
type placed struct {
	position int
	policy   *mesh.AuthorizationPolicy
}

// groupKey says which rules of a bundle one RBAC filter has.
type groupKey struct {
	tcp      bool
	action   security.AuthorizationPolicy_Action
	dryRun   bool
	provider string // of CUSTOM rules
	unusable bool   // the provider is; dryRun makes no difference then
}

// bundlesOf makes bundles of the policies of a namespace, oldest first.
func bundlesOf(s *mesh.Snapshot, namespace string) *mesh.Selectors[*bundle] {
	var all []*bundle
	byName := map[string]*bundle{}
	before := 0
	if namespace != s.RootNamespace() {
		before = len(s.AuthorizationPolicies(s.RootNamespace()))
	}
	for i, p := range s.AuthorizationPolicies(namespace) {
		if p.Spec.TargetRef != nil || len(p.Spec.TargetRefs) > 0 {
			continue // for gateways and waypoints (AP-4)
		}
		selector := p.Spec.GetSelector().GetMatchLabels()
		parts := []string{namespace}
		for _, key := range slices.Sorted(maps.Keys(selector)) {
			parts = append(parts, key, selector[key])
		}
		name := fmt.Sprintf("%q", parts)
		b := byName[name]
		if b == nil {
			b = &bundle{name: name, selector: selector}
			byName[name] = b
			all = append(all, b)
		}
		b.policies = append(b.policies, placed{before + i, p})
	}
	return mesh.NewSelectors(all, func(b *bundle) map[string]string { return b.selector })
}

// bundlesFor are the bundles of a workload: of the root namespace, then of its
// own.
func (c *compilation) bundlesFor(w *mesh.Workload) []*bundle {
	var all []*bundle
	for _, ns := range namespaces(c.snapshot, w) {
		selectors := c.bundles.of(ns, func() *mesh.Selectors[*bundle] { return bundlesOf(c.snapshot, ns) })
		all = append(all, selectors.Of(w.PodLabels)...)
	}
	return all
}

// stagesFor are the RBAC stages of a workload, HTTP and TCP. Workloads that have
// the same policies share them.
func (c *compilation) stagesFor(w *mesh.Workload) [2]Stages {
	bundles := c.bundlesFor(w)
	var names []string
	for _, b := range bundles {
		names = append(names, b.name)
	}
	return c.stages.of(strings.Join(names, ""), func() [2]Stages {
		var both [2]Stages
		for i, tcp := range []bool{false, true} {
			b := &stageBuilder{compiler: &compiler{domains: c.domains, tcp: tcp}, snapshot: c.snapshot, bundles: bundles}
			both[i] = Stages{
				Custom: b.custom(),
				Audit:  b.stage(security.AuthorizationPolicy_AUDIT),
				Deny:   b.stage(security.AuthorizationPolicy_DENY),
				Allow:  b.stage(security.AuthorizationPolicy_ALLOW),
			}
		}
		return both
	})
}

// stageBuilder joins the groups of bundles to stages.
type stageBuilder struct {
	*compiler
	snapshot *mesh.Snapshot
	bundles  []*bundle
}

// stage is the stage of one action; nil if no policy has it.
func (b *stageBuilder) stage(action security.AuthorizationPolicy_Action) *Stage {
	s := &Stage{
		Enforced: b.set(groupKey{tcp: b.tcp, action: action}),
		Shadow:   b.set(groupKey{tcp: b.tcp, action: action, dryRun: true}),
	}
	if s.Enforced == nil && s.Shadow == nil {
		return nil
	}
	return s
}

// set joins groups of all bundles; nil if no policy is in any.
func (b *stageBuilder) set(key groupKey) *RuleSet {
	var groups []*group
	for _, one := range b.bundles {
		if g := one.groups.of(key, func() *group { return b.group(one, key) }); g != nil {
			groups = append(groups, g)
		}
	}
	return newRuleSet(groups)
}

// group compiles the policies of a bundle that one filter has; nil without any.
func (b *stageBuilder) group(of *bundle, key groupKey) *group {
	prefix, suffix := key.affixes()
	var g group
	for _, p := range of.policies {
		if !key.has(p.policy) {
			continue
		}
		g.add(p, b.rules(p.policy, prefix, suffix))
	}
	if g.policies == nil {
		return nil
	}
	g.finish()
	return &g
}

// has tells whether a policy is one of those.
func (k groupKey) has(p *mesh.AuthorizationPolicy) bool {
	switch {
	case p.Spec.Action != k.action:
		return false
	case k.action == security.AuthorizationPolicy_CUSTOM && p.Spec.GetProvider().GetName() != k.provider:
		return false
	}
	return k.unusable || dryRun(p) == k.dryRun
}

// affixes go around the IDs of rules.
func (k groupKey) affixes() (prefix, suffix string) {
	if k.action != security.AuthorizationPolicy_CUSTOM {
		return "", ""
	}
	prefix = "istio-ext-authz-"
	if k.provider != "" {
		prefix += k.provider + "-"
	}
	if k.unusable {
		suffix = badCustom
	}
	return prefix, suffix
}

// requirementFor is what a workload asks of tokens.
func (c *compilation) requirementFor(w *mesh.Workload) *Requirement {
	var providers []Provider
	list := namespaces(c.snapshot, w)
	slices.Reverse(list) // its own namespace, then the root namespace (RA-1)
	for _, ns := range list {
		selectors := c.tokens.of(ns, func() *mesh.Selectors[*mesh.RequestAuthentication] { return tokenPolicies(c.snapshot, ns) })
		for _, p := range selectors.Of(w.PodLabels) {
			providers = append(providers, c.providers.of(p, func() []Provider { return c.options.providers(p) })...)
		}
	}
	return requirement(providers, c.options)
}

// tokenPolicies are the RequestAuthentications of a namespace that are for
// sidecars.
func tokenPolicies(s *mesh.Snapshot, namespace string) *mesh.Selectors[*mesh.RequestAuthentication] {
	var all []*mesh.RequestAuthentication
	for _, p := range s.RequestAuthentications(namespace) {
		if p.Spec.TargetRef == nil && len(p.Spec.TargetRefs) == 0 {
			all = append(all, p)
		}
	}
	return mesh.NewSelectors(all, func(p *mesh.RequestAuthentication) map[string]string { return p.Spec.GetSelector().GetMatchLabels() })
}
