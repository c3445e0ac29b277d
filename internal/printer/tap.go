package printer

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshctl/meshctl/pkg/report"
)

// tapDiagnosis is the YAML block below a case that did not pass.
type tapDiagnosis struct {
	Message string          `json:"message"`
	Status  report.Status   `json:"status"`
	At      report.Location `json:"at,omitzero"`
	Unmet   []tapCheck      `json:"unmet,omitempty"`
	Detail  string          `json:"detail,omitempty"`
}

type tapCheck struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

// TAP writes the cases by the Test Anything Protocol, version 14, numbered
// through all suites. A case that is unknown is not ok.
func TAP(w io.Writer, suites []report.Suite) error {
	if err := Lines(w, "TAP version 14", fmt.Sprintf("1..%d", report.Summarize(suites).Total())); err != nil {
		return err
	}
	number := 0
	for _, s := range suites {
		for _, c := range s.Cases {
			number++
			if err := tapPoint(w, number, title(s, c), c); err != nil {
				return err
			}
		}
	}
	return nil
}

func tapPoint(w io.Writer, number int, title string, c report.Case) error {
	// An unescaped # would begin a directive, such as one to skip.
	escape := strings.NewReplacer(`\`, `\\`, "#", `\#`)
	point := fmt.Sprintf("ok %d - %s", number, escape.Replace(oneLine(title)))
	if c.Status == report.Passed {
		return Lines(w, point)
	}
	var block strings.Builder
	if err := YAML(&block, diagnose(c)); err != nil {
		return err
	}
	lines := []string{"not " + point, "  ---"}
	for line := range strings.Lines(block.String()) {
		lines = append(lines, "  "+strings.TrimSuffix(line, "\n"))
	}
	return Lines(w, append(lines, "  ...")...)
}

func diagnose(c report.Case) tapDiagnosis {
	d := tapDiagnosis{Message: manyLines(account(c)[0]), Status: outcome(c), At: c.Location, Detail: manyLines(c.Detail)}
	d.At.File = manyLines(d.At.File)
	for _, check := range c.Unmet() {
		d.Unmet = append(d.Unmet, tapCheck{manyLines(check.Name), manyLines(check.Want), manyLines(check.Got)})
	}
	return d
}

// manyLines is oneLine for each line. TAP has YAML 1.2 in it: what the versions
// of YAML read differently, such as U+2028, does not get there.
func manyLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = oneLine(line)
	}
	return strings.Join(lines, "\n")
}
