package live

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// maxFields limits the decoded headers of a message.
const maxFields = 256 << 10

// newFramer reads and writes frames, headers decoded.
func newFramer(w io.Writer, r io.Reader) *http2.Framer {
	f := http2.NewFramer(w, r)
	const tableSize = 4096
	f.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
	f.MaxHeaderListSize = maxFields
	return f
}

// serveHTTP2 answers streams one after the other. Go's own server refuses paths
// that Envoy lets pass, so this is a simpler one.
func (e *Echo) serveHTTP2(c io.Writer, r io.Reader) error {
	if _, err := io.CopyN(io.Discard, r, int64(len(http2.ClientPreface))); err != nil {
		return err
	}
	f := newFramer(c, r)
	if err := f.WriteSettings(); err != nil {
		return err
	}
	open := map[uint32]*http2.MetaHeadersFrame{}
	for {
		frame, err := f.ReadFrame()
		var malformed http2.StreamError
		if errors.As(err, &malformed) {
			// It came through a byte stream, where nobody looks at headers.
			if err := e.answerHTTP2(f, &http2.MetaHeadersFrame{HeadersFrame: &http2.HeadersFrame{FrameHeader: http2.FrameHeader{StreamID: malformed.StreamID}}}); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		id := frame.Header().StreamID
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = f.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			if open[id] == nil {
				open[id] = frame // else it is trailers
			}
			if frame.StreamEnded() {
				err = e.answerHTTP2(f, open[id])
				delete(open, id)
			}
		case *http2.DataFrame:
			err = e.takeData(f, frame)
			if err == nil && frame.StreamEnded() && open[id] != nil {
				err = e.answerHTTP2(f, open[id])
				delete(open, id)
			}
		}
		if err != nil {
			return err
		}
	}
}

// takeData lets the client send as much more.
func (*Echo) takeData(f *http2.Framer, frame *http2.DataFrame) error {
	if frame.Length == 0 {
		return nil
	}
	if err := f.WriteWindowUpdate(0, frame.Length); err != nil {
		return err
	}
	if frame.StreamEnded() {
		return nil
	}
	return f.WriteWindowUpdate(frame.StreamID, frame.Length)
}

// answerHTTP2 tells what was asked; gRPC gets no message, and a status of 0.
func (e *Echo) answerHTTP2(f *http2.Framer, asked *http2.MetaHeadersFrame) error {
	var body strings.Builder
	grpc := false
	for _, field := range asked.Fields {
		grpc = grpc || field.Name == "content-type" && isGRPC(field.Value)
		fmt.Fprintf(&body, "%s: %s\n", field.Name, field.Value)
	}
	fields := []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: echoHeader, Value: e.name}}
	if grpc {
		fields = append(fields, hpack.HeaderField{Name: "content-type", Value: "application/grpc"}, hpack.HeaderField{Name: "grpc-status", Value: "0"})
	}
	ends := grpc || asked.PseudoValue("method") == "HEAD"
	if err := writeFields(f, asked.StreamID, fields, ends); err != nil || ends {
		return err
	}
	const window = 16 << 10 // what every client takes
	text := body.String()
	return f.WriteData(asked.StreamID, true, []byte(text[:min(len(text), window)]))
}

// writeFields sends headers. Each message has a table of its own, so that nothing
// has to be kept between them.
func writeFields(f *http2.Framer, stream uint32, fields []hpack.HeaderField, ends bool) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for _, field := range fields {
		if err := encoder.WriteField(field); err != nil {
			return err
		}
	}
	const frameSize = 16 << 10
	text := block.Bytes()
	first := text[:min(len(text), frameSize)]
	text = text[len(first):]
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: ends, EndHeaders: len(text) == 0}); err != nil {
		return err
	}
	for len(text) > 0 {
		next := text[:min(len(text), frameSize)]
		text = text[len(next):]
		if err := f.WriteContinuation(stream, len(text) == 0, next); err != nil {
			return err
		}
	}
	return nil
}
