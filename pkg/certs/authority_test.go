package certs_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

func newIntermediate(t testing.TB, root *certs.Issuer, domain string, o certs.IntermediateOptions) *certs.Issuer {
	t.Helper()
	i, err := mintAt(noon).Intermediate(root, newKey(t, certs.P256), domain, o)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// verify checks a leaf under an issuer's chain.
func verify(leaf *x509.Certificate, i *certs.Issuer, root *x509.Certificate, at time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, c := range i.Chain {
		if !bytes.Equal(c.RawSubject, c.RawIssuer) {
			between.AddCert(c)
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at})
	return err
}

// TestIntermediate: the profile of an intermediate (CA-22, CA-28).
func TestIntermediate(t *testing.T) {
	t.Parallel()
	root := newRoot(t, newKey(t, certs.P384), certs.RootOptions{TTL: 100 * 24 * time.Hour})
	i := newIntermediate(t, root, "cluster.local", certs.IntermediateOptions{Istio: true})
	c := i.Certificate()
	const constraints = 30
	critical, there := extension(c, constraints)
	for rule, ok := range map[string]bool{
		"CA-20 the day in its name":           c.Subject.String() == "CN=cluster.local intermediate 2030-01-02,O=cluster.local",
		"CA-22 signs leaves only":             c.IsCA && c.MaxPathLen == 0 && c.MaxPathLenZero,
		"CA-22 certificates and CRLs":         c.KeyUsage == x509.KeyUsageCertSign|x509.KeyUsageCRLSign,
		"CA-22 no extended usage":             len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0,
		"CA-22 strictly inside the root's":    c.NotAfter.Equal(root.Root().NotAfter.Add(-time.Second)),
		"CA-22 istiod's name":                 fmt.Sprint(c.DNSNames) == "[istiod.istio-system.svc]",
		"CA-28 the trust domain only":         there && critical && fmt.Sprint(c.PermittedURIDomains) == "[cluster.local]",
		"CA-12 the root's key identifier":     bytes.Equal(c.AuthorityKeyId, root.Root().SubjectKeyId),
		"CA-17 the root's algorithm":          c.SignatureAlgorithm == x509.ECDSAWithSHA384,
		"the chain goes up to the root":       len(i.Chain) == 2 && i.Root() == root.Root(),
		"generations have names of their own": newIntermediate(t, root, "cluster.local", certs.IntermediateOptions{Generation: 2}).Certificate().Subject.CommonName == "cluster.local intermediate 2030-01-02-2",
	} {
		if !ok {
			t.Error(rule)
		}
	}
	for domain, want := range map[string]string{"cluster.local": "<nil>", "other.local": "not permitted"} {
		id, _ := certs.WorkloadID(domain, "shop", "web")
		leaf, err := mintAt(noon).Leaf(i, newKey(t, certs.P256).Public(), id, certs.LeafOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(leaf, i, root.Root(), noon); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", domain, err)
		}
	}
	free := newIntermediate(t, root, "cluster.local", certs.IntermediateOptions{Unconstrained: true, TTL: time.Hour}).Certificate()
	if _, there := extension(free, constraints); there || len(free.DNSNames) > 0 || !free.NotAfter.Equal(noon.Add(time.Hour)) {
		t.Errorf("without constraints, for an hour: %v, %v, %s", there, free.DNSNames, free.NotAfter)
	}
}

// TestLongDomain: a trust domain that is too long for a name makes roots and
// intermediates all the same (CA-1).
func TestLongDomain(t *testing.T) {
	t.Parallel()
	domain := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63)
	root, err := mintAt(noon).Root(newKey(t, certs.P256), domain, certs.RootOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i := newIntermediate(t, root, domain, certs.IntermediateOptions{})
	id, _ := certs.WorkloadID(domain, "shop", "web")
	leaf, err := mintAt(noon).Leaf(i, newKey(t, certs.P256).Public(), id, certs.LeafOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(leaf, i, root.Root(), noon); err != nil {
		t.Error(err)
	}
}

// TestCrossSigning: a leaf under the new root verifies with the old one, through
// the certificate that the old root gave to the new (CA-27).
func TestCrossSigning(t *testing.T) {
	t.Parallel()
	old := newRoot(t, newKey(t, certs.P256), certs.RootOptions{})
	next := newRoot(t, newKey(t, certs.P256), certs.RootOptions{Generation: 2})
	cross, err := mintAt(noon).CrossSign(old, next.Root())
	if err != nil {
		t.Fatal(err)
	}
	i := newIntermediate(t, next, "cluster.local", certs.IntermediateOptions{})
	leaf, err := mintAt(noon).Leaf(i, newKey(t, certs.P256).Public(), webID(t), certs.LeafOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(leaf, i, old.Root(), noon); err == nil {
		t.Error("it verifies without the cross-signed certificate")
	}
	with := &certs.Issuer{Chain: append([]*x509.Certificate{cross}, i.Chain...)}
	for _, root := range []*x509.Certificate{old.Root(), next.Root()} {
		if err := verify(leaf, with, root, noon); err != nil {
			t.Error(err)
		}
	}
}

// TestRenewedRoot: what one of the two signed verifies with the other (CA-26).
func TestRenewedRoot(t *testing.T) {
	t.Parallel()
	key := newKey(t, certs.P256)
	old := newRoot(t, key, certs.RootOptions{})
	later := noon.Add(3000 * 24 * time.Hour)
	renewed, err := mintAt(later).RenewRoot(key, old.Root(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !renewed.Root().NotAfter.Equal(later.Add(certs.DefaultRootTTL)) || !bytes.Equal(renewed.Root().RawSubject, old.Root().RawSubject) || len(renewed.Root().URIs) != 1 {
		t.Errorf("%s, %s, %v", renewed.Root().NotAfter, renewed.Root().Subject, renewed.Root().URIs)
	}
	for _, signer := range []*certs.Issuer{old, renewed} {
		leaf, err := mintAt(later).Leaf(signer, newKey(t, certs.P256).Public(), webID(t), certs.LeafOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, root := range []*certs.Issuer{old, renewed} {
			if err := verify(leaf, signer, root.Root(), later); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestCRL: a list is signed, numbered and says until when it counts (CA-29).
func TestCRL(t *testing.T) {
	t.Parallel()
	root := newRoot(t, newKey(t, certs.P256), certs.RootOptions{})
	entry := x509.RevocationListEntry{SerialNumber: big.NewInt(7), RevocationTime: noon, ReasonCode: 1}
	list, err := mintAt(noon).CRL(root, big.NewInt(3), []x509.RevocationListEntry{entry}, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(root.Root()); err != nil {
		t.Error(err)
	}
	if got := list.RevokedCertificateEntries; len(got) != 1 || got[0].SerialNumber.Int64() != 7 || got[0].ReasonCode != 1 || list.Number.Int64() != 3 || !list.NextUpdate.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", list)
	}
	if text := certs.EncodeCRLs(list, list); bytes.Count(text, []byte("-----BEGIN X509 CRL-----")) != 2 {
		t.Errorf("%s", text)
	}
}

// TestOtherNames: names beside the identity are added only if they are host
// names (CA-7, CA-64); serial numbers in use are not taken again (CA-13).
func TestOtherNames(t *testing.T) {
	t.Parallel()
	root := newRoot(t, newKey(t, certs.P256), certs.RootOptions{})
	public := newKey(t, certs.P256).Public()
	o := certs.LeafOptions{DNSNames: []string{"web.shop.svc"}, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	leaf, err := mintAt(noon).Leaf(root, public, webID(t), o)
	if err != nil || fmt.Sprint(leaf.DNSNames, leaf.IPAddresses, leaf.URIs) != "[web.shop.svc] [127.0.0.1] [spiffe://cluster.local/ns/shop/sa/web]" {
		t.Errorf("%+v, %v", leaf, err)
	}
	for _, name := range []string{"*.shop.svc", "", "a..b", "Web", "-a", strings.Repeat("a", 64)} {
		if _, err := mintAt(noon).Leaf(root, public, webID(t), certs.LeafOptions{DNSNames: []string{name}}); err == nil || !strings.Contains(err.Error(), "expected a host name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	asked := 0
	mint := mintAt(noon)
	mint.Taken = func(*big.Int) bool { asked++; return asked == 1 }
	if _, err := mint.Leaf(root, public, webID(t), certs.LeafOptions{}); err != nil || asked != 2 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}
