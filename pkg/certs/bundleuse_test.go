package certs_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// usageCases are authorities whose leaves verify, and that are not as they should
// be for istiod itself, for revocation or for the strict (CA-12, CA-21, CA-23,
// CA-28).
func usageCases() []bundleCase {
	permit := func(domains ...string) *x509.Certificate {
		return caOf(func(c *x509.Certificate) { c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = domains, true })
	}
	return []bundleCase{
		{"the signer has no key usage", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.KeyUsage = 0 })), []string{"W no-key-usage ca-cert.pem"}},
		{"the root has no key usage", fromTemplates(rootOf(func(c *x509.Certificate) { c.KeyUsage = 0 }), caOf()), []string{"W no-key-usage root-cert.pem"}},
		{"no key usage, and a path that is too long", fromTemplates(rootOf(func(c *x509.Certificate) { c.KeyUsage, c.MaxPathLenZero = 0, true }), caOf()), []string{"E path-length root-cert.pem", "W no-key-usage root-cert.pem"}},
		{"no cRLSign", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })), []string{"W no-crl-sign ca-cert.pem"}},
		{"the root has no cRLSign", fromTemplates(rootOf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), caOf()), []string{"W no-crl-sign root-cert.pem"}},
		{"no key identifier", func(t testing.TB) certs.Bundle {
			r := issue(t, rootOf(), nil)
			ca := issue(t, caOf(), r)
			der := withoutKeyID(t, ca, r)
			return certs.Bundle{Cert: der, Key: ca.keyPEM(t), Root: r.pem(), Chain: slices.Concat(der, r.pem())}
		}, []string{"W key-id ca-cert.pem"}},
		{"leads to no root", fromParts(func(t testing.TB, b *certs.Bundle, _, _ *holder) {
			stranger := issue(t, rootOf(func(c *x509.Certificate) { c.Subject.CommonName = "stranger" }), nil)
			b.Chain = append(b.Chain, issue(t, caOf(func(c *x509.Certificate) { c.Subject.CommonName = "lost" }), stranger).pem()...)
		}), []string{"W extra-certificates cert-chain.pem"}},
		{"a root that can have no intermediate", func(t testing.TB) certs.Bundle {
			r := issue(t, rootOf(func(c *x509.Certificate) { c.MaxPathLenZero = true }), nil)
			return certs.Bundle{Cert: r.pem(), Key: r.keyPEM(t), Root: r.pem(), Chain: r.pem()}
		}, []string{"W path-length ca-cert.pem"}},
		{"DNS names of the cluster only", fromTemplates(rootOf(), permit("cluster.local")), []string{"W name-constraint ca-cert.pem"}},
		{"a DNS name that ends alike", fromTemplates(rootOf(), permit("m.svc")), []string{"W name-constraint ca-cert.pem"}},
		{"istiod's DNS name", fromTemplates(rootOf(), permit("cluster.local", "istiod.istio-system.svc")), nil},
		{"all that ends in svc", fromTemplates(rootOf(), permit("svc")), nil},
		{"a root that forbids istiod's", fromTemplates(rootOf(func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"Istio-System.svc"} }), caOf()), []string{"W name-constraint root-cert.pem"}},
	}
}

// withoutKeyID issues an authority anew whose certificate has no subject key
// identifier.
func withoutKeyID(t testing.TB, ca, by *holder) []byte {
	t.Helper()
	// The library makes an identifier for what it takes for an authority.
	template := caOf(func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.MaxPathLenZero = false, false, false
		authority := []byte{0x30, 0x03, 0x01, 0x01, 0xff} // CA:TRUE
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: authority}}
	})
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, ca.key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestBundleUses: what the trial of one workload's leaf does not show.
func TestBundleUses(t *testing.T) {
	t.Parallel()
	for _, tt := range usageCases() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found := certs.CheckBundle(tt.make(t), noon)
			if got := codes(found); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q: %+v", got, tt.want, found)
			}
			for _, p := range found {
				if p.Message == "" || p.Fix == "" || p.Rule() == "" || strings.Contains(p.Message, "nobody accepts") {
					t.Errorf("no words, no rule, or too much said: %+v", p)
				}
			}
		})
	}
}

// revoking is a list with serial numbers in it.
func revoking(t testing.TB, by *holder, serials ...*big.Int) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon.Add(-time.Hour), NextUpdate: noon.Add(time.Hour)}
	for _, n := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: noon.Add(-time.Hour)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, by.cert, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// TestRevokedAuthorities: lists that revoke what they come with, as openssl verify
// -crl_check_all finds (CA-29).
func TestRevokedAuthorities(t *testing.T) {
	t.Parallel()
	b, r, ca := plugged(t, rootOf(), caOf())
	old := issue(t, caOf(func(c *x509.Certificate) { c.Subject.CommonName, c.SerialNumber = "old", big.NewInt(9) }), r)
	both := b
	both.Chain = slices.Concat(b.Chain, old.pem())
	for _, tt := range []struct {
		name   string
		bundle certs.Bundle
		crl    []byte
		want   []string
		says   string
	}{
		{"the signer", b, slices.Concat(listOf(t, ca, noon.Add(time.Hour)), revoking(t, r, ca.cert.SerialNumber)), []string{"E revoked ca-crl.pem"}, `"CN=intermediate,O=cluster.local" in ca-cert.pem (serial number 2)`},
		{"the root by itself", b, slices.Concat(revoking(t, r, r.cert.SerialNumber), revoking(t, ca)), []string{"E revoked ca-crl.pem"}, `line 1: the list of "CN=root,O=cluster.local" revokes "CN=root,O=cluster.local" in root-cert.pem`},
		{"a leaf with the root's number", b, slices.Concat(revoking(t, r), revoking(t, ca, r.cert.SerialNumber)), nil, ""},
		{"one that is not needed", both, slices.Concat(revoking(t, r, old.cert.SerialNumber), revoking(t, ca), revoking(t, old)), []string{"W revoked ca-crl.pem"}, "in cert-chain.pem"},
	} {
		found := certs.CheckBundleCRL(tt.bundle, tt.crl, noon)
		if got := codes(found); !slices.Equal(got, slices.Concat([]string{}, tt.want)) || len(found) > 0 && !strings.Contains(found[0].Message, tt.says) {
			t.Errorf("%s: %q, want %q: %+v", tt.name, got, tt.want, found)
		}
	}
}
