package authorization

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	apitype "istio.io/api/type/v1beta1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// selectors finds policies about identity that select nothing, or something in
// another namespace only. Those for access that select nothing are IST0127's.
func selectors(p *analyze.Pass) {
	c := &selectorCheck{p, map[string][]*mesh.Workload{}, map[string]map[string]int{}, map[string][]string{}}
	for _, w := range p.Workloads {
		if c.pairs[w.Namespace] == nil {
			c.pairs[w.Namespace] = map[string]int{}
		}
		for key, value := range w.PodLabels {
			c.byPair[key+"="+value] = append(c.byPair[key+"="+value], w)
			c.pairs[w.Namespace][key+"="+value]++
		}
	}
	for _, namespace := range namespaces(p, "AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication") {
		for _, r := range p.AuthorizationPolicies(namespace) {
			c.check(r.Object, r.Spec.GetSelector().GetMatchLabels())
		}
		for _, r := range p.PeerAuthentications(namespace) {
			c.check(r.Object, r.Spec.GetSelector().GetMatchLabels())
		}
		for _, r := range p.RequestAuthentications(namespace) {
			c.check(r.Object, r.Spec.GetSelector().GetMatchLabels())
		}
	}
}

// namespaces are those with objects of some kinds, sorted.
func namespaces(p *analyze.Pass, kinds ...string) []string {
	seen := map[string]bool{}
	for _, kind := range kinds {
		for _, o := range p.Kind("security.istio.io", kind) {
			seen[o.Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

type selectorCheck struct {
	*analyze.Pass
	byPair map[string][]*mesh.Workload // by "key=value" of their labels
	pairs  map[string]map[string]int   // how many have them, by namespace
	sorted map[string][]string         // the first of pairs, where they were asked for
}

func (c *selectorCheck) check(o *mesh.Object, labels map[string]string) {
	everywhere := o.Namespace == c.RootNamespace()
	if len(labels) == 0 || everywhere && !c.Complete {
		return
	}
	var elsewhere *mesh.Workload
	for _, w := range c.rarest(labels) {
		switch {
		case !mesh.Selects(labels, w.PodLabels):
		case everywhere || w.Namespace == o.Namespace:
			return
		case elsewhere == nil:
			elsewhere = w
		}
	}
	path := []string{"spec", "selector", "matchLabels"}
	switch {
	case o.Kind == "AuthorizationPolicy": // IST0127 tells of them
	case elsewhere != nil:
		c.ReportCode("MSH0128", o, path, "the selector selects nothing in namespace %s, and something in %s: policies apply to their own namespace", o.Namespace, elsewhere.Namespace).
			Because(elsewhere.Object, nil, "has these labels")
	case everywhere:
		c.Report(o, path, "the selector selects no workload of the mesh: the policy does nothing")
	case c.Complete || c.pairs[o.Namespace] != nil:
		c.Report(o, path, "the selector selects no workload of namespace %s: the policy does nothing%s", o.Namespace, c.near(o.Namespace, labels))
	}
}

// rarest are the workloads with the pair of a selector that the fewest have.
func (c *selectorCheck) rarest(labels map[string]string) []*mesh.Workload {
	var found []*mesh.Workload
	for i, key := range slices.Sorted(maps.Keys(labels)) {
		if all := c.byPair[key+"="+labels[key]]; i == 0 || len(all) < len(found) {
			found = all
		}
	}
	return found
}

// near is the pair of a workload of the namespace that a pair of the selector
// nearly is. Of a namespace with very many it looks at the first.
func (c *selectorCheck) near(namespace string, labels map[string]string) string {
	const enough = 200
	known := c.pairs[namespace]
	if c.sorted[namespace] == nil {
		all := slices.Sorted(maps.Keys(known))
		c.sorted[namespace] = all[:min(len(all), enough)]
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if pair := key + "=" + labels[key]; known[pair] == 0 {
			if near := mesh.Nearest(pair, c.sorted[namespace]); near != "" {
				return fmt.Sprintf("; did you mean %q?", near)
			}
		}
	}
	return ""
}

// targets finds references to objects that are not there (AP-5).
func targets(p *analyze.Pass) {
	present := map[string]map[string]bool{} // kind, and "namespace/name"
	for kind, group := range map[string]string{"Service": "", "ServiceEntry": "networking.istio.io", "Gateway": "gateway.networking.k8s.io"} {
		present[kind] = map[string]bool{}
		for _, o := range p.Kind(group, kind) {
			present[kind][o.Namespace+"/"+o.Name] = true
		}
	}
	for _, namespace := range namespaces(p, "AuthorizationPolicy", "RequestAuthentication") {
		for _, r := range p.AuthorizationPolicies(namespace) {
			checkTargets(p, present, r.Object, r.Spec.GetTargetRef(), r.Spec.GetTargetRefs())
		}
		for _, r := range p.RequestAuthentications(namespace) {
			checkTargets(p, present, r.Object, r.Spec.GetTargetRef(), r.Spec.GetTargetRefs())
		}
	}
}

func checkTargets(p *analyze.Pass, present map[string]map[string]bool, o *mesh.Object, one *apitype.PolicyTargetReference, refs []*apitype.PolicyTargetReference) {
	at := func(i int) []string { return []string{"spec", "targetRefs", strconv.Itoa(i)} }
	if one != nil {
		refs, at = []*apitype.PolicyTargetReference{one}, func(int) []string { return []string{"spec", "targetRef"} }
	}
	for i, ref := range refs {
		there, known := present[ref.GetKind()]
		if known && (p.Complete || len(there) > 0) && !there[o.Namespace+"/"+ref.GetName()] {
			p.Report(o, at(i), "no %s %s in namespace %s: the policy is attached to nothing", ref.GetKind(), ref.GetName(), o.Namespace)
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
	others := map[string]bool{}
	for _, e := range p.Config.GetExtensionProviders() {
		if e.GetEnvoyExtAuthzHttp() == nil && e.GetEnvoyExtAuthzGrpc() == nil {
			others[e.GetName()] = true
			continue
		}
		known = append(known, e.GetName())
	}
	for _, r := range policies(p.Inventory) {
		name := r.Spec.GetProvider().GetName()
		if r.Spec.Action != custom || name == "" || slices.Contains(known, name) {
			continue
		}
		hint := "it has none that can: add one of envoyExtAuthzHttp or envoyExtAuthzGrpc"
		if len(known) > 0 {
			hint = mesh.DidYouMean(name, known)
		}
		problem := fmt.Sprintf("the mesh config has no extension provider %q that decides about requests", name)
		if others[name] {
			problem = fmt.Sprintf("the extension provider %q does not decide about requests", name)
		}
		p.Report(r.Object, []string{"spec", "provider", "name"}, "%s, and what the rules match is denied; %s", problem, hint)
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
