// Package validation is what istiod's webhook refuses and warns about, one
// object at a time (V-M, V-S, V-AP, V-PA, V-RA, V-DR). What the types of a
// cluster's API server refuse beyond that is not here.
package validation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"
	apitype "istio.io/api/type/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Problem is one thing that is wrong with an object, or looks so.
type Problem struct {
	Path    []string // to the value: map keys and list numbers
	Warning bool     // the object is taken, with a warning
	Text    string
}

// checker collects the problems of an object.
type checker struct{ problems []Problem }

func (c *checker) refuse(path []string, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) warn(path []string, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Warning: true, Text: fmt.Sprintf(format, args...)})
}

// below is the path to something within.
func below(path []string, steps ...any) []string {
	result := slices.Clone(path)
	for _, s := range steps {
		result = append(result, fmt.Sprint(s))
	}
	return result
}

// dryRunAnnotation asks for a policy that is only tried.
const dryRunAnnotation = "istio.io/dry-run"

// istiods are the annotations that istiod itself sets (V-M-2).
func istiods() []string {
	return []string{"internal.istio.io/webhook-always-reject", "internal.istio.io/parents", "internal.istio.io/parent-namespace"}
}

// dryRun checks the annotations (V-M-1, V-M-2); action is that of an
// AuthorizationPolicy, nil for other kinds. What it refuses is all that is said
// about the object.
func (c *checker) dryRun(o *mesh.Object, action *security.AuthorizationPolicy_Action) bool {
	for _, key := range istiods() {
		if _, ok := o.Annotations[key]; ok {
			c.refuse([]string{"metadata", "annotations", key}, "the annotation %s is istiod's own: take it away", key)
			return false
		}
	}
	value, ok := o.Annotations[dryRunAnnotation]
	path := []string{"metadata", "annotations", dryRunAnnotation}
	switch {
	case !ok:
		return true
	case action == nil:
		c.refuse(path, "the annotation %s is for AuthorizationPolicies only: take it away", dryRunAnnotation)
		return false
	}
	if *action != security.AuthorizationPolicy_ALLOW && *action != security.AuthorizationPolicy_DENY {
		c.refuse(path, "the annotation %s works with the actions ALLOW and DENY, not with %s", dryRunAnnotation, *action)
		return false
	}
	if _, err := strconv.ParseBool(value); err != nil {
		c.refuse(path, "%q is neither true nor false", value)
		return false
	}
	return true
}

// selection checks what a policy applies to (V-S-1..V-S-4).
func (c *checker) selection(selector *apitype.WorkloadSelector, ref *apitype.PolicyTargetReference, refs []*apitype.PolicyTargetReference) {
	given := 0
	for _, is := range []bool{selector != nil, ref != nil, len(refs) > 0} {
		if is {
			given++
		}
	}
	if given > 1 {
		c.refuse([]string{"spec"}, "only one of selector, targetRef and targetRefs can be given")
	}
	c.selector(selector)
	if ref != nil {
		c.target(ref, []string{"spec", "targetRef"})
	}
	for i, r := range refs {
		c.target(r, below([]string{"spec", "targetRefs"}, i))
	}
}

func (c *checker) selector(selector *apitype.WorkloadSelector) {
	if selector != nil {
		c.labels(selector.MatchLabels, []string{"spec", "selector"}, []string{"spec", "selector", "matchLabels"})
	}
}

// labels checks the labels of a selector that is given (V-S-2, V-S-3).
func (c *checker) labels(labels map[string]string, selector, path []string) {
	if len(labels) == 0 {
		c.warn(selector, "the selector names no labels: it selects all workloads of the namespace")
	}
	for key, value := range labels {
		switch {
		case key == "":
			c.refuse(path, "a label needs a name")
		case strings.Contains(key, "*") || strings.Contains(value, "*"):
			c.refuse(below(path, key), "a selector compares whole labels: %q is no pattern here", key+"="+value)
		}
	}
}

// target checks a reference to what a policy is attached to (V-S-4).
func (c *checker) target(ref *apitype.PolicyTargetReference, path []string) {
	if ref.GetName() == "" {
		c.refuse(path, "the reference needs a name")
	}
	if ref.GetNamespace() != "" {
		c.refuse(below(path, "namespace"), "a policy is attached to objects of its own namespace only: leave the namespace out")
	}
	group := ref.GetGroup()
	if group == "core" {
		group = ""
	}
	kinds := []string{"/Service", "networking.istio.io/ServiceEntry", "gateway.networking.k8s.io/Gateway", "gateway.networking.k8s.io/GatewayClass"}
	if !slices.Contains(kinds, group+"/"+ref.GetKind()) {
		c.refuse(path, "a policy cannot be attached to %q: expected a Service, a ServiceEntry (networking.istio.io), a Gateway or a GatewayClass (gateway.networking.k8s.io)", ref.GetGroup()+"/"+ref.GetKind())
	}
}

// PeerAuthentication checks V-PA-1..V-PA-4.
func PeerAuthentication(p *mesh.PeerAuthentication) []Problem {
	c := &checker{}
	if !c.dryRun(p.Object, nil) {
		return c.problems
	}
	c.selector(p.Spec.Selector)
	path := []string{"spec", "portLevelMtls"}
	if p.Spec.PortLevelMtls != nil {
		if len(p.Spec.PortLevelMtls) == 0 {
			c.refuse(path, "portLevelMtls is empty: name a port, or leave it out")
		} else if len(p.Spec.Selector.GetMatchLabels()) == 0 {
			c.refuse(path, "portLevelMtls needs a selector with labels: ports are those of workloads")
		}
	}
	for port := range p.Spec.PortLevelMtls {
		if port == 0 || port > maxPort {
			c.refuse(below(path, port), "%d is no port: expected 1 to %d", port, maxPort)
		}
	}
	return c.problems
}

const maxPort = 65535
