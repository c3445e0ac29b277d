package live

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// message is a request with its tokens where they belong: header lines, then one
// for each token in a header or cookie; parameters end the query, before a
// fragment.
type message struct {
	target string
	lines  policy.Lines
}

func newMessage(h *policy.HTTP) message {
	m := message{target: h.Path, lines: append(policy.Lines{}, h.Headers...)}
	for _, t := range h.Tokens {
		switch t.In {
		case "param":
			target, fragment, hasFragment := strings.Cut(m.target, "#")
			separator := "?"
			if strings.Contains(target, "?") {
				separator = "&"
			}
			m.target = target + separator + t.Name + "=" + t.JWT
			if hasFragment {
				m.target += "#" + fragment
			}
		case "cookie":
			m.lines = append(m.lines, policy.Line{Name: "cookie", Value: t.Name + "=" + t.JWT})
		default:
			m.lines = append(m.lines, policy.Line{Name: t.Name, Value: t.Prefix + t.JWT})
		}
	}
	return m
}

// exchangeHTTP1 writes the request's own bytes: no library would send all that a
// hostile client can.
func (out *reply) exchangeHTTP1(conn net.Conn, h *policy.HTTP) error {
	m := newMessage(h)
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nhost: %s\r\n", h.Method, m.target, h.Authority)
	for _, l := range m.lines {
		fmt.Fprintf(&text, "%s: %s\r\n", l.Name, l.Value)
	}
	text.WriteString("\r\n")
	if _, err := conn.Write(text.Bytes()); err != nil {
		return err
	}
	return out.readHTTP1(conn, h.Method)
}

// readHTTP1 reads the answer to a method, to its end.
func (out *reply) readHTTP1(r io.Reader, method string) error {
	response, err := http.ReadResponse(bufio.NewReader(r), &http.Request{Method: method})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	out.take(response.StatusCode, response.Header.Get(echoHeader), response.Header.Get("grpc-status")+response.Trailer.Get("grpc-status"))
	return err
}

// take notes an answer.
func (out *reply) take(status int, echo, grpc string) {
	out.status, out.answered = status, echo != ""
	if n, err := strconv.Atoi(grpc); err == nil {
		out.grpc = &n
	}
}

// replay reads what was read before, and then the rest.
func replay(read []byte, rest io.Reader) io.Reader {
	return io.MultiReader(bytes.NewReader(read), rest)
}
