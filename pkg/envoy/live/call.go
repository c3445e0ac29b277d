package live

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// callTimeout is for one request.
const callTimeout = 30 * time.Second

// target is where the sidecar of a workload can be called.
type target struct {
	workload string // NAMESPACE/NAME
	address  netip.Addr
	form     envoy.StaticForm
	outbound *envoy.Outbound // nil if it does not send
	config   *envoy.Config
	bypassed []uint32 // ports that the sidecar does not see
}

// inboundPort is where sidecars take what is redirected to them (EC-10).
const inboundPort = 15006

// reply is what a client got.
type reply struct {
	answered  bool // by the application
	status    int  // of HTTP; 0 for none
	grpc      *int
	failed    error // how the connection failed, if it did
	handshake bool  // it was the TLS handshake that failed
}

// caller sends requests as clients of the mesh do.
type caller struct {
	identities *identities
	issuer     *issuer
	authorizer *authorizer
}

// call sends one request on a connection of its own, and tells its name in the
// access log. An error is a request that cannot be sent from here; whatever a
// server does is a reply.
func (c *caller) call(ctx context.Context, t target, r *policy.Request, connected func(string)) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := c.dial(ctx, t, r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = conn.Close() }() // nothing is left to be said
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return reply{}, err
		}
	}
	peer := conn.LocalAddr().String()
	connected(connection(t.workload, peer))
	c.authorizer.expect(peer, r.Custom)
	defer c.authorizer.expect(peer, "")
	var out reply
	if t.form == envoy.ProxyProtocol {
		if _, out.failed = conn.Write(proxyLine(conn, t, r)); out.failed != nil {
			return out, nil
		}
	}
	if r.From.Identity != nil || r.From.TLS {
		secure, err := c.secure(r)
		if err != nil {
			return reply{}, err
		}
		over := tls.Client(conn, secure)
		if out.failed = over.HandshakeContext(ctx); out.failed != nil {
			out.handshake = true
			return out, nil
		}
		conn = over
	}
	sent, err := c.issuer.real(*r)
	if err != nil {
		return reply{}, err
	}
	out.exchange(conn, &sent)
	return out, nil
}

// dial connects from the client's address. Where no PROXY line says where the
// client wants to go, its port is called.
func (*caller) dial(ctx context.Context, t target, r *policy.Request) (net.Conn, error) {
	from := "127.0.0.1"
	if r.From.IP != "" {
		from = r.From.IP
	}
	source, err := netip.ParseAddr(from)
	if err != nil || !source.IsLoopback() || !source.Is4() {
		return nil, fmt.Errorf("source address %s: only addresses in 127.0.0.0/8 can be called from", from)
	}
	port := r.To.Port
	if t.form == envoy.ProxyProtocol {
		port = inboundPort
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	conn, err := d.DialContext(ctx, "tcp4", netip.AddrPortFrom(t.address, uint16(port)).String())
	if err != nil {
		return nil, fmt.Errorf("sidecar of %s: %w", t.workload, err)
	}
	return conn, nil
}

// proxyLine says where the client comes from and where it wants to go (DP-4).
func proxyLine(conn net.Conn, t target, r *policy.Request) []byte {
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort() // of a TCP connection
	destination := t.address.String()
	if r.To.IP != "" {
		destination = r.To.IP
	}
	return fmt.Appendf(nil, "PROXY TCP4 %s %s %d %d\r\n", local.Addr(), destination, local.Port(), r.To.Port)
}

// secure speaks TLS as the request says, and trusts any server of the root's: what
// is asked here is what the server makes of the client.
func (c *caller) secure(r *policy.Request) (*tls.Config, error) {
	config := &tls.Config{
		NextProtos: r.From.ALPN, ServerName: r.From.SNI, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // there is nobody else on loopback
	}
	if r.From.Identity == nil {
		return config, nil
	}
	own, err := c.identities.client(*r.From.Identity)
	if err != nil {
		return nil, err
	}
	// Whatever the server asks for, this client has one certificate.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	return config, nil
}

// exchange sends the request and reads what comes back.
func (out *reply) exchange(conn net.Conn, r *policy.Request) {
	switch {
	case r.HTTP == nil:
		out.failed = out.exchangeBytes(conn)
	case r.HTTP.Version == "2":
		out.failed = out.exchangeHTTP2(conn, r.HTTP)
	default:
		out.failed = out.exchangeHTTP1(conn, r.HTTP)
	}
}

// probe are bytes that no inspector takes for TLS or HTTP, and waits for more of
// (DP-15).
const probe = "\x00meshctl\r\n"

// exchangeBytes sends bytes that are no HTTP. The application sends them back;
// a connection manager answers in its own way.
func (out *reply) exchangeBytes(conn net.Conn) error {
	if _, err := conn.Write([]byte(probe)); err != nil {
		return err
	}
	back := make([]byte, len(probe))
	n, err := readSome(conn, back)
	if string(back[:n]) == probe {
		out.answered = true
		return nil
	}
	if n == 0 {
		return err
	}
	return out.readHTTP1(replay(back[:n], conn), "")
}

// readSome reads until the buffer is full or nothing more comes.
func readSome(conn net.Conn, into []byte) (n int, err error) {
	for n < len(into) && err == nil {
		var m int
		m, err = conn.Read(into[n:])
		n += m
	}
	if err == nil {
		return n, nil
	}
	return n, errors.Join(errEnded, err)
}

// errEnded is a connection that ended before the answer did.
var errEnded = errors.New("the connection ended")
