package mesh

import (
	"maps"
	"slices"
)

// PolicyNamespaces are the namespaces that have AuthorizationPolicies,
// PeerAuthentications or RequestAuthentications, sorted.
func (s *Snapshot) PolicyNamespaces() []string {
	all := map[string]bool{}
	for ns := range s.authorizations {
		all[ns] = true
	}
	for ns := range s.peers {
		all[ns] = true
	}
	for ns := range s.authentications {
		all[ns] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// Near is the end of an error about a name that there is not: it lists those
// that are like it, the nearest first.
func Near(name string, all []string) string { return near(name, slices.Clone(all)) }
