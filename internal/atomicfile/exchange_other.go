//go:build !linux

package atomicfile

import "errors"

func exchange(string, string) error { return errors.ErrUnsupported }

// SyncAll does nothing here: there is no call for it.
func SyncAll(string) error { return nil }
