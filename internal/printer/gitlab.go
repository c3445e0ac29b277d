package printer

import (
	"fmt"
	"io"

	"github.com/meshctl/meshctl/pkg/report"
)

// gitLabFinding is an entry of GitLab's code quality report.
type gitLabFinding struct {
	Description string         `json:"description"`
	CheckName   string         `json:"check_name"`
	Fingerprint string         `json:"fingerprint"`
	Severity    string         `json:"severity"`
	Location    gitLabLocation `json:"location"`
}

type gitLabLocation struct {
	Path  string      `json:"path"`
	Lines gitLabLines `json:"lines"`
}

type gitLabLines struct {
	Begin int `json:"begin"`
}

// FindingsGitLab writes findings as GitLab's code quality report.
func FindingsGitLab(w io.Writer, findings []report.Finding) error {
	entries := []gitLabFinding{}
	seen := map[string]int{}
	for _, f := range findings {
		print := fingerprint(f)
		seen[print]++
		entries = append(entries, gitLabFinding{
			Description: oneLine(f.Message), CheckName: f.Code, Fingerprint: fmt.Sprintf("%s:%d", print, seen[print]),
			Severity: map[report.Severity]string{report.Info: "info", report.Warning: "minor", report.Error: "major"}[f.Severity],
			Location: gitLabLocation{sarifURI(f.File), gitLabLines{max(f.Line, 1)}},
		})
	}
	return JSON(w, entries)
}
