package ca

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/meshctl/meshctl/internal/atomicfile"
)

// errUnencrypted is a change of a passphrase that there is not.
var errUnencrypted = errors.New("no key of the authority is encrypted")

// ChangePassphrase encrypts the keys of all roots with another passphrase. The
// old files are removed when the new ones count.
func (a *Authority) ChangePassphrase(old, fresh []byte) error {
	if err := a.writable(); err != nil {
		return err
	}
	if err := CheckPassphrase(fresh); err != nil {
		return err
	}
	d := a.draft()
	renamed := map[string]string{} // roots with new dates share a file
	for i := range d.Members {
		m := &d.Members[i]
		if !m.encrypted() {
			continue
		}
		if renamed[m.Key] == "" {
			if err := a.reseal(d, m, renamed, old, fresh); err != nil {
				return err
			}
		}
		m.Key = renamed[m.Key]
	}
	if len(renamed) == 0 {
		return errUnencrypted
	}
	if err := a.commit(d); err != nil {
		return err
	}
	for file := range renamed {
		if err := a.disk.Remove(filepath.Join(a.dir, file)); err != nil {
			return err
		}
	}
	return nil
}

// reseal encrypts one key anew, into a file beside the old one.
func (a *Authority) reseal(d *draft, m *member, renamed map[string]string, old, fresh []byte) error {
	issuer, err := a.issuer(m.Name, old)
	if err != nil {
		return err
	}
	secret, err := encodeKey(issuer.Key, fresh, a.env.WorkFactor)
	if err != nil {
		return err
	}
	for n := 2; renamed[m.Key] == ""; n++ {
		name := fmt.Sprintf("%s.%d.key.age", m.Name, n)
		if _, err := os.Lstat(filepath.Join(a.dir, name)); errors.Is(err, fs.ErrNotExist) {
			renamed[m.Key] = name
		} else if err != nil {
			return err
		}
	}
	d.files = append(d.files, atomicfile.File{Name: filepath.Join(a.dir, renamed[m.Key]), Data: secret, Mode: fileMode})
	return nil
}

// Backup is the whole directory as a tar archive, encrypted with a passphrase as
// age does it: "age -d BACKUP | tar x" brings it back. Without a passphrase it is
// in the clear.
func (a *Authority) Backup(passphrase []byte) ([]byte, error) {
	if err := a.writable(); err != nil { // so that nobody writes meanwhile
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range a.counted() {
		data, err := os.ReadFile(filepath.Join(a.dir, name)) //nolint:gosec // a file of the directory
		if err != nil {
			return nil, err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: fileMode, Size: int64(len(data)), ModTime: a.env.Now()}); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if passphrase == nil {
		return out.Bytes(), nil
	}
	defer wipe(out.Bytes())
	return seal(out.Bytes(), passphrase, a.env.WorkFactor)
}

// counted are the files that the state names, and the state.
func (a *Authority) counted() []string {
	names := []string{logName, stateName}
	if a.state.Pending != "" {
		names = append(names, a.pendingKey())
	}
	for _, m := range a.state.Members {
		for _, name := range []string{m.Name + ".pem", m.Key} {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
