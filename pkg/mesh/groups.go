package mesh

import (
	"errors"
	"fmt"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// WorkloadGroup is a template that machines outside of the cluster register with.
type WorkloadGroup = Resource[*networking.WorkloadGroup]

// ReadObjects are all objects of manifests, those of Lists too, in the order of
// the files. Those that name no namespace get this one; "" is "default". What is
// in them is not looked at.
func ReadObjects(streams []*manifest.Stream, namespace string) ([]*Object, error) {
	r := &reader{namespace: namespace}
	if r.namespace == "" {
		r.namespace = "default"
	}
	return r.read(streams)
}

// WorkloadGroups decodes those among objects, strictly, and leaves all others
// alone. Every fault of a group is told, with its place. Two of one name are
// refused.
func WorkloadGroups(objects []*Object) ([]*WorkloadGroup, error) {
	var groups []*WorkloadGroup
	var problems []error
	seen := map[string]*Object{}
	for _, o := range objects {
		if group, _, _ := strings.Cut(o.APIVersion, "/"); group != networkingGroup || o.Kind != "WorkloadGroup" {
			continue
		}
		if err := checkAPI(o); err != nil {
			problems = append(problems, err)
			continue
		}
		if before := seen[o.Namespace+"/"+o.Name]; before != nil {
			problems = append(problems, o.fault([]string{"metadata", "name"}, "leave one of them out", fmt.Errorf("it stands at %s too", before.Location)))
			continue
		}
		seen[o.Namespace+"/"+o.Name] = o
		g, err := decodeResource(o, &networking.WorkloadGroup{})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		groups = append(groups, g)
	}
	return groups, errors.Join(problems...)
}
