package ca

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/meshctl/meshctl/pkg/certs"
)

// leastPassphrase is how long a passphrase must be, in bytes.
const leastPassphrase = 8

// CheckPassphrase refuses what protects nothing.
func CheckPassphrase(p []byte) error {
	if len(p) < leastPassphrase {
		return fmt.Errorf("passphrase of %d bytes: at least %d are needed", len(p), leastPassphrase)
	}
	return nil
}

// seal encrypts with a passphrase, as age does (CA-56).
func seal(data, passphrase []byte, workFactor int) ([]byte, error) {
	if err := CheckPassphrase(passphrase); err != nil {
		return nil, err
	}
	recipient, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, err
	}
	if workFactor > 0 {
		recipient.SetWorkFactor(workFactor)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil { // writes the end
		return nil, err
	}
	return out.Bytes(), nil
}

// errPassphrase is a wrong one.
var errPassphrase = errors.New("the passphrase is not the one that the key was encrypted with")

// open decrypts what seal encrypted.
func open(sealed, passphrase []byte) ([]byte, error) {
	identity, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, errPassphrase
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), identity)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, errPassphrase
	case err != nil:
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	return data, nil
}

// wipe forgets a secret, as well as can be.
func wipe(secret []byte) { clear(secret) }

// encodeKey writes a key for the directory, encrypted unless there is no
// passphrase.
func encodeKey(key crypto.Signer, passphrase []byte, workFactor int) ([]byte, error) {
	plain, err := certs.EncodeKey(key)
	if err != nil || passphrase == nil {
		return plain, err
	}
	defer wipe(plain)
	return seal(plain, passphrase, workFactor)
}
