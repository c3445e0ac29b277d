package authorization

import (
	"slices"
	"strconv"
	"strings"

	apitype "istio.io/api/type/v1beta1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// selectors finds policies about identity that select nothing, or something in
// another namespace only. Those for access that select nothing are IST0127's.
func selectors(p *analyze.Pass) {
	byPair := map[string][]*mesh.Workload{}
	inNamespace := map[string]bool{}
	for _, w := range p.Workloads {
		inNamespace[w.Namespace] = true
		for key, value := range w.PodLabels {
			byPair[key+"="+value] = append(byPair[key+"="+value], w)
		}
	}
	c := &selectorCheck{p, byPair, inNamespace}
	for _, kind := range []string{"AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"} {
		seen := map[string]bool{}
		for _, o := range p.Kind("security.istio.io", kind) {
			if seen[o.Namespace] {
				continue
			}
			seen[o.Namespace] = true
			for _, r := range p.AuthorizationPolicies(o.Namespace) {
				if kind == "AuthorizationPolicy" {
					c.check(r.Object, r.Spec.GetSelector().GetMatchLabels())
				}
			}
			for _, r := range p.PeerAuthentications(o.Namespace) {
				if kind == "PeerAuthentication" {
					c.check(r.Object, r.Spec.GetSelector().GetMatchLabels())
				}
			}
			for _, r := range p.RequestAuthentications(o.Namespace) {
				if kind == "RequestAuthentication" {
					c.check(r.Object, r.Spec.GetSelector().GetMatchLabels())
				}
			}
		}
	}
}

type selectorCheck struct {
	*analyze.Pass
	byPair      map[string][]*mesh.Workload
	inNamespace map[string]bool
}

func (c *selectorCheck) check(o *mesh.Object, labels map[string]string) {
	if len(labels) == 0 || o.Namespace == c.RootNamespace() {
		return
	}
	var elsewhere *mesh.Workload
	for key, value := range labels {
		for _, w := range c.byPair[key+"="+value] {
			if !mesh.Selects(labels, w.PodLabels) {
				continue
			}
			if w.Namespace == o.Namespace {
				return
			}
			elsewhere = w
		}
		break
	}
	path := []string{"spec", "selector", "matchLabels"}
	switch {
	case elsewhere != nil:
		c.ReportCode("MSH0128", o, path, "the selector selects nothing in namespace %s, and something in %s: policies apply to their own namespace", o.Namespace, elsewhere.Namespace).
			Because(elsewhere.Object, nil, "has these labels")
	case o.Kind != "AuthorizationPolicy" && (c.Complete || c.inNamespace[o.Namespace]):
		c.Report(o, path, "the selector selects no workload of namespace %s: the policy does nothing%s", o.Namespace, c.near(o.Namespace, labels))
	}
}

// near is the pair of a workload that a pair of the selector nearly is.
func (c *selectorCheck) near(namespace string, labels map[string]string) string {
	var pairs []string
	for pair, workloads := range c.byPair {
		if len(pairs) < 500 && slices.ContainsFunc(workloads, func(w *mesh.Workload) bool { return w.Namespace == namespace }) {
			pairs = append(pairs, pair)
		}
	}
	slices.Sort(pairs)
	for key, value := range labels {
		if hint := mesh.DidYouMean(key+"="+value, pairs); strings.HasPrefix(hint, "did you mean") && !slices.Contains(pairs, key+"="+value) {
			return "; " + hint
		}
	}
	return ""
}

// targets finds references to objects that are not there (AP-5).
func targets(p *analyze.Pass) {
	groups := map[string]string{"Service": "", "ServiceEntry": "networking.istio.io", "Gateway": "gateway.networking.k8s.io", "GatewayClass": "gateway.networking.k8s.io"}
	for _, r := range policies(p.Inventory) {
		refs, path := r.Spec.GetTargetRefs(), []string{"spec", "targetRefs"}
		if one := r.Spec.GetTargetRef(); one != nil {
			refs, path = []*apitype.PolicyTargetReference{one}, []string{"spec", "targetRef"}
		}
		for i, ref := range refs {
			group, known := groups[ref.GetKind()]
			all := p.Kind(group, ref.GetKind())
			if !known || ref.GetKind() == "GatewayClass" || !p.Complete && len(all) == 0 {
				continue
			}
			if slices.ContainsFunc(all, func(o *mesh.Object) bool { return o.Namespace == r.Namespace && o.Name == ref.GetName() }) {
				continue
			}
			at := path
			if len(r.Spec.GetTargetRefs()) > 0 {
				at = append(path[:2:2], strconv.Itoa(i))
			}
			p.Report(r.Object, at, "no %s %s in namespace %s: the policy is attached to nothing", ref.GetKind(), ref.GetName(), r.Namespace)
		}
	}
}

// uncovered finds workloads that no policy guards.
func uncovered(p *analyze.Pass) {
	s := selected(p.Inventory)
	for _, w := range p.Workloads {
		guarded := slices.ContainsFunc(s.policies[w], func(r *mesh.AuthorizationPolicy) bool { return r.Spec.Action == allow && !isTried(r) })
		if w.Membership.Sidecar && !guarded {
			p.Report(w.Object, nil, "no ALLOW policy applies: whatever is not denied gets through. Add a policy without rules for the namespace or the mesh, and allow what is meant")
		}
	}
}

// providers finds policies whose external authorizer the mesh config does not
// have (AP-60): every request that they match is denied.
func providers(p *analyze.Pass) {
	if !p.ConfigGiven && !p.Complete {
		return
	}
	var known []string
	for _, e := range p.Config.GetExtensionProviders() {
		known = append(known, e.GetName())
	}
	for _, r := range policies(p.Inventory) {
		name := r.Spec.GetProvider().GetName()
		if r.Spec.Action != custom || name == "" || slices.Contains(known, name) {
			continue
		}
		hint := "it has none"
		if len(known) > 0 {
			hint = mesh.DidYouMean(name, known)
		}
		p.Report(r.Object, []string{"spec", "provider", "name"}, "the mesh config has no extension provider %q, and what the rules match is denied; %s", name, hint)
	}
}

// dryRuns finds policies that are only tried.
func dryRuns(p *analyze.Pass) {
	for _, r := range policies(p.Inventory) {
		if isTried(r) {
			p.Report(r.Object, []string{"metadata", "annotations", "istio.io/dry-run"}, "the policy is only tried, and enforces nothing: take the annotation away when it does what it should")
		}
	}
}
