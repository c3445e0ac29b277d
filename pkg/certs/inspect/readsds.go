package inspect

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/certs"
)

// isSDS tells secrets as Envoy reads them from files, be they YAML or JSON. Its
// dumps and its bootstrap have secrets too, deeper, and dumps are large.
func isSDS(text []byte) bool {
	const largest = 1 << 20
	if len(text) > largest || text[0] == '{' && bytes.Contains(text, []byte(`"configs"`)) {
		return false
	}
	return bytes.Contains(text, []byte("tls_certificate")) || bytes.Contains(text, []byte("validation_context"))
}

// secrets reads the secrets of such a file: a response with resources, or one
// secret. It tells whether it is one.
func (r *reader) secrets(text []byte) (is bool, err error) {
	var document yaml.Node
	if yaml.Unmarshal(text, &document) != nil || len(document.Content) != 1 {
		return false, nil
	}
	all := []*yaml.Node{document.Content[0]}
	if list := fieldOf(all[0], "resources"); list != nil {
		all = list.Content
	}
	for _, secret := range all {
		one := fieldOf(secret, "tls_certificate")
		trust := fieldOf(secret, "validation_context")
		is = is || one != nil || trust != nil
		for _, part := range []struct {
			name, field string
			of          *yaml.Node
		}{{certs.BundleChain, "certificate_chain", one}, {"key.pem", "private_key", one}, {certs.BundleRoot, "trusted_ca", trust}} {
			if err := r.source(part.name, part.field, fieldOf(part.of, part.field)); err != nil {
				return true, err
			}
		}
	}
	if is && len(r.entries)+len(r.findings) == 0 {
		return true, r.fail(0, errors.New("secrets of Envoy without a certificate or a key"), howToGive)
	}
	return is, nil
}

// source reads what a secret holds, or says where it is.
func (r *reader) source(part, field string, n *yaml.Node) error {
	one := &reader{name: r.name, part: part, form: SDS, options: r.options, at: r.at}
	if file := fieldOf(n, "filename"); file != nil {
		one.note(file.Line, certs.SeverityWarning, "missing", "what "+field+" names is in another file, which is not read", "name that file, too")
	}
	text := fieldOf(n, "inline_string")
	encoded := fieldOf(n, "inline_bytes")
	var err error
	switch {
	case text != nil:
		one.standsIn(text, field)
		err = one.content([]byte(text.Value))
	case encoded != nil:
		one.at.Line, one.at.Subject = encoded.Line, field
		decoded, wrong := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded.Value))
		if wrong != nil {
			return one.fail(0, errors.New("no base64"), "encode it, or put the text itself as inline_string")
		}
		err = one.content(decoded)
	}
	r.entries, r.findings = append(r.entries, one.entries...), append(r.findings, one.findings...)
	return err
}

// standsIn makes the lines of a text those of the file where they are: below the
// sign of a block.
func (r *reader) standsIn(n *yaml.Node, field string) {
	if n.Style&yaml.LiteralStyle != 0 {
		r.above = n.Line
		return
	}
	r.at.Line, r.at.Subject = n.Line, field
}

// fieldOf finds a field of a mapping; nil if there is none.
func fieldOf(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}
