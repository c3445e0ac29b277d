package platform

import (
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// blockedRanges is the variable that lists where istiod must not fetch keys from.
const blockedRanges = "BLOCKED_CIDRS_IN_JWKS_URIS"

// fetchedKeys reports an istiod that fetches keys from wherever a
// RequestAuthentication tells it to.
func fetchedKeys(p *analyze.Pass) {
	var fetching []*mesh.Object
	for _, o := range p.Kind(security, "RequestAuthentication") {
		if fetchesKeys(o) >= 0 {
			fetching = append(fetching, o)
		}
	}
	if len(fetching) == 0 {
		return
	}
	for _, one := range podsOf(p, "Deployment") {
		i := slices.IndexFunc(one.Spec.Containers, func(c container) bool { return c.Name == "discovery" })
		if i < 0 && isIstiod(one) && len(one.Spec.Containers) > 0 {
			i = 0
		}
		if i < 0 || !isIstiod(one) || blocksRanges(one.Spec.Containers[i]) {
			continue
		}
		r := p.Report(one.Object, one.at("spec", "containers", itoa(i)), "istiod fetches keys from any address that a RequestAuthentication names, inside the cluster too: set the variable %s to ranges that it must not reach, such as 10.0.0.0/8,169.254.169.254/32", blockedRanges)
		for _, o := range fetching {
			r.Because(o, []string{"spec", "jwtRules", itoa(fetchesKeys(o))}, "has istiod fetch keys")
		}
	}
}

// isIstiod tells the control plane's Deployment, of whatever revision.
func isIstiod(one *pod) bool {
	return one.Labels["app"] == "istiod" || one.Metadata.Labels["app"] == "istiod" || one.Name == "istiod" || strings.HasPrefix(one.Name, "istiod-")
}

func blocksRanges(c container) bool {
	for _, v := range c.Env {
		if v.Name == blockedRanges {
			return strings.TrimSpace(v.Value) != "" || v.ValueFrom != nil
		}
	}
	return false
}

// fetchesKeys is the first rule whose keys are not in the object itself; -1 for
// none.
func fetchesKeys(o *mesh.Object) int {
	var object struct {
		Spec struct {
			Rules []struct {
				Keys string `json:"jwks"`
			} `json:"jwtRules"`
		} `json:"spec"`
	}
	if o.Decode(&object) != nil {
		return -1
	}
	for i, rule := range object.Spec.Rules {
		if rule.Keys == "" {
			return i
		}
	}
	return -1
}
