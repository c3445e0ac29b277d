// Package authorization has the rules about AuthorizationPolicies that are
// taken and do not do what they seem to (MSH01xx).
package authorization

import (
	"slices"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

// Rules are the rules of this package.
func Rules() []analyze.Rule {
	const (
		certain   = analyze.Certain
		inventory = analyze.NeedsInventory
		heuristic = analyze.Heuristic
	)
	return []analyze.Rule{
		{Code: "MSH0102", Slug: "rule-dead", Severity: report.Error, Confidence: certain, Check: deadRules},
		{Code: "MSH0104", Slug: "rule-never-matches", Severity: report.Error, Confidence: certain, Check: contradictions},
		{Code: "MSH0107", Slug: "or-list-slip", Severity: report.Warning, Confidence: heuristic, Check: splitRules},
		{Code: "MSH0108", Slug: "allow-negative-match", Severity: report.Warning, Confidence: certain, Check: negativeAllows},
		{Code: "MSH0109", Slug: "deny-positive-path", Severity: report.Warning, Confidence: heuristic, Strict: true, Check: deniedPaths},
		{Code: "MSH0110", Slug: "path-normalization-none", Severity: report.Warning, Confidence: certain},
		{Code: "MSH0111", Slug: "path-query-or-fragment", Severity: report.Error, Confidence: certain, Check: values},
		{Code: "MSH0112", Slug: "path-star-in-middle", Severity: report.Error, Confidence: certain},
		{Code: "MSH0113", Slug: "principal-scheme-prefix", Severity: report.Error, Confidence: certain},
		{Code: "MSH0114", Slug: "principal-form", Severity: report.Warning, Confidence: certain},
		{Code: "MSH0115", Slug: "principal-unknown-account", Severity: report.Error, Confidence: inventory},
		{Code: "MSH0116", Slug: "principal-account-unused", Severity: report.Info, Confidence: inventory},
		{Code: "MSH0117", Slug: "trust-domain-unknown", Severity: report.Warning, Confidence: certain},
		{Code: "MSH0118", Slug: "principal-wildcard", Severity: report.Info, Confidence: certain},
		{Code: "MSH0119", Slug: "method-unknown", Severity: report.Error, Confidence: certain},
		{Code: "MSH0120", Slug: "port-not-served", Severity: report.Error, Confidence: certain, Check: unservedPorts},
		{Code: "MSH0121", Slug: "host-without-wildcard-port", Severity: report.Warning, Confidence: heuristic, Strict: true},
		{Code: "MSH0122", Slug: "http-field-on-tcp", Severity: report.Error, Confidence: certain, Check: httpOnTCP},
		{Code: "MSH0123", Slug: "l7-at-ztunnel", Severity: report.Error, Confidence: certain, Check: ambientHTTP},
		{Code: "MSH0124", Slug: "identity-without-mtls", Severity: report.Error, Confidence: certain, Check: identities},
		{Code: "MSH0125", Slug: "ipblocks-behind-proxy", Severity: report.Warning, Confidence: heuristic, Check: addresses},
		{Code: "MSH0126", Slug: "remoteip-without-topology", Severity: report.Warning, Confidence: heuristic},
		{Code: "MSH0127", Slug: "selector-matches-nothing", Severity: report.Error, Confidence: inventory, Check: selectors},
		{Code: "MSH0128", Slug: "policy-wrong-namespace", Severity: report.Warning, Confidence: certain},
		{Code: "MSH0129", Slug: "targetref-missing", Severity: report.Error, Confidence: inventory, Check: targets},
		{Code: "MSH0130", Slug: "no-default-deny", Severity: report.Warning, Confidence: certain, Strict: true, Check: uncovered},
		{Code: "MSH0131", Slug: "custom-provider-unknown", Severity: report.Error, Confidence: certain, Check: providers},
		{Code: "MSH0132", Slug: "dry-run-left-on", Severity: report.Info, Confidence: certain, Check: dryRuns},
		{Code: "MSH0134", Slug: "template-aborts-proxy", Severity: report.Error, Confidence: certain},
		{Code: "MSH0135", Slug: "template-glued-star", Severity: report.Error, Confidence: certain},
		{Code: "MSH0136", Slug: "host-rule-evaded", Severity: report.Warning, Confidence: certain},
		{Code: "MSH0137", Slug: "header-rule-line-split", Severity: report.Warning, Confidence: certain},
		{Code: "MSH0138", Slug: "tcp-deny-after-banner", Severity: report.Info, Confidence: certain, Strict: true, Check: banners},
		{Code: "MSH0140", Slug: "target-without-waypoint", Severity: report.Error, Confidence: inventory, Check: unenforced},
		{Code: "MSH0141", Slug: "value-never-matches", Severity: report.Error, Confidence: certain},
	}
}

// policies are all of the files, by namespace in the order of the files.
func policies(i *analyze.Inventory) []*mesh.AuthorizationPolicy {
	return analyze.Shared(i, "authorization.policies", func() []*mesh.AuthorizationPolicy {
		var all []*mesh.AuthorizationPolicy
		seen := map[string]bool{}
		for _, o := range i.Kind("security.istio.io", "AuthorizationPolicy") {
			if !seen[o.Namespace] {
				seen[o.Namespace] = true
				all = append(all, i.AuthorizationPolicies(o.Namespace)...)
			}
		}
		return all
	})
}

// selection says which workloads policies apply to, and the other way round.
type selection struct {
	workloads map[*mesh.AuthorizationPolicy][]*mesh.Workload
	policies  map[*mesh.Workload][]*mesh.AuthorizationPolicy
}

// selected are the workloads with a sidecar that policies select, of those that
// are not attached by reference (AP-1, AP-2).
func selected(i *analyze.Inventory) selection {
	return analyze.Shared(i, "authorization.selected", func() selection {
		s := selection{map[*mesh.AuthorizationPolicy][]*mesh.Workload{}, map[*mesh.Workload][]*mesh.AuthorizationPolicy{}}
		in := map[string]*mesh.Selectors[*mesh.AuthorizationPolicy]{}
		for _, w := range i.Workloads {
			if !w.Membership.Sidecar {
				continue
			}
			for _, namespace := range slices.Compact([]string{i.RootNamespace(), w.Namespace}) {
				if _, known := in[namespace]; !known {
					free := slices.DeleteFunc(slices.Clone(i.AuthorizationPolicies(namespace)), func(r *mesh.AuthorizationPolicy) bool {
						return r.Spec.GetTargetRef() != nil || len(r.Spec.GetTargetRefs()) > 0
					})
					in[namespace] = mesh.NewSelectors(free, func(r *mesh.AuthorizationPolicy) map[string]string { return r.Spec.GetSelector().GetMatchLabels() })
				}
				for _, r := range in[namespace].Of(w.PodLabels) {
					s.workloads[r] = append(s.workloads[r], w)
					s.policies[w] = append(s.policies[w], r)
				}
			}
		}
		return s
	})
}

// simulator compiles what workloads enforce, once for all rules.
func simulator(i *analyze.Inventory) *policy.Simulator {
	return analyze.Shared(i, "simulator", func() *policy.Simulator { return policy.NewSimulator(i.Snapshot) })
}

const (
	allow  = security.AuthorizationPolicy_ALLOW
	deny   = security.AuthorizationPolicy_DENY
	custom = security.AuthorizationPolicy_CUSTOM
)
