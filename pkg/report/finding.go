package report

import (
	"cmp"
	"fmt"
	"strings"
)

// Severity is how bad a finding is. The more severe, the larger.
type Severity int

// The severities.
const (
	Info Severity = iota + 1
	Warning
	Error
)

// String is the severity in lower case, as every format writes it.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return "none"
}

// MarshalText writes the severity as a word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that is wrong with manifests, or looks so.
type Finding struct {
	Code     string    `json:"code"` // such as "MSH0108" or "IST0101"
	Severity Severity  `json:"severity"`
	Origin   string    `json:"origin,omitempty"` // "Kind namespace/name" of the object at fault
	Message  string    `json:"message"`
	Location           // of the value at fault
	Related  []Related `json:"related,omitempty"`
	Fix      *Fix      `json:"fix,omitempty"` // nil if there is none that is safe
}

// Related is a place that has to do with a finding.
type Related struct {
	Origin  string `json:"origin,omitempty"`
	Message string `json:"message"` // what it has to do with it
	Location
}

// Fix is a change of the files that takes a finding away and means what the
// author can only have meant.
type Fix struct {
	Description string `json:"description"`
	Edits       []Edit `json:"edits"`
}

// Edit replaces bytes of a file.
type Edit struct {
	File  string `json:"file"`
	Start int    `json:"start"` // offset of the first byte that goes
	End   int    `json:"end"`   // and of the first that stays
	Text  string `json:"text"`
}

// Compare orders findings by place, then code, origin and words.
func (f Finding) Compare(other Finding) int {
	return cmp.Or(
		strings.Compare(f.File, other.File), cmp.Compare(f.Line, other.Line), cmp.Compare(f.Column, other.Column),
		strings.Compare(f.Code, other.Code), strings.Compare(f.Origin, other.Origin), strings.Compare(f.Message, other.Message),
	)
}

// CountFindings says how many findings there are of each severity.
func CountFindings(findings []Finding) string {
	if len(findings) == 0 {
		return "nothing found"
	}
	counts := map[Severity]int{}
	for _, f := range findings {
		counts[f.Severity]++
	}
	var parts []string
	for _, s := range []Severity{Error, Warning, Info} {
		if counts[s] > 0 {
			parts = append(parts, Count(counts[s], s.noun()))
		}
	}
	return strings.Join(parts, ", ")
}

func (s Severity) noun() string {
	if s == Info {
		return "hint"
	}
	return s.String()
}

// Count is a number of things, such as "2 findings".
func Count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
