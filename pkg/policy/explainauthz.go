package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// authorization explains an AuthorizationPolicy.
func (t *teller) authorization(p *mesh.AuthorizationPolicy) {
	selected := t.selection(p.Object, p.Spec.GetSelector(), targets(p.Spec.TargetRef, p.Spec.TargetRefs))
	t.effect(p, guarded(selected))
	t.rules(OnRules, p)
	t.streams(p, guarded(selected))
	t.cautions(p, guarded(selected))
}

// targets are the objects that a policy names in place of a selector.
func targets(one *typev1beta1.PolicyTargetReference, many []*typev1beta1.PolicyTargetReference) []string {
	if one != nil && len(many) == 0 {
		many = append(many, one) // the older form counts only without the newer one (AP-7)
	}
	var all []string
	for _, ref := range many {
		all = append(all, ref.GetKind()+" "+ref.GetName())
	}
	return all
}

// selection tells which workloads a policy is for (AP-1..AP-8), and gives
// those of the files.
func (t *teller) selection(o *mesh.Object, selector *typev1beta1.WorkloadSelector, targets []string) []*mesh.Workload {
	if targets != nil {
		t.sayBy(OnSelection, causeOf(o, "spec"), "It targets %s, so it applies to no sidecar; what gateways and waypoints do is outside of this explanation.", both(targets))
		return nil
	}
	labels := selector.GetMatchLabels()
	area := "namespace " + o.Namespace
	if o.Namespace == t.snapshot.RootNamespace() {
		area = "the mesh (it is in the root namespace)"
	}
	var selected, elsewhere []*mesh.Workload
	for _, w := range t.snapshot.Workloads {
		switch {
		case !mesh.Selects(labels, w.PodLabels):
		case slices.Contains(namespaces(t.snapshot, w), o.Namespace):
			selected = append(selected, w)
		case len(labels) > 0:
			elsewhere = append(elsewhere, w)
		}
	}
	whom, by := "every workload of "+area, causeOf(o)
	if len(labels) > 0 {
		whom, by = "the workloads of "+area+" with "+labelWords(labels), causeOf(o, "spec", "selector")
	}
	if selected == nil {
		t.sayBy(OnSelection, by, "It selects %s; the files have none.", whom)
	} else {
		t.sayBy(OnSelection, by, "It selects %s: %s.", whom, named(selected))
	}
	if selected == nil && elsewhere != nil {
		t.sayBy(OnCaution, by, "%s %s these labels, but in another namespace, which a policy here does not reach.", named(elsewhere), has(len(elsewhere)))
	}
	t.unguarded(selected)
	return selected
}

func labelWords(labels map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, key+"="+labels[key])
	}
	if len(all) == 1 {
		return "the label " + all[0]
	}
	return "the labels " + both(all)
}

// effect tells what a policy does on the whole.
func (t *teller) effect(p *mesh.AuthorizationPolicy, selected []*mesh.Workload) {
	t.dryRun(p)
	by := causeOf(p.Object, "spec", "action")
	empty := len(p.Spec.Rules) == 0
	switch p.Spec.Action {
	case security.AuthorizationPolicy_ALLOW:
		if empty {
			t.sayBy(OnEffect, causeOf(p.Object, "spec"), "It is an ALLOW policy without rules: it %s nothing.", t.does(p))
		} else {
			t.sayBy(OnEffect, by, "It %s what its rules match.", t.does(p))
		}
		t.defaultDeny(p, selected)
	case security.AuthorizationPolicy_DENY:
		rest := emptyOr(empty, "nothing, as it has no rules", "what its rules match, whatever ALLOW policies say")
		t.sayBy(OnEffect, by, "It %s %s.", t.does(p), rest)
	case security.AuthorizationPolicy_AUDIT:
		t.sayBy(OnEffect, by, "%s", emptyOr(empty, "It is an AUDIT policy without rules: it notes nothing.", "It only notes what its rules match, for providers that log it; it changes no verdict."))
	case security.AuthorizationPolicy_CUSTOM:
		t.provider(OnEffect, p, selected)
	}
}

func emptyOr(empty bool, without, with string) string {
	if empty {
		return without
	}
	return with
}

// dryRun tells of the annotation that turns a policy into a rehearsal (AP-67,
// AP-68, AP-70).
func (t *teller) dryRun(p *mesh.AuthorizationPolicy) {
	value, annotated := p.Annotations[dryRunAnnotation]
	if !annotated {
		return
	}
	by := causeOf(p.Object, "metadata", "annotations", dryRunAnnotation)
	switch action := p.Spec.Action; {
	case dryRun(p) && action == security.AuthorizationPolicy_CUSTOM:
		t.sayBy(OnCaution, by, "It is marked as a dry run, which CUSTOM policies cannot be: a cluster refuses it and, where it got in all the same, what its rules match is denied without asking anyone.")
	case dryRun(p) && action == security.AuthorizationPolicy_AUDIT:
		t.sayBy(OnCaution, by, "It is marked as a dry run, which AUDIT policies cannot be: a cluster refuses it.")
	case dryRun(p):
		t.sayBy(OnEffect, by, "It is a dry run: it decides nothing, and only reports what it would do in the proxy's logs and metrics.")
	case !slices.Contains([]string{"0", "f", "F", "false", "FALSE", "False"}, value):
		t.sayBy(OnCaution, by, "%s is %s, which is neither true nor false: the policy is enforced.", dryRunAnnotation, shown(value))
	}
}

