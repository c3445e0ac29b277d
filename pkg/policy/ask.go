package policy

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Answer is what becomes of a Question.
type Answer struct {
	Outcome Outcome `json:"verdict"`
	// Reason says why the outcome is unknown; empty if it is known.
	Reason string `json:"reason,omitempty"`
	// Endpoints are the answers of the workloads that the request may reach.
	Endpoints []EndpointAnswer `json:"endpoints"`
}

// EndpointAnswer is what becomes of the request at one workload.
type EndpointAnswer struct {
	Workload *mesh.Workload `json:"-"`
	Name     string         `json:"workload"`
	Port     uint32         `json:"port"`
	Verdict
	Trace Trace `json:"trace"`
	// Request is what reaches the sidecar of the workload; nil if nothing does, or
	// none is there.
	Request *Request `json:"-"`
}

// Ask decides what becomes of a request: first what the caller's sidecar makes
// of it, then what the called workload's does. Where several workloads are
// behind a Service and do not agree, the outcome is unknown.
func (s *Simulator) Ask(q *Question) (Answer, error) {
	var targets []mesh.Endpoint
	var cluster *Cluster
	switch {
	case q.To.Service != nil:
		cluster = s.outbound().Cluster(s.proxy(q.From), q.To.Service, q.To.Port, q.Subset)
		if q.Subset != "" && cluster.Rule.subset(q.Subset) == nil {
			return Answer{}, fmt.Errorf("no DestinationRule that applies to %s has a subset %q", q.To.Service.Hostname, q.Subset)
		}
		targets = s.outbound().Endpoints(cluster)
	default:
		targets = []mesh.Endpoint{{Workload: q.To.Workload, Port: int32(q.To.Number)}} //nolint:gosec // a port
		if declared := s.Model(q.To.Workload).Port(q.To.Number).Declared; declared != nil {
			cluster = s.outbound().Cluster(s.proxy(q.From), declared.Service, declared.Port, q.Subset)
		}
	}
	var a Answer
	led := s.detour(q, cluster)
	for _, target := range targets {
		e := s.ask(q, cluster, target)
		if led != nil {
			e.Verdict = Verdict{ID: e.ID, Outcome: Unknown, Stage: ClientTLS, Reason: led.why}
			e.Trace = append(Trace{{Stage: ClientTLS, Finding: led.why, By: []Cause{led.by}}}, e.Trace...)
		}
		a.Endpoints = append(a.Endpoints, e)
	}
	a.settle(q)
	return a, nil
}

// settle is the outcome of all endpoints together.
func (a *Answer) settle(q *Question) {
	if len(a.Endpoints) == 0 {
		a.Outcome, a.Reason = Unknown, fmt.Sprintf("no workload of the manifests is behind %s", q.To)
		return
	}
	first := &a.Endpoints[0]
	a.Outcome = first.Outcome
	if a.Outcome == Unknown {
		a.Reason = first.Reason
	}
	for i := range a.Endpoints {
		if e := &a.Endpoints[i]; e.Outcome != first.Outcome {
			a.Outcome = Unknown
			a.Reason = fmt.Sprintf("it depends on the endpoint: %s at %s, %s at %s", first.Outcome, first.Name, e.Outcome, e.Name)
			return
		}
	}
}

// proxy is what the caller's sidecar is configured by. The labels of an account
// are known if one workload runs as it.
func (s *Simulator) proxy(c Caller) Proxy {
	if c.Workload != nil {
		return Proxy{Namespace: c.Workload.Namespace, Labels: c.Workload.PodLabels}
	}
	p := Proxy{Namespace: c.Namespace}
	if runs := s.snapshot.RunsAs(c.Namespace, c.Account); c.Account != "" && len(runs) == 1 {
		p.Labels = runs[0].PodLabels
	}
	return p
}

