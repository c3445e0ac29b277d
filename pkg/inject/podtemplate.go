package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodTemplate tells where a kind of another API group keeps its pod template.
type PodTemplate struct {
	Group string // API group, such as argoproj.io
	Kind  string
	Path  []string // the fields that lead to it, such as spec, template
}

// KnownPodTemplates are the kinds that need no --pod-template.
func KnownPodTemplates() []PodTemplate {
	return []PodTemplate{
		{"argoproj.io", "Rollout", []string{"spec", "template"}},
		{"serving.knative.dev", "Service", []string{"spec", "template"}},
	}
}

// ParsePodTemplate reads "Kind.group=path.to.template".
func ParsePodTemplate(s string) (PodTemplate, error) {
	name, path, ok := strings.Cut(s, "=")
	kind, grp, qualified := strings.Cut(name, ".")
	if !ok || !qualified || kind == "" || grp == "" || path == "" {
		return PodTemplate{}, fmt.Errorf("pod template %q: expected Kind.group=path, such as Rollout.argoproj.io=spec.template", s)
	}
	return PodTemplate{Group: grp, Kind: kind, Path: strings.Split(strings.TrimPrefix(path, "."), ".")}, nil
}

func (k kind) serves(apiVersion string) bool {
	return slices.Contains(k.groups, group(apiVersion))
}

func (t PodTemplate) serves(apiVersion, kind string) bool {
	return t.Kind == kind && t.Group == group(apiVersion)
}

// foreign is an object of another API group. Its pod template is edited as a
// built-in one; all its other fields, and the template's unknown ones, stay.
type foreign struct {
	tree     map[string]any
	template map[string]any // within tree
	pod      corev1.PodTemplateSpec
	before   map[string]any // pod as it was read
}

func (t PodTemplate) open(text []byte) (workload, error) {
	f := &foreign{}
	if err := json.Unmarshal(text, &f.tree); err != nil {
		return workload{}, err
	}
	f.template = f.tree
	for _, field := range t.Path {
		next, ok := f.template[field].(map[string]any)
		if !ok {
			return workload{}, fmt.Errorf("%s: expected a pod template at %s", t.Kind, strings.Join(t.Path, "."))
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
	if f.before, err = treeOf(&f.pod); err != nil {
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

// MarshalJSON is the object with the pod template's changes in it.
func (f *foreign) MarshalJSON() ([]byte, error) {
	after, err := treeOf(&f.pod)
	if err != nil {
		return nil, err
	}
	// The template may be an item of maps shared with tree: it is edited there.
	maps.Copy(f.template, applyChanges(f.template, f.before, after))
	f.before = after
	return json.Marshal(f.tree)
}

// applyChanges is tree with the differences between before and after made to
// it. Lists that differ keep the fields that before does not know, item by
// item of the same name.
func applyChanges(tree, before, after map[string]any) map[string]any {
	result := maps.Clone(tree)
	if result == nil {
		result = map[string]any{}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			delete(result, key)
		}
	}
	for key, to := range after {
		from, known := before[key]
		if known && equalJSON(from, to) {
			continue
		}
		result[key] = applyChange(result[key], from, to)
	}
	return result
}

func applyChange(value, from, to any) any {
	if toMap, ok := to.(map[string]any); ok {
		valueMap, _ := value.(map[string]any)
		fromMap, _ := from.(map[string]any)
		return applyChanges(valueMap, fromMap, toMap)
	}
	toList, ok := to.([]any)
	if !ok {
		return to
	}
	valueList, _ := value.([]any)
	fromList, _ := from.([]any)
	result := make([]any, len(toList))
	for i, item := range toList {
		result[i] = item
		m, ok := item.(map[string]any)
		if !ok || m["name"] == nil {
			continue
		}
		v, f := itemCalled(valueList, m["name"]), itemCalled(fromList, m["name"])
		if v != nil && f != nil {
			result[i] = applyChanges(v, f, m)
		}
	}
	return result
}

func itemCalled(list []any, name any) map[string]any {
	for _, item := range list {
		if m, ok := item.(map[string]any); ok && m["name"] == name {
			return m
		}
	}
	return nil
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// treeOf is v as a tree of JSON values.
func treeOf(v any) (map[string]any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	err = json.Unmarshal(text, &tree)
	return tree, err
}
