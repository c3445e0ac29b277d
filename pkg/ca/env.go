package ca

import (
	"context"
	"io"
	"time"
)

// Env is what an authority needs of the world around it.
type Env struct {
	Now    func() time.Time // must be set
	Random io.Reader        // of serial numbers and signatures; must be set
	Caller string           // who asks, for the log
	// Command is what holds the lock, for whoever waits for it.
	Command string
	// Wait is how long to wait for the lock.
	Wait time.Duration
	// InsecureFiles takes keys that others can read (CA-55).
	InsecureFiles bool
	// WorkFactor of the passphrase, as a power of two; 0 is age's own. Tests lower
	// it.
	WorkFactor int
	// Step is asked before each change of the disk; an error ends the work there.
	// Tests set it.
	Step func(what, name string) error
}

// Passphrase gives the one that protects the root's key, when it is needed. It
// may ask somebody.
type Passphrase func(ctx context.Context) ([]byte, error)
