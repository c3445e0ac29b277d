package live

import "syscall"

// endWithParent lets the system end a command whose parent was killed, and could
// not do it.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
