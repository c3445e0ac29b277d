package diff

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// Op is what happened to a part of the configuration.
type Op string

// The operations.
const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
	Renamed Op = "renamed" // and nothing else
)

// Tag is what a change does.
type Tag string

// The tags.
const (
	Looser   Tag = "looser"
	Tighter  Tag = "tighter"
	Routing  Tag = "routing"
	Cosmetic Tag = "cosmetic"
)

// Side is one of the two that are compared.
type Side struct {
	Dumps []*envoy.Dump
	// Models are the enforcement models by workload, if the side was generated
	// from manifests: they name causes.
	Models map[string]*policy.Model
	// Snapshot is the mesh that it was generated from; nil if it was not, or if
	// the objects behind clusters and routes are of no interest.
	Snapshot *mesh.Snapshot
}

// Result is how the new side differs from the old one, by workload.
type Result struct {
	Workloads []Workload `json:"workloads"`
}

// Workload is how the configuration of one sidecar differs.
type Workload struct {
	Name    string   `json:"workload"`
	Op      Op       `json:"op"` // Changed, if both sides have it
	Intents []Intent `json:"intents"`
	Changes []Change `json:"changes"`
}

// Change is a part that is new, gone or other than it was.
type Change struct {
	Op     Op       `json:"op"`
	Kind   string   `json:"kind"` // such as chain, filter, rule, cluster
	Key    []string `json:"key"`  // the parts that lead to it, then itself
	Fields []Field  `json:"fields,omitempty"`
	Tags   []Tag    `json:"tags"`
	// Cause is the object that makes it so, if one is known.
	Cause *policy.Cause `json:"cause,omitempty"`
	// matches compares, for a rule, what the filter's rules match together or, if
	// that says nothing, what this one does.
	matches relation
	whole   bool // a rule whose stage came or went with it
	unlike  bool // a chain with which a filter, or the kind of traffic, came or went
}

