package policy

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Evaluate decides one request, in Envoy's order (EV-1).
func (m *Model) Evaluate(r *Request) Verdict {
	e := evaluation{model: m, request: r, verdict: Verdict{ID: r.ID, Stage: Transport}}
	e.decide()
	return e.verdict
}

// Explain is Evaluate, and tells how the verdict came about.
func (m *Model) Explain(r *Request) (Verdict, Trace) {
	e := evaluation{model: m, request: r, verdict: Verdict{ID: r.ID, Stage: Transport}, trace: &Trace{}}
	e.decide()
	return e.verdict, *e.trace
}

// evaluation is one request on its way through the model.
type evaluation struct {
	facts
	model   *Model
	request *Request
	message message
	tokens  map[string]*Token
	chain   *Chain
	isGRPC  bool
	opaque  bool // TLS that the sidecar does not end; it fails at an application that has no certificate
	verdict Verdict
	doubts  []doubt
	denial  int    // the status of a denial, before gRPC clients get it in their way
	trace   *Trace // nil if nobody asked
	// Of tokens whose keys are not here: what is assumed, and the first of which
	// nothing is.
	assumed map[unverified]bool
	pending *pending
}

// doubt is a rule that would end the request, with a status, if what is not
// known fits.
type doubt struct {
	stage  StageName
	status int
	rule   *Rule
}

func (e *evaluation) run() {
	stages := e.approach()
	if stages == nil || !e.stages(stages) {
		return
	}
	if e.opaque && !e.applicationEndsTLS() {
		e.verdict.Stage, e.verdict.By, e.verdict.Rule = Transport, "", nil
		e.refuse("TLS is passed on to an application that does not speak it")
		e.traceNone(Transport, e.verdict.Reason)
		return
	}
	e.allow()
}

// approach takes the request to its policies. It is nil if it does not get there.
func (e *evaluation) approach() *Stages {
	r := e.request
	e.facts = facts{port: r.To.Port, direct: address(r.From.IP), local: address(r.To.IP), unknown: setOf(Unread)}
	e.remote = e.direct
	if r.From.IP == "" {
		e.unknown |= setOf(PeerAddress) | setOf(ClientAddress)
	}
	if r.To.IP == "" {
		e.unknown |= setOf(LocalAddress)
	}
	if r.HTTP != nil {
		e.message = wire(r.HTTP, e.tokenText)
	}
	port := e.model.Port(r.To.Port)
	tls := r.From.Identity != nil || r.From.TLS
	e.chain = e.choose(port, tls)
	e.traceTransport(port, tls)
	if e.chain == nil {
		e.refuse(fmt.Sprintf("port %d takes no such connection (mTLS mode %s)", r.To.Port, port.Mode))
		return nil
	}
	if tls && (port.SeesTLS || e.chain.Terminates) {
		e.sni = strings.ToLower(r.From.SNI)
	}
	if e.chain.Terminates {
		if !e.handshake(r.From.Identity) {
			return nil
		}
	} else if tls && e.chain.HTTP {
		e.refuse("TLS bytes on a plaintext HTTP port")
		return nil
	}
	if e.chain.HTTP {
		if !e.http() {
			return nil
		}
		return &e.model.HTTP
	}
	e.opaque = tls && !e.chain.Terminates
	return &e.model.TCP
}

func address(text string) netip.Addr {
	a, _ := netip.ParseAddr(text) // unknown addresses match no block
	return a
}

// tokenText is a token's text in the request: a real one, or one that stands for
// what is described.
func (e *evaluation) tokenText(i int) string {
	t := &e.request.HTTP.Tokens[i]
	if t.JWT != "" {
		return t.JWT
	}
	text := "t" + strconv.Itoa(i) + ".p.s"
	if e.tokens == nil {
		e.tokens = map[string]*Token{}
	}
	e.tokens[text] = t
	return text
}

// choose finds the filter chain: TLS and HTTP are seen only where the port
// looks for them (PA-14).
func (e *evaluation) choose(port *Port, tls bool) *Chain {
	if tls && port.SeesTLS {
		return port.chain(true, e.request.From.ALPN)
	}
	var protocols []string
	if !tls && port.SeesHTTP && e.request.HTTP != nil && e.message.looksLikeHTTP() {
		protocols = []string{"http/1.1"}
	}
	return port.chain(false, protocols)
}

// handshake checks the client's certificate (PA-18, DP-80).
func (e *evaluation) handshake(identity *string) bool {
	if identity == nil {
		e.refuse("the handshake wants a certificate of the mesh")
		e.traceNone(Transport, e.verdict.Reason)
		return false
	}
	ours := func(domain string) bool { return strings.HasPrefix(*identity, "spiffe://"+domain+"/") }
	if !slices.ContainsFunc(e.model.TrustDomains, ours) {
		e.refuse(fmt.Sprintf("certificate of %s is not of this mesh's trust domains", *identity))
		e.traceNone(Transport, e.verdict.Reason)
		return false
	}
	e.peer = newPeer(*identity)
	return true
}

