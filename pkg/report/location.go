package report

import "strconv"

// Location is a place in an input. Line and Column count from 1; zero means
// that the place is not known more closely.
type Location struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String prints the location as compilers do, "file:line:column", leaving out
// what is not known.
func (l Location) String() string {
	s := l.File
	if l.Line > 0 {
		s += ":" + strconv.Itoa(l.Line)
		if l.Column > 0 {
			s += ":" + strconv.Itoa(l.Column)
		}
	}
	return s
}

// Object names a Kubernetes object the way a reader would look for it.
type Object struct {
	APIVersion string   `json:"apiVersion,omitempty"`
	Kind       string   `json:"kind,omitempty"`
	Namespace  string   `json:"namespace,omitempty"`
	Name       string   `json:"name,omitempty"`
	Location   Location `json:"location"`
}

// String is "Kind namespace/name", shortened by what is not known.
func (o Object) String() string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + name
	}
	switch {
	case o.Kind == "" && name == "":
		return "document"
	case name == "":
		return o.Kind
	case o.Kind == "":
		return name
	}
	return o.Kind + " " + name
}

// InputError is a fault in what the user handed in: where it is, what is
// wrong, and, where one is known, a way out.
type InputError struct {
	Location Location
	Subject  string // the object at fault, "" if unknown
	Err      error
	Hint     string
}

// Error is one line without the hint: "file:line:column: subject: problem".
func (e *InputError) Error() string {
	s := e.Location.String()
	if s != "" {
		s += ": "
	}
	if e.Subject != "" {
		s += e.Subject + ": "
	}
	return s + e.Err.Error()
}

// Unwrap gives the bare problem.
func (e *InputError) Unwrap() error { return e.Err }
