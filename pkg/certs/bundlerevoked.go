package certs

import (
	"crypto/x509"
	"fmt"
	"slices"
)

// revoked looks for the bundle's own certificates in the lists of those that
// signed them. Everybody who has the lists refuses all that is below one that is
// found, and a root may be in its own list (CA-29).
func (k *crlCheck) revoked(b Bundle, lists []placedList) {
	signers, _ := readCertificates(BundleCert, b.Cert)
	if len(signers) == 0 {
		return
	}
	chain, _ := readCertificates(BundleChain, b.Chain)
	roots, _ := readCertificates(BundleRoot, b.Root)
	paths, _ := findPaths(signers[0], chain, roots)
	needed := slices.Concat(append(paths, signers[:1])...)
	parts := &bundleCheck{cert: signers[0], roots: roots}
	for _, c := range unique(append(slices.Clone(k.authorities), signers[0])) {
		for _, list := range lists {
			if string(list.RawIssuer) == string(c.RawIssuer) && revokes(list, c) {
				k.all = append(k.all, list.revocation(c, parts.place(c), slices.ContainsFunc(needed, c.Equal)))
			}
		}
	}
}

// revocation is the problem of a certificate in a list. It is none of the signer's
// where that does not need the certificate.
func (l placedList) revocation(c *x509.Certificate, part string, needed bool) Problem {
	p := Problem{
		codeRevoked, SeverityError, BundleCRL,
		fmt.Sprintf("line %d: the list of %s revokes %s in %s (serial number %x): whoever has the list refuses all that is below it", l.line, nameOf(l.Issuer.String()), title(c), part, c.SerialNumber),
		"make another authority, and do not use this one",
	}
	if !needed {
		p.Severity, p.Fix = SeverityWarning, "take it out of "+part+": the signer does not need it"
	}
	return p
}

func revokes(list placedList, c *x509.Certificate) bool {
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(c.SerialNumber) == 0 })
}

func unique(all []*x509.Certificate) []*x509.Certificate {
	var once []*x509.Certificate
	for _, c := range all {
		if !slices.ContainsFunc(once, c.Equal) {
			once = append(once, c)
		}
	}
	return once
}