func (e *evaluation) refuse(reason string) {
	e.verdict.Outcome, e.verdict.Reason = Refused, reason
}

// applicationEndsTLS takes the application of a port that is declared HTTPS or
// TLS for one that does. A mesh certificate is none that it would ask for.
func (e *evaluation) applicationEndsTLS() bool {
	declared := e.model.Port(e.request.To.Port).Declared
	return e.request.From.Identity == nil && declared != nil && endsAtApplication(declared.Protocol)
}

// allow is the application's answer.
func (e *evaluation) allow() {
	e.verdict.Outcome, e.verdict.Stage = Allow, AllowAction
	h := e.request.HTTP
	if h == nil {
		return
	}
	if h.Method == http.MethodConnect && e.chain.HTTP {
		e.verdict.HTTPStatus, e.verdict.Reason = http.StatusNotFound, "no policy is against it, but sidecars lead CONNECT nowhere"
		return
	}
	if e.chain.HTTP && e.headers.first("x-forwarded-proto") == "" {
		e.verdict.Reason = "no policy is against it, but without a protocol in x-forwarded-proto no route is found"
		e.answer(Allow, http.StatusNotFound)
		return
	}
	e.verdict.answered(h)
}

// http reads the request. It is false if that ended it.
func (e *evaluation) http() bool {
	e.verdict.Stage = Codec
	h, reject := e.decode()
	if reject != nil {
		e.isGRPC = h.grpc()
		e.reject(reject)
		return false
	}
	path, err := e.model.Paths.normalize(h.first(":path"))
	if e.message.method != http.MethodConnect {
		if err != nil {
			e.isGRPC = h.grpc()
			e.reject(&rejection{http.StatusBadRequest, err.Error()})
			return false
		}
		h.set(":path", path)
		e.hasPath = true
	}
	if refused := h.refused(); refused != nil {
		e.isGRPC = h.grpc()
		e.reject(refused)
		return false
	}
	h.tidy(e.chain.Terminates)
	e.headers, e.isGRPC = h, e.hasPath && h.grpc() // CONNECT is never gRPC
	var forwarded bool
	if e.remote, forwarded = h.remote(e.direct); forwarded {
		e.unknown &^= setOf(ClientAddress)
	}
	e.look()
	e.traceRequest()
	return true
}

// look notes the path without its query.
func (e *evaluation) look() {
	e.path, _, _ = strings.Cut(e.headers.first(":path"), "?")
}

// decode picks the codec: by ALPN on TLS (DP-14a), by the bytes otherwise.
func (e *evaluation) decode() (headers, *rejection) {
	m := &e.message
	h2 := m.h2
	if alpn := e.request.From.ALPN; e.chain.Terminates {
		switch {
		case slices.Contains(alpn, "h2"):
			if e.request.HTTP == nil || !m.h2 {
				return nil, &rejection{0, "the client speaks HTTP/1 where ALPN chose h2"}
			}
			h2 = true
		case slices.Contains(alpn, "http/1.1"):
			if m.h2 {
				return nil, &rejection{http.StatusBadRequest, "the client speaks HTTP/2 where ALPN chose http/1.1"}
			}
			h2 = false
		}
	}
	switch {
	case e.request.HTTP == nil:
		return nil, &rejection{http.StatusBadRequest, "the bytes are not HTTP"}
	case h2:
		return m.http2(e.chain.Terminates)
	}
	return m.http1()
}

func (e *evaluation) reject(r *rejection) {
	e.traceNone(Codec, r.reason)
	if r.status == 0 {
		e.refuse(r.reason)
		return
	}
	e.verdict.Reason = r.reason
	e.answer(Rejected, r.status)
}

// answer is a reply of Envoy's own; gRPC clients get it in their way (DP-24).
func (e *evaluation) answer(o Outcome, status int) {
	e.verdict.Outcome, e.verdict.HTTPStatus, e.denial = o, status, status
	if !e.isGRPC {
		return
	}
	code, ok := map[int]int{400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}[status]
	if !ok {
		code = 2
	}
	e.verdict.HTTPStatus, e.verdict.GRPCStatus = http.StatusOK, &code
}

// deny closes a byte stream, or answers a request.
func (e *evaluation) deny(stage StageName, status int, by string, rule *Rule) {
	e.verdict.Stage, e.verdict.By, e.verdict.Rule = stage, by, rule
	if !e.chain.HTTP {
		e.verdict.Outcome = Deny
		return
	}
	e.answer(Deny, status)
}
