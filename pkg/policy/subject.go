package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Subject is what can be explained: one of its fields is set.
type Subject struct {
	Workload      *mesh.Workload
	Authorization *mesh.AuthorizationPolicy
	Peer          *mesh.PeerAuthentication
	Request       *mesh.RequestAuthentication
}

// Object is the subject as the files have it.
func (s Subject) Object() *mesh.Object {
	switch {
	case s.Workload != nil:
		return s.Workload.Object
	case s.Authorization != nil:
		return s.Authorization.Object
	case s.Peer != nil:
		return s.Peer.Object
	}
	return s.Request.Object
}

// reference names the subject as FindSubject reads it.
func (s Subject) reference() string {
	o := s.Object()
	return strings.ToLower(o.Kind) + "/" + o.Name + "." + o.Namespace
}

// FindSubject finds a policy or workload: KIND/NAME.NAMESPACE, such as
// ap/web.shop or deploy/web.shop, or NAMESPACE/NAME or NAME alone, which must
// name one object only. A name without a namespace is looked for in the given one, and in all if
// that is empty. It fails with the names that are near.
func FindSubject(s *mesh.Snapshot, text, namespace string) (Subject, error) {
	first, second, ok := strings.Cut(text, "/")
	if !ok {
		first, second = "", text
	}
	if ok && first == "" || second == "" || strings.Contains(second, "/") {
		return Subject{}, fmt.Errorf("%q: expected KIND/NAME.NAMESPACE, such as ap/web.shop or deploy/web.shop, NAMESPACE/NAME or NAME", text)
	}
	all := subjects(s)
	var found []Subject
	for _, subject := range all {
		o := subject.Object()
		name, ns := o.Name, o.Namespace
		if (first == "" || mesh.IsKind(first, o.Kind)) && (second == name+"."+ns || second == name && (ns == namespace || namespace == "")) || first == ns && second == name {
			found = append(found, subject)
		}
	}
	if len(found) > 1 {
		// A kind may be the name of a namespace too, and a name may have dots.
		exact := slices.DeleteFunc(slices.Clone(found), func(f Subject) bool {
			o := f.Object()
			return first != "" && !mesh.IsKind(first, o.Kind) || second != o.Name+"."+o.Namespace
		})
		if len(exact) > 0 {
			found = exact
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Subject{}, unknownSubject(text, all)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.reference())
	}
	return Subject{}, fmt.Errorf("%s names several objects: say which with %s", text, either(unique(names)))
}

// subjects are all policies and workloads of a mesh.
func subjects(s *mesh.Snapshot) []Subject {
	var all []Subject
	for _, ns := range s.PolicyNamespaces() {
		for _, p := range s.AuthorizationPolicies(ns) {
			all = append(all, Subject{Authorization: p})
		}
		for _, p := range s.PeerAuthentications(ns) {
			all = append(all, Subject{Peer: p})
		}
		for _, p := range s.RequestAuthentications(ns) {
			all = append(all, Subject{Request: p})
		}
	}
	for _, w := range s.Workloads {
		all = append(all, Subject{Workload: w})
	}
	return all
}

// unknownSubject names those of the kind that is asked for, where it is one.
func unknownSubject(text string, all []Subject) error {
	first, name, ok := strings.Cut(text, "/")
	if !ok {
		first, name = "", text
	}
	var same, names []string
	for _, subject := range all {
		names = append(names, subject.reference())
		if mesh.IsKind(first, subject.Object().Kind) {
			same = append(same, subject.reference())
		}
	}
	if same != nil {
		return fmt.Errorf("no %s in the manifests%s", text, mesh.Near(name, unique(same)))
	}
	return fmt.Errorf("no policy or workload %s in the manifests%s", text, mesh.Near(strings.TrimSuffix(name+"."+first, "."), unique(names)))
}
