package inject

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	"sigs.k8s.io/yaml"
)

// Patch is a JSON patch (RFC 6902) for one object.
type Patch struct {
	Target Target                `json:"target"`
	Patch  []jsonpatch.Operation `json:"patch"`
}

// Target names the object that a patch is for, in kustomize's words.
type Target struct {
	Group     string `json:"group,omitempty"`
	Version   string `json:"version,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Patches are the changes of the stream as JSON patches.
func (o Output) Patches() ([]Patch, error) {
	var patches []Patch
	for _, r := range o.Results {
		for _, c := range r.Changes {
			if c.After == nil {
				continue
			}
			operations, err := c.operations()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Object, err)
			}
			t := Target{Version: c.Object.APIVersion, Kind: c.Object.Kind, Namespace: c.Object.Namespace, Name: c.Object.Name}
			if g, v, ok := strings.Cut(t.Version, "/"); ok {
				t.Group, t.Version = g, v
			}
			patches = append(patches, Patch{Target: t, Patch: operations})
		}
	}
	return patches, nil
}

// operations lead from the object as it was written to the changed one. The
// canonical form has fields that nobody wrote, such as an empty metadata; a
// patch that took them for granted would not apply to the manifest.
func (c Change) operations() ([]jsonpatch.Operation, error) {
	var written, before, after any
	for text, tree := range map[*json.RawMessage]*any{&c.written: &written, &c.Before: &before, &c.After: &after} {
		if err := json.Unmarshal(*text, tree); err != nil {
			return nil, err
		}
	}
	dropUnwritten(before, after, written)
	from, err := json.Marshal(before)
	if err != nil {
		return nil, err
	}
	to, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	operations, err := jsonpatch.CreatePatch(from, to)
	slices.SortFunc(operations, compareOperations)
	return operations, err
}

// compareOperations gives operations, which come in any order, a fixed one.
// Items are appended to a list from its end on, and removed from its end.
func compareOperations(a, b jsonpatch.Operation) int {
	return slices.CompareFunc(tokens(a), tokens(b), func(x, y token) int {
		return cmp.Or(cmp.Compare(x.number, y.number), cmp.Compare(x.name, y.name))
	})
}

// token is one name of an operation's path; those that are numbers stand in
// their order before all others.
type token struct {
	number int
	name   string
}

func tokens(o jsonpatch.Operation) []token {
	names := strings.Split(o.Path, "/")
	path := make([]token, len(names))
	for i, name := range names {
		n, err := strconv.Atoi(name)
		switch {
		case err != nil:
			n = math.MaxInt
		case o.Operation == "remove" && i == len(names)-1:
			n = math.MaxInt - 1 - n
		}
		path[i] = token{n, name}
	}
	return path
}

// dropUnwritten takes out of before, and of after if it is the same there,
// what written does not have.
func dropUnwritten(before, after, written any) {
	switch old := before.(type) {
	case map[string]any:
		changed, _ := after.(map[string]any)
		source, _ := written.(map[string]any)
		for key, value := range old {
			if source[key] != nil {
				dropUnwritten(value, changed[key], source[key])
				continue
			}
			if reflect.DeepEqual(value, changed[key]) {
				delete(changed, key)
			}
			delete(old, key)
		}
	case []any:
		changed, _ := after.([]any)
		source, _ := written.([]any)
		for n := range min(len(old), len(changed), len(source)) {
			dropUnwritten(old[n], changed[n], source[n])
		}
	}
}

// Kustomization is a kustomize Component that makes the patches' changes.
func Kustomization(patches []Patch) ([]byte, error) {
	type entry struct {
		Target Target `json:"target"`
		Patch  string `json:"patch"`
	}
	component := struct {
		APIVersion string  `json:"apiVersion"`
		Kind       string  `json:"kind"`
		Patches    []entry `json:"patches"`
	}{APIVersion: "kustomize.config.k8s.io/v1alpha1", Kind: "Component", Patches: []entry{}}
	for _, p := range patches {
		text, err := yaml.Marshal(p.Patch)
		if err != nil {
			return nil, err
		}
		component.Patches = append(component.Patches, entry{p.Target, string(text)})
	}
	return yaml.Marshal(component)
}
