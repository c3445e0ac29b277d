package manifest

import (
	"errors"

	"github.com/meshctl/meshctl/pkg/report"
)

// Faults parts an error of Load into the faults within files, which leave the
// other files loaded, and the rest; nil if there is none.
func Faults(err error) (faults []*report.InputError, rest error) {
	if err == nil {
		return nil, nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var others []error
		for _, e := range joined.Unwrap() {
			found, other := Faults(e)
			faults = append(faults, found...)
			if other != nil {
				others = append(others, other)
			}
		}
		return faults, errors.Join(others...)
	}
	var fault *report.InputError
	var unopened *Unopened
	if errors.As(err, &fault) && (fault.Location.Line > 0 || errors.As(fault, &unopened)) {
		return []*report.InputError{fault}, nil
	}
	return nil, err
}
