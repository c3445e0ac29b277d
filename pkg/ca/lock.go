package ca

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshctl/meshctl/pkg/report"
)

// lockName is the file that a command holds while it writes.
const lockName = "lock"

// errHeld is a lock that another process has.
var errHeld = errors.New("held by another process")

// lock waits for the lock of a directory. The file tells who has it; it stays
// when the lock is given back, since removing it would let in two (CA-59).
func lock(dir string, e Env) (*os.File, error) {
	const mode, pause = 0o600, 20 * time.Millisecond
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, mode) //nolint:gosec // a file of the directory
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(e.Wait); ; time.Sleep(pause) {
		err := tryLock(f)
		if err == nil {
			break
		}
		if !errors.Is(err, errHeld) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		if time.Now().After(end) {
			return nil, errors.Join(heldBy(f, e.Wait), f.Close())
		}
	}
	owner := fmt.Sprintf("process %d, %s\n", os.Getpid(), e.Command)
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt([]byte(owner), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// heldBy says who has the lock.
func heldBy(f *os.File, waited time.Duration) error {
	const most = 200
	text := make([]byte, most)
	n, _ := f.ReadAt(text, 0) // an unknown owner is one too
	owner := strings.TrimSpace(string(text[:n]))
	if owner == "" {
		owner = "another process"
	}
	return &report.InputError{
		Location: report.Location{File: filepath.Dir(f.Name())},
		Err:      fmt.Errorf("in use by %s, for more than %s", owner, waited),
		Hint:     "wait until it is done; the lock ends with its process",
	}
}
