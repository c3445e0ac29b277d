package authz

import (
	"fmt"
	"net/netip"
	"strings"

	templatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// mutant is a filter with one thing changed.
type mutant struct {
	what   string
	config proto.Message
}

// mutants change a filter's meaning in every way that there is a place for:
// each text, number and word, each element of a list, each set and its negation.
func mutants(config proto.Message) []mutant {
	shadowed, ok := config.(interface{ GetShadowRulesStatPrefix() string })
	m := mutator{asks: ok && shadowed.GetShadowRulesStatPrefix() == askPrefix}
	m.visit(config.ProtoReflect(), "")
	var all []mutant
	for i, what := range m.found {
		// Walk a copy in the same order, and make the change at its place.
		one := mutator{at: i, change: true, asks: m.asks}
		changed := proto.Clone(config)
		one.visit(changed.ProtoReflect(), "")
		all = append(all, mutant{what, changed})
	}
	return all
}

// mutator walks a message and counts places; at one of them it makes a change.
type mutator struct {
	found  []string
	at     int
	change bool
	asks   bool // the filter's shadow rules are for an authorizer
}

// here tells whether this is the place.
func (m *mutator) here(what string) bool {
	m.found = append(m.found, what)
	return m.change && len(m.found)-1 == m.at
}

// meaningless are fields that no request can show.
func meaningless(path string) bool {
	for _, suffix := range []string{"rule_stat_prefix", ".stat_prefix", "uri_template.name", "grpc_service", "http_service", "with_request_body"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}

// isTrue tells an element of a set that is always true, and in a conjunction
// says nothing.
func isTrue(v protoreflect.Value, f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && f.Message().Fields().ByName("any") != nil && v.Message().Has(f.Message().Fields().ByName("any"))
}

func anotherAddress(text string) string {
	bytes := netip.MustParseAddr(text).AsSlice()
	bytes[0]++
	a, _ := netip.AddrFromSlice(bytes) // of the length that it had
	return a.String()
}

// unused tells what nobody reads: the prefix of shadow rules that are not
// there.
func unused(message protoreflect.Message, path string) bool {
	shadow := message.Descriptor().Fields().ByName("shadow_rules")
	return path == ".shadow_rules_stat_prefix" && !message.Has(shadow)
}

func (m *mutator) visit(message protoreflect.Message, path string) {
	if template, ok := message.Interface().(*anypb.Any); ok {
		m.visitTemplate(template, path)
		return
	}
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		at := path + "." + string(f.Name())
		if !message.Has(f) || meaningless(at) || unused(message, at) {
			continue
		}
		switch {
		case f.IsMap():
			m.visitMap(message, f, at)
		case f.IsList():
			m.visitList(message, f, at)
		case f.Message() != nil:
			m.visit(message.Get(f).Message(), at)
			m.swap(message, f, at)
		default:
			m.scalar(message, f, at)
		}
	}
}

// visitTemplate changes the template of a path.
func (m *mutator) visitTemplate(a *anypb.Any, path string) {
	var config templatev3.UriTemplateMatchConfig
	if err := a.UnmarshalTo(&config); err != nil {
		panic(err) // nothing else is in these filters
	}
	if m.here(path + " another template") {
		config.PathTemplate += "/x"
		if err := a.MarshalFrom(&config); err != nil {
			panic(err)
		}
	}
}

func (m *mutator) visitMap(message protoreflect.Message, f protoreflect.FieldDescriptor, path string) {
	for _, key := range sortedMapKeys(message.Get(f).Map()) {
		at := path + "[" + key.String() + "]"
		m.visit(message.Get(f).Map().Get(key).Message(), at)
		if m.here(at + " not there") {
			message.Mutable(f).Map().Clear(key)
		}
	}
}

func sortedMapKeys(m protoreflect.Map) []protoreflect.MapKey {
	keys := map[string]protoreflect.MapKey{}
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys[k.String()] = k
		return true
	})
	var sorted []protoreflect.MapKey
	for _, name := range sortedKeys(keys) {
		sorted = append(sorted, keys[name])
	}
	return sorted
}

func (m *mutator) visitList(message protoreflect.Message, f protoreflect.FieldDescriptor, path string) {
	list := message.Get(f).List()
	for i := 0; i < list.Len(); i++ {
		at := fmt.Sprintf("%s[%d]", path, i)
		if f.Message() != nil {
			m.visit(list.Get(i).Message(), at)
		}
		if !isTrue(list.Get(i), f) && m.here(at+" not there") {
			kept := message.Mutable(f).List()
			for j := i; j+1 < kept.Len(); j++ {
				kept.Set(j, kept.Get(j+1))
			}
			kept.Truncate(kept.Len() - 1)
			return // the walk is over
		}
	}
}

// swap turns "and" into "or", and takes a "not" away.
func (m *mutator) swap(message protoreflect.Message, f protoreflect.FieldDescriptor, path string) {
	others := map[string]string{"and_rules": "or_rules", "or_rules": "and_rules", "and_ids": "or_ids", "or_ids": "and_ids"}
	set := message.Get(f).Message()
	if other, ok := others[string(f.Name())]; ok && set.Get(set.Descriptor().Fields().Get(0)).List().Len() > 1 {
		if m.here(path + " as " + other) {
			message.Set(message.Descriptor().Fields().ByName(protoreflect.Name(other)), protoreflect.ValueOfMessage(set))
		}
	}
	if name := string(f.Name()); name == "not_rule" || name == "not_id" {
		if m.here(path + " taken away") {
			inner := proto.Clone(set.Interface())
			proto.Reset(message.Interface())
			proto.Merge(message.Interface(), inner)
		}
	}
}

func (m *mutator) scalar(message protoreflect.Message, f protoreflect.FieldDescriptor, path string) {
	was := message.Get(f)
	var v protoreflect.Value
	switch f.Kind() {
	case protoreflect.StringKind:
		if f.Name() == "address_prefix" {
			v = protoreflect.ValueOfString(anotherAddress(was.String()))
			break
		}
		v = protoreflect.ValueOfString(was.String() + "x")
	case protoreflect.BoolKind:
		if f.Name() == "any" || f.Name() == "present_match" {
			return // they have one value only
		}
		v = protoreflect.ValueOfBool(!was.Bool())
	case protoreflect.EnumKind:
		if strings.HasPrefix(path, ".shadow_rules") && m.asks {
			return // they only name a rule for an authorizer
		}
		v = protoreflect.ValueOfEnum((was.Enum() + 1) % protoreflect.EnumNumber(f.Enum().Values().Len()))
	case protoreflect.Uint32Kind:
		v = protoreflect.ValueOfUint32(uint32(was.Uint()) - 1)
	default:
		return
	}
	if m.here(path + " another value") {
		message.Set(f, v)
	}
}
