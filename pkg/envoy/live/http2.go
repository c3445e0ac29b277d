package live

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/meshctl/meshctl/pkg/policy"
)

// exchangeHTTP2 sends one stream with prior knowledge: pseudo-headers, then the
// lines as they are.
func (out *reply) exchangeHTTP2(conn net.Conn, h *policy.HTTP) error {
	m := newMessage(h)
	scheme := "http"
	if _, secure := conn.(*tls.Conn); secure {
		scheme = "https"
	}
	scheme = cmp.Or(h.Scheme, scheme)
	fields := []hpack.HeaderField{
		{Name: ":method", Value: h.Method}, {Name: ":scheme", Value: scheme}, {Name: ":path", Value: m.target},
	}
	if h.Authority != "" {
		fields = append(fields, hpack.HeaderField{Name: ":authority", Value: h.Authority})
	}
	for _, l := range m.lines {
		fields = append(fields, hpack.HeaderField{Name: l.Name, Value: l.Value})
	}
	var sent bytes.Buffer
	sent.WriteString(http2.ClientPreface)
	writer := http2.NewFramer(&sent, nil)
	const stream = 1
	if err := writer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}); err != nil {
		return err
	}
	if err := writeFields(writer, stream, fields, true); err != nil {
		return err
	}
	if _, err := conn.Write(sent.Bytes()); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	// A server that speaks HTTP/1 says so in it.
	if begin, err := r.Peek(len("HTTP/1")); err != nil {
		return err
	} else if string(begin) == "HTTP/1" {
		return out.readHTTP1(r, h.Method)
	}
	return out.readHTTP2(newFramer(conn, r))
}

// readHTTP2 reads frames until the stream ends.
func (out *reply) readHTTP2(f *http2.Framer) error {
	status, echo, grpc := 0, "", ""
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = f.WritePing(true, frame.Data)
			}
		case *http2.GoAwayFrame:
			return fmt.Errorf("GOAWAY: %s", frame.ErrCode)
		case *http2.RSTStreamFrame:
			return fmt.Errorf("RST_STREAM: %s", frame.ErrCode)
		case *http2.MetaHeadersFrame:
			for _, field := range frame.Fields {
				switch field.Name {
				case ":status":
					if _, err := fmt.Sscanf(field.Value, "%d", &status); err != nil {
						return err
					}
				case echoHeader:
					echo = field.Value
				case "grpc-status":
					grpc = field.Value
				}
			}
			ended = frame.StreamEnded()
		case *http2.DataFrame:
			ended = frame.StreamEnded()
		}
		if err != nil {
			return err
		}
		if ended {
			out.take(status, echo, grpc)
			return nil
		}
	}
}
