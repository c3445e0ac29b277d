package certs

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
)

// NewRequest makes a certificate request for an identity. All that an authority
// takes from it is the key; the URI tells people what it is for (CA-32, CA-33).
func NewRequest(random io.Reader, key crypto.Signer, id ID) (*x509.CertificateRequest, error) {
	if err := CheckKey(key.Public()); err != nil {
		return nil, err
	}
	algorithm, err := signatureAlgorithm(key.Public())
	if err != nil {
		return nil, err
	}
	names, err := alternativeName(id, nil, nil)
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{SignatureAlgorithm: algorithm, ExtraExtensions: []pkix.Extension{names}}
	der, err := x509.CreateCertificateRequest(random, template, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificateRequest(der)
}

// EncodeRequest writes a certificate request as PEM.
func EncodeRequest(r *x509.CertificateRequest) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.Raw})
}
