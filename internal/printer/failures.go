package printer

import (
	"io"

	"github.com/meshctl/meshctl/pkg/report"
)

// Failures writes a table of what was expected against what was found, and the
// counts below it. Cases that passed are counted only.
func Failures(w io.Writer, suites []report.Suite) error {
	rows := failures(suites)
	for _, row := range rows {
		for i := range row {
			row[i] = oneLine(row[i])
		}
	}
	if len(rows) > 0 {
		if err := Table(w, failureHeaders(), rows); err != nil {
			return err
		}
		if err := Lines(w, ""); err != nil {
			return err
		}
	}
	return Lines(w, report.Summarize(suites).String())
}
