package main

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// plainCase is a case with one request as plain data. Header lines stand apart,
// since in a request they are an object.
type plainCase struct {
	Send       *send          `json:"send,omitempty"`
	Custom     string         `json:"custom,omitempty"`
	Redirected string         `json:"redirected,omitempty"`
	MeshConfig object         `json:"meshConfig"`
	Objects    []object       `json:"objects"`
	Request    policy.Request `json:"request"`
	Lines      []policy.Line  `json:"lines,omitempty"`
}

// tree is the case as JSON values, all of whose parts can be taken away in the
// same way.
func (c *testCase) tree() (any, error) {
	plain := plainCase{MeshConfig: c.meshConfig, Objects: c.objects}
	if c.sends != nil {
		plain.Send, plain.Custom, plain.Redirected = &c.sends[0], c.custom, c.redirected
	} else {
		plain.Request = c.requests[0]
	}
	if h := plain.Request.HTTP; h != nil {
		without := *h
		plain.Lines, without.Headers = h.Headers, nil
		plain.Request.HTTP = &without
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	var t any
	return t, json.Unmarshal(text, &t)
}

// caseOf is the way back. It fails for what is no request any more.
func caseOf(name string, tree any) (*testCase, error) {
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	var plain plainCase
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	if plain.Request.HTTP != nil {
		plain.Request.HTTP.Headers = plain.Lines
	}
	plain.Request.To.Namespace, plain.Request.To.Workload = appNamespace, appName
	if plain.MeshConfig == nil {
		plain.MeshConfig = object{}
	}
	if plain.Send != nil {
		if plain.Send.From == "" || plain.Send.Service == "" || plain.Send.HTTP != nil && plain.Send.HTTP.Method == "" {
			return nil, errors.New("a request of nobody, to nobody, or without a method")
		}
		return &testCase{name: name, meshConfig: plain.MeshConfig, objects: plain.Objects, sends: []send{*plain.Send}, custom: plain.Custom, redirected: plain.Redirected}, nil
	}
	c := &testCase{name: name, meshConfig: plain.MeshConfig, objects: plain.Objects, requests: []policy.Request{plain.Request}}
	if c.requests[0].To.Port == 0 {
		return nil, errors.New("a request without a port")
	}
	if h := c.requests[0].HTTP; h != nil && h.Method == "" {
		return nil, errors.New("a request without a method")
	}
	return c, nil
}

// edit takes a part of a tree away or, if there is a value, replaces it.
type edit struct {
	path  []any // keys and indices
	value any
}

// edits are all that can be done to a tree, what takes most away first.
func edits(tree any) []edit {
	var all []edit
	level := []edit{{path: nil, value: tree}}
	for len(level) > 0 {
		var next []edit
		for _, at := range level {
			switch v := at.value.(type) {
			case map[string]any:
				for _, key := range slices.Sorted(maps.Keys(v)) {
					next = append(next, edit{append(slices.Clone(at.path), key), v[key]})
				}
			case []any:
				for i := range v {
					next = append(next, edit{append(slices.Clone(at.path), i), v[i]})
				}
			}
		}
		for _, e := range next {
			all = append(all, edit{path: e.path})
		}
		level = next
	}
	return append(all,
		edit{[]any{"send", "http", "path"}, "/"}, edit{[]any{"send", "http", "method"}, "GET"},
		edit{[]any{"request", "http", "path"}, "/"}, edit{[]any{"request", "http", "method"}, "GET"}, edit{[]any{"request", "http", "authority"}, "a"},
	)
}

// apply makes all edits on a copy of a tree. What is in a part that is taken away
// goes with it.
func apply(tree any, list []edit) any {
	changed := clone(tree)
	// The last parts first, so that the others keep their places.
	ordered := slices.Clone(list)
	slices.SortStableFunc(ordered, func(a, b edit) int { return comparePaths(b.path, a.path) })
	for _, e := range ordered {
		changed = e.apply(changed, e.path)
	}
	return changed
}

func (e edit) apply(at any, path []any) any {
	switch v := at.(type) {
	case map[string]any:
		key, ok := path[0].(string)
		inner, there := v[key]
		switch {
		case !ok || !there:
		case len(path) > 1:
			v[key] = e.apply(inner, path[1:])
		case e.value == nil:
			delete(v, key)
		default:
			v[key] = e.value
		}
	case []any:
		i, ok := path[0].(int)
		switch {
		case !ok || i >= len(v):
		case len(path) > 1:
			v[i] = e.apply(v[i], path[1:])
		default:
			return slices.Delete(v, i, i+1)
		}
	}
	return at
}

// comparePaths orders paths as their parts stand in the tree.
func comparePaths(a, b []any) int {
	return slices.CompareFunc(a, b, func(x, y any) int {
		i, isIndex := x.(int)
		j, isIndexToo := y.(int)
		if isIndex && isIndexToo {
			return i - j
		}
		s, _ := x.(string)
		t, _ := y.(string)
		return strings.Compare(s, t)
	})
}

func clone(tree any) any {
	switch v := tree.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for key, value := range v {
			c[key] = clone(value)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, value := range v {
			c[i] = clone(value)
		}
		return c
	}
	return tree
}
