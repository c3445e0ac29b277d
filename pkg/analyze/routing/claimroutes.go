package routing

import (
	"fmt"
	"strings"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// claimHeader begins the name of a header that stands for a claim of a token.
const claimHeader = "@request.auth.claims"

// claimRoutes finds routes of gateways by the claims of tokens where no
// RequestAuthentication reads tokens.
func claimRoutes(p *analyze.Pass) {
	x := gatewaysByName(p)
	for _, v := range virtualServices(p) {
		key, path := claimKey(v.Spec)
		if key == "" {
			continue
		}
		for _, name := range v.Spec.Gateways {
			g := x.istio[x.fullGateway(name, v.Namespace)]
			if name == mesh.MeshGateway || g == nil {
				continue
			}
			for _, pod := range podsOf(p, g) {
				if !authenticates(p, pod) {
					p.Report(v.Object, path, "%s is never there: no RequestAuthentication reads tokens at the pods %s of gateway %s/%s, so this route takes nothing", key, selectorText(g.Spec.Selector), g.Namespace, g.Name).
						Because(g.Object, nil, "is the gateway")
					break
				}
			}
		}
	}
}

// claimKey is the first header of a VirtualService that stands for a claim, and
// its place.
func claimKey(v *api.VirtualService) (key string, path []string) {
	for i, h := range v.Http {
		for j, m := range h.Match {
			fields := map[string]map[string]*api.StringMatch{"headers": m.Headers, "withoutHeaders": m.WithoutHeaders}
			for _, field := range sortedKeys(fields) {
				for _, key := range sortedKeys(fields[field]) {
					if strings.HasPrefix(key, claimHeader) {
						return key, []string{"spec", "http", fmt.Sprint(i), "match", fmt.Sprint(j), field, key}
					}
				}
			}
		}
	}
	return "", nil
}

// authenticates tells whether a RequestAuthentication holds for pods of a
// gateway.
func authenticates(p *analyze.Pass, pod gatewayPods) bool {
	for _, ns := range []string{p.RootNamespace(), pod.namespace} {
		for _, r := range p.RequestAuthentications(ns) {
			if len(r.Spec.TargetRefs) == 0 && r.Spec.TargetRef == nil && mesh.Selects(r.Spec.GetSelector().GetMatchLabels(), pod.labels) {
				return true
			}
		}
	}
	return false
}
