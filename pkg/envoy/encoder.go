package envoy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Encoder writes configurations as JSON that is easy to read. What they share
// is encoded once.
type Encoder struct {
	texts map[placed][]byte
}

// placed is a message at some depth of a document.
type placed struct {
	message proto.Message
	indent  string
}

// NewEncoder starts with nothing encoded.
func NewEncoder() *Encoder { return &Encoder{map[placed][]byte{}} }

// part is one list of a configuration.
type part struct {
	name     string
	messages []proto.Message
}

func (c *Config) parts() []part {
	return []part{
		{"listeners", generic(c.Listeners)},
		{"clusters", generic(c.Clusters)},
		{"routes", generic(c.Routes)},
		{"endpoints", generic(c.Endpoints)},
	}
}

func generic[M proto.Message](all []M) []proto.Message {
	list := make([]proto.Message, len(all))
	for i, m := range all {
		list[i] = m
	}
	return list
}

// Write writes one configuration as its document, and several as a List. It
// writes nothing if one cannot be encoded.
func (e *Encoder) Write(w io.Writer, configs []*Config) error {
	indent := "    "
	if len(configs) == 1 {
		indent = ""
	}
	for _, c := range configs {
		if err := e.encode(c, indent+"    "); err != nil {
			return err
		}
	}
	out := bufio.NewWriter(w)
	if len(configs) == 1 {
		e.document(out, configs[0], indent)
		_, _ = out.WriteString("\n") // Flush tells
		return out.Flush()
	}
	_, _ = out.WriteString("{\n  \"kind\": \"List\",\n  \"items\": [")
	for i, c := range configs {
		separate(out, i, indent)
		e.document(out, c, indent)
	}
	if len(configs) > 0 {
		_, _ = out.WriteString("\n  ")
	}
	_, _ = out.WriteString("]\n}\n")
	return out.Flush()
}

// Files are the parts of a configuration, each a JSON list, by file name.
func (e *Encoder) Files(c *Config) (map[string][]byte, error) {
	if err := e.encode(c, "  "); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, p := range c.parts() {
		var text bytes.Buffer
		out := bufio.NewWriter(&text)
		e.list(out, p.messages, "")
		_, _ = out.WriteString("\n")
		_ = out.Flush() // memory
		files[p.name+".json"] = text.Bytes()
	}
	return files, nil
}

// encode makes the texts that are not there yet.
func (e *Encoder) encode(c *Config, indent string) error {
	for _, p := range c.parts() {
		for _, m := range p.messages {
			at := placed{m, indent}
			if e.texts[at] != nil {
				continue
			}
			text, err := protojson.Marshal(m)
			if err != nil {
				return fmt.Errorf("%s: %T: %w", c.Workload, m, err)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, text, indent, "  "); err != nil {
				return fmt.Errorf("%s: %T: %w", c.Workload, m, err)
			}
			e.texts[at] = indented.Bytes()
		}
	}
	return nil
}

// document writes what MarshalJSON of a Config does, indented.
func (e *Encoder) document(out *bufio.Writer, c *Config, indent string) {
	workload, _ := json.Marshal(c.Workload) // text
	_, _ = fmt.Fprintf(out, "{\n%s  \"kind\": %q,\n%s  \"workload\": %s", indent, kind, indent, workload)
	for _, p := range c.parts() {
		_, _ = fmt.Fprintf(out, ",\n%s  %q: ", indent, p.name)
		e.list(out, p.messages, indent+"  ")
	}
	_, _ = fmt.Fprintf(out, "\n%s}", indent)
}

func (e *Encoder) list(out *bufio.Writer, messages []proto.Message, indent string) {
	_, _ = out.WriteString("[")
	for i, m := range messages {
		separate(out, i, indent+"  ")
		_, _ = out.Write(e.texts[placed{m, indent + "  "}])
	}
	if len(messages) > 0 {
		_, _ = out.WriteString("\n" + indent)
	}
	_, _ = out.WriteString("]")
}

func separate(out *bufio.Writer, i int, indent string) {
	if i > 0 {
		_, _ = out.WriteString(",")
	}
	_, _ = out.WriteString("\n" + indent)
}
