package ca

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
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

// checkOurs wants folders of bundles to be this authority's, or not to have any of
// the files: what another tool made is not written over.
func (a *Authority) checkOurs(places []string, o DeliverOptions) error {
	var problems []error
	for i := range o.Bundles {
		dir := filepath.Join(o.Dir, places[i])
		if a.issuedThat(filepath.Join(dir, chainFile)) {
			continue
		}
		for _, name := range append(slices.Sorted(maps.Keys(o.Bundles[i].Files)), keyFile, chainFile, rootFile) {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				problems = append(problems, &report.InputError{
					Location: report.Location{File: filepath.Join(dir, name)}, Err: errors.New("this authority did not write it, and it is not written over"),
					Hint: "move it away, or choose another place",
				})
				break
			}
		}
	}
	return errors.Join(problems...)
}

// issuedThat tells whether the leaf of a file is of this authority.
func (a *Authority) issuedThat(name string) bool {
	text, err := os.ReadFile(name) //nolint:gosec // the user names the folder
	if err != nil {
		return false
	}
	chain, err := certs.ParseCertificates(text)
	return err == nil && a.log.serials()[hexSerial(chain[0].SerialNumber)]
}
