package certs

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// crlBlock is the type of PEM block of a revocation list.
const crlBlock = "X509 CRL"

// CheckBundleCRL says what is wrong with ca-crl.pem beside a bundle, for which
// CheckBundle finds no errors. istiod wants a list of every authority in
// cert-chain.pem and does not load the bundle otherwise; Envoy, once it has one
// list, refuses all peers below an authority without one (CA-29).
func CheckBundleCRL(b Bundle, crl []byte, at time.Time) []Problem {
	k := &crlCheck{at: at}
	chain, _ := readCertificates(BundleChain, b.Chain)
	roots, _ := readCertificates(BundleRoot, b.Root)
	for _, c := range slices.Concat(chain, roots) {
		if !slices.ContainsFunc(k.authorities, c.Equal) {
			k.authorities = append(k.authorities, c)
		}
	}
	lists := k.read(crl)
	if HasErrors(k.all) {
		return k.all
	}
	k.revoked(b, lists)
	for i, c := range k.authorities {
		list := k.listOf(c, lists)
		switch {
		case list == nil && i < len(chain):
			k.fail(codeCRLMissing, fmt.Sprintf("there is no list of %s: istiod does not load the bundle, and Envoy refuses all peers", title(c)), "give one list for every authority of the chain and the root, empty ones too")
		case list != nil && lacksUsage(c, x509.KeyUsageCRLSign):
			k.fail(codeNoCRLSign, fmt.Sprintf("the key usage of %s lacks cRLSign: nobody accepts its list", title(c)), signingUsages)
		case list != nil && at.After(list.NextUpdate):
			k.fail(codeCRLStale, fmt.Sprintf("the list of %s was to be renewed by %s: all peers are refused", title(c), stamp(list.NextUpdate)), "issue the list anew")
		}
	}
	return k.all
}

// placedList is a revocation list and the line that it begins on.
type placedList struct {
	*x509.RevocationList
	line int
}

type crlCheck struct {
	at          time.Time
	authorities []*x509.Certificate
	all         []Problem
}

func (k *crlCheck) fail(code, message, fix string) {
	k.all = append(k.all, Problem{code, SeverityError, BundleCRL, message, fix})
}

func (k *crlCheck) read(text []byte) []placedList {
	const fix = "give the revocation lists as PEM, in blocks " + crlBlock
	blocks, faults := ScanBlocks(text)
	for _, f := range faults {
		k.fail(codeBadCRL, f.Error()+": istiod takes the list for missing", fix)
	}
	var all []placedList
	for _, b := range blocks {
		list, err := x509.ParseRevocationList(b.Data)
		switch {
		case b.Kind != crlBlock:
			k.fail(codeBadCRL, fmt.Sprintf("line %d: block %s: expected %s", b.Line, b.Kind, crlBlock), fix)
		case err != nil:
			k.fail(codeBadCRL, fmt.Sprintf("line %d: the list cannot be decoded: %s", b.Line, trimmedError(err)), fix)
		case !slices.ContainsFunc(k.authorities, issuerOf(list)): // that of an intermediate before this one is needed
			k.all = append(k.all, Problem{
				codeBadCRL, SeverityWarning, BundleCRL, fmt.Sprintf("line %d: the list of %s is of no authority of the bundle", b.Line, nameOf(list.Issuer.String())),
				"leave it if leaves of that authority are still used; otherwise take it out",
			})
		case !slices.ContainsFunc(k.authorities, signedList(list)):
			k.fail(codeBadCRL, fmt.Sprintf("line %d: the list of %s is not signed by the key that this authority has in the bundle", b.Line, nameOf(list.Issuer.String())), "give the list that the authority in "+BundleChain+" or "+BundleRoot+" signed")
		default:
			all = append(all, placedList{list, b.Line})
		}
	}
	if len(blocks)+len(faults) == 0 {
		k.fail(codeBadCRL, "it holds no list", fix)
	}
	return all
}

// issuerOf tells whether an authority has the name of a list's.
func issuerOf(list *x509.RevocationList) func(*x509.Certificate) bool {
	return func(c *x509.Certificate) bool { return string(list.RawIssuer) == string(c.RawSubject) }
}

// signedList tells whether an authority's key signed a list, be it allowed to or
// not.
func signedList(list *x509.RevocationList) func(*x509.Certificate) bool {
	return func(c *x509.Certificate) bool {
		return issuerOf(list)(c) && c.CheckSignature(list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature) == nil
	}
}

func (k *crlCheck) listOf(c *x509.Certificate, lists []placedList) *x509.RevocationList {
	for _, list := range lists {
		if signedList(list.RevocationList)(c) {
			return list.RevocationList
		}
	}
	return nil
}
