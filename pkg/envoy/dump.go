package envoy

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/report"
)

// maxDump limits the bytes of one file of configuration.
const maxDump = 256 << 20

// Dump is a configuration that was read, with what only a running Envoy tells.
type Dump struct {
	Config
	Secrets []Secret
	// Extensions are configurations of filters that listeners name only.
	Extensions []*corev3.TypedExtensionConfig
	// Notes are what could not be read and was left out. Who judges by the Dump
	// says them.
	Notes []string
	// Unread are the names of listeners and routes with fields that are not
	// known here: nothing can be said of what they do.
	Unread map[string]bool
}

// errForeign says that a document is of no form that is read here.
var errForeign = errors.New("no Envoy configuration: expected an EnvoyConfig, a config dump, a bootstrap, or a list of listeners, clusters, routes or endpoints")

// howToDump is a way out for who has another file.
const howToDump = "save what a proxy was told: kubectl exec POD -c istio-proxy -- pilot-agent request GET 'config_dump?include_eds' > dump.json"

// errNothing says that an Envoy answered, and had nothing.
var errNothing = errors.New("an empty answer of Envoy: it has no such resources, or is not ready yet")

// ReadConfig is ParseConfig of a file's content, which it limits to 256 MiB.
func ReadConfig(name string, r io.Reader) ([]*Dump, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDump+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return ParseConfig(name, data)
}

// ParseConfig reads configurations as JSON or YAML: the documents of
// MarshalJSON, a List of them, a config dump of Envoy or istioctl or a part of
// one, a bootstrap, or a list of resources of one kind; gzip may have made it
// smaller. Of an Envoy that runs the sidecars of several workloads, as Static makes
// it, each is one. Private keys are not kept. It fails with a
// report.InputError that says where the fault is.
func ParseConfig(name string, data []byte) ([]*Dump, error) {
	p := &parser{name: name, text: data}
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		text, err := unzip(data)
		if err != nil {
			return nil, p.fault(-1, err)
		}
		data, p.text = text, text
	}
	if len(data) > maxDump {
		return nil, p.fault(-1, fmt.Errorf("larger than %d MiB", maxDump>>20))
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 {
		return nil, p.fault(-1, errors.New("empty"))
	} else if trimmed[0] != '{' && trimmed[0] != '[' {
		converted, err := yaml.YAMLToJSON(data)
		if err != nil {
			return nil, p.fault(-1, fmt.Errorf("neither JSON nor YAML: %w", err))
		}
		p.text, p.converted = converted, true
	}
	if err := p.checkSyntax(); err != nil {
		return nil, err
	}
	if p.text = bytes.TrimRight(p.text, " \t\r\n"); p.converted && p.text[0] == '"' {
		return nil, p.fault(-1, fmt.Errorf("no Envoy configuration, but the text %.200s", p.text))
	}
	all, err := p.document(p.whole())
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		return all[0].perWorkload(), nil
	}
	return all, nil
}

// unzip is what gzip made smaller, as far as that is read here.
func unzip(data []byte) ([]byte, error) {
	var text []byte
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(r, maxDump+1))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("gzip: the file is cut off")
	}
	return text, err
}

// parser reads one file.
type parser struct {
	name      string
	text      []byte
	converted bool // from YAML: places in text are not those of the file
}

// span is a value within the text, and where it begins.
type span struct {
	text []byte
	at   int
}

func (p *parser) whole() span {
	text := bytes.TrimLeft(p.text, " \t\r\n")
	return span{text, len(p.text) - len(text)}
}

// fault names the place of an error; -1 is the whole file.
func (p *parser) fault(at int, err error) error {
	location := report.Location{File: p.name}
	if at >= 0 && !p.converted {
		before := p.text[:min(at, len(p.text))]
		location.Line = 1 + bytes.Count(before, []byte("\n"))
		location.Column = len(before) - bytes.LastIndexByte(before, '\n')
	}
	input := &report.InputError{Location: location, Err: err}
	if at <= 0 || errors.Is(err, errForeign) || errors.Is(err, errNothing) {
		input.Hint = howToDump
	}
	return input
}

// checkSyntax refuses what is no JSON, or ends early.
func (p *parser) checkSyntax() error {
	var value json.RawMessage
	err := json.Unmarshal(p.text, &value)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax) && int(syntax.Offset) >= len(bytes.TrimRight(p.text, " \t\r\n")):
		return p.fault(len(p.text), errors.New("the text ends in the middle of a value: the file is cut off"))
	case errors.As(err, &syntax):
		return p.fault(int(syntax.Offset)-1, fmt.Errorf("not JSON: %w", err))
	}
	return p.fault(-1, fmt.Errorf("not JSON: %w", err))
}