// defaultDeny tells that an enforced ALLOW policy makes a workload deny all
// else, on every port (T-3).
func (t *teller) defaultDeny(p *mesh.AuthorizationPolicy, selected []*mesh.Workload) {
	if dryRun(p) {
		return
	}
	var alone []*mesh.Workload
	withOthers := map[string][]*mesh.Workload{}
	for _, w := range selected {
		var others []string
		for _, other := range t.Model(w).HTTP.Allow.Enforced.Policies {
			if other != p {
				others = append(others, other.Namespace+"/"+other.Name)
			}
		}
		if others == nil {
			alone = append(alone, w)
		} else {
			withOthers[few(others)] = append(withOthers[few(others)], w)
		}
	}
	if alone != nil {
		left := emptyOr(len(p.Spec.Rules) == 0, "everything", "whatever it does not allow")
		t.sayBy(OnEffect, causeOf(p.Object), "It is the only ALLOW policy for %s, so %s is denied there, on every port.", named(alone), left)
	}
	for _, others := range slices.Sorted(maps.Keys(withOthers)) {
		t.sayBy(OnEffect, causeOf(p.Object), "For %s there is also %s: whatever no ALLOW policy allows is denied there, on every port.", named(withOthers[others]), others)
	}
	if selected == nil {
		t.sayBy(OnEffect, causeOf(p.Object), "Where it applies, whatever no ALLOW policy allows is denied, on every port.")
	}
}

// rules tells what each rule matches. A rule that istiod drops is told with
// what is wrong with it.
func (t *teller) rules(topic Topic, p *mesh.AuthorizationPolicy) {
	c := &compiler{domains: t.snapshot.TrustDomains()}
	compiled := c.byIndex(p)
	for i := range p.Spec.Rules {
		by, name := ruleCause(p, i), t.ruleName(p, i)
		broken := c.faults(p, i)
		r := compiled[i]
		if r == nil {
			t.sayBy(topic, by, "%s is dropped: %s.", name, faultWords(broken))
			continue
		}
		t.sayBy(topic, by, "%s %s %s.", name, t.does(p), r.words())
		t.domains(topic, r)
		for _, f := range broken {
			lost := "it is left out"
			if !r.has(f) {
				lost = "it is left out and the field with it, so the rule matches more"
			}
			t.sayBy(OnCaution, by, "%s: %s; %s.", name, faultWords([]fault{f}), lost)
		}
	}
}

// domains tell which identities istiod adds to those of a rule: the same under
// the other names of the mesh's trust domain (AP-72..AP-78).
func (t *teller) domains(topic Topic, r *Rule) {
	for _, f := range r.fields() {
		added := slices.DeleteFunc(slices.Clone(f.Values), func(v string) bool { return slices.Contains(r.written(f), v) })
		if name := f.meaning(); len(added) > 0 && (name == "principals" || name == "trustDomains") {
			t.sayBy(topic, r.at(f), "%s: %s %s count as well, as the mesh's trust domains are %s.", t.ruleName(r.Policy, r.Index), f.Name, both(allShown(added)), both(t.snapshot.TrustDomains()))
		}
	}
}

// has tells whether something is left of a field of which a value is at fault.
func (r *Rule) has(f fault) bool {
	for _, e := range slices.Concat(r.Permissions, r.Principals) {
		if slices.ContainsFunc(fieldsOf(e, f.path[0]), func(have *Field) bool { return have.Name == f.field && slices.Equal(have.Path, f.path) }) {
			return true
		}
	}
	return false
}

// ruleName names a rule at the start of a sentence, and its policy where that is
// not the one explained.
func (t *teller) ruleName(p *mesh.AuthorizationPolicy, index int) string {
	if p == t.own {
		return fmt.Sprintf("Rule %d", index)
	}
	return fmt.Sprintf("Rule %d of %s/%s", index, p.Namespace, p.Name)
}

// byIndex are a policy's compiled rules by their place in it.
func (c *compiler) byIndex(p *mesh.AuthorizationPolicy) map[int]*Rule {
	all := map[int]*Rule{}
	if len(p.Spec.Rules) == 0 {
		return all
	}
	rules := c.rules(p, "", "")
	for i := range rules {
		all[rules[i].Index] = &rules[i]
	}
	return all
}

func ruleCause(p *mesh.AuthorizationPolicy, index int) Cause {
	return (&Rule{Policy: p, Index: index}).Cause()
}

// does is what the rules of a policy do with what they match.
func (t *teller) does(p *mesh.AuthorizationPolicy) string {
	if p.Spec.Action != security.AuthorizationPolicy_CUSTOM {
		return verb(p.Spec.Action, dryRun(p))
	}
	_, usable := provider(t.snapshot, p.Spec.GetProvider().GetName())
	if !usable || dryRun(p) || t.focus != nil && len(t.Model(t.focus).HTTP.Custom) > 1 {
		return verb(security.AuthorizationPolicy_DENY, false)
	}
	return verb(p.Spec.Action, false)
}

// faultWords say what is wrong with a rule.
func faultWords(all []fault) string {
	var words []string
	for _, f := range all {
		switch {
		case f.err == nil:
			words = append(words, "istiod knows no condition "+shown(f.field))
		case strings.Contains(f.err.Error(), shown(f.value)) || strings.HasPrefix(f.err.Error(), `"`):
			words = append(words, f.field+": "+f.err.Error())
		default:
			words = append(words, f.field+" "+shown(f.value)+": "+f.err.Error())
		}
	}
	if words == nil {
		return "it is empty"
	}
	return both(unique(words))
}
