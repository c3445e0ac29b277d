package certs_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
)

// mutant is a chain with one fault, and what verification is to find.
type mutant struct {
	name           string
	root, ca, leaf func(*x509.Certificate)
	key            crypto.Signer
	chain          func(t *testing.T, m *family) []byte // nil is leaf and intermediate
	want           string                               // severity and code
}

// family is a mutant's root, intermediate and leaf.
type family struct {
	root, ca *holder
	leaf     []byte // PEM: it may be undecodable
}

func (m *mutant) make(t *testing.T) *family {
	t.Helper()
	apply := func(template *x509.Certificate, change func(*x509.Certificate)) *x509.Certificate {
		if change != nil {
			change(template)
		}
		return template
	}
	r := issue(t, apply(rootOf(), m.root), nil)
	ca := issue(t, apply(caOf(), m.ca), r)
	key := m.key
	if key == nil {
		key = newKey(t, certs.P256)
	}
	der, err := x509.CreateCertificate(rand.Reader, apply(leafOf(), m.leaf), ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return &family{r, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// names replaces the alternative names by URIs as they are, which the library
// would not write.
func names(critical bool, uris ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		var all []asn1.RawValue
		for _, uri := range uris {
			all = append(all, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(uri)})
		}
		value, err := asn1.Marshal(all)
		if err != nil {
			panic(err)
		}
		c.URIs = nil
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: critical, Value: value})
	}
}

// mutants are those of section 15 of the reference, each with one fault.
func mutants(t *testing.T) []mutant {
	t.Helper()
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	named := func(uri string) func(*x509.Certificate) { return names(true, uri) }
	usage := func(u x509.KeyUsage) func(*x509.Certificate) { return func(c *x509.Certificate) { c.KeyUsage = u } }
	all := []mutant{
		{name: "no SAN", want: "E no-spiffe-id", leaf: func(c *x509.Certificate) { c.URIs, c.Subject.CommonName = nil, "web" }},
		{name: "https URI", want: "E spiffe-id", leaf: named("https://cluster.local/ns/shop/sa/web")},
		{name: "two URIs", want: "E several-uris", leaf: names(true, "spiffe://cluster.local/a", "spiffe://cluster.local/b")},
		{name: "SAN not critical, no subject", want: "E san-not-critical", leaf: names(false, "spiffe://cluster.local/ns/shop/sa/web")},
		{name: "ID without a path", want: "E spiffe-id", leaf: named("spiffe://cluster.local")},
		{name: "trailing slash", want: "E spiffe-id", leaf: named("spiffe://cluster.local/ns/shop/sa/web/")},
		{name: "upper-case trust domain", want: "E spiffe-id", leaf: named("spiffe://Cluster.local/ns/shop/sa/web")},
		{name: "dot segment", want: "E spiffe-id", leaf: named("spiffe://cluster.local/ns/../sa/web")},
		{name: "percent escape", want: "E spiffe-id", leaf: named("spiffe://cluster.local/ns/shop/sa/w%65b")},
		{name: "port", want: "E spiffe-id", leaf: named("spiffe://cluster.local:80/ns/shop/sa/web")},
		{name: "query", want: "E spiffe-id", leaf: named("spiffe://cluster.local/ns/shop/sa/web?a=b")},
		{name: "colon in the account", want: "E spiffe-id", leaf: named("spiffe://cluster.local/ns/shop/sa/a:b")},
		{name: "URI of 2100 bytes", want: "E spiffe-id", leaf: named("spiffe://cluster.local/" + strings.Repeat("a", 2077))},
		{name: "underscore in the trust domain", want: "W underscore", leaf: named("spiffe://my_mesh/ns/shop/sa/web")},
		{name: "trailing dot in the trust domain", want: "E spiffe-id", leaf: named("spiffe://cluster.local./ns/shop/sa/web")},
		{name: "URI that is not ASCII", want: "E spiffe-id", leaf: named("spiffe://cluster.local/ns/shop/sa/wéb")},

		{name: "leaf with keyCertSign", want: "E key-usage", leaf: usage(x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign)},
		{name: "no key usage", want: "E key-usage", leaf: usage(0)},
		{name: "no digitalSignature", want: "E key-usage", leaf: usage(x509.KeyUsageKeyEncipherment)},
		{name: "leaf is an authority", want: "E leaf-is-ca", leaf: func(c *x509.Certificate) { c.IsCA = true }, ca: func(c *x509.Certificate) { c.MaxPathLenZero = false }},
		{name: "serverAuth only", want: "E extended-key-usage", leaf: func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }},
		{name: "no extended key usage", want: "E extended-key-usage", leaf: func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		{name: "serial 0", want: "E serial-number", leaf: func(c *x509.Certificate) { c.SerialNumber = big.NewInt(0) }},
		{name: "serial of 21 bytes", want: "E serial-number", leaf: func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 8*20) }},
		{name: "RSA-1024", want: "E weak-key", key: weakRSA(t)},
		{name: "P-224", want: "E weak-key", key: p224},
	}
	return append(all, chainMutants()...)
}

