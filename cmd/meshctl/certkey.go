package main

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// private is the mode of files with keys.
const private = 0o600

// keyFile is a private key in a file of the user's.
type keyFile struct {
	path     string
	force    bool
	insecure bool
	allowGit bool
}

func (f *keyFile) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.insecure, "insecure-files", false, "take a key that other users can read")
	flags.BoolVar(&f.allowGit, "allow-git", false, "write a key even into a git checkout")
}

// read takes the key of a file that only its owner can read (CA-55).
func (f *keyFile) read() (crypto.Signer, error) {
	text, err := ca.ReadSecret(f.path, f.insecure)
	if err != nil {
		return nil, err
	}
	key, err := certs.ParseKey(text)
	if err != nil {
		return nil, &meshreport.InputError{Location: meshreport.Location{File: f.path}, Err: err, Hint: "give a private key as PEM, not encrypted"}
	}
	return key, nil
}

// exists tells whether there is something in the key's place.
func (f *keyFile) exists() (bool, error) {
	_, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// make writes a new key, for this user only. What is there is not overwritten
// unless it is to be.
func (f *keyFile) make(algorithm certs.KeyAlgorithm) (crypto.Signer, error) {
	if err := (&keyFlags{allowGit: f.allowGit}).mayWrite(f.path); err != nil {
		return nil, err
	}
	key, err := certs.GenerateKey(algorithm)
	if err != nil {
		return nil, err
	}
	text, err := certs.EncodeKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeFresh(f.path, text, private, f.force)
}

// writeFresh writes a file. One that is there is replaced only if it is to be.
func writeFresh(path string, text []byte, mode fs.FileMode, force bool) error {
	file := atomicfile.File{Name: path, Data: text, Mode: mode}
	if force {
		return (&atomicfile.Disk{}).Replace(file)
	}
	err := (&atomicfile.Disk{}).Create(file)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: exists already: use --force to overwrite", path)
	}
	return err
}
