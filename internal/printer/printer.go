// Package printer draws results for people and programs: one file a format.
package printer

import (
	"fmt"
	"io"
)

// Lines writes one line each.
func Lines(w io.Writer, lines ...string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
