package mesh

import (
	"cmp"
	"slices"
)

// audience is who sees an object: everybody, or some namespaces.
type audience struct {
	everybody  bool
	namespaces []string
}

// audienceOf reads exportTo of an object in a namespace. The star makes it
// public whatever else is there, and a tilde then hides it from all. Without
// exportTo the mesh's default holds, which may be the dot or the star (EC-3).
func audienceOf(exportTo, defaults []string, namespace string) audience {
	if len(exportTo) == 0 {
		switch {
		case slices.Contains(defaults, "."):
			return audience{namespaces: []string{namespace}}
		case slices.Contains(defaults, "*"):
			return audience{everybody: true}
		}
		return audience{}
	}
	switch {
	case slices.Contains(exportTo, "*"):
		return audience{everybody: true}
	case slices.Contains(exportTo, "~"):
		return audience{}
	}
	var namespaces []string
	for _, ns := range exportTo {
		if ns == "." {
			ns = namespace
		}
		namespaces = append(namespaces, ns)
	}
	return audience{namespaces: namespaces}
}

// rank orders what a namespace sees as istiod lists it: what is private to it,
// what others export to it by name, what is public; false is not seen.
func (a audience) rank(owner, viewer string) (rank int, seen bool) {
	switch {
	case a.everybody:
		return 2, true
	case !slices.Contains(a.namespaces, viewer):
		return 0, false
	case owner == viewer:
		return 0, true
	}
	return 1, true
}

// ServicesFor are the services that are exported to a namespace, in the order
// in which istiod prefers them.
func (s *Snapshot) ServicesFor(namespace string) []*Service {
	var ranked [3][]*Service
	for _, v := range s.Services {
		if rank, seen := s.serviceAudience(v).rank(v.Namespace, namespace); seen {
			ranked[rank] = append(ranked[rank], v)
		}
	}
	for _, list := range ranked {
		slices.SortStableFunc(list, preferredService)
	}
	return slices.Concat(ranked[0], ranked[1], ranked[2])
}

// Sees tells whether a service is exported to a namespace.
func (s *Snapshot) Sees(namespace string, v *Service) bool {
	_, seen := s.serviceAudience(v).rank(v.Namespace, namespace)
	return seen
}

func (s *Snapshot) serviceAudience(v *Service) audience {
	return audienceOf(v.ExportTo, s.Config.GetDefaultServiceExportTo(), v.Namespace)
}

// preferredService puts the oldest first, then goes by name, which is the host
// for a ServiceEntry.
func preferredService(a, b *Service) int {
	name := func(v *Service) string {
		if v.Entry != nil {
			return v.Hostname
		}
		return v.Name
	}
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(name(a), name(b)), cmp.Compare(a.Namespace, b.Namespace))
}
