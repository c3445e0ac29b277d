package routing

import (
	"fmt"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// routeReferences finds references of the Gateway API's routes to what is not
// there, or to Services of other namespaces that do not grant it.
func routeReferences(p *analyze.Pass) {
	grants := grantsOf(p)
	for _, r := range backendRoutes(p) {
		ofGateway := false
		for _, parent := range r.parents {
			ofGateway = ofGateway || parent.is(gatewayAPI, "Gateway")
			routeParent(p, r, parent)
		}
		for _, b := range r.backends {
			if !b.is("", "Service") || b.Name == "" {
				continue
			}
			routeBackend(p, r, b)
			// Routes of the mesh, which hang at Services, need no grant.
			if ofGateway && b.Namespace != r.Namespace && !grants.allow(r, b) {
				report := p.ReportCode("MSH0333", r.Object, within(b.path, "namespace"), "no ReferenceGrant of namespace %s lets a %s of namespace %s lead to Service %s: requests get 500",
					b.Namespace, r.Kind, r.Namespace, b.Name)
				hintUnless(p, report, hosts(p).namespaces[b.Namespace][b.Name] || grants[b.Namespace] != nil)
			}
		}
	}
}

// routeParent looks for what a route hangs at.
func routeParent(p *analyze.Pass, r backendRoute, parent routeRef) {
	var names map[string]bool // of those that there are
	spoken := false
	switch {
	case parent.Name == "":
		return
	case parent.is(gatewayAPI, "Gateway"):
		x := gatewaysByName(p).kubernetes
		if x[parent.Namespace+"/"+parent.Name] != nil {
			return
		}
		names, spoken = map[string]bool{}, len(x) > 0
		for _, g := range x {
			names[g.Name] = true
		}
	case parent.is("", "Service"):
		names = hosts(p).namespaces[parent.Namespace]
		spoken = names != nil
		if names[parent.Name] {
			return
		}
	default:
		return // of a kind that is no matter of these files
	}
	hint := ""
	if names[parent.Name] {
		hint = "; one of the name is in another namespace: say which with namespace"
	} else if near := nearest(parent.Name, names); near != "" {
		hint = "; did you mean " + near + "?"
	}
	hintUnless(p, p.Report(r.Object, within(parent.path, "name"), "there is no %s %s/%s: the route takes nothing of it%s", parent.Kind, parent.Namespace, parent.Name, hint), spoken)
}

// routeBackend looks for the Service that a route leads to, and its port.
func routeBackend(p *analyze.Pass, r backendRoute, b routeRef) {
	x := hosts(p)
	services := p.ServicesOf(b.host(p))
	if len(services) == 0 {
		hint := ""
		if near := nearest(b.Name, x.namespaces[b.Namespace]); near != "" {
			hint = "; did you mean " + near + "?"
		}
		hintUnless(p, p.Report(r.Object, within(b.path, "name"), "there is no Service %s in namespace %s: requests get 500%s", b.Name, b.Namespace, hint), x.namespaces[b.Namespace] != nil)
		return
	}
	if b.Port != 0 && !servesPort(p, services[0], b.Port) {
		p.Report(r.Object, within(b.path, "port"), "Service %s has no port %d, only %s: requests get 500", b.Name, b.Port, portList(services[0])).
			Because(services[0].Object, []string{"spec", "ports"}, "has the ports %s", portList(services[0])).As(report.Error)
	}
}

// grants are what namespaces grant to the routes of others: the text of each by
// the namespace that grants.
type grants map[string]map[string]bool

func grantKey(kind, namespace, service string) string {
	return fmt.Sprintf("%s/%s/%s", kind, namespace, service)
}

func grantsOf(p *analyze.Pass) grants {
	all := grants{}
	for _, o := range p.Kind(gatewayAPI, "ReferenceGrant") {
		all.add(o)
	}
	return all
}

func (g grants) add(o *mesh.Object) {
	var grant struct {
		Spec struct {
			From []struct {
				Group     string `json:"group"`
				Kind      string `json:"kind"`
				Namespace string `json:"namespace"`
			} `json:"from"`
			To []struct {
				Group string `json:"group"`
				Kind  string `json:"kind"`
				Name  string `json:"name"` // "" is every one
			} `json:"to"`
		} `json:"spec"`
	}
	if o.Decode(&grant) != nil {
		return // what is wrong with it is found elsewhere
	}
	if g[o.Namespace] == nil {
		g[o.Namespace] = map[string]bool{}
	}
	for _, from := range grant.Spec.From {
		for _, to := range grant.Spec.To {
			if from.Group == gatewayAPI && to.Group == "" && to.Kind == "Service" {
				g[o.Namespace][grantKey(from.Kind, from.Namespace, to.Name)] = true
			}
		}
	}
}

// allow tells whether a route may lead to a Service of another namespace.
func (g grants) allow(r backendRoute, b routeRef) bool {
	granted := g[b.Namespace]
	return granted[grantKey(r.Kind, r.Namespace, "")] || granted[grantKey(r.Kind, r.Namespace, b.Name)]
}
