package routing

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// hostClaim is a host of a VirtualService that sidecars follow.
type hostClaim struct {
	v    *mesh.VirtualService
	host string
	path []string
}

// meshHosts finds VirtualServices that claim the same host for sidecars of the
// same namespace. Each is reported once.
func meshHosts(p *analyze.Pass) {
	scopes := map[string]map[string][]hostClaim{} // by namespace or "*", then by host
	for _, v := range virtualServices(p) {
		if len(v.Spec.Gateways) > 0 && !slices.Contains(v.Spec.Gateways, mesh.MeshGateway) {
			continue
		}
		for _, scope := range scopesOf(v.Spec.ExportTo, p.Config.GetDefaultVirtualServiceExportTo(), v.Namespace) {
			if scopes[scope] == nil {
				scopes[scope] = map[string][]hostClaim{}
			}
			for i, host := range v.Spec.Hosts {
				full := p.FullHost(host, v.Namespace)
				scopes[scope][full] = append(scopes[scope][full], hostClaim{v, host, []string{"spec", "hosts", fmt.Sprint(i)}})
			}
		}
	}
	reported := map[*mesh.Object]bool{}
	complain := func(c hostClaim, others []hostClaim) *analyze.Report {
		reported[c.v.Object] = true
		r := p.Report(c.v.Object, c.path, "host %q has routes in several VirtualServices that the same sidecars follow: one of them wins, the others' routes are lost; merge them, or export them to different namespaces", c.host)
		for _, other := range others {
			if other.v.Object != c.v.Object {
				r.Because(other.v.Object, other.path, "claims %q too", other.host)
			}
		}
		return r
	}
	for _, scope := range sortedKeys(scopes) {
		for _, host := range sortedKeys(scopes[scope]) {
			claims := scopes[scope][host]
			if scope != "*" {
				claims = append(slices.Clone(claims), scopes["*"][host]...)
			}
			if claimants(claims) < 2 {
				continue
			}
			for _, c := range claims {
				if !reported[c.v.Object] {
					complain(c, claims)
				}
			}
		}
	}
	overlaps(scopes, func(narrow, wide hostClaim) {
		for _, pair := range [][2]hostClaim{{narrow, wide}, {wide, narrow}} {
			if c := pair[0]; !reported[c.v.Object] {
				reported[c.v.Object] = true
				p.Report(c.v.Object, c.path, "host %q overlaps with %q of VirtualService %s/%s for sidecars of the same namespace: the narrower name wins there", c.host, pair[1].host, pair[1].v.Namespace, pair[1].v.Name).
					Because(pair[1].v.Object, pair[1].path, "claims %q", pair[1].host).As(report.Info)
			}
		}
	})
}

// claimants counts the VirtualServices of claims.
func claimants(claims []hostClaim) int {
	seen := map[*mesh.Object]bool{}
	for _, c := range claims {
		seen[c.v.Object] = true
	}
	return len(seen)
}

// overlaps finds hosts that are for some namespaces only and overlap with a
// public one of another name.
func overlaps(scopes map[string]map[string][]hostClaim, found func(private, public hostClaim)) {
	for _, scope := range sortedKeys(scopes) {
		if scope == "*" {
			continue
		}
		for _, host := range sortedKeys(scopes[scope]) {
			for _, cover := range covers(host) {
				for _, public := range scopes["*"][cover] {
					for _, c := range scopes[scope][host] {
						if c.v.Object != public.v.Object {
							found(c, public)
						}
					}
				}
			}
		}
	}
}

// covers are the wildcards that a host is within, beside itself.
func covers(host string) []string {
	var all []string
	rest := strings.TrimPrefix(strings.TrimPrefix(host, "*"), ".")
	if !mesh.IsWildcard(host) {
		_, rest, _ = strings.Cut(rest, ".")
	} else if _, after, ok := strings.Cut(rest, "."); ok {
		rest = after
	} else {
		rest = ""
	}
	for rest != "" {
		all = append(all, "*."+rest)
		_, rest, _ = strings.Cut(rest, ".")
	}
	if host != "*" {
		all = append(all, "*")
	}
	return all
}

// scopesOf are the namespaces that an object is exported to; "*" is all.
func scopesOf(exportTo, defaults []string, namespace string) []string {
	if len(exportTo) == 0 {
		exportTo = defaults
	}
	if len(exportTo) == 0 || slices.Contains(exportTo, "*") {
		return []string{"*"}
	}
	var scopes []string
	for _, ns := range exportTo {
		if ns == "." {
			ns = namespace
		}
		if ns != "~" && !slices.Contains(scopes, ns) {
			scopes = append(scopes, ns)
		}
	}
	return scopes
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
