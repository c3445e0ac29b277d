package policy

import (
	"fmt"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// detour is a VirtualService that the caller's sidecar follows, and that may
// make of a request something else than a call of the Service itself.
type detour struct {
	why string
	by  Cause
}

// detour looks for one; nil if there is none. Routes to subsets that are called
// as the Service is are none: they only choose among its workloads.
func (s *Simulator) detour(q *Question, base *Cluster) *detour {
	id, _ := s.identity(q.From)
	if q.To.Service == nil || q.Subset != "" || q.Routed || q.From.Principal != "" || id == "" {
		return nil
	}
	if w := q.From.Workload; w != nil {
		if _, bypasses := w.BypassesOutbound(q.To.Port.Number); bypasses {
			return nil
		}
	}
	for _, v := range s.routes().For(s.proxy(q.From).Namespace) {
		if !slices.ContainsFunc(v.Spec.Hosts, func(host string) bool { return mesh.HostCovers(host, q.To.Service.Hostname) }) {
			continue
		}
		what := s.leads(q, base, v.Spec)
		if what == "" {
			return nil
		}
		return &detour{fmt.Sprintf("VirtualService %s/%s may %s, and routes are not followed here: ask about the destination, with a subset if it has one", v.Namespace, v.Name, what), causeOf(v.Object)}
	}
	return nil
}

// leads says where else routes lead; "" for nowhere.
func (s *Simulator) leads(q *Question, base *Cluster, v *networking.VirtualService) string {
	if q.To.Port.Protocol.Traffic() == mesh.TCPTraffic {
		for _, t := range v.Tls {
			if what := s.elsewhere(q, base, t.GetRoute()); what != "" {
				return what
			}
		}
		for _, t := range v.Tcp {
			if what := s.elsewhere(q, base, t.GetRoute()); what != "" {
				return what
			}
		}
		return ""
	}
	for _, r := range v.Http {
		switch {
		case r.GetRedirect() != nil, r.GetDirectResponse() != nil:
			return "answer the request itself"
		case r.GetFault() != nil:
			return "put a fault in its way"
		case r.GetRewrite() != nil || r.GetHeaders() != nil:
			return "change the request"
		}
		for _, d := range r.GetRoute() {
			if d.GetHeaders() != nil {
				return "change the request"
			}
			if what := s.otherwise(q, base, d.GetDestination()); what != "" {
				return what
			}
		}
	}
	return ""
}

func (s *Simulator) elsewhere(q *Question, base *Cluster, routes []*networking.RouteDestination) string {
	for _, r := range routes {
		if what := s.otherwise(q, base, r.GetDestination()); what != "" {
			return what
		}
	}
	return ""
}

// otherwise says how a destination is not the Service as it is asked about; ""
// if it is.
func (s *Simulator) otherwise(q *Question, base *Cluster, d *networking.Destination) string {
	port := d.GetPort().GetNumber()
	switch {
	case d.GetHost() != q.To.Service.Hostname:
		return "lead the request to " + d.GetHost()
	case port != 0 && int32(port) != q.To.Port.Number: //nolint:gosec // a port
		return fmt.Sprintf("lead the request to port %d", port)
	case d.GetSubset() == "":
		return ""
	case base.Rule.subset(d.GetSubset()) == nil:
		return "lead the request to subset " + d.GetSubset() + ", which no DestinationRule has"
	}
	c := s.outbound().Cluster(s.proxy(q.From), q.To.Service, q.To.Port, d.GetSubset())
	if c.TLS != base.TLS || c.Mutual != base.Mutual || c.Broken != base.Broken || !slices.Equal(c.Names, base.Names) {
		return "lead the request to subset " + d.GetSubset() + ", which is called in another way"
	}
	return ""
}
