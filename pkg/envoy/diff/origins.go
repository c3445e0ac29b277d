package diff

import (
	"bytes"
	"maps"
	"net"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// origin is an object that differs between two versions of the manifests.
type origin struct {
	*mesh.Object
	gone    bool
	host    string        // that it is about; "" for none
	service *mesh.Service // of a Service
	pods    bool          // it runs a workload
}

func (o *origin) cause() *policy.Cause {
	c := &policy.Cause{Object: o.String(), At: o.Location}
	if o.gone {
		c.Object += " that is gone"
	}
	return c
}

// origins are the objects that differ, by kind: what is about hosts, their
// endpoints, or what sidecars see of them.
type origins map[string][]*origin

// findOrigins is nil unless both sides are manifests of one mesh configuration.
func findOrigins(before, after *mesh.Snapshot) origins {
	if before == nil || after == nil || !proto.Equal(before.Config, after.Config) {
		return nil // the mesh's own configuration is no object, and may do all of it
	}
	olds, news := originsOf(before), originsOf(after)
	found := origins{}
	for _, key := range keysOf(olds, news) {
		old, now := olds[key], news[key]
		switch {
		case now == nil:
			old.gone = true
			found[old.Kind] = append(found[old.Kind], old)
		case old == nil || !bytes.Equal(old.Text(), now.Text()):
			found[now.Kind] = append(found[now.Kind], now)
		}
	}
	return found
}

// originsOf are those of a mesh, by kind, name and host.
func originsOf(s *mesh.Snapshot) map[string]*origin {
	all := map[string]*origin{}
	add := func(o origin) { all[o.String()+" "+o.host] = &o }
	namespaces := map[string]bool{}
	for _, ns := range slices.Concat(s.Namespaces(), s.DestinationNamespaces(), s.PolicyNamespaces()) {
		namespaces[ns] = true
	}
	for _, w := range s.Workloads {
		namespaces[w.Namespace] = true
		add(origin{Object: w.Object, pods: true})
	}
	for _, v := range s.Services {
		namespaces[v.Namespace] = true
		add(origin{Object: v.Object, host: v.Hostname, service: v})
	}
	for ns := range namespaces {
		for _, r := range s.DestinationRules(ns) {
			add(origin{Object: r.Object, host: s.FullHost(r.Spec.GetHost(), ns)})
		}
		for _, v := range s.VirtualServices(ns) {
			for _, host := range v.Spec.GetHosts() {
				add(origin{Object: v.Object, host: s.FullHost(host, ns)})
			}
		}
		for _, x := range s.Sidecars(ns) {
			add(origin{Object: x.Object})
		}
		for _, p := range s.PeerAuthentications(ns) {
			add(origin{Object: p.Object})
		}
	}
	return all
}

// of finds the object that makes a change; nil where none does for sure.
func (all origins) of(c *Change, w *mesh.Workload) *policy.Cause {
	host, endpoint := subjectOf(c)
	inbound := strings.HasPrefix(c.Key[0], "inbound listener ") || strings.HasPrefix(c.Key[0], "cluster inbound|")
	concerns := func(o *origin) bool {
		switch {
		case o.pods:
			return endpoint != "" && endpoint == o.Namespace+"/"+o.Name || inbound && w != nil && o.String() == w.String()
		case inbound:
			return o.service != nil && w != nil && o.Namespace == w.Namespace && (len(o.service.Selector) == 0 || mesh.Selects(o.service.Selector, w.PodLabels))
		case o.Kind == "Sidecar":
			return w != nil && c.Op != Changed && (o.Namespace == w.Namespace || o.Namespace == "istio-system")
		case o.Kind == "PeerAuthentication":
			namespace, _, _ := strings.Cut(endpoint, "/")
			return c.Kind != "route" && (namespace == o.Namespace || endpoint == "")
		}
		return o.host != "" && host != "" && mesh.HostsMeet(o.host, host)
	}
	for _, kinds := range all.preference(c, endpoint != "") {
		var fits []*origin
		for _, kind := range kinds {
			for _, o := range all[kind] {
				if concerns(o) && !slices.ContainsFunc(fits, func(x *origin) bool { return x.String() == o.String() }) {
					fits = append(fits, o)
				}
			}
		}
		if len(fits) == 1 {
			return fits[0].cause()
		}
		if len(fits) > 1 {
			return nil
		}
	}
	return all.only()
}

// only is the one object that differs at all, if there is one.
func (all origins) only() *policy.Cause {
	var found *origin
	for _, list := range all {
		for _, o := range list {
			if found != nil && found.String() != o.String() {
				return nil
			}
			found = o
		}
	}
	if found == nil {
		return nil
	}
	return found.cause()
}

// preference are the kinds of objects that may make a change, the likeliest first.
func (all origins) preference(c *Change, endpoint bool) [][]string {
	var pods []string
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		if all[kind][0].pods {
			pods = append(pods, kind)
		}
	}
	services := []string{"Service", "ServiceEntry"}
	switch {
	case endpoint:
		return [][]string{pods, services, {"DestinationRule"}, {"PeerAuthentication"}, {"Sidecar"}}
	case strings.HasPrefix(c.Key[0], "routes ") || strings.HasPrefix(c.Key[0], "outbound listener "):
		return [][]string{{"VirtualService"}, services, {"DestinationRule"}, {"Sidecar"}}
	case strings.HasPrefix(c.Key[0], "inbound listener ") || strings.HasPrefix(c.Key[0], "cluster inbound|"):
		return [][]string{services, pods}
	}
	return [][]string{{"DestinationRule"}, services, {"PeerAuthentication"}, {"Sidecar"}}
}

// subjectOf is the host that a change is about, and the workload of an endpoint;
// either is empty for none.
func subjectOf(c *Change) (host, endpoint string) {
	for _, key := range c.Key {
		kind, name, _ := strings.Cut(key, " ")
		switch {
		case kind == "endpoint":
			endpoint, _, _ = strings.Cut(name, ":")
		case kind == "cluster" || kind == "endpoints":
			if parts := strings.Split(name, "|"); len(parts) == 4 {
				host = parts[3]
			}
		case strings.HasPrefix(key, "virtual host "):
			host = strings.TrimPrefix(key, "virtual host ")
			if h, _, err := net.SplitHostPort(host); err == nil {
				host = h
			}
		case kind == "chain" && strings.Contains(key, " for "):
			_, host, _ = strings.Cut(key, " for ")
		}
	}
	return host, endpoint
}
