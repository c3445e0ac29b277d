//go:build unix && !linux

package live

import "syscall"

// endWithParent does nothing: only Linux tells a command that its parent is gone.
func endWithParent(*syscall.SysProcAttr) {}
