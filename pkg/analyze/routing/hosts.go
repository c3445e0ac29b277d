package routing

import (
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// hostIndex knows what the files say of hosts.
type hostIndex struct {
	wildcards  []*mesh.Service            // of ServiceEntries
	namespaces map[string]map[string]bool // that have Services, and their names
	named      map[string][]*mesh.Service // Services by their names
	entries    bool                       // there are ServiceEntries
}

func hosts(p *analyze.Pass) *hostIndex {
	return analyze.Shared(p.Inventory, "routing.hosts", func() *hostIndex {
		x := &hostIndex{namespaces: map[string]map[string]bool{}, named: map[string][]*mesh.Service{}}
		for _, v := range p.Services {
			if v.Entry == nil {
				if x.namespaces[v.Namespace] == nil {
					x.namespaces[v.Namespace] = map[string]bool{}
				}
				x.namespaces[v.Namespace][v.Name] = true
				x.named[v.Name] = append(x.named[v.Name], v)
				continue
			}
			x.entries = true
			if mesh.IsWildcard(v.Hostname) {
				x.wildcards = append(x.wildcards, v)
			}
		}
		return x
	})
}

// any tells whether the files speak of services at all.
func (x *hostIndex) any() bool { return x.entries || len(x.namespaces) > 0 }

// find finds the service that a host name means for the namespace of the object
// it stands in; nil if there is none that the namespace, or one that the object
// is exported to, sees.
func (x *hostIndex) find(p *analyze.Pass, host, namespace string, exportTo []string) *mesh.Service {
	viewers := []string{namespace}
	for _, ns := range exportTo {
		if ns != "." && ns != "*" {
			viewers = append(viewers, ns)
		}
	}
	sees := func(v *mesh.Service) bool {
		return slices.ContainsFunc(viewers, func(ns string) bool { return p.Sees(ns, v) })
	}
	full := p.FullHost(host, namespace)
	for _, v := range p.ServicesOf(full) {
		if sees(v) {
			return v
		}
	}
	for _, v := range x.wildcards {
		if mesh.HostCovers(v.Hostname, full) && sees(v) {
			return v
		}
	}
	return nil
}

// spokenOf tells whether the files hold things of the kind that a host is:
// Services of its namespace, or ServiceEntries.
func (x *hostIndex) spokenOf(p *analyze.Pass, host, namespace string) bool {
	full := p.FullHost(host, namespace)
	_, ns, ok := strings.Cut(strings.TrimSuffix(full, ".svc."+p.Domain), ".")
	if ok && strings.HasSuffix(full, ".svc."+p.Domain) {
		return x.namespaces[ns] != nil
	}
	return x.entries
}

// meant is the end of a message about a host that is not found: what may have
// been meant.
func (x *hostIndex) meant(p *analyze.Pass, host, namespace string) string {
	if len(p.ServicesOf(p.FullHost(host, namespace))) > 0 {
		return "; it is not exported to " + namespace
	}
	if full := host + ".svc." + p.Domain; strings.Count(host, ".") == 1 && len(p.ServicesOf(full)) > 0 {
		return "; a name with a dot is taken as it is: write " + full
	}
	if strings.Contains(host, ".") {
		return x.meantFull(p, host)
	}
	if hint := nearest(host, x.namespaces[namespace]); hint != "" {
		return "; did you mean " + hint + "?"
	}
	var elsewhere []string
	for _, v := range x.named[host][:min(3, len(x.named[host]))] {
		elsewhere = append(elsewhere, v.Hostname)
	}
	if len(elsewhere) > 0 {
		return "; a short name means namespace " + namespace + ", the Service is " + strings.Join(elsewhere, ", ")
	}
	return ""
}

// meantFull is meant for the full name of a Service: its name or its namespace
// may be misspelt.
func (x *hostIndex) meantFull(p *analyze.Pass, host string) string {
	local, ok := strings.CutSuffix(host, ".svc."+p.Domain)
	name, ns, both := strings.Cut(local, ".")
	if !ok || !both {
		return ""
	}
	near := nearest(name, x.namespaces[ns])
	if x.namespaces[ns] == nil {
		having := map[string]bool{}
		for _, v := range x.named[name] {
			having[v.Namespace] = true
		}
		near, ns = name, nearest(ns, having)
	}
	if near == "" || ns == "" {
		return ""
	}
	return "; did you mean " + near + "." + ns + ".svc." + p.Domain + "?"
}
