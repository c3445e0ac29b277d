package mesh

import (
	"encoding/json"
	"strconv"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// goDurations writes the durations of a message's fields as protobuf's JSON
// does. Istio reads them in Go's form too, such as "500ms" or "1h30m".
func goDurations(fields map[string]json.RawMessage, d protoreflect.MessageDescriptor) (changed map[string]json.RawMessage, any bool) {
	changed = map[string]json.RawMessage{}
	for key, text := range fields {
		changed[key] = text
		field := d.Fields().ByJSONName(key)
		if field == nil {
			field = d.Fields().ByTextName(key)
		}
		if field == nil || field.Kind() != protoreflect.MessageKind {
			continue
		}
		if next, ok := durationsWithin(text, field); ok {
			changed[key], any = next, true
		}
	}
	return changed, any
}

// durationsWithin does so in the value of a field.
func durationsWithin(text json.RawMessage, field protoreflect.FieldDescriptor) (json.RawMessage, bool) {
	message := field.Message()
	switch {
	case field.IsMap():
		if field.MapValue().Kind() != protoreflect.MessageKind {
			return nil, false
		}
		var entries map[string]json.RawMessage
		if json.Unmarshal(text, &entries) != nil {
			return nil, false
		}
		any := false
		for key, entry := range entries {
			if next, ok := durationValue(entry, field.MapValue().Message()); ok {
				entries[key], any = next, true
			}
		}
		return marshaled(entries, any)
	case field.IsList():
		var items []json.RawMessage
		if json.Unmarshal(text, &items) != nil {
			return nil, false
		}
		any := false
		for i, item := range items {
			if next, ok := durationValue(item, message); ok {
				items[i], any = next, true
			}
		}
		return marshaled(items, any)
	}
	return durationValue(text, message)
}

func durationValue(text json.RawMessage, message protoreflect.MessageDescriptor) (json.RawMessage, bool) {
	if message.FullName() == "google.protobuf.Duration" {
		var word string
		if json.Unmarshal(text, &word) != nil {
			return nil, false
		}
		d, err := time.ParseDuration(word)
		if err != nil {
			return nil, false
		}
		return json.RawMessage(strconv.Quote(strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s")), true
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return nil, false
	}
	changed, any := goDurations(fields, message)
	return marshaled(changed, any)
}

func marshaled(v any, changed bool) (json.RawMessage, bool) {
	if !changed {
		return nil, false
	}
	text, err := json.Marshal(v)
	return text, err == nil
}
