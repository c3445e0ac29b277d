package certs_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// authority is a root and an intermediate, made by hand so that both can be
// made wrong.
type authority struct {
	root, cert       *x509.Certificate
	rootKey, certKey crypto.Signer
}

// made makes an authority; the changes are made to the templates before they
// are signed.
func made(t *testing.T, change func(root, cert *x509.Certificate)) authority {
	t.Helper()
	return madeWith(t, newKey(t, certs.P256), change)
}

func madeWith(t *testing.T, key crypto.Signer, change func(root, cert *x509.Certificate)) authority {
	t.Helper()
	a := authority{rootKey: newKey(t, certs.P256), certKey: key}
	template := func(name string, serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(365 * 24 * time.Hour),
		}
	}
	root, cert := template("root", 1001), template("intermediate", 1002)
	cert.MaxPathLenZero = true
	cert.NotAfter = noon.Add(300 * 24 * time.Hour)
	if change != nil {
		change(root, cert)
	}
	sign := func(template, parent *x509.Certificate, public any, key crypto.Signer) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a.root = sign(root, root, a.rootKey.Public(), a.rootKey)
	a.cert = sign(cert, a.root, a.certKey.Public(), a.rootKey)
	return a
}

func (a authority) bundle(t *testing.T) certs.Bundle {
	t.Helper()
	key, err := certs.EncodeKey(a.certKey)
	if err != nil {
		t.Fatal(err)
	}
	return certs.Bundle{
		Cert: certs.EncodeCertificates(a.cert), Key: key, Root: certs.EncodeCertificates(a.root), Chain: certs.EncodeCertificates(a.cert, a.root),
	}
}

