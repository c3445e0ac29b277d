package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// Sent is a request, or bytes, that a workload sends to a Service through its own
// sidecar. External authorizers answer it as Options.Custom says.
type Sent struct {
	From string // NAMESPACE/NAME
	// Address is the Service's, as istiod's listeners have it; empty for requests
	// that are told apart by their host. From Options.Redirected it may be any,
	// such as that of a workload here.
	Address string
	Port    uint32 // of the Service, or of who is at the address
	HTTP    *policy.HTTP
}

// Send sends requests through the sidecars of their senders, and reads what
// became of each at the workload that it reached. It needs Options.Senders.
func (s *Sidecars) Send(ctx context.Context, all []Sent) ([]Answer, error) {
	answers, replies, err := s.deliver(ctx, all)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		if answers[i].Err == nil {
			answers[i].Err = s.arrived(ctx, &answers[i], &replies[i])
		}
		if errors.Is(answers[i].Err, errBroken) {
			if answers[i], err = s.again(ctx, &all[i]); err != nil {
				return nil, err
			}
		}
	}
	return answers, ctx.Err()
}

// deliver sends requests, and waits for what the senders' sidecars write.
func (s *Sidecars) deliver(ctx context.Context, all []Sent) ([]Answer, []reply, error) {
	answers, replies := make([]Answer, len(all)), make([]reply, len(all))
	var opened connections
	err := each(ctx, len(all), func(i int) {
		t, to, err := s.sender(&all[i])
		if err != nil {
			answers[i].Err = err
			return
		}
		replies[i], answers[i].Err = s.caller.send(ctx, t, to, &all[i], func(name string) { opened.add(name, i) })
	})
	if err != nil {
		return nil, nil, err
	}
	return answers, replies, opened.written(ctx, s.log, func(i int, entries []envoy.LogEntry) { answers[i].Log = entries })
}

// errBroken is a connection to a sidecar that broke before there was an answer.
// The sender's does not tell which of that one's connections it was.
var errBroken = errors.New("the connection to the called sidecar broke")

// again sends a request another time, now alone: what the called sidecar writes
// of connections from the sender is about this one.
func (s *Sidecars) again(ctx context.Context, r *Sent) (Answer, error) {
	begin := time.Now()
	answers, replies, err := s.deliver(ctx, []Sent{*r})
	if err != nil {
		return Answer{}, err
	}
	a, got := answers[0], &replies[0]
	if a.Err == nil {
		a.Err = s.arrived(ctx, &a, got)
	}
	if !errors.Is(a.Err, errBroken) {
		return a, ctx.Err()
	}
	entries, err := s.log.since(ctx, a.Workload, s.peers[r.From].String(), begin)
	if a.Err = err; err != nil {
		return a, ctx.Err()
	}
	a.Log = append(a.Log, entries...)
	ended := &entries[len(entries)-1]
	a.Verdict = policy.Verdict{Outcome: policy.Refused}
	note(&a.Verdict, ended)
	switch reason := cmp.Or(ended.Ended, ended.Details); {
	case strings.HasPrefix(reason, byRule):
		denied(&a.Verdict, reason)
	case strings.HasPrefix(reason, byAuthorizer):
		a.Outcome, a.By = policy.Deny, a.Custom
	}
	a.HTTPStatus, a.GRPCStatus = got.status, got.grpc
	return a, nil
}

// sender is where a workload's sidecar takes what is sent to an address.
func (s *Sidecars) sender(r *Sent) (t target, to netip.AddrPort, err error) {
	t, ok := s.targets[r.From]
	if !ok || t.outbound == nil {
		return t, to, fmt.Errorf("%s sends nothing here: it has no sidecar that runs for senders", r.From)
	}
	address := t.outbound.Address
	if t.outbound.Form == envoy.ProxyProtocol {
		return t, netip.AddrPortFrom(address, outboundPort), nil
	}
	if r.Address != "" {
		if address, ok = t.outbound.Services[r.Address]; !ok {
			return t, to, fmt.Errorf("the sidecar of %s does not listen on %s", r.From, r.Address)
		}
	}
	return t, netip.AddrPortFrom(address, uint16(t.outbound.Shift(r.Port))), nil //nolint:gosec // a port
}

