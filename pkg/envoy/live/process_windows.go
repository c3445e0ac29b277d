package live

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: Windows sends a child no signals of its parent's.
func ownGroup(*exec.Cmd) {}

func terminate(p *os.Process) error { return p.Kill() }
func kill(p *os.Process) error      { return p.Kill() }
