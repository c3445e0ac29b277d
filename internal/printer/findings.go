package printer

import (
	"io"

	"github.com/meshctl/meshctl/pkg/report"
)

// FindingsDocument is the document around findings, for JSON and YAML.
func FindingsDocument(findings []report.Finding) any {
	return struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		Findings   []report.Finding `json:"findings"`
	}{APIVersion, "Findings", append([]report.Finding{}, findings...)}
}

// Findings writes a table of findings for each file, and the counts below it.
func Findings(w io.Writer, findings []report.Finding) error {
	for start := 0; start < len(findings); {
		end := start
		var rows [][]string
		for ; end < len(findings) && findings[end].File == findings[start].File; end++ {
			f := findings[end]
			place := report.Location{Line: f.Line, Column: f.Column}.String()
			rows = append(rows, []string{"  " + place, f.Severity.String(), f.Code, oneLine(f.Origin), oneLine(f.Message)})
		}
		if err := Lines(w, oneLine(findings[start].File)); err != nil {
			return err
		}
		if err := Table(w, []string{"  PLACE", "SEVERITY", "CODE", "OBJECT", "FINDING"}, rows); err != nil {
			return err
		}
		if err := Lines(w, ""); err != nil {
			return err
		}
		start = end
	}
	return Lines(w, report.CountFindings(findings))
}
