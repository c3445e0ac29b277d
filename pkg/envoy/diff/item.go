package diff

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cncf/xds/go/udpa/annotations"
	udpatype "github.com/cncf/xds/go/udpa/type/v1"
	xdstype "github.com/cncf/xds/go/xds/type/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// item is a part of a configuration that has a key of its own.
type item struct {
	*tables
	kind, key string
	fields    map[string]field
	kids      map[string]*item // by kind and key
	order     map[string][]string
	policies  map[string]map[string]*rbacv3.Policy // rules of an RBAC filter, by kind
}

// field is a value: as it may be shown, and what tells it from others.
type field struct{ shown, exact string }

// redactedText is what Envoy writes in place of secrets.
const redactedText = "[redacted]"

// equals compares two values. A secret that Envoy hides may be any.
func (f field) equals(other field) bool {
	if f.exact == other.exact {
		return true
	}
	hidden := strings.Contains(f.exact, redactedText) != strings.Contains(other.exact, redactedText)
	return hidden && f.shown == other.shown
}

func plain(text string) field { return field{text, text} }

// tables say what is read in a way of its own.
type tables struct {
	specials map[protoreflect.FullName]special
	sets     map[protoreflect.FullName]bool
	// withoutExtensions leaves out Istio's own filters: one side is rendered from
	// manifests, which have none (EC-131, EC-140).
	withoutExtensions bool
	// relations remembers how rules compare: many sidecars have the same.
	relations map[string]relation
}

// relate compares rules.
func (t *tables) relate(before, after map[string]*rbacv3.Policy) relation {
	h := sha256.New()
	for _, policies := range []map[string]*rbacv3.Policy{before, after} {
		for _, id := range slices.Sorted(maps.Keys(policies)) {
			fmt.Fprintf(h, "%q %q ", id, bytesOf(policies[id]))
		}
		fmt.Fprint(h, "\n")
	}
	key := string(h.Sum(nil))
	r, known := t.relations[key]
	if !known {
		r = relate(before, after)
		t.relations[key] = r
	}
	return r
}

// skips tells whether a filter is left out.
func (t *tables) skips(name string) bool {
	return t.withoutExtensions && (name == "istio.stats" || name == "istio.metadata_exchange" || name == "istio.alpn")
}

func newItem(t *tables, kind, key string) *item {
	return &item{tables: t, kind: kind, key: key, fields: map[string]field{}, kids: map[string]*item{}, order: map[string][]string{}}
}

func (it *item) String() string {
	if it.key == "" {
		return it.kind
	}
	return it.kind + " " + it.key
}

// kid makes a part, whose key gets a number if another has it already.
func (it *item) kid(kind, key string) *item {
	k := newItem(it.tables, kind, key)
	for n := 2; it.kids[k.String()] != nil; n++ {
		k.key = key + " #" + strconv.Itoa(n)
	}
	it.kids[k.String()] = k
	return k
}

// add takes the fields of a message; path leads to it.
func (it *item) add(path string, m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := join(path, fd.JSONName())
		if special := it.specials[fd.FullName()]; special != nil {
			special(it, at, m, v)
			return true
		}
		switch {
		case sensitive(fd):
			it.fields[at] = field{"(secret)", exactly(v, fd)}
		case fd.IsMap():
			it.addMap(at, fd, v.Map())
		case fd.IsList():
			it.addList(at, fd, v.List())
		case fd.Message() != nil:
			it.addMessage(at, v.Message().Interface())
		default:
			it.fields[at] = plain(scalar(fd, v))
		}
		return true
	})
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// addMessage takes a message as what it holds, or as one value where JSON writes
// it as such.
func (it *item) addMessage(at string, m proto.Message) {
	switch m := m.(type) {
	case *anypb.Any:
		it.addAny(at, m)
		return
	case *udpatype.TypedStruct:
		it.fields[join(at, "typeUrl")] = plain(m.TypeUrl)
		it.fields[join(at, "value")] = whole(m.Value)
		return
	case *xdstype.TypedStruct:
		it.fields[join(at, "typeUrl")] = plain(m.TypeUrl)
		it.fields[join(at, "value")] = whole(m.Value)
		return
	}
	r := m.ProtoReflect()
	if r.Descriptor().FullName().Parent() == "google.protobuf" {
		it.fields[at] = whole(m)
		return
	}
	if proto.Size(m) == 0 {
		it.fields[at] = plain("{}")
		return
	}
	it.add(at, r)
}

