package envoy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/policy"
)

// Enforcement is what a configuration does with what comes in, read back from
// its listeners. What is not understood makes verdicts unknown; nothing is
// guessed.
type Enforcement struct {
	dump *Dump
	now  time.Time
}

// NewEnforcement prepares to answer requests by a configuration. The time is
// that for exp and nbf of real tokens.
func NewEnforcement(d *Dump, now time.Time) *Enforcement { return &Enforcement{d, now} }

// Answer is a verdict, and what it was given by.
type Answer struct {
	policy.Verdict
	Listener string `json:"listener,omitempty"`
	Chain    string `json:"chain,omitempty"`   // what it takes
	Cluster  string `json:"cluster,omitempty"` // where it leads, if it leads to one
}

// Evaluate decides a request to a port of the workload.
func (e *Enforcement) Evaluate(r *policy.Request) Answer {
	l := e.listener(r.To.Port)
	if l == nil {
		return unknownAnswer(r, "no listener of the configuration takes port %d", r.To.Port)
	}
	a := e.at(l, r)
	a.Listener = l.Name
	return a
}

func unknownAnswer(r *policy.Request, format string, args ...any) Answer {
	return Answer{Verdict: policy.Verdict{ID: r.ID, Outcome: policy.Unknown, Stage: policy.Transport, Reason: fmt.Sprintf(format, args...)}}
}

// listener is the one that takes a port: bound to it, or the one that all that
// comes in is redirected to.
func (e *Enforcement) listener(port uint32) *listenerv3.Listener {
	var redirected *listenerv3.Listener
	for _, l := range e.dump.Listeners {
		switch {
		case l.TrafficDirection == corev3.TrafficDirection_OUTBOUND:
		case l.Address.GetSocketAddress().GetPortValue() == port && port != inboundPort:
			return l
		case Redirected(l):
			redirected = l
		}
	}
	return redirected
}

// Redirected tells whether a listener takes what was meant for other ports than
// its own.
func Redirected(l *listenerv3.Listener) bool {
	return slices.ContainsFunc(l.ListenerFilters, func(f *listenerv3.ListenerFilter) bool { return strings.HasSuffix(f.Name, ".original_dst") }) ||
		l.GetUseOriginalDst().GetValue() || l.Name == virtualInbound
}

// at decides a request at a listener. Each of the port's chains has a model of
// its own; the chain that takes the request says which decides.
func (e *Enforcement) at(l *listenerv3.Listener, r *policy.Request) Answer {
	if e.dump.Unread[l.Name] {
		return unknownAnswer(r, "listener %s has fields that are not known here", l.Name)
	}
	chains := portChains(l, r.To.Port)
	var read []*readChain
	for _, c := range chains {
		one := e.chain(c)
		if one.odd != "" {
			return unknownAnswer(r, "listener %s, chain %s: %s", l.Name, ChainWords(c.FilterChainMatch), one.odd)
		}
		read = append(read, one)
	}
	port := &policy.Port{Number: r.To.Port}
	var owner []*readChain
	for _, c := range read {
		for _, tls := range c.transports() {
			port.Chains = append(port.Chains, policy.Chain{TLS: tls, ALPN: c.alpn, Terminates: c.terminates, HTTP: c.http})
			owner = append(owner, c)
		}
	}
	var odd string
	if port.SeesTLS, port.SeesHTTP, odd = inspectors(l, r.To.Port); odd != "" {
		return unknownAnswer(r, "listener %s: %s", l.Name, odd)
	}
	first := &readChain{}
	taken := first.model(port).Takes(r)
	at := -1
	for i := range port.Chains {
		if taken == &port.Chains[i] {
			at = i
		}
	}
	if at < 0 {
		if l.DefaultFilterChain != nil {
			return unknownAnswer(r, "listener %s: no chain takes the request, and what the default chain does with it is not looked at", l.Name)
		}
		v := first.model(port).Evaluate(r)
		v.Reason = fmt.Sprintf("no filter chain takes such a connection to port %d", r.To.Port)
		return Answer{Verdict: v}
	}
	return owner[at].answer(port, &port.Chains[at], r)
}

// portChains are the chains that Envoy chooses from: those of the port or, only
// if there are none, those of any.
func portChains(l *listenerv3.Listener, port uint32) []*listenerv3.FilterChain {
	var own, others []*listenerv3.FilterChain
	for _, c := range l.FilterChains {
		switch p := c.GetFilterChainMatch().GetDestinationPort(); {
		case p == nil:
			others = append(others, c)
		case p.Value == port:
			own = append(own, c)
		}
	}
	if own != nil {
		return own
	}
	return others
}

