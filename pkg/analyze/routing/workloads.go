package routing

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

type label struct{ key, value string }

// workloadIndex finds the workloads that a selector selects, without looking at
// all of them.
type workloadIndex struct {
	byNamespace map[string]*labelled
	everywhere  *labelled
}

type labelled struct {
	all    []*mesh.Workload
	byPair map[label][]*mesh.Workload
}

func workloads(p *analyze.Pass) *workloadIndex {
	return analyze.Shared(p.Inventory, "routing.workloads", func() *workloadIndex {
		x := &workloadIndex{byNamespace: map[string]*labelled{}, everywhere: newLabelled()}
		for _, w := range p.Workloads {
			if x.byNamespace[w.Namespace] == nil {
				x.byNamespace[w.Namespace] = newLabelled()
			}
			x.byNamespace[w.Namespace].add(w)
			x.everywhere.add(w)
		}
		return x
	})
}

func newLabelled() *labelled { return &labelled{byPair: map[label][]*mesh.Workload{}} }

func (l *labelled) add(w *mesh.Workload) {
	l.all = append(l.all, w)
	for key, value := range w.PodLabels {
		l.byPair[label{key, value}] = append(l.byPair[label{key, value}], w)
	}
}

// in are the workloads of a namespace that a selector selects; "" is every
// namespace.
func (x *workloadIndex) in(namespace string, selector map[string]string) []*mesh.Workload {
	l := x.everywhere
	if namespace != "" {
		l = x.byNamespace[namespace]
	}
	if l == nil || len(selector) == 0 {
		return l.every()
	}
	var fewest []*mesh.Workload
	for i, key := range slices.Sorted(maps.Keys(selector)) {
		if with := l.byPair[label{key, selector[key]}]; i == 0 || len(with) < len(fewest) {
			fewest = with
		}
	}
	var selected []*mesh.Workload
	for _, w := range fewest {
		if mesh.Selects(selector, w.PodLabels) {
			selected = append(selected, w)
		}
	}
	return selected
}

func (l *labelled) every() []*mesh.Workload {
	if l == nil {
		return nil
	}
	return l.all
}

// selectorText writes a selector as kubectl takes it.
func selectorText(selector map[string]string) string {
	if len(selector) == 0 {
		return "(empty)"
	}
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		pairs = append(pairs, key+"="+selector[key])
	}
	return strings.Join(pairs, ",")
}

// nearSelector is the end of a message about a selector that selects nothing: a
// label of workloads there that may have been meant.
func (x *workloadIndex) nearSelector(namespace string, selector map[string]string) string {
	l := x.everywhere
	if namespace != "" {
		l = x.byNamespace[namespace]
	}
	if l == nil {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		if l.byPair[label{key, selector[key]}] != nil {
			continue
		}
		values, keys := map[string]bool{}, map[string]bool{}
		for pair := range l.byPair {
			keys[pair.key] = true
			if pair.key == key {
				values[pair.value] = true
			}
		}
		if hint := nearest(selector[key], values); hint != "" {
			return "; did you mean " + key + "=" + hint + "?"
		}
		if hint := nearest(key, keys); hint != "" && hint != key {
			return "; did you mean the label " + hint + "?"
		}
	}
	return ""
}

// nearest is the candidate that is nearly the word, "" for none.
func nearest(word string, candidates map[string]bool) string {
	if len(candidates) > 500 {
		return "" // to compare them all takes long
	}
	if near := mesh.Nearest(word, slices.Sorted(maps.Keys(candidates))); near != word {
		return near
	}
	return ""
}

// inAmbient tells whether a workload is in ambient mode.
func inAmbient(w *mesh.Workload) bool {
	return w.Membership.Reason == mesh.Ambient || w.PodAnnotations["ambient.istio.io/redirection"] == "enabled"
}

// namespaceObjects are the Namespaces of the files, by name.
func namespaceObjects(p *analyze.Pass) map[string]*mesh.Object {
	return analyze.Shared(p.Inventory, "routing.namespaces", func() map[string]*mesh.Object {
		all := map[string]*mesh.Object{}
		for _, o := range p.Kind("", "Namespace") {
			all[o.Name] = o
		}
		return all
	})
}

// outside tells whether a workload has no proxy of the mesh at all: neither a
// sidecar nor ambient mode.
func outside(p *analyze.Pass, w *mesh.Workload) bool {
	if inAmbient(w) {
		return false
	}
	if w.Membership.Reason == mesh.Assumed {
		// A Namespace without a label for it gets no sidecars, by default.
		return namespaceObjects(p)[w.Namespace] != nil
	}
	return !w.Membership.Sidecar
}
