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
	// Object and Path are where an unknown field stands, and Near is the field
	// that was meant, if one is like it, takes such a value and is not there yet.
	Object *Object
	Path   []string
	Near   string
	// Under is the empty mapping beside it that has such a field: the field was to
	// be within and lost its indentation.
	Under string

	text string
}

// Error is the fault in words.
func (d *Defect) Error() string { return d.text }
