package analyze

import "github.com/meshctl/meshctl/pkg/report"

// Confidence says what a finding rests on.
type Confidence string

// The confidences.
const (
	// Certain: the files alone prove it.
	Certain Confidence = "certain"
	// NeedsInventory: something is not in the files. Such a finding is a warning
	// at most, unless the files are said to be the whole world.
	NeedsInventory Confidence = "needs-complete-inventory"
	// Heuristic: it looks like a mistake, and need not be one.
	Heuristic Confidence = "heuristic"
)

// Unreadable is the code of a file or document that cannot be read. Whatever
// rules are chosen and whatever is suppressed, it is reported: what stands there
// was not looked at.
const Unreadable = "MSH0319"

// Rule is one thing that may be wrong with a mesh.
type Rule struct {
	Code       string // "IST0101" or "MSH0108"
	Slug       string // its name, such as "allow-negative-match"
	Severity   report.Severity
	Confidence Confidence
	// Strict rules ask for more than correctness: they run in the profile strict
	// only, or where their name is given.
	Strict bool
	// Hides tells that what has such a finding is not seen by all rules: what they
	// would find there is not known.
	Hides bool
	// Alone tells that with such a finding nothing else is worth saying of the
	// same place: what stands there is not what will.
	Alone bool
	// Check reports what it finds. It is nil for a code that the check of another
	// rule of its package reports.
	Check func(*Pass)
}

// severity is how bad a finding of the rule is.
func (r Rule) severity(complete bool) report.Severity {
	if r.Confidence == NeedsInventory && !complete {
		return min(r.Severity, report.Warning)
	}
	return r.Severity
}
