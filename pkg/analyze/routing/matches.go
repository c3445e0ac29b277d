package routing

import (
	"fmt"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// ineffective is the code of a match that an earlier one takes all requests of.
const ineffective = "IST0131"

// rule is one route of a VirtualService, with what it matches.
type rule[M any] struct {
	name    string // "" for none
	path    []string
	matches []M
	// partial tells that the route need not take all that it matches: a delegate
	// narrows it.
	partial bool
}

// unreachableRoutes finds matches and routes that earlier ones leave nothing to.
func unreachableRoutes(p *analyze.Pass) {
	for _, v := range virtualServices(p) {
		gateways := v.Spec.Gateways
		if len(gateways) == 0 {
			gateways = []string{mesh.MeshGateway}
		}
		var http []rule[*api.HTTPMatchRequest]
		for i, r := range v.Spec.Http {
			http = append(http, rule[*api.HTTPMatchRequest]{r.Name, []string{"spec", "http", fmt.Sprint(i)}, r.Match, r.Delegate != nil})
		}
		shadowed(p, v.Object, http, &api.HTTPMatchRequest{}, func(a, b *api.HTTPMatchRequest) bool { return coversHTTP(a, b, gateways) })
		var tls []rule[*api.TLSMatchAttributes]
		for i, r := range v.Spec.Tls {
			tls = append(tls, rule[*api.TLSMatchAttributes]{path: []string{"spec", "tls", fmt.Sprint(i)}, matches: r.Match})
		}
		shadowed(p, v.Object, tls, &api.TLSMatchAttributes{}, func(a, b *api.TLSMatchAttributes) bool { return coversTLS(a, b, gateways) })
		var tcp []rule[*api.L4MatchAttributes]
		for i, r := range v.Spec.Tcp {
			tcp = append(tcp, rule[*api.L4MatchAttributes]{path: []string{"spec", "tcp", fmt.Sprint(i)}, matches: r.Match})
		}
		shadowed(p, v.Object, tcp, &api.L4MatchAttributes{}, func(a, b *api.L4MatchAttributes) bool { return coversL4(a, b, gateways) })
	}
}

// earlier is a match that a route has, or a route that matches all.
type earlier[M any] struct {
	match M
	all   bool
	route int
	path  []string
}

// shadowed reports the matches that an earlier one covers, and the routes none
// of whose matches is left.
// all is a match of everything, which a route without a match has.
func shadowed[M any](p *analyze.Pass, v *mesh.Object, rules []rule[M], all M, covers func(a, b M) bool) {
	var before []earlier[M]
	find := func(m M) *earlier[M] {
		for i := range before {
			if before[i].all || covers(before[i].match, m) {
				return &before[i]
			}
		}
		return nil
	}
	for i, r := range rules {
		gone := 0
		var by *earlier[M]
		for j, m := range r.matches {
			path := within(r.path, "match", fmt.Sprint(j))
			e := find(m)
			if e == nil {
				if !r.partial {
					before = append(before, earlier[M]{match: m, route: i, path: path})
				}
				continue
			}
			if e.route != i {
				gone, by = gone+1, e
			}
			p.ReportCode(ineffective, v, path, "this match takes nothing: %s takes all of it before", title(e.path, rules[e.route].name)).
				Because(v, e.path, "takes all that it matches")
		}
		if len(r.matches) == 0 {
			if by = find(all); by != nil {
				gone = 1
			}
		}
		if by != nil && gone == max(1, len(r.matches)) {
			found := p.Report(v, r.path, "no request gets to this route: %s takes all that it matches before", title(by.path, rules[by.route].name)).
				Because(v, by.path, "comes first")
			if len(r.matches) == 0 && !by.all {
				found.As(report.Info) // a default behind a match of all paths does no harm
			}
		}
		if len(r.matches) == 0 && !r.partial {
			before = append(before, earlier[M]{all: true, route: i, path: r.path})
		}
	}
}

// title names a route or match by its place, and the route's name.
func title(path []string, name string) string {
	text := path[1]
	for _, step := range path[2:] {
		if step[0] >= '0' && step[0] <= '9' {
			text += "[" + step + "]"
		} else {
			text += "." + step
		}
	}
	if name != "" {
		text += fmt.Sprintf(" (%s)", name)
	}
	return text
}
