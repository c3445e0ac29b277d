package routing

import (
	"fmt"
	"slices"
	"strings"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// gatewayServer is a server of a Gateway, and its place.
type gatewayServer struct {
	g      *mesh.Gateway
	server *api.Server
	path   []string
}

// claim is what a server has in common with those that it conflicts with.
type claim struct {
	port            uint32
	bind, what      string // address, and host or certificate
	pathWithinClaim string // where it stands, from the server on
}

// conflictingGateways finds Gateways of the same pods that claim a host of a
// port twice.
func conflictingGateways(p *analyze.Pass) {
	clashes(p, func(s gatewayServer) []claim {
		var all []claim
		for i, host := range s.server.Hosts {
			all = append(all, claim{s.server.GetPort().GetNumber(), s.server.Bind, host, fmt.Sprintf("hosts/%d", i)})
		}
		return all
	}, func(s, other gatewayServer, c claim) {
		at := within(s.path, strings.Split(c.pathWithinClaim, "/")...)
		if s.server.Port == nil || other.server.Port == nil {
			at = s.path
		}
		r := p.Report(s.g.Object, at, "Gateway %s/%s has host %q at port %d for the same pods: one of the two servers is left out", other.g.Namespace, other.g.Name, c.what, c.port)
		if plain(s.server) && plain(other.server) {
			r.Message = fmt.Sprintf("Gateway %s/%s has host %q at port %d for the same pods: its routes and those of this Gateway are merged, and nothing says which come first", other.g.Namespace, other.g.Name, c.what, c.port)
			r.As(report.Warning)
		}
		r.Because(other.g.Object, other.path, "has the host too")
	})
}

// plain tells whether a server speaks HTTP without TLS: such servers of a port
// are merged.
func plain(s *api.Server) bool {
	return s.Port != nil && mesh.ParseProtocol(s.Port.Protocol).Traffic() == mesh.HTTPTraffic && s.Tls == nil
}

// sharedCertificates finds certificates that two Gateways of the same pods have:
// a browser that has a connection to one sends it requests for the other.
func sharedCertificates(p *analyze.Pass) {
	clashes(p, func(s gatewayServer) []claim {
		t := s.server.GetTls()
		switch {
		case t.GetCredentialName() != "":
			return []claim{{what: "credential " + t.CredentialName, pathWithinClaim: "tls/credentialName"}}
		case t.GetServerCertificate() != "" && t.GetPrivateKey() != "":
			return []claim{{what: "certificate " + t.ServerCertificate + " with key " + t.PrivateKey, pathWithinClaim: "tls/serverCertificate"}}
		}
		return nil
	}, func(s, other gatewayServer, c claim) {
		p.Report(s.g.Object, within(s.path, strings.Split(c.pathWithinClaim, "/")...),
			"Gateway %s/%s has the same %s for the same pods: browsers reuse a connection for all hosts of a certificate, and get 404 for those of the other Gateway; put the hosts into one", other.g.Namespace, other.g.Name, c.what).
			Because(other.g.Object, other.path, "has it too")
	})
}

// clashes finds servers of different Gateways that claim the same thing for the
// same pods. A server is found once, with the first other one.
func clashes(p *analyze.Pass, claims func(gatewayServer) []claim, found func(s, other gatewayServer, c claim)) {
	type claimant struct {
		gatewayServer
		c claim
	}
	same := map[claim][]claimant{}
	var all []claimant
	for _, g := range gateways(p) {
		for i, server := range g.Spec.Servers {
			s := gatewayServer{g, server, []string{"spec", "servers", fmt.Sprint(i)}}
			for _, c := range claims(s) {
				key := claim{port: c.port, bind: c.bind, what: c.what}
				same[key] = append(same[key], claimant{s, c})
				all = append(all, claimant{s, c})
			}
		}
	}
	done := map[*api.Server]bool{}
	for _, a := range all {
		if done[a.server] {
			continue
		}
		rivals := same[claim{port: a.c.port, bind: a.c.bind, what: a.c.what}]
		if i := slices.IndexFunc(rivals, func(b claimant) bool { return a.g != b.g && samePods(p, a.g, b.g) }); i >= 0 {
			done[a.server] = true
			found(a.gatewayServer, rivals[i].gatewayServer, a.c)
		}
	}
}

// samePods tells whether two Gateways select a pod in common, so far as is known.
func samePods(p *analyze.Pass, a, b *mesh.Gateway) bool {
	narrow, wide := a.Spec.Selector, b.Spec.Selector
	if len(narrow) < len(wide) {
		narrow, wide = wide, narrow
	}
	if mesh.Selects(wide, narrow) {
		return true
	}
	return slices.ContainsFunc(workloads(p).in("", narrow), func(w *mesh.Workload) bool { return mesh.Selects(wide, w.PodLabels) })
}
