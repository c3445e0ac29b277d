package ca

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// ErrNotOurs is a file in the place of output that nothing shows this authority to
// have written.
var ErrNotOurs = errors.New("exists already, and this authority did not write it")

const notOursHint = "move it away, choose another place, or --force"

// checkOurs wants folders to be this authority's, or not to have any of the files:
// what others made is not written over.
func (a *Authority) checkOurs(requests []Request, places []string, o DeliverOptions) error {
	if err := checkRoom(o.Dir); err != nil {
		return err
	}
	var problems []error
	for i := range places {
		dir := filepath.Join(o.Dir, places[i])
		names := o.Layout.names(requests[i].ID)
		if o.Bundles != nil {
			names = append(slices.Sorted(maps.Keys(o.Bundles[i].Files)), names...)
		}
		problems = append(problems, checkPlace(dir, names))
		if o.Force || a.issuedThat(filepath.Join(dir, chainFile)) {
			continue
		}
		if had, err := o.Layout.read(dir, requests[i].ID, o.Password); err == nil && a.issued(had.Leaf()) {
			continue
		}
		for _, name := range names {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				problems = append(problems, &report.InputError{Location: report.Location{File: filepath.Join(dir, name)}, Err: ErrNotOurs, Hint: notOursHint})
				break
			}
		}
	}
	return errors.Join(problems...)
}

// checkRoom wants a directory that is there, or can be made.
func checkRoom(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		switch info, err := os.Stat(at); {
		case err == nil && !info.IsDir():
			return &report.InputError{Location: report.Location{File: at}, Err: errors.New("not a directory"), Hint: "choose another place"}
		case err == nil || at == filepath.Dir(at):
			return nil
		}
	}
}

// checkPlace wants a folder to be one that can be replaced, before anything is
// issued for it: what is in it beside the names are files, which go along.
func checkPlace(dir string, names []string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return &report.InputError{Location: report.Location{File: dir}, Err: errors.New("not a directory"), Hint: "move it away, or choose another place"}
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !e.Type().IsRegular() && !slices.Contains(names, e.Name()) {
			return &report.InputError{Location: report.Location{File: filepath.Join(dir, e.Name())}, Err: errors.New("not a file, so that its folder cannot be replaced"), Hint: "move it away, or choose another place"}
		}
	}
	return err
}

// issued tells whether the log has a certificate.
func (a *Authority) issued(c *x509.Certificate) bool {
	return a.log.serials()[hexSerial(c.SerialNumber)]
}

// issuedThat tells whether the leaf of a file is of this authority.
func (a *Authority) issuedThat(name string) bool {
	text, err := os.ReadFile(name) //nolint:gosec // the user names the folder
	if err != nil {
		return false
	}
	return a.issuedText(text)
}

func (a *Authority) issuedText(text []byte) bool {
	chain, err := certs.ParseCertificates(text)
	return err == nil && a.issued(chain[0])
}

// checkSecrets wants a text to be of Secrets that this authority wrote; an empty one
// is nobody's.
func (a *Authority) checkSecrets(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	for part := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var s struct {
			Kind string
			Data map[string][]byte
		}
		err := yaml.Unmarshal(part, &s)
		if err != nil || s.Kind != "Secret" || !a.issuedText(s.Data[chainFile]) && !a.issuedText(s.Data["tls.crt"]) {
			return ErrNotOurs
		}
	}
	return nil
}

// exposed says of a folder's key that others can read it (CA-55); "" if they
// cannot.
func (a *Authority) exposed(dir string, l Layout) string {
	const others = 0o077
	info, err := os.Stat(filepath.Join(dir, l.secretName()))
	if err != nil || a.env.InsecureFiles || !permissions || info.Mode().Perm()&others == 0 {
		return ""
	}
	return fmt.Sprintf("others could read the key that was there: its mode was %04o", info.Mode().Perm())
}
