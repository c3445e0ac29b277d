// Package atomicfile writes files whole or not at all.
package atomicfile

import (
	"os"
	"path/filepath"
)

// Write puts data in place of the file called name, or creates it with mode:
// into a temporary file beside it, synced and renamed, so that no reader and
// no crash ever sees a part.
func Write(name string, data []byte, mode os.FileMode) (err error) {
	t, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(t.Name()) // best effort: the first error is what counts
		}
	}()
	if _, err = t.Write(data); err == nil {
		err = t.Sync()
	}
	if e := t.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err = os.Chmod(t.Name(), mode); err != nil {
		return err
	}
	return os.Rename(t.Name(), name)
}

// Replace is Write for a file that exists: its mode stays, and a symbolic link
// keeps pointing at what is replaced.
func Replace(name string, data []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	return Write(target, data, info.Mode().Perm())
}
