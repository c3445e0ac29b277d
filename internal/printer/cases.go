package printer

import (
	"io"

	"github.com/meshctl/meshctl/pkg/report"
)

// Cases writes a table of all cases, and below it what Failures does.
func Cases(w io.Writer, suites []report.Suite) error {
	var rows [][]string
	for _, s := range suites {
		for _, c := range s.Cases {
			rows = append(rows, []string{string(outcome(c)), oneLine(title(s, c)), oneLine(c.Location.String())})
		}
	}
	if err := Table(w, []string{"STATUS", "CASE", "AT"}, rows); err != nil {
		return err
	}
	if err := Lines(w, ""); err != nil {
		return err
	}
	return Failures(w, suites)
}