// chainMutants have their fault in the certificates above the leaf, or between
// them.
func chainMutants() []mutant {
	leafOnly := func(_ *testing.T, m *family) []byte { return m.leaf }
	other := func(t *testing.T, m *family) []byte {
		return slices.Concat(m.leaf, issue(t, caOf(), m.root).pem())
	}
	return []mutant{
		{name: "expired", want: "E expired", leaf: func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) }},
		{name: "not yet valid", want: "E not-yet-valid", leaf: func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) }},
		{name: "leaf outlives its issuer", want: "E outlives-issuer", ca: func(c *x509.Certificate) { c.NotAfter = noon.Add(23 * time.Hour) }},
		{name: "issuer without keyCertSign", want: "E no-cert-sign", ca: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }},
		{name: "issuer without a key usage", want: "W no-key-usage", ca: func(c *x509.Certificate) { c.KeyUsage = 0 }},
		{name: "path length exceeded", want: "E path-length", root: func(c *x509.Certificate) { c.MaxPathLenZero = true }},
		{name: "constraint to another domain", want: "E name-constraint", ca: func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.org"} }},
		{name: "constraint above the domain", want: "E name-constraint", ca: func(c *x509.Certificate) { c.PermittedURIDomains = []string{"local"} }},
		{name: "constraint of the root", want: "E name-constraint", root: func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.org"} }},
		{name: "wrong authority key identifier", want: "E key-id", chain: func(t *testing.T, m *family) []byte {
			relabelled := *m.ca.cert
			relabelled.SubjectKeyId = []byte("another identifier")
			leaf := issue(t, leafOf(), &holder{&relabelled, m.ca.key})
			return slices.Concat(leaf.pem(), m.ca.pem())
		}},
		{name: "another issuer of the same name", want: "E bad-signature", chain: other},
		{name: "issuer without basic constraints", want: "E not-a-ca", ca: func(c *x509.Certificate) {
			c.BasicConstraintsValid, c.IsCA, c.MaxPathLenZero = false, false, false
		}},
		{name: "intermediate not supplied", want: "E unknown-issuer", chain: leafOnly},
	}
}

// TestMutants: every mutant is refused, for the one reason that it has; those
// that every library and tool accepts are among them (CA-1..CA-16, CA-28, CA-72).
func TestMutants(t *testing.T) {
	t.Parallel()
	all := mutants(t)
	const inTheReference, beside = 38, 1 // openssl refuses an issuer without a key usage where it is strict
	if len(all) != inTheReference+beside {
		t.Errorf("%d mutants, want %d", len(all), inTheReference+beside)
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			made := m.make(t)
			chain := slices.Concat(made.leaf, made.ca.pem())
			if m.chain != nil {
				chain = m.chain(t, made)
			}
			found := certs.NewVerifier([]*x509.Certificate{made.root.cert}, certs.VerifyOptions{At: noon}).VerifyPEM(certs.Part{Name: "chain.pem", PEM: chain})
			if got := codes(found); len(got) != 1 || got[0] != m.want+" chain.pem" {
				t.Errorf("%q, want %q: %+v", got, m.want, found)
			}
			for _, p := range found {
				if p.Message == "" || p.Fix == "" || p.Rule() == "" {
					t.Errorf("no words or no rule: %+v", p)
				}
			}
			if inspected(t, chain, made.root.cert) {
				t.Error("cert verify takes it")
			}
		})
	}
}