// member is one entry of an object.
type member struct {
	key string
	span
}

// members are the entries of an object, with their places.
func (p *parser) members(s span) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(s.text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, p.fault(s.at, errors.New("expected an object"))
	}
	var all []member
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, p.fault(s.at, err)
		}
		value, err := next(d, s.at)
		if err != nil {
			return nil, p.fault(s.at, err)
		}
		name, _ := key.(string)
		all = append(all, member{name, value})
	}
	return all, nil
}

// elements are the values of a list, with their places; null is an empty one.
func (p *parser) elements(s span) ([]span, error) {
	d := json.NewDecoder(bytes.NewReader(s.text))
	switch t, err := d.Token(); {
	case err == nil && t == nil:
		return nil, nil
	case err != nil || t != json.Delim('['):
		return nil, p.fault(s.at, errors.New("expected a list"))
	}
	var all []span
	for d.More() {
		value, err := next(d, s.at)
		if err != nil {
			return nil, p.fault(s.at, err)
		}
		all = append(all, value)
	}
	return all, nil
}

func next(d *json.Decoder, base int) (span, error) {
	var value json.RawMessage
	if err := d.Decode(&value); err != nil {
		return span{}, err
	}
	return span{value, base + int(d.InputOffset()) - len(value)}, nil
}

// read fills a message. Fields that are not known here are left out and told:
// they come from a later Envoy.
func (p *parser) read(s span, m proto.Message) (unread string, err error) {
	text, changed, err := opaque(s.text)
	if err != nil {
		return "", p.fault(s.at, err)
	}
	err = protojson.Unmarshal(text, m)
	if err == nil {
		return "", nil
	}
	if field := unknownField.FindStringSubmatch(err.Error()); field != nil {
		if (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, m) == nil {
			return field[1], nil
		}
	}
	at, why := s.at, position.ReplaceAllString(err.Error(), "")
	if place := position.FindStringSubmatch(err.Error()); place != nil && !changed {
		at = offset(s, place[1], place[2])
	}
	return "", p.fault(at, fmt.Errorf("%s: %s", subject(m), why))
}

// subject says what a message was to be.
func subject(m proto.Message) string {
	if name := m.ProtoReflect().Descriptor().Name(); name != "Any" {
		return "not a " + string(name)
	}
	return "not a section of a config dump"
}

// What protojson says: it varies its blanks on purpose.
var (
	position     = regexp.MustCompile(`^proto:[\s\x{a0}]+(?:syntax error[\s\x{a0}]+)?(?:\(line (\d+):(\d+)\):[\s\x{a0}]*)?`)
	unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)
)

// offset is the place of a line and column of a span.
func offset(s span, line, column string) int {
	l, _ := strconv.Atoi(line)
	c, _ := strconv.Atoi(column)
	at := 0
	for ; l > 1; l-- {
		end := bytes.IndexByte(s.text[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
	}
	return s.at + min(at+max(c-1, 0), len(s.text))
}

// typeNames finds the types of extensions, without reading the text.
var typeNames = regexp.MustCompile(`"@type"\s*:\s*"((?:[^"\\]|\\.)*)"`)

// opaque wraps the configuration of extensions that are not linked in as a
// TypedStruct, which is how Envoy itself takes JSON of any type. Text without
// such stays as it is.
func opaque(text []byte) (_ []byte, changed bool, _ error) {
	foreign := false
	for _, m := range typeNames.FindAllSubmatch(text, -1) {
		foreign = foreign || !linked(string(m[1]))
	}
	if !foreign {
		return text, false, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, false, err
	}
	wrapped, err := json.Marshal(wrap(value))
	return wrapped, true, err
}

func linked(typeURL string) bool {
	_, err := protoregistry.GlobalTypes.FindMessageByURL(typeURL)
	return err == nil
}

const typedStruct = "type.googleapis.com/udpa.type.v1.TypedStruct"

func wrap(value any) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = wrap(v[i])
		}
	case map[string]any:
		name, isAny := v["@type"].(string)
		switch {
		case isAny && !linked(name):
			delete(v, "@type")
			return map[string]any{"@type": typedStruct, "typeUrl": name, "value": v}
		case isAny && strings.HasSuffix(name, ".TypedStruct"):
			return v
		}
		for key := range v {
			v[key] = wrap(v[key])
		}
	}
	return value
}
