package ca

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Bundle is a folder that has more than a certificate.
type Bundle struct {
	Folder string // below the folder of all: NAMESPACE/NAME
	Files  map[string][]byte
}

// bundleFolders are those of bundles, under the rules of Folder (CA-62).
func bundleFolders(bundles []Bundle) ([]string, error) {
	all, taken := make([]string, len(bundles)), map[string]bool{}
	for i := range bundles {
		folder := bundles[i].Folder
		namespace, name, ok := strings.Cut(folder, "/")
		if !ok || strings.ContainsAny(name, `/\`) {
			return nil, fmt.Errorf("folder %q: expected NAMESPACE/NAME", folder)
		}
		if err := errors.Join(checkFolder(namespace), checkFolder(name)); err != nil {
			return nil, fmt.Errorf("folder %q: %w", folder, err)
		}
		if taken[strings.ToLower(folder)] {
			return nil, fmt.Errorf("two bundles would share the folder %s", folder)
		}
		taken[strings.ToLower(folder)] = true
		all[i] = filepath.Join(namespace, name)
	}
	return all, nil
}

// isAt tells whether the files stand in a folder as they are.
func (b *Bundle) isAt(dir string) bool {
	for name, data := range b.Files {
		there, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the user names the folder
		if err != nil || !bytes.Equal(there, data) {
			return false
		}
	}
	return true
}
