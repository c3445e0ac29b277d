package main

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// generate makes a new key, and the file that is to hold it, for this user only.
func (f *keyFile) generate(algorithm certs.KeyAlgorithm) (crypto.Signer, atomicfile.File, error) {
	file := atomicfile.File{Name: f.path, Mode: private}
	if err := (&keyFlags{allowGit: f.allowGit}).mayWrite(f.path); err != nil {
		return nil, file, err
	}
	key, err := certs.GenerateKey(algorithm)
	if err != nil {
		return nil, file, err
	}
	file.Data, err = certs.EncodeKey(key)
	return key, file, err
}

// make writes a new key. What is there is not overwritten unless it is to be.
func (f *keyFile) make(algorithm certs.KeyAlgorithm) (crypto.Signer, error) {
	key, file, err := f.generate(algorithm)
	if err != nil {
		return nil, err
	}
	return key, writeFresh(file.Name, file.Data, file.Mode, f.force)
}

// writeAllFresh writes all files or none of them. Those that are there are replaced
// only if they are to be.
func writeAllFresh(files []atomicfile.File, force bool) error {
	if force {
		return atomicfile.Write(files...)
	}
	for i, file := range files {
		if err := writeFresh(file.Name, file.Data, file.Mode, false); err != nil {
			for _, written := range files[:i] {
				err = errors.Join(err, os.Remove(written.Name))
			}
			return err
		}
	}
	return nil
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

// readForTokens is read, and refuses what signs certificates: whoever takes a token
// for good would trust the key for two things (CA-51).
func (f *keyFile) readForTokens() (crypto.Signer, error) {
	key, err := f.read()
	if err != nil {
		return nil, err
	}
	if what := authorityBeside(f.path, key); what != "" {
		return nil, &meshreport.InputError{Location: meshreport.Location{File: f.path}, Err: errors.New(what), Hint: "name a file that is not there: a key for tokens is made in it"}
	}
	return key, nil
}

// authorityBeside says what tells that a key is an authority's: the directory that
// it lies in, or a certificate there.
func authorityBeside(path string, key crypto.Signer) string {
	const most, largest = 1000, 1 << 20 // a folder of others is not searched for ever
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "" // the key was read: there is nothing to compare it with
	}
	for i, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		if entry.Name() == "state.json" {
			return "the key lies in the directory of an authority: it is not for tokens"
		}
		info, err := os.Stat(name)
		if i >= most || err != nil || !info.Mode().IsRegular() || info.Size() > largest {
			continue
		}
		text, err := os.ReadFile(name) //nolint:gosec // beside the file that the user names
		if err == nil && holdsAuthority(text, key) {
			return "the key is that of the certificate authority in " + name + ": it is not for tokens"
		}
	}
	return ""
}

func holdsAuthority(text []byte, key crypto.Signer) bool {
	blocks, _ := certs.ScanBlocks(text)
	for i := range blocks {
		if blocks[i].Kind != "CERTIFICATE" {
			continue
		}
		c, problem := certs.DecodeCertificate(blocks[i].Data)
		if problem == nil && c.IsCA && certs.EqualKeys(key.Public(), c.PublicKey) {
			return true
		}
	}
	return false
}
