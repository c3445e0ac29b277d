package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// ListKey names the field that tells the items of a list apart, such as "name"
// for a pod's containers. The path holds the map keys that lead to the list;
// items of lists on the way are left out. The empty key says that the list is
// replaced whole.
type ListKey func(path []string) string

// ByPosition is the ListKey of lists whose items keep their places.
const ByPosition = "#"

// ByValue is the ListKey of lists of texts that differ.
const ByValue = "="

// Apply makes to tree the changes that lead from before to after. The two may
// know fewer fields than tree, or spell values otherwise; what does not differ
// between them stays in tree as it is. No argument is changed.
func Apply(tree, before, after any, key ListKey) any {
	return apply(tree, before, after, key, nil)
}

func apply(tree, before, after any, key ListKey, path []string) any {
	if Equal(before, after) {
		return tree
	}
	switch to := after.(type) {
	case map[string]any:
		m, ok := tree.(map[string]any)
		from, known := before.(map[string]any)
		if !ok || !known {
			return after
		}
		result := maps.Clone(m)
		for k := range from {
			if _, stays := to[k]; !stays {
				delete(result, k)
			}
		}
		for k, v := range to {
			old, had := from[k]
			if !had || !Equal(old, v) {
				result[k] = apply(m[k], old, v, key, append(path[:len(path):len(path)], k))
			}
		}
		return result
	case []any:
		list, ok := tree.([]any)
		from, known := before.([]any)
		if !ok || !known {
			return after
		}
		matches := match(list, from, to, key(path))
		if matches == nil {
			return after
		}
		result := make([]any, len(to))
		for i, v := range to {
			if m := matches[i]; m.found {
				result[i] = apply(list[m.tree], from[m.before], v, key, path)
			} else {
				result[i] = v
			}
		}
		return result
	}
	return after
}

// matched tells where an item of the wanted list stands now.
type matched struct {
	found        bool
	tree, before int
}

// match finds the items of after in the two other lists by their key. It is
// nil if the key cannot tell the items apart.
func match(tree, before, after []any, key string) []matched {
	if key == "" {
		return nil
	}
	inTree, ok1 := positions(tree, key)
	inBefore, ok2 := positions(before, key)
	inAfter, ok3 := positions(after, key)
	if !ok1 || !ok2 || !ok3 || !slices.Equal(slices.Sorted(maps.Keys(inTree)), slices.Sorted(maps.Keys(inBefore))) {
		return nil
	}
	if key == ByPosition && len(tree) != len(after) {
		return nil
	}
	matches := make([]matched, len(after))
	for id, i := range inAfter {
		if at, ok := inTree[id]; ok {
			matches[i] = matched{true, at, inBefore[id]}
		}
	}
	return matches
}

// positions gives the place of every item by the text of its key.
func positions(list []any, key string) (map[string]int, bool) {
	at := make(map[string]int, len(list))
	for i, item := range list {
		id := fmt.Sprint(i)
		m, isMap := item.(map[string]any)
		text, isText := item.(string)
		switch {
		case key == ByPosition:
		case key == ByValue && isText:
			id = text
		case isMap && m[key] != nil:
			id = fmt.Sprint(m[key])
		default:
			return nil, false
		}
		if _, twice := at[id]; twice {
			return nil, false
		}
		at[id] = i
	}
	return at, true
}

// Equal compares trees of JSON values.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		if !ok || len(a) != len(m) {
			return false
		}
		for k, v := range a {
			w, ok := m[k]
			if !ok || !Equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		l, ok := b.([]any)
		return ok && slices.EqualFunc(a, l, Equal)
	case json.Number:
		n, ok := b.(json.Number)
		return ok && a == n
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}
