package certs

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
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

// IntermediateRequest makes a request for an intermediate that signs leaves and
// nothing else (CA-22). Whoever signs it decides on that: what comes of it is to be
// checked.
func (m *Mint) IntermediateRequest(key crypto.Signer, domain string, generation int) (*x509.CertificateRequest, error) {
	algorithm, err := signatureAlgorithm(key.Public())
	if err != nil {
		return nil, err
	}
	constraints, err := asn1.Marshal(struct {
		CA         bool
		PathLength int
	}{true, 0})
	if err != nil {
		return nil, err
	}
	const certSignAndCRLSign = 0x06 // bits 5 and 6 of 7
	usage, err := asn1.Marshal(asn1.BitString{Bytes: []byte{certSignAndCRLSign}, BitLength: 7})
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{
		SignatureAlgorithm: algorithm, Subject: authorityTemplate(domain, "intermediate", generation, m.Now()).Subject,
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: constraints}, {Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: usage},
		},
	}
	der, err := x509.CreateCertificateRequest(m.Random, template, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificateRequest(der)
}

// EncodeRequest writes a certificate request as PEM.
func EncodeRequest(r *x509.CertificateRequest) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.Raw})
}
