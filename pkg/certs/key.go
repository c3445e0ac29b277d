package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
)

// KeyAlgorithm is a kind of key (CA-16).
type KeyAlgorithm string

// The kinds. Whether Envoy takes Ed25519 keys is not known.
const (
	P256    KeyAlgorithm = "P-256"
	P384    KeyAlgorithm = "P-384"
	RSA2048 KeyAlgorithm = "RSA-2048"
	RSA3072 KeyAlgorithm = "RSA-3072"
	RSA4096 KeyAlgorithm = "RSA-4096"
	Ed25519 KeyAlgorithm = "Ed25519"
)

// KeyAlgorithms are all kinds, the usual one first.
func KeyAlgorithms() []KeyAlgorithm {
	return []KeyAlgorithm{P256, P384, RSA2048, RSA3072, RSA4096, Ed25519}
}

// GenerateKey makes a private key. Its randomness is always the system's.
func GenerateKey(a KeyAlgorithm) (crypto.Signer, error) {
	switch a {
	case P256, "":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("key algorithm %q: expected one of %v", a, KeyAlgorithms())
}

// CheckKey says why no certificate should be made for a key: it is too weak, or
// peers refuse it though verifiers do not (CA-16).
func CheckKey(public crypto.PublicKey) error {
	const leastBits, usualExponent = 2048, 65537
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < leastBits {
			return fmt.Errorf("RSA key of %d bits: at least %d are needed", bits, leastBits)
		}
		if k.E != usualExponent {
			return fmt.Errorf("RSA key with the exponent %d: only %d is accepted", k.E, usualExponent)
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			return errors.New("P-224 key: TLS does not take it; use P-256")
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("key of type %T: expected RSA, ECDSA or Ed25519", public)
	}
	return nil
}

// signatureAlgorithm follows the key that signs, never the one that is signed
// (CA-17).
func signatureAlgorithm(issuer crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	switch k := issuer.(type) {
	case *rsa.PublicKey:
		return x509.SHA256WithRSA, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return x509.ECDSAWithSHA256, nil
		case elliptic.P384():
			return x509.ECDSAWithSHA384, nil
		case elliptic.P521():
			return x509.ECDSAWithSHA512, nil
		}
	case ed25519.PublicKey:
		return x509.PureEd25519, nil
	}
	return x509.UnknownSignatureAlgorithm, fmt.Errorf("key of type %T cannot sign certificates", issuer)
}
