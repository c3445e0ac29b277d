package ca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/certs"
)

// maxCSR limits certificate requests, in bytes (CA-34).
const maxCSR = 16 << 10

// ParseCSR reads one certificate request as PEM, and checks that whoever made it
// has the key (CA-34, CA-63).
func ParseCSR(text []byte) (*x509.CertificateRequest, error) {
	if len(text) > maxCSR {
		return nil, fmt.Errorf("certificate request of %d bytes: at most %d are allowed", len(text), maxCSR)
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil || !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")):
		return nil, errors.New("expected a certificate request as PEM")
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("a private key is no certificate request; keep it to yourself")
	case block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST":
		return nil, fmt.Errorf("PEM block %q: expected CERTIFICATE REQUEST", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("text after the certificate request")
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if r.PublicKey == nil || r.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		return nil, errors.New("certificate request: its kind of key or of signature is not supported: expected a key of RSA (not of RSA-PSS), ECDSA or Ed25519")
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: whoever made it does not have the key: %w", err)
	}
	return r, certs.CheckKey(r.PublicKey)
}

// Sign makes a leaf for the key of a certificate request. Nothing else is taken
// from it; what it asks for beyond that is told (CA-32).
func (a *Authority) Sign(ctx context.Context, csr *x509.CertificateRequest, id certs.ID, o certs.LeafOptions) (*Issued, []string, error) {
	if err := a.checkRequestKey(csr); err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(csr.Raw)
	issued, err := a.Issue(ctx, []Request{{ID: id, Options: o, public: csr.PublicKey, request: hex.EncodeToString(sum[:])}})
	if err != nil {
		return nil, nil, err
	}
	return &issued[0], ignored(csr, id), nil
}

// checkRequestKey refuses keys of authorities, and those whose certificates were
// revoked for it (CA-63).
func (a *Authority) checkRequestKey(csr *x509.CertificateRequest) error {
	for _, c := range a.certs {
		if certs.EqualKeys(c.PublicKey, csr.PublicKey) {
			return fmt.Errorf("the certificate request has the key of the authority %q", c.Subject)
		}
	}
	revoked, err := a.revocations()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	for _, r := range revoked {
		if r.Key == hex.EncodeToString(sum[:]) {
			return fmt.Errorf("the certificate request has the key of %s, which was revoked: make a new key", r.Serial)
		}
	}
	return nil
}

// ignored lists what a request asks for and does not get.
func ignored(csr *x509.CertificateRequest, id certs.ID) []string {
	var all []string
	if s := csr.Subject.String(); s != "" && s != "O=" {
		all = append(all, "subject "+s)
	}
	for _, uri := range csr.URIs {
		if uri.String() != id.String() {
			all = append(all, "URI "+uri.String())
		}
	}
	for _, name := range csr.DNSNames {
		all = append(all, "DNS name "+name)
	}
	for _, ip := range csr.IPAddresses {
		all = append(all, "IP address "+ip.String())
	}
	for _, address := range csr.EmailAddresses {
		all = append(all, "e-mail address "+address)
	}
	for _, e := range csr.Extensions {
		if alternativeNames := []int{2, 5, 29, 17}; !e.Id.Equal(alternativeNames) {
			all = append(all, "extension "+e.Id.String())
		}
	}
	return all
}

// RequestedID is the identity that a request names, if it names one.
func RequestedID(csr *x509.CertificateRequest) (certs.ID, error) {
	if len(csr.URIs) != 1 {
		return certs.ID{}, fmt.Errorf("the certificate request names %d URIs: expected one", len(csr.URIs))
	}
	return certs.ParseID(csr.URIs[0].String())
}

// algorithmOf names the kind of a key; "" for one that is not made here.
func algorithmOf(public any) certs.KeyAlgorithm {
	kind := certs.Ed25519
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		kind = certs.KeyAlgorithm(k.Curve.Params().Name)
	case *rsa.PublicKey:
		kind = certs.KeyAlgorithm(fmt.Sprintf("RSA-%d", k.N.BitLen()))
	}
	if !slices.Contains(certs.KeyAlgorithms(), kind) {
		return ""
	}
	return kind
}
