package mesh

// Class is a kind of fault of an object.
type Class string

// The classes.
const (
	UnknownField   Class = "unknown-field"
	UnknownKind    Class = "unknown-kind"
	UnknownVersion Class = "unknown-version"
	GoneKind       Class = "gone-kind" // which Istio no longer has
)

// Defect is a fault of an object that has a class.
type Defect struct {
	Class Class
	text  string
}

// Error is the fault in words.
func (d *Defect) Error() string { return d.text }
