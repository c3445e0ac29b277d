package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Disk makes changes that are on the disk when it returns, one step at a time.
// The zero value does.
type Disk struct {
	// Step is asked before each change with what is about to happen to which file.
	// An error ends the work there, as if the machine had stopped: what cleans up is
	// asked too. Tests set it.
	Step func(what, name string) error
	// Unsynced leaves it to the system when changes get to the disk: for many files
	// at once, which SyncAll waits for.
	Unsynced bool
}

func (d *Disk) step(what, name string) error {
	if d.Step == nil {
		return nil
	}
	return d.Step(what, name)
}

// Create writes a file that must not exist.
func (d *Disk) Create(f File) error {
	if err := d.step("create", f.Name); err != nil {
		return err
	}
	file, err := os.OpenFile(f.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode)
	if err != nil {
		return err
	}
	if err := d.fill(file, f.Data); err != nil {
		return errors.Join(err, d.Remove(f.Name))
	}
	return d.SyncDir(filepath.Dir(f.Name))
}

// fill writes, syncs and closes a file.
func (d *Disk) fill(file *os.File, data []byte) error {
	err := d.write(file, data)
	if err == nil {
		err = d.sync(file)
	}
	return errors.Join(err, file.Close())
}

// write writes in two steps, so that a stop between them leaves a part.
func (d *Disk) write(file *os.File, data []byte) error {
	half := len(data) / 2
	for _, part := range [][]byte{data[:half], data[half:]} {
		if err := d.step("write", file.Name()); err != nil {
			return err
		}
		if _, err := file.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (d *Disk) sync(file *os.File) error {
	if d.Unsynced {
		return nil
	}
	if err := d.step("sync", file.Name()); err != nil {
		return err
	}
	return file.Sync()
}

// Replace writes a file anew, or for the first time: whoever reads it finds all
// of the old or all of the new.
func (d *Disk) Replace(f File) error {
	staged := f
	staged.Name = filepath.Join(filepath.Dir(f.Name), "."+filepath.Base(f.Name)+".new")
	if err := d.Remove(staged.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := d.Create(staged); err != nil {
		return err
	}
	return d.Rename(staged.Name, f.Name)
}

// Rename gives a file or directory its name.
func (d *Disk) Rename(from, to string) error {
	if err := d.step("rename", to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(to))
}

// Append adds to the end of a file. If that fails the file ends where it did
// before, unless the machine stopped.
func (d *Disk) Append(file *os.File, data []byte) error {
	before, err := file.Stat()
	if err != nil {
		return err
	}
	if err = d.write(file, data); err == nil {
		err = d.sync(file)
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, d.Truncate(file, before.Size()))
}

// Truncate cuts a file off.
func (d *Disk) Truncate(file *os.File, size int64) error {
	if err := d.step("truncate", file.Name()); err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), d.sync(file))
}

// Mkdir makes a directory that must not exist.
func (d *Disk) Mkdir(name string, mode os.FileMode) error {
	if err := d.step("mkdir", name); err != nil {
		return err
	}
	return os.Mkdir(name, mode)
}

// Remove removes a file or an empty directory.
func (d *Disk) Remove(name string) error {
	if err := d.step("remove", name); err != nil {
		return err
	}
	return os.Remove(name)
}

// RemoveAll removes a directory and what is in it.
func (d *Disk) RemoveAll(name string) error {
	if err := d.step("remove all", name); err != nil {
		return err
	}
	return os.RemoveAll(name)
}

// Swap exchanges two directories, in one step where the system can; otherwise
// the old one is moved aside first.
func (d *Disk) Swap(fresh, old string) error {
	if err := d.step("swap", old); err != nil {
		return err
	}
	err := exchange(fresh, old)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	aside := fresh + ".old"
	if err := os.Rename(old, aside); err != nil {
		return err
	}
	if err := os.Rename(fresh, old); err != nil {
		return errors.Join(err, os.Rename(aside, old))
	}
	return os.Rename(aside, fresh)
}