// ask decides the request at one endpoint.
func (s *Simulator) ask(q *Question, cluster *Cluster, target mesh.Endpoint) EndpointAnswer {
	sent := s.send(q, cluster, target)
	a := EndpointAnswer{Workload: target.Workload, Port: uint32(target.Port), Trace: Trace{sent.step}} //nolint:gosec // a port
	if target.Workload == nil {
		a.Name = target.Entry.GetAddress()
		a.Verdict = Verdict{Outcome: Unknown, Stage: Transport, Reason: "the endpoint is outside of the files; nothing is known of its policies"}
		return a
	}
	a.Name = target.Workload.String()
	if sent.refused != "" && s.endsTLS(target, &sent.request) {
		a.Verdict = Verdict{Outcome: Refused, Stage: ClientTLS, Reason: sent.refused}
	} else if stop := withoutSidecar(target.Workload, a.Port, &sent.request, sent.speaksTLS); stop != nil {
		a.Verdict = *stop
		a.Trace = append(a.Trace, Step{Stage: Transport, Finding: stop.Reason, By: membershipCauses(target.Workload)})
	} else {
		if target.Workload.Membership.Reason == mesh.Assumed {
			a.Trace = append(a.Trace, Step{Stage: Transport, Finding: "nothing in the files says whether the workload has a sidecar; it is assumed to have one"})
		}
		r := sent.request
		r.To = Destination{Namespace: target.Workload.Namespace, Workload: target.Workload.Name, Port: a.Port, IP: q.DestinationIP}
		verdict, trace := s.Model(target.Workload).Explain(&r)
		a.Verdict, a.Trace, a.Request = verdict, append(a.Trace, trace...), &r
	}
	if sent.answers && (a.Outcome == Refused || a.Outcome == Deny && a.HTTPStatus == 0) {
		a.unavailable(sent.request.HTTP) // says the caller's own sidecar: a connection ended
	}
	return a
}

// endsTLS tells whether somebody at the endpoint shows a certificate. Where TLS
// is passed on as bytes, a rule may end them before any is seen (DP-70).
func (s *Simulator) endsTLS(target mesh.Endpoint, r *Request) bool {
	port := s.Model(target.Workload).Port(uint32(target.Port)) //nolint:gosec // a port
	if !port.SeesTLS {
		return false
	}
	c := port.chain(true, r.From.ALPN)
	return c != nil && c.Terminates
}

// unavailable is the answer where nobody else answers.
func (v *Verdict) unavailable(h *HTTP) {
	v.HTTPStatus = http.StatusServiceUnavailable
	if h.isGRPC() {
		unavailable := 14
		v.HTTPStatus, v.GRPCStatus = http.StatusOK, &unavailable
	}
}

// answered is the answer of an application.
func (v *Verdict) answered(h *HTTP) {
	v.HTTPStatus = http.StatusOK
	if h.isGRPC() {
		zero := 0
		v.GRPCStatus = &zero
	}
}

// withoutSidecar is the verdict where no sidecar of the mesh guards the port;
// nil if one does.
func withoutSidecar(w *mesh.Workload, port uint32, r *Request, speaksTLS bool) *Verdict {
	unknown := func(why string) *Verdict { return &Verdict{Outcome: Unknown, Stage: Transport, Reason: why} }
	switch {
	case w.IsGateway():
		return unknown(w.String() + " is a gateway: what its own listeners do is outside of this model")
	case w.Membership.Reason == mesh.Ambient:
		return unknown(w.String() + " is in ambient mode, which is outside of this model")
	}
	why := "no sidecar (" + w.Membership.Describe() + "): no policy is enforced"
	annotation, bypasses := w.BypassesInbound(int32(port)) //nolint:gosec // a port
	if bypasses {
		why = "the port bypasses the sidecar (" + annotation + "): no policy is enforced"
	}
	if w.Membership.Sidecar && !bypasses {
		return nil
	}
	from := r.From
	switch {
	case from.Identity != nil && speaksTLS:
		return &Verdict{Outcome: Refused, Stage: Transport, Reason: why + "; the client wants mTLS of the mesh, and the application's own TLS is none"}
	case from.Identity != nil || from.TLS && !speaksTLS:
		return &Verdict{Outcome: Refused, Stage: Transport, Reason: why + "; the client speaks TLS, which the application does not"}
	}
	v := &Verdict{Outcome: Allow, Stage: Transport, Reason: why}
	if r.HTTP != nil {
		v.answered(r.HTTP)
	}
	return v
}

