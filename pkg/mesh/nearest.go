package mesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// meant is the field that an unknown key can only mean: it is like it, takes a
// value of the kind that is there, and is not there itself. It is "" for none.
func meant(key string, fields map[string]json.RawMessage, d protoreflect.MessageDescriptor) string {
	near := Nearest(key, jsonNames(d))
	if near == "" || fields[near] != nil {
		return ""
	}
	field := d.Fields().ByJSONName(near)
	first := byte('"')
	switch {
	case field.IsList():
		first = '['
	case field.IsMap() || field.Message() != nil && !strings.HasPrefix(string(field.Message().FullName()), "google.protobuf."):
		first = '{'
	case field.Kind() != protoreflect.StringKind && field.Kind() != protoreflect.EnumKind:
		return near // what number or word it takes is for the decoder to say
	}
	if value := bytes.TrimSpace(fields[key]); len(value) == 0 || value[0] != first {
		return ""
	}
	return near
}

// fallenOut is the field beside a key that is there without a value, and whose
// message has the key; "" for none.
func fallenOut(key string, fields map[string]json.RawMessage, d protoreflect.MessageDescriptor) string {
	for _, name := range sortedKeys(fields) {
		field := d.Fields().ByJSONName(name)
		if string(fields[name]) != "null" || field == nil || field.Message() == nil {
			continue
		}
		if field.Message().Fields().ByJSONName(key) != nil {
			return name
		}
	}
	return ""
}

// Nearest is the one candidate that is most like word; "" if none is like it, or
// several are.
func Nearest(word string, candidates []string) string {
	if near := nearest(word, candidates); len(near) == 1 {
		return near[0]
	}
	return ""
}

// nearest are the candidates that are most like word, of those that are like it.
func nearest(word string, candidates []string) []string {
	var best []string
	least := 2
	for _, c := range candidates {
		d := distance(strings.ToLower(word), strings.ToLower(c))
		if d < least {
			best, least = nil, d
		}
		if d == least {
			best = append(best, c)
		}
	}
	return best
}

// DidYouMean names the first of the candidates that are most like word, else all
// of them.
func DidYouMean(word string, candidates []string) string {
	if near := nearest(word, candidates); near != nil {
		return fmt.Sprintf("did you mean %q?", near[0])
	}
	return "expected one of " + strings.Join(slices.Sorted(slices.Values(candidates)), ", ")
}

// distance is how many characters must be put in, taken out or changed to make
// b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above+1, row[j]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}
