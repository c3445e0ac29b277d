package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

func (k kind) serves(apiVersion string) bool {
	return slices.Contains(k.groups, group(apiVersion))
}

// serves tells whether a template is that of an object's kind.
func serves(t mesh.PodTemplate, apiVersion, kind string) bool {
	return t.Kind == kind && t.Group == group(apiVersion)
}

// borrowsPods tells whether an object has no pod template of its own though its
// kind may have: an Argo Rollout can refer to a Deployment's.
func borrowsPods(t mesh.PodTemplate, text []byte) bool {
	var rollout struct {
		Spec struct {
			WorkloadRef json.RawMessage `json:"workloadRef"`
			Template    json.RawMessage `json:"template"`
		} `json:"spec"`
	}
	return t.Kind == "Rollout" && json.Unmarshal(text, &rollout) == nil && rollout.Spec.WorkloadRef != nil && rollout.Spec.Template == nil
}

// foreign is an object of another API group. Its pod template is edited as a
// built-in one; all its other fields, and the template's unknown ones, stay.
type foreign struct {
	tree     map[string]any
	template map[string]any // within tree
	pod      corev1.PodTemplateSpec
	before   any // pod as it was read
}

func openForeign(t mesh.PodTemplate, text []byte) (workload, error) {
	tree, err := numbered(text)
	if err != nil {
		return workload{}, err
	}
	f := &foreign{}
	f.tree, _ = tree.(map[string]any)
	f.template = f.tree
	for _, field := range t.Path {
		next, ok := f.template[field].(map[string]any)
		if !ok {
			return workload{}, &templateFault{path: t.Path, isList: isList(f.template[field])}
		}
		f.template = next
	}
	raw, err := json.Marshal(f.template)
	if err != nil {
		return workload{}, err
	}
	if err := json.Unmarshal(raw, &f.pod); err != nil {
		return workload{}, err
	}
	if f.before, err = f.podTree(); err != nil {
		return workload{}, err
	}
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return workload{}, err
	}
	return workload{
		object: f,
		owner: owner{
			TypeMeta:  metav1.TypeMeta{APIVersion: h.APIVersion, Kind: h.Kind},
			Name:      h.Metadata.Name,
			Namespace: h.Metadata.Namespace,
		},
		meta: &f.pod.ObjectMeta,
		spec: &f.pod.Spec,
	}, nil
}

// templateFault says that an object has no pod template where its kind has.
type templateFault struct {
	path   []string
	isList bool // the path leads through a list
}

func (f *templateFault) Error() string {
	s := "no pod template at " + strings.Join(f.path, ".")
	if f.isList {
		s += ": a path cannot lead through a list"
	}
	return s
}

func isList(v any) bool {
	_, ok := v.([]any)
	return ok
}

// MarshalJSON is the object with the pod template's changes in it.
func (f *foreign) MarshalJSON() ([]byte, error) {
	after, err := f.podTree()
	if err != nil {
		return nil, err
	}
	changed, ok := manifest.Apply(f.template, f.before, after, listKeys()).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the pod template of a foreign kind became %T", changed)
	}
	// The template is part of tree, so it is changed where it is. What did not
	// change is the same map still.
	changed = maps.Clone(changed)
	clear(f.template)
	maps.Copy(f.template, changed)
	f.before = after
	return json.Marshal(f.tree)
}

// podTree is the pod as a tree whose numbers are as written.
func (f *foreign) podTree() (any, error) {
	text, err := json.Marshal(&f.pod)
	if err != nil {
		return nil, err
	}
	return numbered(text)
}