func membershipCauses(w *mesh.Workload) []Cause {
	if w.Membership.At.File == "" {
		return []Cause{causeOf(w.Object)}
	}
	return []Cause{{Object: w.String(), At: w.Membership.At}}
}

// sent is what leaves the caller's side.
type sent struct {
	step      Step
	request   Request
	refused   string // why the caller's sidecar itself gives up; "" if it does not
	answers   bool   // the caller's sidecar answers 503 where the connection fails
	speaksTLS bool   // the called application ends TLS itself
}

// send applies the client side: which TLS the caller's sidecar speaks, and which
// server it trusts (DR-10..DR-25).
func (s *Simulator) send(q *Question, cluster *Cluster, target mesh.Endpoint) sent {
	out := sent{step: Step{Stage: ClientTLS}, request: Request{From: Client{IP: q.SourceIP, SNI: q.SNI}, HTTP: q.HTTP, Custom: q.Custom}}
	if cluster != nil {
		out.speaksTLS = endsAtApplication(cluster.Port.Protocol)
	}
	id, why := s.identity(q.From)
	switch {
	case q.From.Principal != "":
		out.mutual(id, q.HTTP, s.isHTTP(target))
		out.step.Finding = "mTLS: the caller presents " + id
	case id == "":
		out.step.Finding = "plaintext: " + why
		if q.From.Workload != nil {
			out.step.By = membershipCauses(q.From.Workload)
		}
	default:
		s.sidecar(&out, q, cluster, target, id, why)
	}
	return out
}

// identity is what a caller's sidecar presents; "" without one. why says what
// was assumed of it, or why there is none.
func (s *Simulator) identity(c Caller) (id, why string) {
	domain := s.snapshot.Config.TrustDomain
	switch {
	case c.Principal != "":
		return c.Principal, ""
	case c.Workload != nil:
		m := c.Workload.Membership
		if !m.Sidecar {
			return "", "the caller has no sidecar (" + m.Describe() + ")"
		}
		if m.Reason == mesh.Assumed {
			why = "the caller is assumed to have a sidecar"
		}
		return c.Workload.Identity(domain), why
	case c.Account != "":
		runs := s.snapshot.RunsAs(c.Namespace, c.Account)
		if len(runs) > 0 && !slices.ContainsFunc(runs, func(w *mesh.Workload) bool { return w.Membership.Sidecar }) {
			return "", "no workload of the account has a sidecar"
		}
		certain := func(w *mesh.Workload) bool { return w.Membership.Sidecar && w.Membership.Reason != mesh.Assumed }
		switch {
		case len(runs) == 0:
			why = "no workload of the account is in the files; it is assumed to have a sidecar"
		case !slices.ContainsFunc(runs, certain):
			why = "the caller is assumed to have a sidecar"
		}
		return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", domain, c.Namespace, c.Account), why
	}
	return "", "the caller has no sidecar"
}