// addAny takes the configuration of an extension.
func (it *item) addAny(at string, a *anypb.Any) {
	m, err := a.UnmarshalNew()
	if err != nil {
		it.fields[at] = field{fmt.Sprintf("%s (%d bytes)", a.TypeUrl, len(a.Value)), a.TypeUrl + string(a.Value)}
		return
	}
	it.fields[join(at, "@type")] = plain(strings.TrimPrefix(a.TypeUrl, "type.googleapis.com/"))
	if proto.Size(m) > 0 {
		it.addMessage(at, m)
	}
}

func (it *item) addMap(at string, fd protoreflect.FieldDescriptor, m protoreflect.Map) {
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		entry := fmt.Sprintf("%s[%s]", at, k.String())
		if fd.MapValue().Message() != nil {
			it.addMessage(entry, v.Message().Interface())
		} else {
			it.fields[entry] = plain(scalar(fd.MapValue(), v))
		}
		return true
	})
}

// addList takes a list as one value.
func (it *item) addList(at string, fd protoreflect.FieldDescriptor, list protoreflect.List) {
	var shown, exact []string
	for i := range list.Len() {
		var f field
		if fd.Message() != nil {
			f = whole(list.Get(i).Message().Interface())
		} else {
			f = plain(scalar(fd, list.Get(i)))
		}
		if fd.Kind() == protoreflect.StringKind {
			f.shown = strconv.Quote(f.shown)
		}
		shown, exact = append(shown, f.shown), append(exact, strconv.Quote(f.exact))
	}
	if it.sets[fd.FullName()] {
		slices.Sort(shown)
		slices.Sort(exact)
	}
	it.fields[at] = field{"[" + strings.Join(shown, ", ") + "]", strings.Join(exact, ",")}
}

func scalar(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		if e := fd.Enum().Values().ByNumber(v.Enum()); e != nil {
			return string(e.Name())
		}
	case protoreflect.BytesKind:
		return fmt.Sprintf("%d bytes, SHA-256 %x", len(v.Bytes()), sha256.Sum256(v.Bytes()))
	}
	return v.String()
}

// whole is a message as one value.
func whole(m proto.Message) field {
	shown, err := protojson.Marshal(redacted(m))
	var compact bytes.Buffer
	if err != nil || json.Compact(&compact, shown) != nil {
		compact.Reset()
		compact.WriteString("?")
	}
	return field{compact.String(), bytesOf(m)}
}

func bytesOf(m proto.Message) string {
	text, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func exactly(v protoreflect.Value, fd protoreflect.FieldDescriptor) string {
	if fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
		return bytesOf(v.Message().Interface())
	}
	if fd.IsList() && fd.Message() != nil {
		var all []string
		for i := range v.List().Len() {
			all = append(all, bytesOf(v.List().Get(i).Message().Interface()))
		}
		return strings.Join(all, "\x00")
	}
	return v.String()
}

// sensitive tells whether Envoy's own dumps hide a field.
func sensitive(fd protoreflect.FieldDescriptor) bool {
	hidden, _ := proto.GetExtension(fd.Options(), annotations.E_Sensitive).(bool)
	return hidden
}

// redacted is a message without what must not be shown.
func redacted(m proto.Message) proto.Message {
	m = proto.Clone(m)
	redact(m.ProtoReflect())
	return m
}

func redact(m protoreflect.Message) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		if inner, err := a.UnmarshalNew(); err == nil {
			redact(inner.ProtoReflect())
			a.Value = []byte(bytesOf(inner))
		} else {
			a.Reset() // protojson has no way to show it
		}
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case sensitive(fd):
			m.Clear(fd)
		case fd.Message() == nil:
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, kid protoreflect.Value) bool { redact(kid.Message()); return true })
			}
		case fd.IsList():
			for i := range v.List().Len() {
				redact(v.List().Get(i).Message())
			}
		default:
			redact(v.Message())
		}
		return true
	})
}
