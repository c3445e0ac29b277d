package certs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// plugged is a root, an intermediate and their bundle, without a fault.
func plugged(t testing.TB, root, ca *x509.Certificate) (b certs.Bundle, r, i *holder) {
	t.Helper()
	r = issue(t, root, nil)
	i = issue(t, ca, r)
	return certs.Bundle{Cert: i.pem(), Key: i.keyPEM(t), Root: r.pem(), Chain: slices.Concat(i.pem(), r.pem())}, r, i
}

// codes are the problems in short: E or W, code, file.
func codes(all []certs.Problem) []string {
	found := []string{}
	for _, p := range all {
		found = append(found, fmt.Sprintf("%s %s %s", strings.ToUpper(p.Severity[:1]), p.Code, p.File))
	}
	return found
}

// bundleCase is a bundle and what is found in it.
type bundleCase struct {
	name string
	make func(testing.TB) certs.Bundle
	want []string
}

// fromTemplates is a case whose certificates have a fault.
func fromTemplates(root, ca *x509.Certificate) func(testing.TB) certs.Bundle {
	return func(t testing.TB) certs.Bundle {
		b, _, _ := plugged(t, root, ca)
		return b
	}
}

// fromParts is a case whose parts have a fault.
func fromParts(change func(t testing.TB, b *certs.Bundle, root, ca *holder)) func(testing.TB) certs.Bundle {
	return func(t testing.TB) certs.Bundle {
		b, r, i := plugged(t, rootOf(), caOf())
		change(t, &b, r, i)
		return b
	}
}

// whatIstiodLoads are the rows of CA-70 that istiod takes, and signs leaves with
// that nobody can verify.
func whatIstiodLoads() []bundleCase {
	clientOnly := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return []bundleCase{
		{"standard", fromTemplates(rootOf(), caOf()), nil},
		{"the chain is the authority only", fromParts(func(_ testing.TB, b *certs.Bundle, _, ca *holder) { b.Chain = ca.pem() }), nil},
		{"the chain is reversed", fromParts(func(_ testing.TB, b *certs.Bundle, r, ca *holder) { b.Chain = slices.Concat(r.pem(), ca.pem()) }), []string{"W chain-order cert-chain.pem"}},
		{"two roots", fromParts(func(t testing.TB, b *certs.Bundle, r, _ *holder) {
			b.Root = slices.Concat(issue(t, rootOf(), nil).pem(), r.pem())
		}), nil},
		{"the chain is the root only", fromParts(func(_ testing.TB, b *certs.Bundle, r, _ *holder) { b.Chain = r.pem() }), []string{"E chain-lacks-ca cert-chain.pem"}},
		{"the chain is empty", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) { b.Chain = []byte("\n") }), []string{"E chain-empty cert-chain.pem"}},
		{"no keyCertSign", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })), []string{"E no-cert-sign ca-cert.pem"}},
		{"the root has pathlen:0", fromTemplates(rootOf(func(c *x509.Certificate) { c.MaxPathLenZero = true }), caOf()), []string{"E path-length root-cert.pem"}},
		{"names of another trust domain", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.org"} })), []string{"E name-constraint ca-cert.pem"}},
		{"Ed25519", func(t testing.TB) certs.Bundle {
			r := issue(t, rootOf(), nil)
			i := makeFor(t, caOf(), newKey(t, certs.Ed25519), r)
			return certs.Bundle{Cert: i.pem(), Key: i.keyPEM(t), Root: r.pem(), Chain: i.pem()}
		}, []string{"W unusual-key ca-cert.pem"}},

		{"a leaf", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = false, false })), []string{"E not-a-ca ca-cert.pem"}},
		{"clientAuth only", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.ExtKeyUsage = clientOnly })), []string{"E extended-key-usage ca-cert.pem"}},
		{"another key", fromParts(func(t testing.TB, b *certs.Bundle, r, _ *holder) { b.Key = r.keyPEM(t) }), []string{"E key-mismatch ca-key.pem"}},
		{"an encrypted key", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) {
			b.Key = pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
		}), []string{"E encrypted-key ca-key.pem"}},
		{"an encrypted key of old", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) {
			b.Key = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")})
		}), []string{"E encrypted-key ca-key.pem"}},
		{"another root", fromParts(func(t testing.TB, b *certs.Bundle, _, ca *holder) {
			b.Root = issue(t, rootOf(func(c *x509.Certificate) { c.Subject.CommonName = "other" }), nil).pem()
			b.Chain = ca.pem()
		}), []string{"E unknown-issuer root-cert.pem"}},
		{"another root of the same name", fromParts(func(t testing.TB, b *certs.Bundle, _, ca *holder) {
			b.Root, b.Chain = issue(t, rootOf(), nil).pem(), ca.pem()
		}), []string{"E bad-signature root-cert.pem"}},
		{"expired", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Minute) })), []string{"E expired ca-cert.pem"}},
	}
}

