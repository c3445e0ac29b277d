package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// authorizer stands in for all external authorizers. It answers as each request
// says, which it knows by its client's address and port.
type authorizer struct {
	authv3.UnimplementedAuthorizationServer
	usual string // to requests that do not say
	grpc  *grpc.Server
	http  *server
	at    envoy.Authorizers
	ended chan error

	mu      sync.Mutex
	answers map[string]string // allow, deny or error, by client
}

func startAuthorizer(usual string) (*authorizer, error) {
	l, err := net.Listen("tcp4", anyLoopback)
	if err != nil {
		return nil, err
	}
	a := &authorizer{usual: usual, grpc: grpc.NewServer(), ended: make(chan error, 1), answers: map[string]string{}}
	if a.http, err = serve(anyLoopback, a.answerHTTP); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	authv3.RegisterAuthorizationServer(a.grpc, a)
	go func() { a.ended <- a.grpc.Serve(l) }()
	a.at = envoy.Authorizers{HTTP: a.http.address(), GRPC: l.Addr().(*net.TCPAddr).AddrPort()} // of a TCP listener
	return a, nil
}

func (a *authorizer) close() error {
	a.grpc.Stop()
	return errors.Join(<-a.ended, a.http.close())
}

// expect tells what to answer to a client; "" forgets it.
func (a *authorizer) expect(client, answer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer == "" {
		delete(a.answers, client)
	} else {
		a.answers[client] = answer
	}
}

func (a *authorizer) answer(client string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer := a.answers[client]; answer != "" {
		return answer
	}
	return a.usual
}

// answerHTTP answers checks: 403 denies, 503 is no answer. Their paths are those
// of the requests, which a library may not take.
func (a *authorizer) answerHTTP(c net.Conn) error {
	r := bufio.NewReader(c)
	for {
		head, length, err := readHead(r)
		if err != nil {
			return err
		}
		if err := skipBody(r, length); err != nil {
			return err
		}
		code := map[string]string{"allow": "200", "deny": "403", "error": "503"}[a.answer(headerOf(head, envoy.PeerHeader))]
		if _, err := fmt.Fprintf(c, "HTTP/1.1 %s -\r\ncontent-length: 0\r\n\r\n", code); err != nil {
			return err
		}
	}
}

// Check answers over gRPC.
func (a *authorizer) Check(_ context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	switch a.answer(socket(r.GetAttributes().GetSource().GetAddress().GetSocketAddress())) {
	case "deny":
		return &authv3.CheckResponse{Status: &rpcstatus.Status{Code: int32(codes.PermissionDenied)}}, nil
	case "error":
		return nil, status.Error(codes.Unavailable, "told to give no answer")
	}
	return &authv3.CheckResponse{Status: &rpcstatus.Status{Code: int32(codes.OK)}}, nil
}

func socket(a *corev3.SocketAddress) string {
	return net.JoinHostPort(a.GetAddress(), strconv.FormatUint(uint64(a.GetPortValue()), 10))
}
