package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"slices"
	"time"
)

// Lineage is what the parts of a bundle are for the certificate that signs.
type Lineage struct {
	TrustDomain string
	Key         crypto.Signer       // of the first certificate of Path
	Path        []*x509.Certificate // the one that signs, then those above it, a root last
	Roots       []*x509.Certificate // all that are trusted, each once
	Others      []*x509.Certificate // of the chain, beside path and roots
}

// Lineage is CheckFor that also tells what it found. There is none if there is an
// error among the problems.
func (b Bundle) Lineage(domain string, at time.Time) (*Lineage, []Problem) {
	k := b.check(domain, at)
	if HasErrors(k.all) {
		return nil, k.all
	}
	l := &Lineage{TrustDomain: k.domain, Key: k.key, Path: k.path}
	for _, root := range k.roots {
		if !slices.ContainsFunc(l.Roots, root.Equal) {
			l.Roots = append(l.Roots, root)
		}
	}
	for _, c := range k.chain {
		if !slices.ContainsFunc(slices.Concat(l.Path, l.Roots, l.Others), c.Equal) {
			l.Others = append(l.Others, c)
		}
	}
	return l, k.all
}

// SelfSigned completes a bundle that is a root with its key and has no chain, as
// istiod keeps its own in the Secret istio-ca-secret.
func (b Bundle) SelfSigned() Bundle {
	if len(bytes.TrimSpace(b.Chain)) > 0 {
		return b
	}
	if all, problems := readCertificates(BundleCert, b.Cert); len(all) == 1 && !HasErrors(problems) && RoleOf(all[0]) == RootRole {
		b.Chain = b.Cert
		if len(bytes.TrimSpace(b.Root)) == 0 {
			b.Root = b.Cert
		}
	}
	return b
}
