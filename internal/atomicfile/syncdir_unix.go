//go:build unix

package atomicfile

import (
	"errors"
	"os"
)

// SyncDir makes names that were given or taken in a directory last.
func (d *Disk) SyncDir(name string) error {
	if d.Unsynced {
		return nil
	}
	if err := d.step("sync", name); err != nil {
		return err
	}
	dir, err := os.Open(name) //nolint:gosec // the caller names the directory
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
