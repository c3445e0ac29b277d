package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// droppedFields are the fields that an object was written with and its kind
// does not have, by their paths.
func droppedFields(written, canonical []byte) []string {
	var from, to any
	if json.Unmarshal(written, &from) != nil || json.Unmarshal(canonical, &to) != nil {
		return nil // told by who decodes it
	}
	return missingIn(to, from, "", nil)
}

// CanonicalOutcomes are the Outcomes with a warning of what the canonical form
// leaves out.
func (o Output) CanonicalOutcomes() []Outcome {
	var all []Outcome
	for _, r := range o.Results {
		for _, c := range r.Changes {
			if len(c.Dropped) > 0 {
				warning := fmt.Sprintf("left out, for a %s has no such field: %s; --preserve keeps what is there", c.Object.Kind, strings.Join(c.Dropped, ", "))
				c.Warnings = append(c.Warnings[:len(c.Warnings):len(c.Warnings)], warning)
			}
			all = append(all, c.Outcome)
		}
	}
	return all
}

// missingIn appends the paths that have a value in one tree and none in
// another. Empty values are nothing to miss.
func missingIn(other, tree any, path string, found []string) []string {
	switch value := tree.(type) {
	case map[string]any:
		fields, _ := other.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(value)) {
			at := strings.TrimPrefix(path+"."+key, ".")
			if kept, ok := fields[key]; ok {
				found = missingIn(kept, value[key], at, found)
			} else if !isEmpty(value[key]) && !hasFold(fields, key) {
				found = append(found, at)
			}
		}
	case []any:
		items, _ := other.([]any)
		for n := range min(len(items), len(value)) {
			found = missingIn(items[n], value[n], fmt.Sprintf("%s[%d]", path, n), found)
		}
	}
	return found
}

// hasFold tells whether a field is there in another case, which JSON takes for
// the same.
func hasFold(fields map[string]any, key string) bool {
	for field := range fields {
		if strings.EqualFold(field, key) {
			return true
		}
	}
	return false
}

// isEmpty tells whether a value says nothing: types leave it out.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		for _, within := range v {
			if !isEmpty(within) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return reflect.ValueOf(value).IsZero()
}
