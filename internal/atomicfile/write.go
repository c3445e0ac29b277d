// Package atomicfile writes files whole or not at all.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// File is what a file shall hold.
type File struct {
	Name string
	Data []byte
	Mode os.FileMode
}

// Existing is a File in place of one that is there: its mode stays, and a
// symbolic link keeps pointing at what is replaced.
func Existing(name string, data []byte) (File, error) {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return File{}, err
	}
	info, err := os.Stat(target)
	if err != nil {
		return File{}, err
	}
	return File{Name: target, Data: data, Mode: info.Mode().Perm()}, nil
}

// Write creates or replaces files: each into a temporary file beside it, synced
// and renamed, so that no reader and no crash ever sees a part. The renaming
// begins when all of them are written: a full disk replaces none.
func Write(files ...File) (err error) {
	var staged []string
	defer func() {
		for _, name := range staged {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	for _, f := range files {
		name, err := stage(f)
		if name != "" {
			staged = append(staged, name)
		}
		if err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := os.Rename(staged[0], f.Name); err != nil {
			return err
		}
		staged = staged[1:]
	}
	return nil
}

// stage writes the temporary file and gives its name, also when that failed
// and it must be removed.
func stage(f File) (name string, err error) {
	t, err := os.CreateTemp(filepath.Dir(f.Name), "."+filepath.Base(f.Name)+".*")
	if err != nil {
		return "", err
	}
	if _, err = t.Write(f.Data); err == nil {
		err = t.Sync()
	}
	if e := t.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Chmod(t.Name(), f.Mode)
	}
	return t.Name(), err
}