// inspected tells whether the command "cert verify" takes a chain.
func inspected(t *testing.T, chain []byte, root *x509.Certificate) bool {
	t.Helper()
	groups, err := inspect.Read("chain.pem", chain, inspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := inspect.Verify(groups, inspect.Verification{
		VerifyOptions: certs.VerifyOptions{At: noon}, Roots: []inspect.Group{inspect.Chain("root", []*x509.Certificate{root})}, Refuse: certs.SeverityWarning,
	})
	return err == nil && !slices.ContainsFunc(verdicts, func(v inspect.Verdict) bool { return !v.Valid })
}

// TestValidChains: what is no mutant is valid, under each kind of key, with or
// without its root, as Istio's CA issues it and as this one does.
func TestValidChains(t *testing.T) {
	t.Parallel()
	for _, a := range []certs.KeyAlgorithm{certs.P256, certs.P384, certs.RSA2048} {
		for name, change := range map[string]func(*x509.Certificate){
			"profile":  nil,
			"Istio's":  func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment },
			"subject":  func(c *x509.Certificate) { c.Subject.CommonName = "web" },
			"DNS name": func(c *x509.Certificate) { c.DNSNames = []string{"web.shop.svc"} },
		} {
			m := mutant{leaf: change, key: newKey(t, a), ca: func(c *x509.Certificate) { c.PermittedURIDomains = []string{"cluster.local"} }}
			made := m.make(t)
			v := certs.NewVerifier([]*x509.Certificate{made.root.cert}, certs.VerifyOptions{At: noon, Peers: []certs.ID{webID(t)}, TrustDomains: []string{"cluster.local"}})
			for _, chain := range [][]byte{slices.Concat(made.leaf, made.ca.pem()), slices.Concat(made.leaf, made.root.pem(), made.ca.pem())} {
				if found := v.VerifyPEM(certs.Part{Name: "chain.pem", PEM: chain}); len(found) > 0 || !inspected(t, chain, made.root.cert) {
					t.Errorf("%s, %s: %+v", a, name, found)
				}
			}
		}
	}
}

// TestSecureNaming: a valid chain of somebody else is refused, and so is one of
// another trust domain; an authority's own trust domain is that of its leaves
// (CA-4, CA-28, CA-43).
func TestSecureNaming(t *testing.T) {
	t.Parallel()
	other, err := certs.ParseID("spiffe://cluster.local/ns/shop/sa/other")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		options certs.VerifyOptions
		ca      func(*x509.Certificate)
		want    string
	}{
		{"expected", certs.VerifyOptions{Peers: []certs.ID{other, webID(t)}}, nil, "[]"},
		{"somebody else", certs.VerifyOptions{Peers: []certs.ID{other}}, nil, "[E wrong-identity ]"},
		{"another trust domain", certs.VerifyOptions{TrustDomains: []string{"example.org"}}, nil, "[E wrong-trust-domain ]"},
		{"the authority's trust domain", certs.VerifyOptions{}, names(false, "spiffe://cluster.local"), "[]"},
		{"an authority of another trust domain", certs.VerifyOptions{}, names(false, "spiffe://example.org"), "[E wrong-trust-domain ]"},
		{"an authority with a path", certs.VerifyOptions{}, names(false, "spiffe://cluster.local/ca"), "[E ca-identity ]"},
	} {
		made := (&mutant{ca: tt.ca}).make(t)
		tt.options.At = noon
		chain, err := certs.ParseCertificates(slices.Concat(made.leaf, made.ca.pem()))
		if err != nil {
			t.Fatal(err)
		}
		found := certs.NewVerifier([]*x509.Certificate{made.root.cert}, tt.options).Verify(chain)
		if got := fmt.Sprint(codes(found)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	found := certs.NewVerifier(nil, certs.VerifyOptions{At: noon}).Verify(nil)
	if got := fmt.Sprint(codes(found)); got != "[E chain-empty ]" {
		t.Errorf("nothing: %s", got)
	}
}

// BenchmarkVerify reads and verifies one chain: a thousand take half a second at
// the most (CA-71).
func BenchmarkVerify(b *testing.B) {
	root := issue(b, rootOf(), nil)
	ca := issue(b, caOf(), root)
	chain := slices.Concat(issue(b, leafOf(), ca).pem(), ca.pem())
	v := certs.NewVerifier([]*x509.Certificate{root.cert}, certs.VerifyOptions{At: noon})
	for b.Loop() {
		if found := v.VerifyPEM(certs.Part{PEM: chain}); len(found) > 0 {
			b.Fatal(found)
		}
	}
}
