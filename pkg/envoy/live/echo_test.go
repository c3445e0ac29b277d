package live_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy/live"
)

func startEcho(t *testing.T) string {
	t.Helper()
	e, err := live.StartEcho("shop/web")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e.Address().String()
}

func dialEcho(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it may be closed already
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEchoHTTP: what is asked is answered with, in either version; Go's own
// client takes the answers.
func TestEchoHTTP(t *testing.T) {
	t.Parallel()
	address := startEcho(t)
	for version, want := range map[string]string{"1": " /a/../b?c HTTP/1.1\r\n", "2": ":path: /a/../b?c\n"} {
		transport := &http.Transport{Protocols: &http.Protocols{}}
		transport.Protocols.SetHTTP1(version == "1")
		transport.Protocols.SetUnencryptedHTTP2(version == "2")
		for _, method := range []string{"GET", "HEAD", "POST"} {
			request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/a/../b?c", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(version, method, err)
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close() // it is read
			if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("x-meshctl-echo") != "shop/web" {
				t.Errorf("HTTP/%s %s: %v %v, %v", version, method, response.Status, response.Header, err)
			}
			if got := string(body); (method != "HEAD") != strings.Contains(got, want) || (method == "HEAD") != (got == "") {
				t.Errorf("HTTP/%s %s: %q", version, method, got)
			}
		}
		transport.CloseIdleConnections()
	}
}

// TestEchoOddRequests: what no library would send is answered all the same, and
// so is what says that it is gRPC.
func TestEchoOddRequests(t *testing.T) {
	t.Parallel()
	address := startEcho(t)
	for _, tt := range []struct{ text, grpc string }{
		{"get \\a HTTP/1.1\r\nhost: \r\n\r\n", ""},
		{"FOO /caf\xe9 HTTP/1.1\r\ncontent-length: x\r\n\r\n", ""},
		{"POST / HTTP/1.1\r\ncontent-type: text/plain,application/grpc+proto\r\n\r\n", "0"},
		{"POST / HTTP/1.1\r\ncontent-type: application/grpc-web\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", ""},
	} {
		c := dialEcho(t, address)
		r := bufio.NewReader(c)
		for range 2 { // the connection stays
			if _, err := io.WriteString(c, tt.text); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("%q: %v", tt.text, err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || response.Header.Get("grpc-status") != tt.grpc || !strings.HasPrefix(tt.text, string(body)) || len(body) == 0 {
				t.Errorf("%q: %v, body %q, %v", tt.text, response.Header, body, err)
			}
		}
	}
}

// TestEchoBytes: other bytes come back as they are, and TLS is not spoken.
func TestEchoBytes(t *testing.T) {
	t.Parallel()
	address := startEcho(t)
	c := dialEcho(t, address)
	for _, text := range []string{"\x00one\r\n", "two without an end"} {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		back := make([]byte, len(text))
		if _, err := io.ReadFull(c, back); err != nil || string(back) != text {
			t.Errorf("%q came back as %q, %v", text, back, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	over := tls.Client(dialEcho(t, address), &tls.Config{ServerName: "x"})
	if err := over.HandshakeContext(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("a TLS handshake: %v", err)
	}
}

// TestEchoCloses: Close ends what is open.
func TestEchoCloses(t *testing.T) {
	t.Parallel()
	e, err := live.StartEcho("x")
	if err != nil {
		t.Fatal(err)
	}
	c := dialEcho(t, e.Address().String())
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Error(fmt.Sprint("still open: ", n))
	}
}