// TestCheckBundle: every kind of plugged-in authority that istiod refuses, or
// takes and then signs leaves that nobody can verify, is told, with the part at
// fault and a way out; good ones are good (CA-23, CA-70, section 10.3).
func TestCheckBundle(t *testing.T) {
	t.Parallel()
	good := made(t, nil)
	other := made(t, func(root, _ *x509.Certificate) { root.Subject.CommonName = "another root" })
	namesake := made(t, nil)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := func(a authority, change func(*certs.Bundle)) certs.Bundle {
		b := a.bundle(t)
		if change != nil {
			change(&b)
		}
		return b
	}
	with := func(change func(root, cert *x509.Certificate)) certs.Bundle { return of(made(t, change), nil) }
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{0x30, 0}})
	for name, tt := range map[string]struct {
		bundle     certs.Bundle
		code, file string // of the first error; "" for none
	}{
		"standard":                   {of(good, nil), "", ""},
		"chain of the signer only":   {of(good, func(b *certs.Bundle) { b.Chain = b.Cert }), "", ""},
		"chain the wrong way round":  {of(good, func(b *certs.Bundle) { b.Chain = certs.EncodeCertificates(good.root, good.cert) }), "", ""},
		"two roots":                  {of(good, func(b *certs.Bundle) { b.Root = certs.EncodeCertificates(good.root, other.root) }), "", ""},
		"an Ed25519 intermediate":    {of(madeWith(t, ed, nil), nil), "", ""},
		"chain without the signer":   {of(good, func(b *certs.Bundle) { b.Chain = b.Root }), "chain-lacks-ca", certs.BundleChain},
		"empty chain":                {of(good, func(b *certs.Bundle) { b.Chain = nil }), "chain-empty", certs.BundleChain},
		"signer without keyCertSign": {with(func(_, c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), "no-cert-sign", certs.BundleCert},
		"root of path length 0":      {with(func(r, _ *x509.Certificate) { r.MaxPathLenZero = true }), "path-length", certs.BundleRoot},
		"constraint to another domain": {with(func(_, c *x509.Certificate) {
			c.PermittedURIDomains, c.PermittedDNSDomainsCritical = []string{"other"}, true
		}), "name-constraint", certs.BundleCert},
		"signer is a leaf":               {with(func(_, c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = false, false }), "not-a-ca", certs.BundleCert},
		"for clients only":               {with(func(_, c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "extended-key-usage", certs.BundleCert},
		"key of another":                 {of(good, func(b *certs.Bundle) { b.Key = other.bundle(t).Key }), "key-mismatch", certs.BundleKey},
		"encrypted key":                  {of(good, func(b *certs.Bundle) { b.Key = encrypted }), "encrypted-key", certs.BundleKey},
		"no key":                         {of(good, func(b *certs.Bundle) { b.Key = nil }), "missing", certs.BundleKey},
		"another root":                   {of(good, func(b *certs.Bundle) { b.Root = certs.EncodeCertificates(other.root) }), "unknown-issuer", certs.BundleChain},
		"a root of the same name":        {of(good, func(b *certs.Bundle) { b.Root, b.Chain = certs.EncodeCertificates(namesake.root), b.Cert }), "bad-signature", certs.BundleRoot},
		"expired":                        {with(func(_, c *x509.Certificate) { c.NotBefore, c.NotAfter = noon.Add(-48*time.Hour), noon.Add(-time.Hour) }), "expired", certs.BundleCert},
		"about to expire":                {with(func(_, c *x509.Certificate) { c.NotAfter = noon.Add(24 * time.Hour) }), "expires-soon", certs.BundleCert},
		"a key in the chain":             {of(good, func(b *certs.Bundle) { b.Chain = slices.Concat(b.Chain, b.Key) }), "key-in-chain", certs.BundleChain},
		"a weak key":                     {of(madeWith(t, weak, nil), nil), "weak-key", certs.BundleCert},
		"text behind the certificate":    {of(good, func(b *certs.Bundle) { b.Cert = append(bytes.Clone(b.Cert), "garbage\n"...) }), "stray-text", certs.BundleCert},
		"a certificate that is cut off":  {of(good, func(b *certs.Bundle) { b.Cert = b.Cert[:len(b.Cert)/2] }), "bad-pem", certs.BundleCert},
		"no root":                        {of(good, func(b *certs.Bundle) { b.Root = nil }), "missing", certs.BundleRoot},
		"a certificate where the key is": {of(good, func(b *certs.Bundle) { b.Key = b.Cert }), "", certs.BundleKey},
		"a certificate that is no PEM":   {of(good, func(b *certs.Bundle) { b.Cert = good.cert.Raw }), "", certs.BundleCert},
		"nothing at all":                 {certs.Bundle{}, "missing", certs.BundleCert},
	} {
		problems := certs.CheckBundle(tt.bundle, noon)
		i := slices.IndexFunc(problems, func(p certs.Problem) bool { return p.Severity == certs.SeverityError })
		switch {
		case tt.file == "" && i >= 0:
			t.Errorf("%s: %+v", name, problems)
		case tt.file != "" && !slices.ContainsFunc(problems, func(p certs.Problem) bool {
			return p.Severity == certs.SeverityError && (tt.code == "" || p.Code == tt.code) && p.File == tt.file
		}):
			t.Errorf("%s: %+v, want %s of %s", name, problems, tt.code, tt.file)
		}
		for _, p := range problems {
			if p.Message == "" || p.Fix == "" || strings.Contains(p.Message+p.Fix, "PRIVATE KEY-----") {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

// TestTrialLeaf: whatever CheckBundle finds nothing wrong with signs leaves that
// a peer verifies through the chain that istiod would publish.
func TestTrialLeaf(t *testing.T) {
	t.Parallel()
	a := made(t, nil)
	if problems := certs.CheckBundle(a.bundle(t), noon); certs.HasErrors(problems) {
		t.Fatal(problems)
	}
	id, err := certs.WorkloadID("cluster.local", "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := mintAt(noon).Leaf(&certs.Issuer{Chain: []*x509.Certificate{a.cert, a.root}, Key: a.certKey}, newKey(t, certs.P256).Public(), id, certs.LeafOptions{})
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.root)
	between.AddCert(a.cert)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: noon, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
}