// sidecar is what a caller's sidecar does with the request.
func (s *Simulator) sidecar(out *sent, q *Question, c *Cluster, target mesh.Endpoint, id, why string) {
	if c == nil {
		out.step.Finding = "plaintext: no Service declares the port, so the caller's sidecar passes the bytes on as they are"
		return
	}
	if w := q.From.Workload; w != nil {
		if annotation, bypasses := w.BypassesOutbound(c.Port.Number); bypasses {
			out.step.Finding = "plaintext: the caller's sidecar does not see the port (" + annotation + ")"
			out.step.By = []Cause{causeOf(w.Object)}
			return
		}
	}
	overHTTP := q.HTTP != nil && c.Port.Protocol.Traffic() != mesh.TCPTraffic
	out.answers = overHTTP
	out.rewrite(c)
	out.step.By = c.causes()
	how := c.describe(s.outbound().EndpointTLS(c, target), target)
	if why != "" {
		how += "; " + why
	}
	if q.From.Workload == nil && s.outbound().rules.selective(s.proxy(q.From), c.Service) {
		how += "; a DestinationRule with a workloadSelector may say otherwise for some workloads of the account: name one with --from"
	}
	switch {
	case !s.outbound().EndpointTLS(c, target):
		out.step.Finding = "plaintext: " + how
		return
	case !c.Mutual:
		out.request.From.TLS = true
		out.request.From.SNI = cmp.Or(out.request.From.SNI, c.SNI)
		if out.request.From.SNI == "" && overHTTP {
			out.request.From.SNI = autoSNI(q.HTTP.Authority)
		}
		out.request.From.ALPN = []string{"h2", "http/1.1"}
		out.step.Finding = "TLS without an identity of the mesh: " + how
		return
	}
	out.mutual(id, out.request.HTTP, overHTTP)
	out.request.From.SNI = cmp.Or(out.request.From.SNI, c.SNI)
	out.step.Finding = "mTLS as " + id + ": " + how
	server := s.snapshot.Account(c.Service, target)
	if len(c.Names) > 0 && !slices.Contains(c.Names, server) && target.Workload != nil && target.Workload.Membership.Sidecar {
		out.refused = fmt.Sprintf("secure naming: the server is %s, the client wants %s", server, strings.Join(c.Names, " or "))
	}
}

// autoSNI is the server name that a sidecar takes from a request where no rule
// names one (DR-17): its host without a port, unless that is an address.
func autoSNI(authority string) string {
	host := authority
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ""
	}
	return host
}

// mutual sends mTLS. The protocols are those that a client's sidecar offers
// (EC-88).
func (o *sent) mutual(id string, h *HTTP, overHTTP bool) {
	o.request.From.Identity = &id
	switch {
	case !overHTTP || h == nil:
		o.request.From.ALPN = []string{"istio-peer-exchange", "istio"}
	case h.Version == "2":
		o.request.From.ALPN = []string{"istio-h2", "istio", "h2"}
	default:
		o.request.From.ALPN = []string{"istio-http/1.1", "istio", "http/1.1"}
	}
}

// rewrite is the request as the sidecar sends it on: in the version of HTTP that
// the Service names, where it names one (EC-22, EC-91), and with the protocol
// that the calling program spoke to it, which is not that of the connection.
func (o *sent) rewrite(c *Cluster) {
	if o.request.HTTP == nil || c.Port.Protocol.Traffic() == mesh.TCPTraffic {
		return
	}
	h := *o.request.HTTP
	h.forward()
	if c.Port.Protocol.Traffic() == mesh.HTTPTraffic {
		h.Version = ""
		switch c.Port.Protocol {
		case mesh.HTTP2, mesh.GRPC, mesh.GRPCWeb:
			h.Version = "2"
		}
	}
	o.request.HTTP = &h
}

// forward notes which protocol the calling program spoke to its own sidecar:
// plaintext, unless it says itself that it forwards.
func (h *HTTP) forward() {
	h.Scheme = "http"
	for _, l := range h.Headers {
		if !strings.EqualFold(l.Name, "x-forwarded-proto") {
			continue
		}
		if said := strings.ToLower(l.Value); h.Version != "2" && (said == "http" || said == "https") {
			h.Scheme = said
		}
		return
	}
	h.Headers = append(slices.Clip(h.Headers), Line{"x-forwarded-proto", "http"})
}

// isHTTP tells whether the target's port may carry requests.
func (s *Simulator) isHTTP(target mesh.Endpoint) bool {
	return target.Workload == nil || s.Model(target.Workload).Port(uint32(target.Port)).Traffic != mesh.TCPTraffic //nolint:gosec // a port
}
