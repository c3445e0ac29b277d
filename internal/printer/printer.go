// Package printer draws results for people and programs: one file a format.
package printer

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes v as indented JSON. HTML characters stay as they are: the output
// is for terminals and pipes.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Lines writes one line each.
func Lines(w io.Writer, lines ...string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