// Field is a value of a part. Before is empty for a new one, After for one that
// is gone. A secret reads "(secret)", then "(secret) (another value)".
type Field struct {
	Path   string `json:"path"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Intent is what changes mean, in words.
type Intent struct {
	Text  string        `json:"text"`
	Tag   Tag           `json:"tag"`
	Cause *policy.Cause `json:"cause,omitempty"`
}

// String is the text and why it is so.
func (i Intent) String() string {
	if i.Cause == nil {
		return i.Text
	}
	return i.Text + ", because " + because(i.Cause)
}

// Same tells whether nothing differs.
func (r *Result) Same() bool { return len(r.Workloads) == 0 }

// Looser tells whether something differs that lets in what was refused, or may.
// The lines decide: whatever part is looser is in one of them.
func (r *Result) Looser() bool {
	return slices.ContainsFunc(r.Workloads, func(w Workload) bool {
		return slices.ContainsFunc(w.Intents, func(i Intent) bool { return i.Tag == Looser })
	})
}

// Compare finds the differences. Where each side has one configuration they are
// compared whatever their names.
func Compare(before, after Side) *Result {
	olds, news := byName(before.Dumps), byName(after.Dumps)
	if len(before.Dumps) == 1 && len(after.Dumps) == 1 {
		name := cmp.Or(after.Dumps[0].Workload, before.Dumps[0].Workload)
		olds, news = map[string]*envoy.Dump{name: before.Dumps[0]}, map[string]*envoy.Dump{name: after.Dumps[0]}
	}
	all := maps.Clone(olds)
	maps.Copy(all, news)
	names := slices.Sorted(maps.Keys(all))
	found, from := make([]Workload, len(names)), findOrigins(before.Snapshot, after.Snapshot)
	workers := min(runtime.GOMAXPROCS(0), len(names))
	var wait sync.WaitGroup
	for first := range workers {
		wait.Go(func() {
			c := newComparison((before.Models == nil) != (after.Models == nil)) // each reads what is shared for itself
			for i := first; i < len(names); i += workers {
				name := names[i]
				n := &narrator{name: name, before: before.Models[name], after: after.Models[name], origins: from}
				found[i] = c.workload(n, olds[name], news[name])
			}
		})
	}
	wait.Wait()
	return &Result{slices.DeleteFunc(found, func(w Workload) bool { return len(w.Changes) == 0 })}
}

func byName(all []*envoy.Dump) map[string]*envoy.Dump {
	named := map[string]*envoy.Dump{}
	for _, d := range all {
		named[d.Workload] = d
	}
	return named
}

func (c *comparison) workload(n *narrator, before, after *envoy.Dump) Workload {
	w := Workload{Name: n.name, Op: Changed}
	switch {
	case before == nil:
		w.Op = Added
	case after == nil:
		w.Op = Removed
	}
	olds, news := c.others(before, after)
	if w.Op == Changed {
		w.Changes = c.renames(olds, news)
	}
	for _, key := range keysOf(olds, news) {
		w.Changes = append(w.Changes, c.pair(olds[key], news[key])...)
	}
	w.Changes = append(w.Changes, secrets(before, after)...)
	w.Changes = append(w.Changes, bypassChanges(n.bypasses())...)
	if len(w.Changes) == 0 {
		return w
	}
	was, is := summarize(before, clusters(olds)), summarize(after, clusters(news))
	t := tagger{was, is}
	for i := range w.Changes {
		w.Changes[i].Tags = t.tags(&w.Changes[i])
	}
	w.Intents = n.tell(was, is, &w)
	n.causes(&w)
	return w
}

// compare finds the changes between two items of one key; either may be nil. A
// part that is new or gone is one change, with all that is in it.
func compare(before, after *item, above []string) []Change {
	some := after
	if some == nil {
		some = before
	}
	key := append(slices.Clone(above), some.String())
	switch {
	case before == nil:
		return []Change{{Op: Added, Kind: some.kind, Key: key, Fields: after.flat("", false)}}
	case after == nil:
		return []Change{{Op: Removed, Kind: some.kind, Key: key, Fields: before.flat("", true)}}
	}
	var all []Change
	if fields := changedFields(before, after); fields != nil {
		all = append(all, Change{Op: Changed, Kind: some.kind, Key: key, Fields: fields})
	}
	moved, known := renames(before.kids, after.kids), map[string]bool{}
	for old, now := range moved {
		if a, b := before.kids[old], after.kids[now]; slices.Index(before.order[a.kind], a.key) != slices.Index(after.order[b.kind], b.key) {
			delete(moved, old) // it has another place too, where places matter
			continue
		}
		known[now] = true
		all = append(all, renamed(before.kids[old], after.kids[now], key))
	}
	slices.SortFunc(all, func(a, b Change) int { return slices.Compare(a.Key, b.Key) }) // the item itself has the shortest key
	for _, k := range keysOf(before.kids, after.kids) {
		if moved[k] == "" && !known[k] {
			all = append(all, compare(before.kids[k], after.kids[k], key)...)
		}
	}
	relateRules(all, before, after)
	return all
}

// relateRules says of the rules of a filter that change how what they match does.
func relateRules(all []Change, before, after *item) {
	for _, kind := range keysOf(before.policies, after.policies) {
		policies, now := before.policies[kind], after.policies[kind]
		mine := func(c *Change) bool { return c.Kind == kind && len(c.Key) > 1 && c.Key[len(c.Key)-2] == after.String() }
		if !slices.ContainsFunc(all, func(c Change) bool { return mine(&c) }) {
			continue
		}
		if policies == nil || now == nil {
			for i := range all {
				all[i].whole = all[i].whole || mine(&all[i])
			}
			continue
		}
		together := after.relate(policies, now)
		for i := range all {
			c := &all[i]
			if !mine(c) {
				continue
			}
			if c.matches = together; together == incomparable && c.Op == Changed {
				id := strings.TrimPrefix(c.Key[len(c.Key)-1], kind+" ")
				c.matches = after.relate(only(policies, id), only(now, id))
			}
		}
	}
}

func only(policies map[string]*rbacv3.Policy, id string) map[string]*rbacv3.Policy {
	return map[string]*rbacv3.Policy{id: policies[id]}
}

// flat are all fields of an item and of its parts.
func (it *item) flat(path string, gone bool) []Field {
	var all []Field
	for _, at := range slices.Sorted(maps.Keys(it.fields)) {
		f := Field{Path: path + at, After: it.fields[at].shown}
		if gone {
			f.Before, f.After = f.After, ""
		}
		all = append(all, f)
	}
	for _, k := range slices.Sorted(maps.Keys(it.kids)) {
		all = append(all, it.kids[k].flat(path+k+" / ", gone)...)
	}
	return all
}

func changedFields(before, after *item) []Field {
	var all []Field
	for _, at := range keysOf(before.fields, after.fields) {
		if a, b := before.fields[at], after.fields[at]; !a.equals(b) {
			f := Field{at, a.shown, b.shown}
			if f.Before == f.After {
				f.After += " (another value)" // which is not shown
			}
			all = append(all, f)
		}
	}
	for _, kind := range keysOf(before.order, after.order) {
		a, b := common(before.order[kind], after.order[kind]), common(after.order[kind], before.order[kind])
		if !slices.Equal(a, b) {
			all = append(all, Field{"order of " + kind, strings.Join(a, ", "), strings.Join(b, ", ")})
		}
	}
	return all
}

// common are those of a list that are in another too.
func common(all, other []string) []string {
	var both []string
	for _, x := range all {
		if slices.Contains(other, x) {
			both = append(both, x)
		}
	}
	return both
}

// secrets compares what may be told of secrets. Only dumps of a running Envoy
// have any.
func secrets(before, after *envoy.Dump) []Change {
	if before == nil || after == nil || before.Secrets == nil || after.Secrets == nil {
		return nil
	}
	items := func(d *envoy.Dump) map[string]*item {
		all := map[string]*item{}
		for _, s := range d.Secrets {
			it := newItem(nil, "secret", s.Name)
			it.fields["kind"] = plain(s.Kind)
			for _, c := range s.Certificates {
				it.fields["certificate "+c.Fingerprint] = plain(strings.Join(c.Names, ", ") + " until " + c.NotAfter.Format("2006-01-02"))
			}
			all[s.Name] = it
		}
		return all
	}
	olds, news := items(before), items(after)
	all := maps.Clone(olds)
	maps.Copy(all, news)
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(all)) {
		changes = append(changes, compare(olds[name], news[name], nil)...)
	}
	return changes
}