// readChain is a filter chain as far as it is understood.
type readChain struct {
	match      *listenerv3.FilterChainMatch
	odd        string // why nothing can be said of the port
	alpn       []string
	terminates bool
	http       bool
	cluster    string
	domains    []string
	stages     policy.Stages
	jwt        *policy.Requirement
	paths      policy.Normalization
	opaque     []string // what may decide otherwise, and is not understood
	routed     bool     // routes may answer otherwise than the one cluster
}

// transports are those that a chain takes; one that names none takes both.
func (c *readChain) transports() []bool {
	switch c.match.GetTransportProtocol() {
	case "tls":
		return []bool{true}
	case "raw_buffer":
		return []bool{false}
	}
	return []bool{true, false}
}

// model has the enforcement of the chain for all chains of a port.
func (c *readChain) model(port *policy.Port) *policy.Model {
	return &policy.Model{
		Ports: map[uint32]*policy.Port{port.Number: port}, Passthrough: port, TrustDomains: c.domains,
		HTTP: c.stages, TCP: c.stages, JWT: c.jwt, Paths: c.paths,
	}
}

// answer decides a request that the chain takes.
func (c *readChain) answer(port *policy.Port, chain *policy.Chain, r *policy.Request) Answer {
	a := Answer{Verdict: c.model(port).Evaluate(r), Chain: ChainWords(c.match), Cluster: c.cluster}
	tls := r.From.Identity != nil || r.From.TLS
	early := a.Outcome == policy.Refused || a.Outcome == policy.Rejected && a.Stage == policy.Codec
	switch {
	case c.cluster == blackHoleCluster:
		a.Verdict = policy.Verdict{ID: r.ID, Outcome: policy.Refused, Stage: policy.Transport, Reason: "the chain leads to the BlackHoleCluster, which closes the connection"}
	case a.Outcome == policy.Refused && tls && !chain.Terminates && !chain.HTTP && len(c.opaque) == 0:
		a.unknown("TLS is passed on to the application, which decides")
	case early:
	case len(c.opaque) > 0:
		a.unknown("not understood: " + strings.Join(c.opaque, "; "))
	case c.routed && a.Outcome == policy.Allow:
		a.HTTPStatus, a.GRPCStatus = 0, nil
		a.Reason = "the filters let it pass; its routes are not looked at"
	}
	return a
}

func (a *Answer) unknown(reason string) {
	a.Outcome, a.Reason, a.HTTPStatus, a.GRPCStatus = policy.Unknown, reason, 0, nil
}

func (e *Enforcement) chain(c *listenerv3.FilterChain) *readChain {
	out := &readChain{match: c.FilterChainMatch, alpn: c.GetFilterChainMatch().GetApplicationProtocols()}
	rest := &listenerv3.FilterChainMatch{}
	if c.FilterChainMatch != nil {
		rest = proto.CloneOf(c.FilterChainMatch)
	}
	rest.DestinationPort, rest.TransportProtocol, rest.ApplicationProtocols = nil, "", nil
	if proto.Size(rest) > 0 || !slices.Contains([]string{"", "tls", "raw_buffer"}, c.GetFilterChainMatch().GetTransportProtocol()) {
		out.odd = "is chosen by what is not looked at"
		return out
	}
	out.socket(c.TransportSocket)
	s := &stageReader{chain: out, now: e.now}
	for i, f := range c.Filters {
		if out.http || out.cluster != "" {
			out.distrust("filters behind %s", c.Filters[i-1].Name)
			break
		}
		e.networkFilter(s, f)
	}
	s.finish()
	return out
}

