package printer

import (
	"encoding/json"
	"io"
)

// APIVersion is that of meshctl's own documents.
const APIVersion = "meshctl.dev/v1alpha1"

// JSON writes v as indented JSON. HTML characters stay as they are: the output
// is for terminals and pipes.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// List is the document around results, for JSON and YAML. No items are an empty
// list, not null.
func List[T any](kind string, items []T) any {
	return struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Items      []T    `json:"items"`
	}{APIVersion, kind, append([]T{}, items...)}
}
