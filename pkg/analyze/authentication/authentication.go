// Package authentication has the rules about who is who (MSH02xx): mTLS of
// servers, TLS of clients, and tokens.
package authentication

import (
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

// Rules are the rules of this package.
func Rules() []analyze.Rule {
	const (
		certain   = analyze.Certain
		heuristic = analyze.Heuristic
	)
	return []analyze.Rule{
		{Code: "MSH0201", Slug: "peerauth-duplicate-scope", Severity: report.Error, Confidence: certain, Check: duplicatePeers},
		{Code: "MSH0202", Slug: "peerauth-portlevel-ignored", Severity: report.Error, Confidence: certain, Check: ignoredPorts},
		{Code: "MSH0203", Slug: "peerauth-effective-plaintext", Severity: report.Warning, Confidence: certain, Strict: true, Check: plaintext},
		{Code: "MSH0204", Slug: "dr-disable-vs-strict", Severity: report.Error, Confidence: certain, Check: clientTLS},
		{Code: "MSH0205", Slug: "dr-mutual-vs-disable", Severity: report.Error, Confidence: certain},
		{Code: "MSH0206", Slug: "strict-with-outside-callers", Severity: report.Warning, Confidence: heuristic, Check: outsideCallers},
		{Code: "MSH0207", Slug: "dr-drops-tls", Severity: report.Warning, Confidence: certain, Check: droppedTLS},
		{Code: "MSH0210", Slug: "requestauth-without-require", Severity: report.Error, Confidence: analyze.NeedsInventory, Check: optionalTokens},
		{Code: "MSH0211", Slug: "require-without-requestauth", Severity: report.Error, Confidence: analyze.NeedsInventory, Check: tokensNobodyReads},
		{Code: "MSH0212", Slug: "issuer-mismatch", Severity: report.Error, Confidence: analyze.NeedsInventory},
		{Code: "MSH0213", Slug: "claim-key-shape", Severity: report.Warning, Confidence: heuristic, Check: claimKeys},
		{Code: "MSH0214", Slug: "audience-unchecked", Severity: report.Warning, Confidence: certain, Strict: true, Check: uncheckedAudiences},
		{Code: "MSH0215", Slug: "jwks-exposed", Severity: report.Error, Confidence: certain, Check: keySources},
		{Code: "MSH0216", Slug: "duplicate-issuer", Severity: report.Warning, Confidence: certain, Check: issuers},
		{Code: "MSH0217", Slug: "token-forwarded", Severity: report.Info, Confidence: heuristic, Strict: true, Check: forwardedTokens},
		{Code: "MSH0218", Slug: "control-plane-plaintext", Severity: report.Warning, Confidence: certain, Check: controlPlane},
		{Code: "MSH0219", Slug: "jwks-empty", Severity: report.Error, Confidence: certain},
		{Code: "MSH0220", Slug: "token-locations-differ", Severity: report.Warning, Confidence: certain},
		{Code: "MSH0222", Slug: "cacerts-broken", Severity: report.Error, Confidence: certain, Check: secrets},
		{Code: "MSH0223", Slug: "certificate-broken", Severity: report.Error, Confidence: certain},
		{Code: "MSH0224", Slug: "issuer-without-keys", Severity: report.Error, Confidence: certain, Check: undiscovered},
		{Code: "MSH0221", Slug: "token-header-condition", Severity: report.Warning, Confidence: certain, Check: consumedHeaders},
	}
}

// applied are the policies about tokens and access of a workload.
type applied struct {
	tokens []*mesh.RequestAuthentication
	access []*mesh.AuthorizationPolicy
}

// policies are those of every workload. Policies that are attached to a gateway
// by reference are not looked at here.
func policies(i *analyze.Inventory) map[*mesh.Workload]applied {
	return analyze.Shared(i, "authentication.policies", func() map[*mesh.Workload]applied {
		all := map[*mesh.Workload]applied{}
		tokens, access := map[string]*mesh.Selectors[*mesh.RequestAuthentication]{}, map[string]*mesh.Selectors[*mesh.AuthorizationPolicy]{}
		for _, w := range i.Workloads {
			for _, namespace := range slices.Compact([]string{i.RootNamespace(), w.Namespace}) {
				if _, known := tokens[namespace]; !known {
					tokens[namespace] = mesh.NewSelectors(unattached(i.RequestAuthentications(namespace), tokenTargets), func(r *mesh.RequestAuthentication) map[string]string { return r.Spec.GetSelector().GetMatchLabels() })
					access[namespace] = mesh.NewSelectors(unattached(i.AuthorizationPolicies(namespace), accessTargets), func(r *mesh.AuthorizationPolicy) map[string]string { return r.Spec.GetSelector().GetMatchLabels() })
				}
				a := all[w]
				a.tokens = append(a.tokens, tokens[namespace].Of(w.PodLabels)...)
				a.access = append(a.access, access[namespace].Of(w.PodLabels)...)
				all[w] = a
			}
		}
		return all
	})
}

func unattached[R any](all []R, targets func(R) int) []R {
	return slices.DeleteFunc(slices.Clone(all), func(r R) bool { return targets(r) > 0 })
}

func tokenTargets(r *mesh.RequestAuthentication) int {
	return len(r.Spec.GetTargetRefs()) + targets(r.Spec.GetTargetRef() != nil)
}

func accessTargets(r *mesh.AuthorizationPolicy) int {
	return len(r.Spec.GetTargetRefs()) + targets(r.Spec.GetTargetRef() != nil)
}

func targets(one bool) int {
	if one {
		return 1
	}
	return 0
}

// simulator compiles what workloads enforce, once for all rules.
func simulator(i *analyze.Inventory) *policy.Simulator {
	return analyze.Shared(i, "simulator", func() *policy.Simulator { return policy.NewSimulator(i.Snapshot) })
}

// namespaces are those that have objects, once each.
func namespaces(i *analyze.Inventory) []string {
	seen := map[string]bool{}
	var all []string
	for _, o := range i.Objects {
		if !seen[o.Namespace] {
			seen[o.Namespace] = true
			all = append(all, o.Namespace)
		}
	}
	return all
}