// socket reads who may connect: clients with certificates of trust domains.
func (c *readChain) socket(s *corev3.TransportSocket) {
	config := s.GetTypedConfig()
	if s == nil || strings.HasSuffix(config.GetTypeUrl(), ".RawBuffer") {
		return
	}
	t := &tlsv3.DownstreamTlsContext{}
	if config.UnmarshalTo(t) != nil {
		c.odd = "has a transport that is not understood"
		return
	}
	c.terminates = true
	common := t.GetCommonTlsContext()
	context := cmp.Or(common.GetCombinedValidationContext().GetDefaultValidationContext(), common.GetValidationContext())
	var names []*matcherv3.StringMatcher
	names = append(names, context.GetMatchSubjectAltNames()...) // istiod writes the older field
	for _, n := range context.GetMatchTypedSubjectAltNames() {
		names = append(names, n.GetMatcher())
	}
	for _, n := range names {
		domain, ok := strings.CutPrefix(n.GetPrefix(), "spiffe://")
		if domain, ok = cutSuffix(domain, "/", ok); !ok || strings.Contains(domain, "/") || n.IgnoreCase {
			c.odd = "takes clients by names that are no trust domains"
		}
		c.domains = append(c.domains, domain)
	}
	switch {
	case !t.GetRequireClientCertificate().GetValue():
		c.odd = "ends TLS without asking for a client's certificate"
	case len(names) == 0 && c.odd == "":
		c.odd = "takes clients of any name"
	}
}

func cutSuffix(s, suffix string, found bool) (string, bool) {
	before, ok := strings.CutSuffix(s, suffix)
	return before, ok && found
}

func (e *Enforcement) networkFilter(s *stageReader, f *listenerv3.Filter) {
	c, config := s.chain, e.dump.FilterConfig(f)
	if config == nil && f.GetConfigDiscovery() != nil {
		c.distrust("filter %s comes from elsewhere", f.Name)
		return
	}
	if manager := (&hcmv3.HttpConnectionManager{}); config.UnmarshalTo(manager) == nil {
		if c.http = true; s.used {
			c.distrust("policy on the connection as well as on its requests")
		}
		e.manager(c, manager)
		return
	}
	if proxy := (&tcpproxyv3.TcpProxy{}); config.UnmarshalTo(proxy) == nil {
		if c.cluster = proxy.GetCluster(); c.cluster == "" {
			c.cluster = "several clusters"
		}
		return
	}
	s.filter(f.Name, config)
}

func (c *readChain) distrust(format string, args ...any) {
	c.opaque = append(c.opaque, fmt.Sprintf(format, args...))
}

// Inspected tells whether a listener looks at the first bytes of connections to
// a port, for TLS and for HTTP.
func Inspected(l *listenerv3.Listener, port uint32) (tls, http bool) {
	tls, http, _ = inspectors(l, port)
	return tls, http
}

// inspectors tell whether the first bytes are looked at, for TLS and for HTTP.
func inspectors(l *listenerv3.Listener, port uint32) (tls, http bool, odd string) {
	for _, f := range l.ListenerFilters {
		disabled, ok := predicate(f.FilterDisabled, port)
		name := f.GetTypedConfig().GetTypeUrl()
		switch {
		case strings.HasSuffix(name, ".TlsInspector") && ok:
			tls = !disabled
		case strings.HasSuffix(name, ".HttpInspector") && ok:
			http = !disabled
		case strings.HasSuffix(name, ".OriginalDst"), strings.HasSuffix(name, ".OriginalSrc"), strings.HasSuffix(name, ".ProxyProtocol"), strings.HasSuffix(name, ".v3.Config"):
		case !disabled || !ok:
			odd = fmt.Sprintf("listener filter %s is not understood", f.Name)
		}
	}
	return tls, http, odd
}

// predicate evaluates what turns a listener filter off; it is false for ok if it
// looks at more than the port.
func predicate(p *listenerv3.ListenerFilterChainMatchPredicate, port uint32) (matches, ok bool) {
	switch r := p.GetRule().(type) {
	case nil:
		return false, true
	case *listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange:
		return int64(r.DestinationPortRange.GetStart()) <= int64(port) && int64(port) < int64(r.DestinationPortRange.GetEnd()), true
	case *listenerv3.ListenerFilterChainMatchPredicate_AnyMatch:
		return r.AnyMatch, true
	case *listenerv3.ListenerFilterChainMatchPredicate_NotMatch:
		matches, ok = predicate(r.NotMatch, port)
		return !matches, ok
	case *listenerv3.ListenerFilterChainMatchPredicate_OrMatch:
		ok = true
		for _, x := range r.OrMatch.GetRules() {
			m, known := predicate(x, port)
			matches, ok = matches || m, ok && known
		}
		return matches, ok
	case *listenerv3.ListenerFilterChainMatchPredicate_AndMatch:
		matches, ok = true, true
		for _, x := range r.AndMatch.GetRules() {
			m, known := predicate(x, port)
			matches, ok = matches && m, ok && known
		}
		return matches, ok
	}
	return false, false
}
