package mesh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// wrongShapes reports the values of a mapping that are not of the form that a
// message wants: a text for a list, a word that an enum does not have. Places
// are those of the values, which the decoder of messages does not know.
func wrongShapes(o *Object, fields map[string]json.RawMessage, d protoreflect.MessageDescriptor, path []string) error {
	if strings.HasPrefix(string(d.FullName()), "google.protobuf.") {
		return nil // durations, wrappers and the like have forms of their own
	}
	var problems []error
	for _, key := range sortedKeys(fields) {
		field := d.Fields().ByJSONName(key)
		if field == nil {
			field = d.Fields().ByTextName(key)
		}
		if field == nil || string(fields[key]) == "null" {
			continue
		}
		at := append(path[:len(path):len(path)], key)
		if field.IsList() {
			problems = append(problems, wrongList(o, fields[key], field, at))
			continue
		}
		if field.IsMap() {
			problems = append(problems, wrongEntries(o, fields[key], field.MapValue(), at))
			continue
		}
		problems = append(problems, wrongValue(o, fields[key], field, at))
	}
	return errors.Join(problems...)
}

func sortedKeys(fields map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func wrongList(o *Object, text json.RawMessage, field protoreflect.FieldDescriptor, path []string) error {
	if err := wantKind(o, text, "a list", '[', path); err != nil {
		return err
	}
	var items []json.RawMessage
	if json.Unmarshal(text, &items) != nil {
		return nil // the decoder will say
	}
	var problems []error
	for i, item := range items {
		problems = append(problems, wrongValue(o, item, field, append(path[:len(path):len(path)], fmt.Sprint(i))))
	}
	return errors.Join(problems...)
}

// wrongEntries looks at the values of a mapping with keys of the user's.
func wrongEntries(o *Object, text json.RawMessage, value protoreflect.FieldDescriptor, path []string) error {
	if err := wantKind(o, text, "a mapping (key: value)", '{', path); err != nil {
		return err
	}
	var entries map[string]json.RawMessage
	if json.Unmarshal(text, &entries) != nil {
		return nil // the decoder will say
	}
	var problems []error
	for _, key := range sortedKeys(entries) {
		at := append(path[:len(path):len(path)], key)
		if value.Kind() == protoreflect.Uint32Kind {
			problems = append(problems, wantCount(o, entries[key], at))
			continue
		}
		problems = append(problems, wrongValue(o, entries[key], value, at))
	}
	return errors.Join(problems...)
}

// wantCount wants a whole number from 0, which may be quoted.
func wantCount(o *Object, text json.RawMessage, path []string) error {
	n, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	if err == nil && n == math.Trunc(n) && n >= 0 && n <= math.MaxUint32 || string(text) == "null" {
		return nil
	}
	return o.fault(path, "", fmt.Errorf("%s: expected a whole number, found %s", strings.Join(path, "."), text))
}

// wrongValue looks at a single value.
func wrongValue(o *Object, text json.RawMessage, field protoreflect.FieldDescriptor, path []string) error {
	switch field.Kind() {
	case protoreflect.MessageKind:
		if field.Message().FullName() == "google.protobuf.Duration" {
			return wrongDuration(o, text, path)
		}
		if strings.HasPrefix(string(field.Message().FullName()), "google.protobuf.") {
			return nil
		}
		if err := wantKind(o, text, "a mapping (key: value)", '{', path); err != nil {
			return err
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(text, &fields) != nil {
			return nil
		}
		return wrongShapes(o, fields, field.Message(), path)
	case protoreflect.EnumKind:
		return wrongWord(o, text, field.Enum(), path)
	case protoreflect.StringKind:
		return wantKind(o, text, "text", '"', path)
	}
	return nil
}

// wantKind compares the form of a value with what is wanted; first is how its
// JSON starts.
func wantKind(o *Object, text json.RawMessage, want string, first byte, path []string) error {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] == first || string(text) == "null" {
		return nil
	}
	kind, hint := "", ""
	switch text[0] {
	case '[':
		kind = "a list"
	case '{':
		kind = "a mapping"
	case '"':
		kind = "text"
	case 't', 'f':
		kind, hint = "true or false", "quote the value: YAML reads words such as yes, no, y, n, on and off as true and false"
	default:
		kind, hint = "a number", "quote the value"
	}
	if first != '"' {
		hint = ""
	}
	return o.fault(path, hint, fmt.Errorf("%s: expected %s, found %s", strings.Join(path, "."), want, kind))
}

// wrongDuration looks at a time span.
func wrongDuration(o *Object, text json.RawMessage, path []string) error {
	const hint = "write a number and its unit, such as 1.5s, 500ms or 1h30m"
	var word string
	if json.Unmarshal(text, &word) != nil {
		return o.fault(path, hint, fmt.Errorf("%s: expected a duration, found %s", strings.Join(path, "."), text))
	}
	if _, err := time.ParseDuration(word); err != nil {
		return o.fault(path, hint, fmt.Errorf("%s: %q is no duration", strings.Join(path, "."), word))
	}
	return nil
}

// wrongWord looks a word up in an enum. Numbers are left to the decoder.
func wrongWord(o *Object, text json.RawMessage, enum protoreflect.EnumDescriptor, path []string) error {
	var word string
	if json.Unmarshal(text, &word) != nil || enum.Values().ByName(protoreflect.Name(word)) != nil {
		return nil
	}
	var words []string
	for i := range enum.Values().Len() {
		words = append(words, string(enum.Values().Get(i).Name()))
	}
	slices.Sort(words)
	hint := ""
	if nearest(word, words) != nil {
		hint = DidYouMean(word, words)
	}
	return o.fault(path, hint, fmt.Errorf("%s: %q is none of %s", strings.Join(path, "."), word, strings.Join(words, ", ")))
}
