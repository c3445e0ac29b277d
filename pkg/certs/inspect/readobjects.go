package inspect

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// objects reads the Secrets and ConfigMaps of a stream; each is a group. Other
// objects are left alone.
func (r *reader) objects(text []byte) ([]Group, error) {
	stream, err := manifest.Read(r.name, text)
	if err != nil {
		return nil, err
	}
	inventory := mesh.Survey([]*manifest.Stream{stream}, mesh.Options{})
	if err := errors.Join(inventory.Problems...); err != nil && len(inventory.Objects) == 0 {
		return nil, err
	}
	var all []Group
	for _, o := range inventory.Objects {
		if o.APIVersion != "v1" || o.Kind != "Secret" && o.Kind != "ConfigMap" {
			continue
		}
		g, err := r.object(o)
		if err != nil {
			return nil, err
		}
		if len(g.Entries)+len(g.Findings) > 0 {
			all = append(all, g)
		}
	}
	if all == nil {
		return nil, r.fail(0, errors.New("no Secret or ConfigMap with a certificate or a key"), "")
	}
	return all, nil
}

// parts are the texts of an object and the fields that they stand in.
type parts struct {
	Data       map[string]string `json:"data"`
	StringData map[string]string `json:"stringData"`
	BinaryData map[string]string `json:"binaryData"`
}

func (r *reader) object(o *mesh.Object) (Group, error) {
	g := Group{Name: o.String()}
	var p parts
	if err := o.Decode(&p); err != nil {
		return g, &report.InputError{Location: o.Location, Subject: o.String(), Err: errors.New("data: expected texts"), Hint: ""}
	}
	fields := []struct {
		name    string
		texts   map[string]string
		encoded bool
	}{{"data", p.Data, o.Kind == "Secret"}, {"binaryData", p.BinaryData, true}, {"stringData", p.StringData, false}}
	form := ConfigMap
	if o.Kind == "Secret" {
		form = Secret
	}
	for _, field := range fields {
		for _, key := range slices.Sorted(maps.Keys(field.texts)) {
			text := []byte(field.texts[key])
			part := &reader{name: r.name, part: key, form: form, options: r.options, at: Place{o.Locate(field.name, key), o.String() + ": " + key}}
			if field.encoded {
				decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
				if err != nil {
					return g, part.fail(0, errors.New("no base64"), "encode it, or put the text itself under stringData")
				}
				text = decoded
			}
			if err := part.content(text); err != nil {
				return g, err
			}
			g.Entries, g.Findings = append(g.Entries, part.entries...), append(g.Findings, part.findings...)
		}
	}
	return g, nil
}

// content reads a part of an object, if it is one to read.
func (r *reader) content(text []byte) error {
	trimmed := bytes.TrimSpace(text)
	switch {
	case len(trimmed) == 0 && (isChainPart(r.part) || isKeyPart(r.part)):
		r.note(0, certs.SeverityError, "missing", "it is empty", "put the certificates or the key into it")
	case len(trimmed) == 0:
	case bytes.Contains(text, []byte("-----BEGIN ")):
		return r.pem(text)
	case trimmed[0] == '{' && isKeySet(trimmed):
		return r.keySet(text)
	case text[0] == sequence:
		return r.binary(text)
	case isChainPart(r.part) || isKeyPart(r.part):
		return r.fail(0, errForeign, "expected PEM")
	}
	return nil
}

func isKeyPart(name string) bool {
	return name == "tls.key" || name == "key.pem" || name == certs.BundleKey || name == "key"
}

// readDump reads the secrets that an Envoy has. Its keys are not kept. Each
// dump is one group: the certificate in one secret, the roots in another.
func readDump(name string, text []byte) ([]Group, error) {
	dumps, err := envoy.ParseConfig(name, text)
	if err != nil {
		return nil, err
	}
	var all []Group
	for i, d := range dumps {
		g := Group{Name: name}
		if len(dumps) > 1 {
			g.Name = fmt.Sprintf("%s, dump %d", name, i+1)
		}
		if d.Workload != "" {
			g.Name = "proxy " + d.Workload
		}
		for _, s := range d.Secrets {
			r := &reader{name: name, part: s.Name, form: Dump, at: Place{report.Location{File: name}, "secret " + s.Name}}
			for _, c := range s.Certificates {
				r.certificate(0, Dump, c.Raw)
			}
			for j := range r.entries {
				r.entries[j].Trusted = r.entries[j].Trusted || s.Kind == "CA"
			}
			g.Entries, g.Findings = append(g.Entries, r.entries...), append(g.Findings, r.findings...)
		}
		all = append(all, g)
	}
	if !slices.ContainsFunc(all, func(g Group) bool { return len(g.Entries)+len(g.Findings) > 0 }) {
		return nil, &report.InputError{Location: report.Location{File: name}, Err: errors.New("a configuration of Envoy without secrets"), Hint: "take the whole config dump of a proxy: it has a section of secrets"}
	}
	return all, nil
}