// send talks to a sender's own sidecar, in plaintext.
func (c *caller) send(ctx context.Context, t target, to netip.AddrPort, r *Sent, connected func(string)) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// A port that is bound is this connection's only; one that comes with the
	// connection may be that of another, to another address, and name both.
	bound := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	conn, err := bound.DialContext(ctx, "tcp4", to.String())
	if err != nil {
		return reply{}, fmt.Errorf("sidecar of %s: %w", t.workload, err)
	}
	defer func() { _ = conn.Close() }() // nothing is left to be said
	connected(connection(t.workload, conn.LocalAddr().String()))
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return reply{}, err
		}
	}
	sent, err := c.issuer.real(policy.Request{HTTP: r.HTTP})
	if err != nil {
		return reply{}, err
	}
	var out reply
	if t.outbound.Form == envoy.ProxyProtocol {
		if _, out.failed = conn.Write(redirectLine(conn, r)); out.failed != nil {
			return out, nil
		}
	}
	out.exchange(conn, &sent)
	return out, nil
}

// outboundPort is where sidecars take what their workloads send (EC-10).
const outboundPort = 15001

// redirectLine says where a program wants to go. Of a request that is told by its
// host it may be anywhere.
func redirectLine(conn net.Conn, r *Sent) []byte {
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort() // of a TCP connection
	return fmt.Appendf(nil, "PROXY TCP4 %s %s %d %d\r\n", local.Addr(), cmp.Or(r.Address, "240.0.0.1"), local.Port(), r.Port)
}

// arrived reads the verdict at the workload that was called.
func (s *Sidecars) arrived(ctx context.Context, a *Answer, r *reply) error {
	own := decisiveEntry(a.Log)
	at, to, _ := net.SplitHostPort(own.Upstream)
	for name, address := range s.peers {
		if address.String() == at {
			a.Workload = name
		}
	}
	switch {
	case own.Scope == envoy.ClientScope && own.Details != viaUpstream && !broken(own):
		return r.unsent(a)
	case a.Workload == "":
		return r.untold(a.Log)
	}
	port, _ := strconv.ParseUint(to, 10, 16) // 0 for none
	if t, guarded := s.targets[a.Workload]; !guarded || slices.Contains(t.bypassed, uint32(port)) {
		return r.unguarded(a)
	}
	if broken(own) {
		return errBroken
	}
	entries, err := s.entriesAt(ctx, a.Workload, own)
	if err != nil {
		return err
	}
	a.Log = append(a.Log, entries...)
	a.Verdict, err = r.verdict(entries)
	return err
}

// viaUpstream is said of a request that was answered by who was called.
const viaUpstream = "via_upstream"

// broken tells whether the connection to who was called failed or ended before
// there was an answer.
func broken(own *envoy.LogEntry) bool {
	if own.Scope == envoy.ClientScope {
		return strings.HasPrefix(own.Details, "upstream_reset")
	}
	return strings.Contains(own.Flags, "UF")
}

// decisiveEntry is that of the request, or of the connection.
func decisiveEntry(entries []envoy.LogEntry) *envoy.LogEntry {
	i := slices.IndexFunc(entries, func(e envoy.LogEntry) bool { return e.Scope == envoy.ClientScope })
	return &entries[max(i, 0)]
}

// entriesAt are what the sidecar that was called wrote: of a request by its ID,
// of bytes by the connection that they came on.
func (s *Sidecars) entriesAt(ctx context.Context, workload string, own *envoy.LogEntry) ([]envoy.LogEntry, error) {
	if own.Scope == envoy.ClientScope {
		e, err := s.log.request(ctx, workload, own.ID)
		return []envoy.LogEntry{e, {Scope: envoy.ConnectionScope}}, err
	}
	return s.log.takeOne(ctx, connection(workload, own.UpstreamSource), own.Upstream)
}

// unsent is a request that the sender's own sidecar would not take.
func (r *reply) unsent(a *Answer) error {
	a.Verdict = policy.Verdict{Outcome: policy.Rejected, HTTPStatus: r.status, GRPCStatus: r.grpc}
	if r.status >= 400 && r.status < 500 || r.grpc != nil {
		return nil
	}
	return r.untold(a.Log)
}

// unguarded is what becomes of a request where there is no sidecar.
func (r *reply) unguarded(a *Answer) error {
	a.Verdict = policy.Verdict{HTTPStatus: r.status, GRPCStatus: r.grpc, Outcome: policy.Refused}
	if r.answered {
		a.Outcome = policy.Allow
	}
	return nil
}

// ServiceAddress is the one of a Service that a workload's sidecar listens on;
// empty if it has none of its own.
func (s *Sidecars) ServiceAddress(workload, host string, port uint32) string {
	t, ok := s.targets[workload]
	if !ok {
		return ""
	}
	return t.config.ServiceAddress(host, port)
}
