package authorization

import (
	"slices"
	"strconv"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

func rulePath(i int) []string { return []string{"spec", "rules", strconv.Itoa(i)} }

// isAll tells a rule that matches every request.
func isAll(r *security.Rule) bool { return len(r.GetFrom())+len(r.GetTo())+len(r.GetWhen()) == 0 }

// isTried tells a policy that is only tried.
func isTried(r *mesh.AuthorizationPolicy) bool {
	on, err := strconv.ParseBool(r.Annotations["istio.io/dry-run"])
	return err == nil && on
}

// deadRules finds ALLOW policies of which nothing is left: a DENY policy denies
// every request of all workloads that they select (EV-5).
func deadRules(p *analyze.Pass) {
	s := selected(p.Inventory)
	for _, r := range policies(p.Inventory) {
		if r.Spec.Action != allow || len(r.Spec.Rules) == 0 || len(s.workloads[r]) == 0 {
			continue
		}
		var by *mesh.AuthorizationPolicy
		alive := slices.ContainsFunc(s.workloads[r], func(w *mesh.Workload) bool {
			i := slices.IndexFunc(s.policies[w], func(d *mesh.AuthorizationPolicy) bool {
				return d.Spec.Action == deny && !isTried(d) && slices.ContainsFunc(d.Spec.Rules, isAll)
			})
			if i >= 0 {
				by = s.policies[w][i]
			}
			return i < 0
		})
		if !alive {
			i := slices.IndexFunc(by.Spec.Rules, isAll)
			p.Report(r.Object, []string{"spec", "rules"}, "nothing is allowed by this policy: DENY comes first, and a rule of %s denies every request", by).
				Because(by.Object, rulePath(i), "matches every request: to deny what nothing allows, write an ALLOW policy without rules instead")
		}
	}
}

// splitRules finds a rule that says only who before one that says only what
// (T-7).
func splitRules(p *analyze.Pass) {
	onlyFrom := func(r *security.Rule) bool { return len(r.GetFrom()) > 0 && len(r.GetTo())+len(r.GetWhen()) == 0 }
	onlyTo := func(r *security.Rule) bool { return len(r.GetTo()) > 0 && len(r.GetFrom())+len(r.GetWhen()) == 0 }
	for _, r := range policies(p.Inventory) {
		for i := 1; i < len(r.Spec.Rules); i++ {
			if onlyFrom(r.Spec.Rules[i-1]) && onlyTo(r.Spec.Rules[i]) {
				p.Report(r.Object, rulePath(i), "the rule before says only who, and this one only what: either is enough. If both are to hold, take out the dash that begins this rule")
			}
		}
	}
}

// negativeAllows finds ALLOW rules that name only what they do not allow.
func negativeAllows(p *analyze.Pass) {
	for _, r := range policies(p.Inventory) {
		if r.Spec.Action != allow {
			continue
		}
		all := fields(r)
		for _, f := range all {
			negative := f.not && (f.name == "paths" || f.name == "methods" || f.name == "hosts" || strings.HasPrefix(f.name, "request.headers["))
			positive := slices.ContainsFunc(all, func(y field) bool { return !y.not && y.name == f.name && y.group == f.group })
			if negative && !positive {
				p.Report(r.Object, f.path, "this ALLOW rule lets through all but these: a form of them that nobody thought of gets through too. Name what is allowed, or deny these in a DENY policy")
			}
		}
	}
}

// deniedPaths finds DENY rules on paths that the mesh does not normalize enough,
// and meshes that do not normalize at all (AP-50, LG-1).
func deniedPaths(p *analyze.Pass) {
	normalization := p.Config.GetPathNormalization().GetNormalization()
	weak := normalization == meshconfig.MeshConfig_ProxyPathNormalization_DEFAULT || normalization == meshconfig.MeshConfig_ProxyPathNormalization_NONE || normalization == meshconfig.MeshConfig_ProxyPathNormalization_BASE
	told := false
	for _, r := range policies(p.Inventory) {
		for _, f := range fields(r) {
			if f.name != "paths" {
				continue
			}
			if p.ConfigGiven && normalization == meshconfig.MeshConfig_ProxyPathNormalization_NONE && !told {
				told = true
				p.ReportCodeAt("MSH0110", "MeshConfig", p.ConfigPlace("normalization"), "paths are compared as they are sent, and policies have rules on paths: /a/../b is not /b, and /%%61 not /a. Set pathNormalization.normalization to MERGE_SLASHES or DECODE_AND_MERGE_SLASHES").
					Because(r.Object, f.path, "is a rule on paths")
			}
			plain := slices.ContainsFunc(f.values, func(v string) bool { return strings.Trim(v, "/*") != "" })
			if weak && r.Spec.Action == deny && !f.not && plain {
				p.Report(r.Object, f.path, "the mesh normalizes paths by %s only: with a second slash or an escaped one a request passes this rule. Set MERGE_SLASHES or DECODE_AND_MERGE_SLASHES, or allow what is good instead", normalization)
			}
		}
	}
}
