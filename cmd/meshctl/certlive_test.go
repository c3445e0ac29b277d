package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/certs"
)

// TestCertInspectLive: a server is asked only with --connect; one that wants a
// certificate shows its own all the same.
func TestCertInspectLive(t *testing.T) {
	t.Parallel()
	mint := &certs.Mint{Now: time.Now, Random: rand.Reader}
	key, err := certs.GenerateKey(certs.P256)
	if err != nil {
		t.Fatal(err)
	}
	root, err := mint.Root(key, "cluster.local", certs.RootOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := certs.WorkloadID("cluster.local", "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := mint.Leaf(root, key.Public(), id, certs.LeafOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake() // fails: the client has no certificate
			_ = c.Close()
		}
	}()
	for address, want := range map[string]exitCode{listener.Addr().String(): exitOK, silent(t): exitFailed} {
		streams, _, out, stderr := genericiooptions.NewTestIOStreams()
		got := execute(context.Background(), streams, "meshctl", []string{"cert", "inspect", "--connect", address, "--connect-timeout", "2s"})
		if got != want || want == exitOK && !strings.Contains(out.String(), id.String()) || want != exitOK && !strings.Contains(stderr.String(), "expected a server that speaks TLS") {
			t.Errorf("exit %d: %s%s", got, out, stderr)
		}
	}
}

// silent is the address of a server that accepts connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}
