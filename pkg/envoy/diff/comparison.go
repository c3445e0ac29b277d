package diff

import (
	"cmp"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// comparison remembers what it has read and compared: sidecars have most of
// their clusters and endpoints in common.
type comparison struct {
	tables
	known map[proto.Message]*resource
	texts map[string]int // to ids
	seen  []int          // by id: in which round
	round int
	pairs map[[2]*resource][]Change
}

func newComparison(withoutExtensions bool) *comparison {
	return &comparison{
		tables: tables{specials(), sets(), withoutExtensions, map[string]relation{}},
		known:  map[proto.Message]*resource{}, texts: map[string]int{},
		pairs: map[[2]*resource][]Change{},
	}
}

// resource is one with its key. The id is the same for all of one kind, key and
// content.
type resource struct {
	id        int
	kind, key string
	proto.Message
}

func (r *resource) String() string { return r.kind + " " + r.key }

// resources are the parts of a configuration.
func (c *comparison) resources(d *envoy.Dump) []*resource {
	if d == nil {
		return nil
	}
	all := make([]*resource, 0, len(d.Listeners)+len(d.Clusters)+len(d.Routes)+len(d.Endpoints)+len(d.Extensions))
	add := func(m proto.Message, name func() (kind, key string)) {
		r, ok := c.known[m]
		if !ok {
			kind, key := name()
			r = &resource{0, kind, key, m}
			r.id = c.id(r)
			c.known[m] = r
		}
		all = append(all, r)
	}
	for _, l := range d.Listeners {
		add(l, func() (kind, key string) { return listenerKind(l), listenerName(l) })
	}
	for _, x := range d.Clusters {
		add(x, func() (kind, key string) { return "cluster", x.Name })
	}
	for _, x := range d.Routes {
		add(x, func() (kind, key string) { return "routes", x.Name })
	}
	for _, x := range d.Endpoints {
		add(x, func() (kind, key string) { return "endpoints", x.ClusterName })
	}
	for _, x := range d.Extensions {
		add(x, func() (kind, key string) { return "extension", filterKey(x.Name, x.TypedConfig) })
	}
	return all
}

func listenerName(l *listenerv3.Listener) string {
	return cmp.Or(l.Name, envoy.AddressWords(l.Address))
}

func listenerKind(l *listenerv3.Listener) string {
	switch l.TrafficDirection {
	case corev3.TrafficDirection_OUTBOUND:
		return "outbound listener"
	case corev3.TrafficDirection_INBOUND:
		return "inbound listener"
	}
	return "listener"
}

// others are the resources of each side that the other does not have just so, by
// kind and key.
func (c *comparison) others(before, after *envoy.Dump) (olds, news map[string]*resource) {
	was, is := c.resources(before), c.resources(after)
	return c.without(was, is), c.without(is, was)
}

// without are those that are not among the others.
func (c *comparison) without(all, others []*resource) map[string]*resource {
	c.round++
	for _, r := range others {
		c.seen[r.id] = c.round
	}
	left := map[string]*resource{}
	for _, r := range all {
		if c.seen[r.id] != c.round {
			left[r.String()] = r
		}
	}
	return left
}

func (c *comparison) id(r *resource) int {
	text := r.String() + "\x00" + bytesOf(r.Message)
	id, made := c.texts[text]
	if !made {
		id = len(c.seen)
		c.texts[text] = id
		c.seen = append(c.seen, 0)
	}
	return id
}

// renames finds resources that are called another name, and takes them out.
func (c *comparison) renames(olds, news map[string]*resource) []Change {
	items := func(all, others map[string]*resource) map[string]*item {
		kinds, found := map[string]bool{}, map[string]*item{}
		for key, r := range others {
			kinds[r.kind] = kinds[r.kind] || all[key] == nil
		}
		for key, r := range all {
			if others[key] == nil && kinds[r.kind] {
				found[key] = c.item(r)
			}
		}
		return found
	}
	before, after := items(olds, news), items(news, olds)
	var all []Change
	pairs := renames(before, after)
	for _, old := range slices.Sorted(maps.Keys(pairs)) {
		all = append(all, renamed(before[old], after[pairs[old]], nil))
		delete(olds, old)
		delete(news, pairs[old])
	}
	return all
}

// keysOf are the keys of both, in order.
func keysOf[T any](a, b map[string]T) []string {
	all := make([]string, 0, len(a)+len(b))
	all = slices.AppendSeq(all, maps.Keys(a))
	for k := range b {
		if _, both := a[k]; !both {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	return all
}

// pair compares a resource of both sides; one of them may be missing.
func (c *comparison) pair(before, after *resource) []Change {
	at := [2]*resource{before, after}
	found, done := c.pairs[at]
	if !done {
		found = compare(c.item(before), c.item(after), nil)
		c.pairs[at] = found
	}
	return slices.Clone(found)
}

func (c *comparison) item(r *resource) *item {
	if r == nil {
		return nil
	}
	it := newItem(&c.tables, r.kind, r.key)
	it.add("", r.ProtoReflect())
	return it
}

// clusters are those among resources.
func clusters(all map[string]*resource) []*clusterv3.Cluster {
	var found []*clusterv3.Cluster
	for _, r := range all {
		if x, ok := r.Message.(*clusterv3.Cluster); ok {
			found = append(found, x)
		}
	}
	return found
}
