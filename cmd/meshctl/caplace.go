package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// checkFresh wants a file to be one that can be made, before anything is done that
// cannot be undone; "" is standard output.
func checkFresh(file string) error {
	if file == "" {
		return nil
	}
	if _, err := os.Lstat(file); err == nil {
		return &meshreport.InputError{Location: meshreport.Location{File: file}, Err: errors.New("exists already"), Hint: "choose another file, or move this one away"}
	}
	return checkFolder(filepath.Dir(file))
}

// checkFolder wants a directory that is there, for a file to be made in it.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &meshreport.InputError{Location: meshreport.Location{File: dir}, Err: errors.New("there is no such directory"), Hint: "make it first"}
	case err != nil:
		return err
	case !info.IsDir():
		return &meshreport.InputError{Location: meshreport.Location{File: dir}, Err: errors.New("not a directory")}
	}
	return nil
}

// leastLifetime is that of certificates and lists, whose times are whole seconds.
const leastLifetime = time.Second

// positive refuses durations that were given and are over already.
func positive(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if !typed(cmd, name) {
			continue
		}
		if d, err := cmd.Flags().GetDuration(name); err == nil && d < leastLifetime {
			return usagef(cmd, "--%s %s: expected %s or more", name, d, leastLifetime)
		}
	}
	return nil
}

// plainOrNot refuses a passphrase for what is not to be encrypted.
func (f *caFlags) plainOrNot(cmd *cobra.Command, plain bool) error {
	if plain && (f.passphraseFile != "" || f.passphraseFD >= 0) {
		return usagef(cmd, "--no-encrypt and a passphrase exclude each other")
	}
	return nil
}

// checkGit refuses places for an authority from which its keys get around: the one
// that signs is in the clear (CA-48).
func checkGit(place string, allow bool) error {
	return (&keyFlags{allowGit: allow}).mayWrite(place)
}

const allowGitUsage = "write keys even into a git checkout"