// whatElse are the other checks of CA-23.
func whatElse() []bundleCase {
	return []bundleCase{
		{"the root has expired", fromTemplates(rootOf(func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Minute) }), caOf()), []string{"E expired root-cert.pem"}},
		{"not valid yet", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Minute) })), []string{"E not-yet-valid ca-cert.pem"}},
		{"six days left", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.NotAfter = noon.Add(6 * 24 * time.Hour) })), []string{"E expires-soon ca-cert.pem"}},
		{"29 days left", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.NotAfter = noon.Add(29 * 24 * time.Hour) })), []string{"W expires-soon ca-cert.pem"}},
		{"it outlives the root", fromTemplates(rootOf(func(c *x509.Certificate) { c.NotAfter = noon.Add(100 * 24 * time.Hour) }), caOf()), []string{"W outlives-issuer ca-cert.pem"}},
		{"names below the trust domain", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"local"} })), []string{"E name-constraint ca-cert.pem"}},
		{"a forbidden trust domain", fromTemplates(rootOf(func(c *x509.Certificate) { c.ExcludedURIDomains = []string{"cluster.local"} }), caOf()), []string{"E name-constraint root-cert.pem"}},
		{"serverAuth only", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })), []string{"E extended-key-usage ca-cert.pem"}},
		{"a key in the chain", fromParts(func(t testing.TB, b *certs.Bundle, _, ca *holder) { b.Chain = append(b.Chain, ca.keyPEM(t)...) }), []string{"E key-in-chain cert-chain.pem"}},
		{"a key among the roots", fromParts(func(t testing.TB, b *certs.Bundle, r, _ *holder) { b.Root = slices.Concat(r.keyPEM(t), b.Root) }), []string{"E key-in-chain root-cert.pem"}},
		{"text behind", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) { b.Chain = append(b.Chain, "the end"...) }), []string{"E stray-text cert-chain.pem"}},
		{"text before", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) {
			b.Chain = append([]byte("subject=x\n"), b.Chain...)
		}), []string{"W stray-text cert-chain.pem"}},
		{"cut off", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) { b.Chain = b.Chain[:len(b.Chain)-30] }), []string{"E bad-pem cert-chain.pem"}},
		{"a block of another kind", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) {
			b.Root = append(b.Root, pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: []byte("x")})...)
		}), []string{"E wrong-block root-cert.pem"}},
		{"no certificate in it", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) {
			b.Root = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
		}), []string{"E malformed root-cert.pem"}},
		{"two certificates that sign", fromParts(func(_ testing.TB, b *certs.Bundle, r, _ *holder) { b.Cert = slices.Concat(b.Cert, r.pem()) }), []string{"W extra-certificates ca-cert.pem"}},
		{"parameters before the key", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) {
			b.Key = append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte("x")}), b.Key...)
		}), []string{"E bad-key ca-key.pem"}},
		{"a key cut off", fromParts(func(_ testing.TB, b *certs.Bundle, _, _ *holder) { b.Key = b.Key[:len(b.Key)-30] }), []string{"E bad-pem ca-key.pem"}},
		{"nothing", func(testing.TB) certs.Bundle { return certs.Bundle{} }, []string{"E missing ca-cert.pem", "E missing ca-key.pem", "E missing root-cert.pem"}},
		{"an anchor that is no root", func(t testing.TB) certs.Bundle {
			r := issue(t, rootOf(), nil)
			middle := issue(t, caOf(func(c *x509.Certificate) { c.MaxPathLenZero, c.Subject.CommonName = false, "middle" }), r)
			ca := issue(t, caOf(), middle)
			return certs.Bundle{Cert: ca.pem(), Key: ca.keyPEM(t), Root: middle.pem(), Chain: ca.pem()}
		}, []string{"W partial-anchor root-cert.pem"}},
		{"an old root beside", fromParts(func(t testing.TB, b *certs.Bundle, _, _ *holder) {
			b.Root = append(b.Root, issue(t, rootOf(func(c *x509.Certificate) { c.Subject.CommonName, c.NotAfter = "old", noon.Add(-time.Minute) }), nil).pem()...)
		}), []string{"W expired root-cert.pem"}},
		{"a wrong key identifier", func(t testing.TB) certs.Bundle {
			r := issue(t, rootOf(), nil)
			ca := issue(t, caOf(), &holder{changed(rootOf(), []func(*x509.Certificate){func(c *x509.Certificate) { c.SubjectKeyId = []byte("other") }}), r.key})
			return certs.Bundle{Cert: ca.pem(), Key: ca.keyPEM(t), Root: r.pem(), Chain: ca.pem()}
		}, []string{"E key-id ca-cert.pem"}},
		{"an identity with a path", fromTemplates(rootOf(), caOf(func(c *x509.Certificate) { c.URIs = leafOf().URIs })), []string{"E ca-identity ca-cert.pem"}},
		{"a weak key", func(t testing.TB) certs.Bundle {
			r := issue(t, rootOf(), nil)
			ca := makeFor(t, caOf(), weakRSA(t), r)
			return certs.Bundle{Cert: ca.pem(), Key: ca.keyPEM(t), Root: r.pem(), Chain: ca.pem()}
		}, []string{"E weak-key ca-cert.pem"}},
		{"a self-signed authority", func(t testing.TB) certs.Bundle {
			r := issue(t, rootOf(), nil)
			return certs.Bundle{Cert: r.pem(), Key: r.keyPEM(t), Root: r.pem(), Chain: r.pem()}
		}, nil},
	}
}

