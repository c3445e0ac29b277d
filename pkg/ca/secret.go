package ca

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/meshctl/meshctl/pkg/report"
)

// maxSecret limits files with a key, maxSecrets those with the Secrets of a mesh,
// in bytes.
const (
	maxSecret  = 1 << 20
	maxSecrets = 256 << 20
)

// ReadSecret reads a file that only its owner may read: it is no symbolic link,
// it is the user's, and nobody else can read it (CA-55). Pipes and devices are
// taken as they are.
func ReadSecret(name string, insecure bool) ([]byte, error) {
	return readSecret(name, insecure, maxSecret)
}

// ReadSecrets is ReadSecret for manifests, which are larger.
func ReadSecrets(name string, insecure bool) ([]byte, error) {
	return readSecret(name, insecure, maxSecrets)
}

func readSecret(name string, insecure bool, most int64) ([]byte, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if err := checkSecret(info, insecure); err != nil {
		return nil, &report.InputError{Location: report.Location{File: name}, Err: err, Hint: secretHint(info, name)}
	}
	f, err := os.Open(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	opened, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, opened) {
		return nil, fmt.Errorf("%s: changed while it was opened", name)
	}
	text, err := readFrom(f, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// ReadSecretFrom reads a secret to its end.
func ReadSecretFrom(r io.Reader) ([]byte, error) { return readFrom(r, maxSecret) }

func readFrom(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if int64(len(text)) > most {
		return nil, fmt.Errorf("longer than %d bytes", most)
	}
	return text, err
}

// checkSecret says why a file must not be trusted with a secret.
func checkSecret(info os.FileInfo, insecure bool) error {
	const others = 0o077
	switch mode := info.Mode(); {
	case mode&os.ModeSymlink != 0:
		return errors.New("a symbolic link is not taken for a key")
	case mode.IsDir():
		return errors.New("expected a file, not a directory")
	case !mode.IsRegular() || insecure:
		return nil
	case permissions && mode.Perm()&others != 0:
		return fmt.Errorf("others can read it: its mode is %04o", mode.Perm())
	}
	return checkOwner(info)
}

func secretHint(info os.FileInfo, name string) string {
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		return "name the file that it points to"
	case info.IsDir():
		return ""
	}
	return "chmod 600 " + name + ", or --insecure-files"
}
