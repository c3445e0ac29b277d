package certs_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/meshctl/meshctl/pkg/certs"
)

// FuzzBundle: no text panics in any part of a bundle; what is wrong has words, a
// rule and a way out, and none of the key's text is in them.
func FuzzBundle(f *testing.F) {
	b, r, _ := plugged(f, rootOf(), caOf())
	f.Add(b.Cert, b.Key, b.Root, b.Chain, []byte(nil))
	f.Add(b.Chain, b.Key, r.pem(), b.Cert[:len(b.Cert)/2], []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))
	f.Add(slices.Concat(b.Key, b.Cert), b.Cert, []byte("x"), b.Key, b.Cert)
	secret := bytes.Split(b.Key, []byte("\n"))[1]
	f.Fuzz(func(t *testing.T, cert, key, root, chain, crl []byte) {
		given := certs.Bundle{Cert: cert, Key: key, Root: root, Chain: chain}.SelfSigned()
		l, found := given.Lineage("", noon)
		if (l == nil) != certs.HasErrors(found) || l != nil && (len(l.Path) == 0 || l.Key == nil || len(l.Roots) == 0) {
			t.Errorf("%+v: %+v", l, found)
		}
		for _, p := range append(found, certs.CheckBundleCRL(given, crl, noon)...) {
			if p.Message == "" || p.Fix == "" || p.Rule() == "" || bytes.Contains([]byte(p.Message+p.Fix), secret) {
				t.Errorf("%+v", p)
			}
		}
		_, _ = certs.ParseCRLs(crl) // must not panic
	})
}
