package inspect

import (
	"bytes"
	"errors"
	"regexp"

	"github.com/meshctl/meshctl/pkg/report"
)

// Options say how to read.
type Options struct {
	// Password opens PKCS #12 files. It is asked for only if there is one.
	Password func() ([]byte, error)
}

// maxSize limits what is read, in bytes: an Envoy dump is the largest.
const maxSize = 256 << 20

// errForeign says that a text is of no form that is read here.
var errForeign = errors.New("neither a certificate, a request, a key nor something that holds one")

const howToGive = "expected PEM, DER, PKCS #12, a JWKS, a Secret or ConfigMap as YAML or JSON, or secrets or a config dump of Envoy"

// Read finds out what a text is and reads it. There are several groups if it has
// several objects. It fails with a report.InputError that says where the fault is,
// and quotes nothing of the text.
func Read(name string, text []byte, o Options) ([]Group, error) {
	r := &reader{name: name, part: name, options: o, at: Place{Location: report.Location{File: name}}}
	trimmed := bytes.TrimSpace(text)
	switch {
	case len(trimmed) == 0:
		return nil, r.fail(0, errors.New("empty"), howToGive)
	case len(text) > maxSize:
		return nil, r.fail(0, errors.New("larger than 256 MiB"), "")
	case bytes.HasPrefix(text, []byte("\x1f\x8b")):
		return readDump(name, text)
	case isObject(trimmed):
		return r.objects(text)
	case trimmed[0] == '{' && isKeySet(trimmed):
		return r.one(r.keySet(text))
	}
	if isSDS(trimmed) {
		if is, err := r.secrets(text); is || err != nil {
			return r.one(err)
		}
	}
	return r.plain(text, trimmed)
}

// plain reads what is not made of objects.
func (r *reader) plain(text, trimmed []byte) ([]Group, error) {
	switch {
	case trimmed[0] == '{' || trimmed[0] == '[':
		return readDump(r.name, text)
	case bytes.Contains(text, []byte("-----BEGIN ")):
		return r.one(r.pem(text))
	case text[0] == sequence:
		return r.one(r.binary(text))
	}
	return nil, r.fail(0, errForeign, howToGive)
}

// sequence is the first byte of everything in DER.
const sequence = 0x30

// objectLine is what every object of Kubernetes has, be it YAML or JSON.
var objectLine = regexp.MustCompile(`(?m)^[\s{-]*"?apiVersion"?\s*:|[{,]\s*"apiVersion"\s*:`)

// isObject tells objects of Kubernetes. Envoy's dumps may quote some, and have
// none at their beginning.
func isObject(text []byte) bool {
	const begin = 1 << 16
	head := text[:min(len(text), begin)]
	if head[0] == '{' && bytes.Contains(head, []byte(`"configs"`)) {
		return false
	}
	return objectLine.Match(head)
}

// reader reads one text into entries.
type reader struct {
	name    string // of the file
	part    string // of the file, or a key of a Secret
	at      Place
	above   int  // the lines of the file before the text
	form    Form // of what holds the text; empty for a file of its own
	options Options

	entries  []Entry
	findings []Finding
}

// one is the group of a text that has one.
func (r *reader) one(err error) ([]Group, error) {
	if err != nil {
		return nil, err
	}
	return []Group{{Name: r.name, Entries: r.entries, Findings: r.findings}}, nil
}

func (r *reader) add(line int, form Form, e Entry) {
	e.Place, e.Form, e.Part = r.place(line), form, r.part
	if r.form != "" {
		e.Form = r.form
	}
	e.Trusted = e.Trusted || e.Certificate != nil && isRootPart(r.part)
	r.entries = append(r.entries, e)
}

// place is a line of the text; 0 is the whole. Within an object the text has
// lines of its own, which are told elsewhere.
func (r *reader) place(line int) Place {
	at := r.at
	if r.at.Subject == "" {
		at.Line = line + r.above
	}
	return at
}

func (r *reader) fail(line int, err error, hint string) error {
	at := r.place(line)
	return &report.InputError{Location: at.Location, Subject: at.Subject, Err: err, Hint: hint}
}
