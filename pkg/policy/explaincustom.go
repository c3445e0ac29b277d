package policy

import (
	"fmt"
	"maps"
	"slices"

	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// provider tells which external authorizer a CUSTOM policy asks, and whether
// it can be asked (AP-60..AP-66).
func (t *teller) provider(topic Topic, p *mesh.AuthorizationPolicy, selected []*mesh.Workload) {
	name := p.Spec.GetProvider().GetName()
	by := t.cause(p.Object, "spec", "provider")
	whose := "It"
	if p != t.own {
		whose = p.Namespace + "/" + p.Name
	}
	a, usable := provider(t.snapshot, name)
	switch {
	case !usable:
		t.sayBy(topic, by, "%s wants to ask an external authorizer, but %s: what its rules match is denied.", whose, unusable(t.snapshot, name))
	case len(p.Spec.Rules) == 0:
		t.sayBy(topic, by, "%s has no rules, so it never asks the external authorizer %s.", whose, shown(name))
	default:
		t.sayBy(topic, by, "%s asks the external authorizer %s about what its rules match; what that allows goes on to tokens, DENY and ALLOW.", whose, shown(name))
		t.sayBy(topic, by, "Where %s does not answer, %s.", shown(name), a.onError())
	}
	bySeveral := map[string][]*mesh.Workload{}
	for _, w := range selected {
		var names []string
		for _, stage := range t.Model(w).HTTP.Custom {
			names = append(names, shown(stage.Provider))
		}
		if len(names) > 1 {
			bySeveral[both(names)] = append(bySeveral[both(names)], w)
		}
	}
	for _, names := range slices.Sorted(maps.Keys(bySeveral)) {
		t.sayBy(topic, by, "%s %s CUSTOM policies of several providers (%s), and istiod accepts one for a workload: what their rules match is denied there.",
			named(bySeveral[names]), has(len(bySeveral[names])), names)
	}
}

// onError is what becomes of requests that the authorizer does not answer for.
func (a authorizer) onError() string {
	if a.failOpen {
		return "the request goes on (failOpen)"
	}
	return fmt.Sprintf("the request is answered with status %d", a.statusOnError)
}

// unusable says why a provider cannot be used.
func unusable(snapshot *mesh.Snapshot, name string) string {
	var same []*meshconfig.MeshConfig_ExtensionProvider
	var others []string
	for _, p := range snapshot.Config.ExtensionProviders {
		switch {
		case p.Name == name:
			same = append(same, p)
		case p.GetEnvoyExtAuthzHttp() != nil || p.GetEnvoyExtAuthzGrpc() != nil:
			others = append(others, shown(p.Name))
		}
	}
	switch {
	case name == "":
		return "it names none"
	case len(same) == 0 && others == nil:
		return fmt.Sprintf("the mesh config has no extension provider %s (--mesh-config reads one)", shown(name))
	case len(same) == 0:
		slices.Sort(others)
		return fmt.Sprintf("the mesh config has no extension provider %s; it has %s", shown(name), both(others))
	case len(same) > 1:
		return fmt.Sprintf("the mesh config has several extension providers %s", shown(name))
	case !providerName.MatchString(name):
		return fmt.Sprintf("istiod does not accept the name %s: it wants up to 63 lower-case letters, digits and dashes", shown(name))
	}
	service := same[0].GetEnvoyExtAuthzHttp().GetService() + same[0].GetEnvoyExtAuthzGrpc().GetService()
	switch {
	case service == "":
		return fmt.Sprintf("the extension provider %s is no external authorizer", shown(name))
	case !serviceExists(snapshot, service):
		return fmt.Sprintf("the files have no Service for the host %s of the extension provider %s", shown(service), shown(name))
	}
	return fmt.Sprintf("the settings of the extension provider %s are not valid", shown(name))
}
