package atomicfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// exchange gives two paths each other's file, in one step.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// SyncAll writes all that a file system holds back to the disk: one wait for any
// number of files.
func SyncAll(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // the caller names the directory
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
