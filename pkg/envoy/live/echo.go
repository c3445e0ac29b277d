package live

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// echoHeader tells that an answer is the application's, and whose.
const echoHeader = "x-meshctl-echo"

// Echo is an application that answers whoever asks on one port: HTTP/1.1 and
// HTTP/2 with what was asked, other bytes with themselves. It has no certificate
// and ends connections that begin with TLS.
type Echo struct {
	name   string
	server *server
}

// StartEcho listens on a free port of loopback.
func StartEcho(name string) (*Echo, error) { return startEchoAt(name, anyLoopback) }

func startEchoAt(name, address string) (*Echo, error) {
	e := &Echo{name: name}
	var err error
	e.server, err = serve(address, e.serve)
	return e, err
}

// Address is where the application listens.
func (e *Echo) Address() netip.AddrPort { return e.server.address() }

// Close ends all connections.
func (e *Echo) Close() error { return e.server.close() }

// firstLine is that of an HTTP/1 request, however odd.
var firstLine = regexp.MustCompile(`^[^ \r\n]+ [^\r\n]* ?HTTP/[0-9.]+\r?\n`)

// maxHead limits the head of a request.
const maxHead = 256 << 10

// errNotSpoken ends a connection that speaks TLS.
var errNotSpoken = errors.New("TLS is not spoken here")

// serve finds out what a connection speaks by its first bytes.
func (e *Echo) serve(c net.Conn) error {
	r := bufio.NewReaderSize(c, maxHead)
	if _, err := r.Peek(1); err != nil {
		return err
	}
	begin, err := r.Peek(r.Buffered())
	if err != nil {
		return err
	}
	const handshake = 0x16
	switch {
	case begin[0] == handshake:
		return errNotSpoken
	case bytes.HasPrefix(begin, []byte("PRI * HTTP/2.0\r\n")):
		return e.serveHTTP2(c, r)
	case firstLine.Match(begin):
		return e.serveHTTP1(c, r)
	}
	_, err = io.Copy(c, r)
	return err
}

// serveHTTP1 answers requests one after the other. It looks at no more of them
// than it must to find their ends.
func (e *Echo) serveHTTP1(c io.Writer, r *bufio.Reader) error {
	for {
		head, length, err := readHead(r)
		if err != nil {
			return err
		}
		if err := skipBody(r, length); err != nil {
			return err
		}
		extra := ""
		if isGRPC(headerOf(head, "content-type")) {
			extra = "content-type: application/grpc\r\ngrpc-status: 0\r\n"
		}
		body := head
		if strings.HasPrefix(head, "HEAD ") {
			body = ""
		}
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s: %s\r\n%scontent-length: %d\r\n\r\n%s", echoHeader, e.name, extra, len(body), body); err != nil {
			return err
		}
	}
}

// isGRPC tells whether one of the values of content-type is gRPC's.
func isGRPC(contentType string) bool {
	for one := range strings.SplitSeq(contentType, ",") {
		if one == "application/grpc" || strings.HasPrefix(one, "application/grpc+") {
			return true
		}
	}
	return false
}

// chunked is the length of a body that says itself where it ends.
const chunked = -1

// readHead reads up to the blank line.
func readHead(r *bufio.Reader) (head string, length int, err error) {
	var text strings.Builder
	for text.Len() < maxHead {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", 0, err
		}
		if line == "\r\n" || line == "\n" {
			head = text.String()
			if strings.EqualFold(headerOf(head, "transfer-encoding"), "chunked") {
				return head, chunked, nil
			}
			length, _ = strconv.Atoi(headerOf(head, "content-length")) // what is no length is none
			return head, max(0, length), nil
		}
		text.WriteString(line)
	}
	return "", 0, errors.New("the head of the request is too long")
}

// headerOf is a header of a head; "" for none.
func headerOf(head, name string) string {
	for line := range strings.SplitSeq(head, "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func skipBody(r *bufio.Reader, length int) error {
	if length != chunked {
		_, err := io.CopyN(io.Discard, r, int64(length))
		return err
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			return err
		}
		const end = 2 // \r\n
		if _, err := io.CopyN(io.Discard, r, size+end); err != nil || size == 0 {
			return err
		}
	}
}
