package certs_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// holder is a certificate and its key, made without the mint: so that it can
// have every fault.
type holder struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (a *holder) pem() []byte { return certs.EncodeCertificates(a.cert) }

func (a *holder) keyPEM(t testing.TB) []byte {
	t.Helper()
	text, err := certs.EncodeKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rootOf and caOf are templates of authorities without a fault.
func rootOf(change ...func(*x509.Certificate)) *x509.Certificate {
	return changed(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"cluster.local"}, CommonName: "root"},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(3650 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
	}, change)
}

func caOf(change ...func(*x509.Certificate)) *x509.Certificate {
	return changed(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{Organization: []string{"cluster.local"}, CommonName: "intermediate"},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}, change)
}

func leafOf(change ...func(*x509.Certificate)) *x509.Certificate {
	return changed(&x509.Certificate{
		SerialNumber: big.NewInt(3), NotBefore: noon.Add(-time.Minute), NotAfter: noon.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/shop/sa/web"}},
	}, change)
}

func changed(c *x509.Certificate, change []func(*x509.Certificate)) *x509.Certificate {
	for _, f := range change {
		f(c)
	}
	return c
}

// issue signs a template with a new key; without an issuer by itself.
func issue(t testing.TB, template *x509.Certificate, by *holder) *holder {
	t.Helper()
	return makeFor(t, template, newKey(t, certs.P256), by)
}

func makeFor(t testing.TB, template *x509.Certificate, key crypto.Signer, by *holder) *holder {
	t.Helper()
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{c, key}
}

// weakRSA is a key that all verifiers accept.
func weakRSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