// TestBundles: every check of a plugged-in authority (CA-23), and every bundle
// that istiod was tried with (CA-70), with exactly the finding that it deserves.
func TestBundles(t *testing.T) {
	t.Parallel()
	for _, tt := range slices.Concat(whatIstiodLoads(), whatElse()) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found := certs.CheckBundle(tt.make(t), noon)
			if got := codes(found); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q: %+v", got, tt.want, found)
			}
			for _, p := range found {
				if p.Message == "" || p.Fix == "" || p.Rule() == "" {
					t.Errorf("no words or no rule: %+v", p)
				}
			}
		})
	}
}

// TestTrustDomains: constraints are compared with the trust domain that the
// authority names, or that is asked for (CA-28).
func TestTrustDomains(t *testing.T) {
	t.Parallel()
	b, _, _ := plugged(t, rootOf(), caOf(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.org"} }))
	for domain, want := range map[string]int{"": 1, "example.org": 0, "a.example.org": 1} {
		if found := b.CheckFor(domain, noon); len(found) != want {
			t.Errorf("%q: %v", domain, codes(found))
		}
	}
	root, err := mintAt(noon).Root(newKey(t, certs.P256), "example.org", certs.RootOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ca := issue(t, caOf(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.org"} }), &holder{root.Root(), root.Key})
	own := certs.Bundle{Cert: ca.pem(), Key: ca.keyPEM(t), Root: certs.EncodeCertificates(root.Root()), Chain: ca.pem()}
	if found := certs.CheckBundle(own, noon); len(found) != 0 {
		t.Errorf("the root names example.org: %v", codes(found))
	}
}

// TestTLSBundles: istiod's other layout (CA-24).
func TestTLSBundles(t *testing.T) {
	t.Parallel()
	b, r, ca := plugged(t, rootOf(), caOf())
	for name, crt := range map[string][]byte{"alone": ca.pem(), "with its root": slices.Concat(ca.pem(), r.pem())} {
		if found := certs.CheckBundle(certs.TLSBundle(crt, b.Key, r.pem()), noon); len(found) != 0 {
			t.Errorf("%s: %v", name, codes(found))
		}
	}
	found := certs.CheckBundle(certs.TLSBundle(r.pem(), b.Key, r.pem()), noon)
	if len(found) != 1 || certs.TLSPart(found[0].File) != "tls.key" || certs.TLSPart(certs.BundleRoot) != "ca.crt" || certs.TLSPart(certs.BundleChain) != "tls.crt" {
		t.Errorf("%+v", found)
	}
}

// listOf is a revocation list.
func listOf(t testing.TB, by *holder, until time.Time) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon.Add(-time.Hour), NextUpdate: until}, by.cert, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// TestBundleLists: one list for each authority, as istiod wants them (CA-29,
// CA-70).
func TestBundleLists(t *testing.T) {
	t.Parallel()
	b, r, ca := plugged(t, rootOf(), caOf())
	week := noon.Add(7 * 24 * time.Hour)
	both := slices.Concat(listOf(t, ca, week), listOf(t, r, week))
	stranger := issue(t, rootOf(func(c *x509.Certificate) { c.Subject.CommonName = "stranger" }), nil)
	for _, tt := range []struct {
		name string
		crl  []byte
		want []string
	}{
		{"both", both, nil},
		{"one", listOf(t, ca, week), []string{"E crl-missing ca-crl.pem"}},
		{"none", nil, []string{"E bad-crl ca-crl.pem"}},
		{"garbage", []byte("garbage"), []string{"E bad-crl ca-crl.pem"}},
		{"no list", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("x")}), []string{"E bad-crl ca-crl.pem"}},
		{"a certificate", r.pem(), []string{"E bad-crl ca-crl.pem"}},
		{"a stranger's", slices.Concat(both, listOf(t, stranger, week)), []string{"W bad-crl ca-crl.pem"}},
		{"a namesake's", slices.Concat(both, listOf(t, issue(t, rootOf(), nil), week)), []string{"E bad-crl ca-crl.pem"}},
		{"stale", slices.Concat(listOf(t, ca, noon.Add(-time.Minute)), listOf(t, r, week)), []string{"E crl-stale ca-crl.pem"}},
	} {
		if got := codes(certs.CheckBundleCRL(b, tt.crl, noon)); !slices.Equal(got, slices.Concat([]string{}, tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	b, r, ca = plugged(t, rootOf(), caOf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }))
	able := *ca.cert
	able.KeyUsage |= x509.KeyUsageCRLSign // else the library refuses to sign
	crl := slices.Concat(listOf(t, &holder{&able, ca.key}, week), listOf(t, r, week))
	if got := codes(certs.CheckBundleCRL(b, crl, noon)); fmt.Sprint(got) != "[E no-crl-sign ca-crl.pem]" {
		t.Errorf("CA-21: %q", got)
	}
}

// TestChains: what is wrong with the Secrets of gateways and of old workloads
// (CA-47).
func TestChains(t *testing.T) {
	t.Parallel()
	r := issue(t, rootOf(), nil)
	ca := issue(t, caOf(), r)
	server := issue(t, leafOf(func(c *x509.Certificate) {
		c.URIs, c.DNSNames, c.NotAfter = nil, []string{"shop.example.com"}, noon.Add(89*24*time.Hour)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}), ca)
	pair := func(leaf *holder, above, roots []byte) certs.Pair {
		p := certs.Pair{Chain: certs.Part{Name: "tls.crt", PEM: slices.Concat(leaf.pem(), above)}, Key: certs.Part{Name: "tls.key", PEM: leaf.keyPEM(t)}}
		if roots != nil {
			p.Roots = certs.Part{Name: "ca.crt", PEM: roots}
		}
		return p
	}
	otherKey := pair(server, ca.pem(), nil)
	otherKey.Key.PEM = ca.keyPEM(t)
	noKey := pair(server, ca.pem(), nil)
	noKey.Key.PEM = nil
	for _, tt := range []struct {
		name string
		pair certs.Pair
		at   time.Time
		want string
	}{
		{"leaf and intermediate", pair(server, ca.pem(), nil), noon, "[]"},
		{"up to the root", pair(server, slices.Concat(ca.pem(), r.pem()), r.pem()), noon, "[]"},
		{"alone", pair(server, nil, nil), noon, "[]"},
		{"the intermediate lacks", pair(server, nil, r.pem()), noon, "[E unknown-issuer tls.crt]"},
		{"a chain that does not hold", pair(server, issue(t, caOf(), r).pem(), nil), noon, "[E bad-signature tls.crt]"},
		{"another key", otherKey, noon, "[E key-mismatch tls.key]"},
		{"no key", noKey, noon, "[E missing tls.key]"},
		{"13 days left", pair(server, ca.pem(), nil), noon.Add(76 * 24 * time.Hour), "[W expires-soon tls.crt]"},
		{"expired", pair(server, ca.pem(), nil), noon.Add(90 * 24 * time.Hour), "[E expired tls.crt]"},
		{"the root has expired", pair(server, ca.pem(), issue(t, rootOf(), nil).pem()), noon, "[E bad-signature tls.crt]"},
	} {
		if got := fmt.Sprint(codes(certs.CheckChain(tt.pair, tt.at))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	web := issue(t, leafOf(), ca)
	for name, tt := range map[string]struct {
		pair certs.Pair
		want string
	}{
		"a workload's":       {pair(web, ca.pem(), r.pem()), "[]"},
		"without its root":   {pair(web, ca.pem(), nil), "[]"},
		"a server's":         {pair(server, ca.pem(), r.pem()), "[E no-spiffe-id tls.crt E extended-key-usage tls.crt]"},
		"without an issuer":  {pair(web, nil, r.pem()), "[E unknown-issuer tls.crt]"},
		"roots of a mixture": {pair(web, ca.pem(), bytes.Join([][]byte{r.pem(), web.keyPEM(t)}, nil)), "[E key-in-chain ca.crt]"},
	} {
		if got := fmt.Sprint(codes(certs.CheckWorkload(tt.pair, noon))); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
