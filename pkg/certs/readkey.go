package certs

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrEncrypted is a key that cannot be read without a passphrase.
var ErrEncrypted = errors.New("the private key is encrypted")

// ParseKey reads the one private key of a PEM text: PKCS #8, PKCS #1 or SEC 1,
// as istiod does (CA-19). Its errors tell lines, and nothing of what they hold.
func ParseKey(text []byte) (crypto.Signer, error) {
	blocks, faults := ScanBlocks(text)
	for _, f := range faults {
		if !f.Stray || f.Last { // what stands before a key is skipped by everybody
			return nil, f
		}
	}
	if len(blocks) == 0 {
		return nil, errors.New("no private key: expected a PEM block PRIVATE KEY")
	}
	first := &blocks[0]
	if !first.IsKey() {
		return nil, fmt.Errorf("line %d: block %s: expected PRIVATE KEY", first.Line, first.Kind)
	}
	if len(blocks) > 1 {
		return nil, fmt.Errorf("line %d: block %s after the private key: expected nothing more", blocks[1].Line, blocks[1].Kind)
	}
	return first.Key()
}

// Key decodes the private key of the block.
func (b *Block) Key() (crypto.Signer, error) {
	if b.Encrypted() {
		return nil, fmt.Errorf("line %d: %w", b.Line, ErrEncrypted)
	}
	key, err := DecodeKey(b.Data)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", b.Line, err)
	}
	return key, nil
}

// DecodeKey reads the DER of a private key: PKCS #8, PKCS #1 or SEC 1.
func DecodeKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("private key of type %T cannot sign", key)
		}
		return signer, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	// What the library says may quote parts of the key.
	return nil, errors.New("the private key is damaged, or of a kind that is not known: expected PKCS #8, PKCS #1 or SEC 1 of RSA, ECDSA or Ed25519")
}

// EqualKeys compares public keys.
func EqualKeys(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}
