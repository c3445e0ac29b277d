package ca_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// foreign is an authority that others made, by hand.
type foreign struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (f *foreign) pem() []byte { return certs.EncodeCertificates(f.cert) }

// foreignAuthority makes one, below another or self-signed.
func foreignAuthority(t testing.TB, c *clock, name string, kind certs.KeyAlgorithm, by *foreign, change func(*x509.Certificate)) *foreign {
	t.Helper()
	key, err := certs.GenerateKey(kind)
	must(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: c.now.Add(-time.Hour), NotAfter: c.now.Add(400 * 24 * time.Hour),
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &foreign{cert, key}
}

// plugged is a bundle of the first, which signs, up to the last, a root.
func plugged(t testing.TB, all ...*foreign) certs.Bundle {
	t.Helper()
	key, err := certs.EncodeKey(all[0].key)
	must(t, err)
	b := certs.Bundle{Cert: all[0].pem(), Key: key, Root: all[len(all)-1].pem()}
	for _, f := range all {
		b.Chain = append(b.Chain, f.pem()...)
	}
	return b
}

func importing(t testing.TB, c *clock, o ca.ImportOptions) (*ca.Authority, []certs.Problem) {
	t.Helper()
	a, warnings, err := ca.Import(filepath.Join(t.TempDir(), "ca"), o, c.env())
	var refused *ca.RefusedError
	if errors.As(err, &refused) {
		t.Fatalf("%+v", refused.Problems)
	}
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	return a, warnings
}

func slugs(all []certs.Problem) []string {
	found := []string{}
	for _, p := range all {
		found = append(found, p.Severity[:1]+" "+p.Code)
	}
	return found
}

// TestImportShapes: whatever istiod could have and should take is imported: what
// it issues verifies, what it writes for istiod in both layouts is good, and it
// opens again (CA-23, CA-24).
func TestImportShapes(t *testing.T) {
	t.Parallel()
	c := newClock()
	root := foreignAuthority(t, c, "corporate root", certs.P384, nil, nil)
	policy := foreignAuthority(t, c, "policy", certs.P256, root, nil)
	mesh := foreignAuthority(t, c, "mesh", certs.P256, policy, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	direct := foreignAuthority(t, c, "direct", certs.RSA2048, root, nil)
	edwards := foreignAuthority(t, c, "edwards", certs.Ed25519, nil, nil)
	below := foreignAuthority(t, c, "below", certs.Ed25519, edwards, nil)
	other := foreignAuthority(t, c, "other root", certs.P256, nil, nil)
	cross := foreignAuthority(t, c, "cross", certs.P256, other, func(x *x509.Certificate) { x.Subject.CommonName = "policy" })
	istio := foreignAuthority(t, c, "istio", certs.RSA2048, nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	with := func(b certs.Bundle, change func(*certs.Bundle)) certs.Bundle {
		change(&b)
		return b
	}
	old := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: marshalRSA(t, direct.key)})
	for name, tt := range map[string]struct {
		bundle   certs.Bundle
		roots    int
		between  int // certificates in the chain of a leaf, with it
		warnings []string
	}{
		"an intermediate":      {plugged(t, direct, root), 1, 2, nil},
		"two of them":          {plugged(t, mesh, policy, root), 1, 3, nil},
		"a key as PKCS #1":     {with(plugged(t, direct, root), func(b *certs.Bundle) { b.Key = old }), 1, 2, nil},
		"Ed25519":              {plugged(t, below, edwards), 1, 2, []string{"w unusual-key", "w unusual-key"}},
		"the chain reversed":   {with(plugged(t, direct, root), func(b *certs.Bundle) { b.Chain = slices.Concat(root.pem(), direct.pem()) }), 1, 2, []string{"w chain-order"}},
		"two roots":            {with(plugged(t, direct, root), func(b *certs.Bundle) { b.Root = slices.Concat(other.pem(), b.Root) }), 2, 2, nil},
		"an anchor in between": {plugged(t, mesh, policy), 1, 2, []string{"w partial-anchor"}},
		"signed by another, too": {with(plugged(t, mesh, policy, root), func(b *certs.Bundle) {
			b.Chain = append(b.Chain, cross.pem()...)
			b.Root = append(b.Root, other.pem()...)
		}), 2, 4, nil},
		"something beside it":    {with(plugged(t, direct, root), func(b *certs.Bundle) { b.Chain = append(b.Chain, other.pem()...) }), 1, 2, []string{"w extra-certificates"}},
		"a root":                 {plugged(t, root), 1, 2, nil},
		"a root of istiod's own": {with(plugged(t, istio), func(b *certs.Bundle) { b.Chain, b.Root = nil, nil }), 1, 2, []string{"w no-crl-sign"}},
		"a root that is Ed25519": {plugged(t, edwards), 1, 2, []string{"w unusual-key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, warnings := importing(t, c, ca.ImportOptions{Bundle: tt.bundle})
			if got := slugs(warnings); !slices.Equal(got, tt.warnings) && len(got)+len(tt.warnings) > 0 {
				t.Errorf("warnings %q, want %q", got, tt.warnings)
			}
			must(t, a.Close())
			again, err := ca.Edit(a.Dir(), c.env())
			must(t, err)
			defer func() { must(t, again.Close()) }()
			for _, i := range issue(t, again, request(t, "shop", "web")) {
				if err := svidVerify(i.Chain, i.Roots, c.now); err != nil {
					t.Error(err)
				}
				if len(i.Roots) != tt.roots || len(i.Chain) != tt.between {
					t.Errorf("%d roots, %d certificates", len(i.Roots), len(i.Chain))
				}
			}
			holdsUp(t, c, again)
		})
	}
}

func marshalRSA(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	text, err := certs.EncodeKey(key)
	must(t, err)
	block, _ := pem.Decode(text)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	own, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	return x509.MarshalPKCS1PrivateKey(own)
}

func uris(t *testing.T, text string) []*url.URL {
	t.Helper()
	u, err := url.Parse(text)
	must(t, err)
	return []*url.URL{u}
}

// holdsUp: what is written for istiod passes its checks in both layouts; bundles,
// log, status and backup work.
func holdsUp(t *testing.T, c *clock, a *ca.Authority) {
	t.Helper()
	b, err := a.Plugged()
	must(t, err)
	files, err := ca.PluggedFiles(ca.TLSLayout, b, nil)
	must(t, err)
	for layout, b := range map[string]certs.Bundle{"pem": b, "tls": certs.TLSBundle(files["tls.crt"], files["tls.key"], files["ca.crt"])} {
		if found := b.CheckFor(a.TrustDomain(), c.now); certs.HasErrors(found) || slices.Contains(slugs(found), "w chain-order") {
			t.Errorf("%s: %+v", layout, found)
		}
	}
	for _, form := range ca.BundleForms() {
		if text, err := a.Bundle(form, "shop"); err != nil || len(text) == 0 {
			t.Errorf("%s: %v", form, err)
		}
	}
	if _, err := a.VerifyLog(); err != nil {
		t.Error(err)
	}
	if s, err := a.Status(); err != nil || s.Live != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if text, err := a.Backup(nil); err != nil || len(text) == 0 {
		t.Error(err)
	}
}

// TestImportRefused: what istiod refuses, and what it takes and nobody can verify,
// is refused with the findings of CheckBundle; nothing is left on the disk, and
// nobody is asked for a passphrase (CA-23, CA-70).
func TestImportRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	root := foreignAuthority(t, c, "root", certs.P256, nil, nil)
	good := foreignAuthority(t, c, "mesh", certs.P256, root, nil)
	mesh := func(change func(*x509.Certificate)) certs.Bundle {
		return plugged(t, foreignAuthority(t, c, "mesh", certs.P256, root, change), root)
	}
	alone := func(change func(*x509.Certificate)) certs.Bundle {
		return plugged(t, foreignAuthority(t, c, "root", certs.P256, nil, change))
	}
	with := func(change func(*certs.Bundle)) certs.Bundle {
		b := plugged(t, good, root)
		change(&b)
		return b
	}
	for name, tt := range map[string]struct {
		bundle certs.Bundle
		domain string
		want   string
	}{
		"chain without the signer":   {with(func(b *certs.Bundle) { b.Chain = b.Root }), "", "chain-lacks-ca"},
		"no chain":                   {with(func(b *certs.Bundle) { b.Chain = nil }), "", "chain-empty"},
		"no keyCertSign":             {mesh(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), "", "no-cert-sign"},
		"another trust domain":       {mesh(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.org"} }), "", "name-constraint"},
		"no more than its own":       {mesh(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"cluster.local"} }), "example.org", "name-constraint"},
		"a leaf":                     {mesh(func(c *x509.Certificate) { c.IsCA = false }), "", "not-a-ca"},
		"clients only":               {mesh(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "", "extended-key-usage"},
		"another key":                {with(func(b *certs.Bundle) { b.Key = plugged(t, root).Key }), "", "key-mismatch"},
		"no key":                     {with(func(b *certs.Bundle) { b.Key = nil }), "", "missing"},
		"expired":                    {mesh(func(x *x509.Certificate) { x.NotAfter = c.now.Add(-time.Minute) }), "", "expired"},
		"six days left":              {mesh(func(x *x509.Certificate) { x.NotAfter = c.now.Add(6 * 24 * time.Hour) }), "", "expires-soon"},
		"no root":                    {with(func(b *certs.Bundle) { b.Root = nil }), "", "missing"},
		"a key in the chain":         {with(func(b *certs.Bundle) { b.Chain = append(b.Chain, b.Key...) }), "", "key-in-chain"},
		"a root that signs leaves":   {alone(func(c *x509.Certificate) { c.MaxPathLenZero = true }), "", "path-length"},
		"a root for clients":         {alone(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "", "extended-key-usage"},
		"a root for another domain":  {alone(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.org"} }), "", "name-constraint"},
		"no subject key identifier":  {with(func(b *certs.Bundle) { *b = plugged(t, withoutKeyID(t, c, root), root) }), "", "key-id"},
		"nothing":                    {certs.Bundle{}, "", "missing"},
		"an identity with a path":    {mesh(func(c *x509.Certificate) { c.URIs = uris(t, "spiffe://cluster.local/ns/a/sa/b") }), "", "ca-identity"},
		"a root that has another ID": {alone(func(c *x509.Certificate) { c.URIs = uris(t, "spiffe://example.org") }), "cluster.local", "trial-leaf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			asked := func() ([]byte, error) {
				t.Error("asked for a passphrase")
				return nil, nil
			}
			_, _, err := ca.Import(filepath.Join(parent, "deep", "ca"), ca.ImportOptions{Bundle: tt.bundle, TrustDomain: tt.domain, Passphrase: asked}, c.env())
			var refused *ca.RefusedError
			if !errors.As(err, &refused) || !slices.Contains(slugs(refused.Problems), "e "+tt.want) {
				t.Fatalf("%v: %+v, want %s", err, refused, tt.want)
			}
			for _, p := range refused.Problems {
				if p.Message == "" || p.Fix == "" || p.Rule() == "" || p.File == "" {
					t.Errorf("%+v", p)
				}
			}
			if left, _ := os.ReadDir(parent); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// withoutKeyID is an authority that some tools make.
func withoutKeyID(t *testing.T, c *clock, root *foreign) *foreign {
	t.Helper()
	f := foreignAuthority(t, c, "mesh", certs.P256, root, nil)
	template := &x509.Certificate{
		SerialNumber: f.cert.SerialNumber, Subject: f.cert.Subject, NotBefore: f.cert.NotBefore, NotAfter: f.cert.NotAfter, KeyUsage: f.cert.KeyUsage,
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}}, // CA:TRUE
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root.cert, f.key.Public(), root.key)
	must(t, err)
	f.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return f
}

// TestImportedWithoutRoot: what needs the root's key says that it is elsewhere, and
// what to do; nothing else does.
func TestImportedWithoutRoot(t *testing.T) {
	t.Parallel()
	c := newClock()
	root := foreignAuthority(t, c, "corporate root", certs.P256, nil, nil)
	other := foreignAuthority(t, c, "other root", certs.P256, nil, nil)
	mesh := foreignAuthority(t, c, "mesh", certs.P256, root, nil)
	b := plugged(t, mesh, root)
	b.Root = append(b.Root, other.pem()...)
	a, _ := importing(t, c, ca.ImportOptions{Bundle: b})
	first := issue(t, a, request(t, "shop", "web"))[0]
	for name, do := range map[string]func() error{
		"rotate":       func() error { _, err := a.RotateRoot(ca.RotateOptions{}); return err },
		"renew root":   func() error { _, err := a.RenewRoot(nil, 0); return err },
		"intermediate": func() error { _, err := a.NewIntermediate(nil, "", certs.IntermediateOptions{}); return err },
		"crl":          func() error { _, err := a.CRLs(ca.CRLOptions{}); return err },
		"revoke mesh": func() error {
			_, err := a.Revoke(ca.Target{Serial: mesh.cert.SerialNumber.Text(16)}, "superseded")
			return err
		},
		"revoke root": func() error {
			_, err := a.Revoke(ca.Target{Serial: root.cert.SerialNumber.Text(16)}, "superseded")
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "the key of root-1 (CN=corporate root) is elsewhere: it was not imported, so ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.ChangePassphrase(nil, passphrase()); err == nil || !strings.Contains(err.Error(), "no key of the authority is encrypted") {
		t.Error(err)
	}
	if a.NeedsPassphrase() {
		t.Error("it asks for a passphrase that nothing needs")
	}
	if _, err := a.Revoke(ca.Target{Serial: first.Leaf().SerialNumber.Text(16)}, "superseded"); err != nil {
		t.Error(err)
	}
}

// listOf is what the owner of an authority gives.
func listOf(t *testing.T, f *foreign, until time.Time, number int64, revoked ...*big.Int) *x509.RevocationList {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: until.Add(-72 * time.Hour), NextUpdate: until}
	for _, serial := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: until.Add(-72 * time.Hour), ReasonCode: 1})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, f.cert, f.key)
	must(t, err)
	list, err := x509.ParseRevocationList(der)
	must(t, err)
	return list
}

// TestImportedLists: what was revoked before stays revoked, with higher numbers;
// the list of the root comes from where its key is, and the whole passes as
// istiod reads it (CA-29).
func TestImportedLists(t *testing.T) {
	t.Parallel()
	c := newClock()
	root := foreignAuthority(t, c, "corporate root", certs.P256, nil, nil)
	mesh := foreignAuthority(t, c, "mesh", certs.P256, root, nil)
	stranger := foreignAuthority(t, c, "stranger", certs.P256, nil, nil)
	namesake := foreignAuthority(t, c, "mesh", certs.P256, root, nil)
	later, before := c.now.Add(48*time.Hour), c.now.Add(-time.Hour)
	own := listOf(t, mesh, before, 41, big.NewInt(77), big.NewInt(78))
	a, warnings := importing(t, c, ca.ImportOptions{Bundle: plugged(t, mesh, root), CRL: certs.EncodeCRLs(own)})
	if got := slugs(warnings); !slices.Equal(got, []string{"w crl-stale", "w crl-missing"}) {
		t.Errorf("%q", got)
	}
	if _, err := a.CRLs(ca.CRLOptions{Given: []*x509.RevocationList{listOf(t, stranger, later, 1)}}); err == nil || !strings.Contains(err.Error(), "CN=stranger is not signed by an authority that is known here") {
		t.Error(err)
	}
	if _, err := a.CRLs(ca.CRLOptions{Given: []*x509.RevocationList{listOf(t, root, before, 1)}}); err == nil || !strings.Contains(err.Error(), "was to be renewed by") {
		t.Error(err)
	}
	lists, err := a.CRLs(ca.CRLOptions{Given: []*x509.RevocationList{listOf(t, root, later, 7)}})
	must(t, err)
	if len(lists) != 2 || lists[0].Number.Int64() != 7 || lists[1].Number.Int64() != 42 || len(lists[1].RevokedCertificateEntries) != 2 {
		t.Fatalf("%d lists", len(lists))
	}
	if entry := lists[1].RevokedCertificateEntries[0]; entry.SerialNumber.Int64() != 77 || entry.ReasonCode != 1 {
		t.Errorf("%+v", entry)
	}
	b, err := a.Plugged()
	must(t, err)
	if found := certs.CheckBundleCRL(b, certs.EncodeCRLs(lists...), c.now); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	for name, crl := range map[string][]byte{"garbage": []byte("garbage"), "a namesake's": certs.EncodeCRLs(listOf(t, namesake, later, 1))} {
		_, _, err := ca.Import(filepath.Join(t.TempDir(), "ca"), ca.ImportOptions{Bundle: plugged(t, mesh, root), CRL: crl}, c.env())
		var refused *ca.RefusedError
		if !errors.As(err, &refused) || slugs(refused.Problems)[0] != "e bad-crl" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestImportedRoot: a root with its key is as one that was made here; its limits
// stay when it is given new dates (CA-26), and it can be changed for another
// (CA-25).
func TestImportedRoot(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := foreignAuthority(t, c, "root", certs.P256, nil, func(x *x509.Certificate) {
		x.KeyUsage = x509.KeyUsageCertSign
		x.MaxPathLen, x.PermittedURIDomains, x.PermittedDNSDomainsCritical = 1, []string{"cluster.local"}, true
	})
	a, _ := importing(t, c, ca.ImportOptions{Bundle: plugged(t, f), Passphrase: func() ([]byte, error) { return passphrase(), nil }})
	if !a.NeedsPassphrase() {
		t.Error("its key is in the clear")
	}
	text, err := os.ReadFile(filepath.Join(a.Dir(), "root-1.key.age"))
	if err != nil || !strings.HasPrefix(string(text), "age-encryption.org/v1") {
		t.Errorf("%.20s, %v", text, err)
	}
	first := issue(t, a, request(t, "shop", "web"))[0]
	if _, err := a.CRLs(ca.CRLOptions{Passphrase: passphrase()}); err == nil || !strings.Contains(err.Error(), "root-1 (CN=root) may not sign revocation lists: its key usage lacks cRLSign") {
		t.Error(err)
	}
	_, err = a.RenewRoot(passphrase(), 0)
	must(t, err)
	renewed := a.Roots()[0]
	if renewed.MaxPathLen != 1 || !slices.Equal(renewed.PermittedURIDomains, []string{"cluster.local"}) || renewed.NotAfter.Equal(f.cert.NotAfter) {
		t.Errorf("%d, %v", renewed.MaxPathLen, renewed.PermittedURIDomains)
	}
	if err := svidVerify(first.Chain, a.Roots(), c.now); err != nil {
		t.Error(err)
	}
	if _, err := a.CRLs(ca.CRLOptions{Passphrase: passphrase()}); err != nil {
		t.Error(err)
	}
	_, err = a.RotateRoot(ca.RotateOptions{Passphrase: passphrase(), CrossSign: true})
	must(t, err)
	if len(a.Roots()) != 2 {
		t.Errorf("%d roots", len(a.Roots()))
	}
}

// TestImportKilled: wherever it is stopped, there is a whole authority or none
// (CA-61).
func TestImportKilled(t *testing.T) {
	t.Parallel()
	c := newClock()
	root := foreignAuthority(t, c, "root", certs.P256, nil, nil)
	o := ca.ImportOptions{Bundle: plugged(t, foreignAuthority(t, c, "mesh", certs.P256, root, nil), root)}
	for n := 0; ; n++ {
		dir, seen := filepath.Join(t.TempDir(), "ca"), 0
		a, _, err := ca.Import(dir, o, stopAfter(c.env(), n, &seen))
		if err == nil {
			must(t, a.Close())
			if n < 15 {
				t.Errorf("only %d steps", n)
			}
			return
		}
		if !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); err == nil {
			checkWhole(t, c, dir, "")
		}
	}
}

// sign is what the owner of an authority makes of a request.
func (f *foreign) sign(t *testing.T, csr *x509.CertificateRequest, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: csr.Subject, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: f.cert.NotBefore, NotAfter: f.cert.NotAfter.Add(-time.Hour),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, f.cert, csr.PublicKey, f.key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}

// TestSignedElsewhere: another intermediate comes by a request, whose key stays:
// what is made of it is checked as an import is, and then signs (CA-22, CA-23).
func TestSignedElsewhere(t *testing.T) {
	t.Parallel()
	c := newClock()
	root := foreignAuthority(t, c, "root", certs.P256, nil, nil)
	policy := foreignAuthority(t, c, "policy", certs.P256, root, nil)
	a, _ := importing(t, c, ca.ImportOptions{Bundle: plugged(t, foreignAuthority(t, c, "mesh", certs.P256, root, nil), root)})
	before := issue(t, a, request(t, "shop", "web"))[0]
	if _, _, err := a.TakeIntermediate([]*x509.Certificate{before.Leaf()}); err == nil || !strings.Contains(err.Error(), "no request is open") {
		t.Error(err)
	}
	csr, err := a.RequestIntermediate("")
	must(t, err)
	must(t, csr.CheckSignature())
	again, err := a.RequestIntermediate("")
	must(t, err)
	if !certs.EqualKeys(csr.PublicKey, again.PublicKey) {
		t.Error("asked again it is for another key")
	}
	if text, err := a.Backup(nil); err != nil || !strings.Contains(string(text), "intermediate-2.key.pem") {
		t.Errorf("the backup lacks the key of the request: %v", err)
	}
	stranger := foreignAuthority(t, c, "root", certs.P256, nil, nil)
	for name, tt := range map[string]struct {
		cert *x509.Certificate
		want string
	}{
		"by a namesake":  {stranger.sign(t, csr, nil), "e bad-signature"},
		"a leaf":         {root.sign(t, csr, func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = false, false }), "e not-a-ca"},
		"another domain": {root.sign(t, csr, func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.org"} }), "e name-constraint"},
		"expired":        {root.sign(t, csr, func(x *x509.Certificate) { x.NotAfter = c.now.Add(-time.Minute) }), "e expired"},
	} {
		_, _, err := a.TakeIntermediate([]*x509.Certificate{tt.cert})
		var refused *ca.RefusedError
		if !errors.As(err, &refused) || !slices.Contains(slugs(refused.Problems), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	made := policy.sign(t, csr, nil)
	step, warnings, err := a.TakeIntermediate([]*x509.Certificate{policy.cert, made})
	if err != nil || step == nil || len(warnings) > 0 {
		t.Fatalf("%v, %+v", err, warnings)
	}
	if !a.Signer().Equal(made) {
		t.Error("it does not sign")
	}
	after := issue(t, a, request(t, "shop", "web"))[0]
	for _, i := range []ca.Issued{before, after} {
		if err := svidVerify(i.Chain, a.Roots(), c.now); err != nil {
			t.Error(err)
		}
	}
	if len(after.Chain) != 3 {
		t.Errorf("%d certificates in the chain", len(after.Chain))
	}
	if _, err := a.VerifyLog(); err != nil {
		t.Error(err)
	}
	if _, _, err := a.TakeIntermediate([]*x509.Certificate{made}); err == nil || !strings.Contains(err.Error(), "no request is open") {
		t.Error(err)
	}
	own := initialize(t, c, ca.InitOptions{})
	if _, err := own.RequestIntermediate(""); err == nil || !strings.Contains(err.Error(), "the key of the root is here") {
		t.Error(err)
	}
}

// TestSignedElsewhereKilled: wherever a request or its answer is stopped, the
// authority issues, and the next try ends it (CA-61).
func TestSignedElsewhereKilled(t *testing.T) {
	t.Parallel()
	c := newClock()
	root := foreignAuthority(t, c, "root", certs.P256, nil, nil)
	base, _ := importing(t, c, ca.ImportOptions{Bundle: plugged(t, foreignAuthority(t, c, "mesh", certs.P256, root, nil), root)})
	must(t, base.Close())
	stopped := 0
	for n := range 40 {
		dir := filepath.Join(t.TempDir(), "ca")
		must(t, os.CopyFS(dir, os.DirFS(base.Dir())))
		privatize(t, dir)
		whole := func(a *ca.Authority) error {
			csr, err := a.RequestIntermediate("")
			if err != nil {
				return err
			}
			_, _, err = a.TakeIntermediate([]*x509.Certificate{root.sign(t, csr, nil)})
			return err
		}
		seen := 0
		if err := with(dir, stopAfter(c.env(), n, &seen), whole); err != nil && !errors.Is(err, errStopped) {
			t.Fatal(err)
		} else if err != nil {
			stopped++
		}
		checkWhole(t, c, dir, "")
		must(t, with(dir, c.env(), func(a *ca.Authority) error {
			issue(t, a, request(t, "shop", "web"))
			return whole(a)
		}))
		checkWhole(t, c, dir, "")
	}
	if stopped < 10 {
		t.Errorf("stopped %d times only", stopped)
	}
}
