package printer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/meshctl/meshctl/pkg/report"
)

// Rule is what SARIF tells about a rule.
type Rule struct {
	Code, Name, Title string
	Help              string // Markdown
	Severity          report.Severity
}

// SARIF writes findings in the format of the same name, version 2.1.0, with the
// rules that they are of. A fingerprint stays the same while lines move.
func SARIF(w io.Writer, version string, rules []Rule, findings []report.Finding) error {
	run := sarif.NewRunWithInformationURI("meshctl", "https://github.com/meshctl/meshctl")
	run.Tool.Driver.WithVersion(version)
	index := map[string]int{}
	for _, r := range rules {
		index[r.Code] = len(index)
		run.Tool.Driver.AddRule(sarif.NewReportingDescriptor().WithID(r.Code).WithName(r.Name).
			WithShortDescription(sarif.NewMultiformatMessageString().WithText(r.Title)).
			WithHelp(sarif.NewMultiformatMessageString().WithText(r.Help).WithMarkdown(r.Help)).
			WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(sarifLevel(r.Severity))))
	}
	seen := map[string]int{}
	run.Results = []*sarif.Result{}
	for _, f := range findings {
		result := sarif.NewResult().WithRuleID(f.Code).WithLevel(sarifLevel(f.Severity)).WithMessage(sarif.NewTextMessage(oneLine(f.Message)))
		if i, known := index[f.Code]; known {
			result.WithRuleIndex(i)
		}
		if f.File != "" {
			result.AddLocation(sarifLocation(f.Location, f.Origin))
		}
		for i, r := range f.Related {
			result.AddRelatedLocation(sarifLocation(r.Location, r.Origin).WithID(i + 1).WithMessage(sarif.NewTextMessage(oneLine(r.Message))))
		}
		if f.Fix != nil {
			result.AddFixe(sarifFix(f.Fix))
		}
		print := fingerprint(f)
		seen[print]++
		result.WithPartialFingerprints(map[string]string{"meshctlFinding/v1": fmt.Sprintf("%s:%d", print, seen[print])})
		run.AddResult(result)
	}
	log := sarif.NewReport()
	log.InlineExternalProperties = nil
	log.AddRun(run)
	return JSON(w, log)
}

func sarifLevel(s report.Severity) string {
	if s == report.Info {
		return "note"
	}
	return s.String()
}

func sarifLocation(at report.Location, origin string) *sarif.Location {
	physical := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewArtifactLocation().WithURI(sarifURI(at.File)))
	if at.Line > 0 {
		region := sarif.NewRegion().WithStartLine(at.Line)
		if at.Column > 0 {
			region.WithStartColumn(at.Column)
		}
		physical.WithRegion(region)
	}
	location := sarif.NewLocation().WithPhysicalLocation(physical)
	if origin != "" {
		location.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(origin))
	}
	return location
}

// sarifURI is a file's relative reference, as code hosts want it.
func sarifURI(file string) string {
	if strings.Contains(file, "://") {
		return file // an address is one already
	}
	return (&url.URL{Path: filepath.ToSlash(filepath.Clean(file))}).String()
}

func sarifFix(fix *report.Fix) *sarif.Fix {
	result := sarif.NewFix().WithDescription(sarif.NewTextMessage(fix.Description))
	for _, e := range fix.Edits {
		deleted := sarif.NewRegion().WithByteOffset(e.Start).WithByteLength(e.End - e.Start)
		result.AddArtifactChange(sarif.NewArtifactChange().
			WithArtifactLocation(sarif.NewArtifactLocation().WithURI(sarifURI(e.File))).
			AddReplacement(sarif.NewReplacement().WithDeletedRegion(deleted).WithInsertedContent(sarif.NewArtifactContent().WithText(e.Text))))
	}
	return result
}

// fingerprint names a finding wherever it stands in its file.
func fingerprint(f report.Finding) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Code, f.File, f.Origin, f.Message}, "\x00")))
	return hex.EncodeToString(sum[:16])
}
