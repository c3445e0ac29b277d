package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Types of PEM blocks.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// EncodeCertificates writes certificates as PEM, in their order.
func EncodeCertificates(all ...*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range all {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw}))
	}
	return out.Bytes()
}

// EncodeKey writes a private key as PEM, in PKCS #8 (CA-19). It fails for keys
// that cannot be taken out of where they are.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: encoded}), nil
}

// ParseCertificates reads one or more certificates, and nothing beside them.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for text = bytes.TrimSpace(text); len(text) > 0; text = bytes.TrimSpace(text) {
		block, rest := pem.Decode(text)
		switch {
		case block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")):
			return nil, errors.New("text that is no PEM block")
		case block.Type != certificateBlock:
			return nil, fmt.Errorf("PEM block %q: expected %s", block.Type, certificateBlock)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		all, text = append(all, c), rest
	}
	if all == nil {
		return nil, errors.New("no certificate")
	}
	return all, nil
}
