package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Resource is an object of Istio's, its spec decoded.
type Resource[S proto.Message] struct {
	*Object
	Spec S
}

func (r *Resource[S]) object() *Object { return r.Object }

// addResource decodes an object into the list of its namespace.
func addResource[S proto.Message](list byNamespace[*Resource[S]], o *Object, spec S) error {
	r, err := decodeResource(o, spec)
	if r != nil {
		list[o.Namespace] = append(list[o.Namespace], r)
	}
	return err
}

// sortResources puts the oldest first, which is how Istio prefers them.
func sortResources[R interface{ object() *Object }](lists byNamespace[R]) {
	for _, list := range lists {
		slices.SortStableFunc(list, func(a, b R) int { return older(a.object(), b.object()) })
	}
}

// decodeResource decodes an object's spec strictly: a field that the type does
// not have is an error, told with the field that may have been meant. If that is
// all that is wrong, the resource is there too, without these fields, which is
// how a cluster reads it that does not refuse it.
func decodeResource[S proto.Message](o *Object, spec S) (*Resource[S], error) {
	var parts struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(o.text, &parts); err != nil {
		return nil, o.fault([]string{"spec"}, "expected a mapping (key: value)", errors.New("spec is no mapping"))
	}
	if parts.Spec == nil {
		parts.Spec = map[string]json.RawMessage{} // no spec is an empty one
	}
	unknown := unknownFields(o, parts.Spec, spec.ProtoReflect().Descriptor(), []string{"spec"})
	if err := wrongShapes(o, parts.Spec, spec.ProtoReflect().Descriptor(), []string{"spec"}); err != nil {
		return nil, errors.Join(unknown, err)
	}
	if unknown != nil {
		if err := lenient.unmarshal(parts.Spec, spec); err != nil {
			return nil, unknown
		}
		return &Resource[S]{Object: o, Spec: spec}, unknown
	}
	if err := strict.unmarshal(parts.Spec, spec); err != nil {
		return nil, wrongFields(o, parts.Spec, spec, err)
	}
	return &Resource[S]{Object: o, Spec: spec}, nil
}

// DecodeSpec decodes an object's spec into a message of Istio's API, strictly,
// and tells whether it could be read: fields that the type does not have are
// errors, but leave the rest readable.
func DecodeSpec(o *Object, spec proto.Message) (readable bool, err error) {
	r, err := decodeResource(o, spec)
	return r != nil, err
}

// wrongFields places what cannot be decoded at the top-level fields at fault.
func wrongFields(o *Object, fields map[string]json.RawMessage, spec proto.Message, err error) error {
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		one := map[string]json.RawMessage{key: fields[key]}
		if err := strict.unmarshal(one, spec.ProtoReflect().New().Interface()); err != nil {
			problems = append(problems, o.fault([]string{"spec", key}, "", fmt.Errorf("spec.%w", strict.fieldError(one, spec.ProtoReflect(), err))))
		}
	}
	if problems == nil {
		return o.fault([]string{"spec"}, "", strict.fieldError(fields, spec.ProtoReflect(), err))
	}
	return errors.Join(problems...)
}

// unknownFields reports the keys of a mapping that a message has no field for,
// and those of the messages within.
func unknownFields(o *Object, fields map[string]json.RawMessage, d protoreflect.MessageDescriptor, path []string) error {
	if strings.HasPrefix(string(d.FullName()), "google.protobuf.") {
		return nil
	}
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		at := append(path[:len(path):len(path)], key)
		field := d.Fields().ByJSONName(key)
		if field == nil {
			field = d.Fields().ByTextName(key)
		}
		if field == nil {
			defect := &Defect{Class: UnknownField, Object: o, Path: at, Near: meant(key, fields, d), Under: fallenOut(key, fields, d), text: fmt.Sprintf("unknown field %q", strings.Join(at, "."))}
			problems = append(problems, o.fault(at, DidYouMean(key, jsonNames(d)), defect))
			continue
		}
		if err := unknownWithin(o, fields[key], field, at); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// unknownWithin looks into the value of a field. Values of the wrong form are
// left to the decoder.
func unknownWithin(o *Object, value json.RawMessage, field protoreflect.FieldDescriptor, path []string) error {
	message := field.Message()
	if field.IsMap() {
		message = field.MapValue().Message()
	}
	if message == nil {
		return nil
	}
	var problems []error
	look := func(value json.RawMessage, path []string) {
		var fields map[string]json.RawMessage
		if json.Unmarshal(value, &fields) == nil {
			problems = append(problems, unknownFields(o, fields, message, path))
		}
	}
	switch {
	case field.IsMap():
		var entries map[string]json.RawMessage
		if json.Unmarshal(value, &entries) == nil {
			for _, key := range slices.Sorted(maps.Keys(entries)) {
				look(entries[key], append(path[:len(path):len(path)], key))
			}
		}
	case field.IsList():
		var items []json.RawMessage
		if json.Unmarshal(value, &items) == nil {
			for n, item := range items {
				look(item, append(path[:len(path):len(path)], strconv.Itoa(n)))
			}
		}
	default:
		look(value, path)
	}
	return errors.Join(problems...)
}

func jsonNames(d protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range d.Fields().Len() {
		names = append(names, d.Fields().Get(i).JSONName())
	}
	return names
}
