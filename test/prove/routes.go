package main

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// questions are what the simulator is asked about a send: one for each
// destination that the sender's routes may choose. Without any it is the sender's
// own sidecar that answers.
func (m *sendingMesh) questions(s *send) ([]*policy.Question, error) {
	straight, err := m.question(s)
	if err != nil || s.HTTP == nil || straight.To.Port.Protocol.Traffic() == mesh.TCPTraffic {
		return []*policy.Question{straight}, err
	}
	for _, v := range mesh.NewSidecarRoutes(m.snapshot).For(straight.From.Workload.Namespace) {
		if slices.Contains(v.Spec.Hosts, s.Service) {
			return m.routed(s, straight, v.Spec.Http)
		}
	}
	return []*policy.Question{straight}, nil
}

// routed asks about the destinations of the first route that fits. Where none is
// for the sender or the port at all, the Service is called as without routes
// (EC-113).
func (m *sendingMesh) routed(s *send, straight *policy.Question, routes []*networking.HTTPRoute) ([]*policy.Question, error) {
	matches := func(wanted func(*networking.HTTPMatchRequest) bool) func(*networking.HTTPRoute) bool {
		return func(r *networking.HTTPRoute) bool { return len(r.Match) == 0 || slices.ContainsFunc(r.Match, wanted) }
	}
	told := func(match *networking.HTTPMatchRequest) bool { return s.told(match, straight.From.Workload) }
	if !slices.ContainsFunc(routes, matches(told)) {
		return []*policy.Question{straight}, nil
	}
	at := slices.IndexFunc(routes, matches(func(match *networking.HTTPMatchRequest) bool { return told(match) && s.fits(match) }))
	if at < 0 {
		return nil, nil
	}
	var all []*policy.Question
	for _, d := range routes[at].Route {
		to := *s
		to.Service, to.Port = d.GetDestination().GetHost(), cmp.Or(int32(d.GetDestination().GetPort().GetNumber()), s.Port)
		q, err := m.question(&to)
		if err != nil {
			return nil, err
		}
		q.Subset = d.GetDestination().GetSubset()
		all = append(all, q)
	}
	return all, nil
}

// told tells whether the sender's sidecar learns of a match for the port.
func (s *send) told(match *networking.HTTPMatchRequest, from *mesh.Workload) bool {
	for key, value := range match.SourceLabels {
		if from.PodLabels[key] != value {
			return false
		}
	}
	return (match.Port == 0 || int32(match.Port) == s.Port) &&
		(match.SourceNamespace == "" || match.SourceNamespace == from.Namespace)
}

// fits tells whether the request is as a match wants it. Lines of a header are
// compared one by one, as by rules (DP-65).
func (s *send) fits(match *networking.HTTPMatchRequest) bool {
	path, _, _ := strings.Cut(s.HTTP.Path, "?")
	for name, want := range match.Headers {
		if !slices.Contains(s.Lines, policy.Line{Name: name, Value: want.GetExact()}) {
			return false
		}
	}
	return (match.Uri.GetPrefix() == "" || strings.HasPrefix(path, match.Uri.GetPrefix())) &&
		(match.Uri.GetExact() == "" || path == match.Uri.GetExact()) &&
		(match.Method.GetExact() == "" || s.HTTP.Method == match.Method.GetExact())
}

// nowhere is the verdict of a request that no route is for.
func nowhere(s *send) *policy.Verdict {
	v := &policy.Verdict{Outcome: policy.Rejected, HTTPStatus: http.StatusNotFound, Stage: policy.ClientTLS}
	if s.isGRPC() {
		unimplemented := 12
		v.HTTPStatus, v.GRPCStatus = http.StatusOK, &unimplemented
	}
	return v
}

func (s *send) isGRPC() bool {
	return slices.ContainsFunc(s.Lines, func(l policy.Line) bool { return l.Name == "content-type" })
}
