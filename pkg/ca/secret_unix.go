//go:build unix

package ca

import (
	"fmt"
	"os"
	"syscall"
)

// permissions tells whether modes of files say who may read them.
const permissions = true

// checkOwner wants the file to be the user's.
func checkOwner(info os.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int64(s.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("it belongs to the user %d", s.Uid)
	}
	return nil
}
