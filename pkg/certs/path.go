package certs

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// path is a certificate and those above it, a root last.
type path []*x509.Certificate

// maxPath bounds the search for issuers (CA-68).
const maxPath = 20

// pathSearch looks for a way from a certificate to a root, by signatures only.
type pathSearch struct {
	intermediates, roots []*x509.Certificate
	steps                int

	// What was met on ways that did not lead to a root.
	lost   *x509.Certificate // has no issuer
	forged *x509.Certificate // has an issuer by name whose key did not sign it
	paths  []path
}

// findPaths lists the ways to roots, the best of them first: there may be several
// where authorities sign each other. Without any it says where they end.
func findPaths(start *x509.Certificate, intermediates, roots []*x509.Certificate) ([]path, *fault) {
	s := &pathSearch{intermediates: intermediates, roots: roots}
	s.walk(path{start})
	if len(s.paths) > 0 {
		return s.paths, nil
	}
	l := &faults{}
	switch {
	case s.forged != nil:
		l.cert = s.forged
		l.fail(codeBadSignature, fmt.Sprintf("%s is not signed by the key of its issuer %s: another authority has the same name", title(s.forged), nameOf(s.forged.Issuer.String())), "give the certificate of the authority that signed it")
	case s.lost != nil && selfIssued(s.lost):
		l.cert = s.lost
		l.fail(codeUnknownIssuer, fmt.Sprintf("the chain ends in %s, which is not among the roots", title(s.lost)), "give the roots that the peers trust, or a certificate that one of them signed")
	default:
		l.cert = s.lost
		l.fail(codeUnknownIssuer, fmt.Sprintf("%s is signed by %s, which is neither in the chain nor among the roots", title(s.lost), nameOf(s.lost.Issuer.String())), "add the certificate of the issuer to the chain, or its root to the roots")
	}
	return nil, &l.all[0]
}

func (s *pathSearch) walk(p path) {
	const maxSteps, maxPaths = 200, 8
	if s.steps++; s.steps > maxSteps || len(p) > maxPath || len(s.paths) >= maxPaths {
		return
	}
	last := p[len(p)-1]
	if slices.ContainsFunc(s.roots, last.Equal) {
		s.paths = append(s.paths, slices.Clone(p))
		return
	}
	named, signed := false, false
	for _, issuer := range slices.Concat(s.roots, s.intermediates) {
		if !bytes.Equal(issuer.RawSubject, last.RawIssuer) || slices.ContainsFunc(p, issuer.Equal) {
			continue
		}
		named = true
		// Whether it may sign is asked later.
		if last.SignatureAlgorithm != x509.UnknownSignatureAlgorithm && signedBy(last, issuer) {
			signed = true
			s.walk(append(slices.Clone(p), issuer))
		}
	}
	switch {
	case !named && s.lost == nil:
		s.lost = last
	case named && !signed && s.forged == nil:
		s.forged = last
	}
}

// signedBy checks the signature and nothing else. SHA-1, which the library
// refuses, has a finding of its own, and what is signed with it is taken to be.
func signedBy(c, issuer *x509.Certificate) bool {
	if weakSignature(c.SignatureAlgorithm) {
		return true
	}
	return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func weakSignature(a x509.SignatureAlgorithm) bool {
	return slices.Contains([]x509.SignatureAlgorithm{x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1}, a)
}

// pathCheck says what is wrong with the certificates of a path and with what
// they say of each other.
type pathCheck struct {
	path path
	at   time.Time
	// leaf tells whether the path begins with a leaf; otherwise a leaf is to come
	// below it.
	leaf bool
	// server tells whether the leaf is a server's only.
	server bool
}

func (k *pathCheck) faults() []fault {
	var all []fault
	for i, c := range k.path {
		l := &faults{cert: c}
		k.checkDates(l, i)
		if i > 0 || !k.leaf {
			k.checkAuthority(l, i)
		}
		if i+1 < len(k.path) {
			checkIssuer(l, k.path[i+1])
		}
		all = append(all, l.all...)
	}
	return all
}

// checkDates is CA-14 and CA-15.
func (k *pathCheck) checkDates(l *faults, i int) {
	c := l.cert
	switch {
	case k.at.After(c.NotAfter):
		l.fail(codeExpired, fmt.Sprintf("%s expired %s ago, at %s", title(c), days(k.at.Sub(c.NotAfter)), stamp(c.NotAfter)), "issue it anew")
		return
	case k.at.Before(c.NotBefore):
		l.fail(codeNotYetValid, fmt.Sprintf("%s is valid only from %s on, in %s", title(c), stamp(c.NotBefore), days(c.NotBefore.Sub(k.at))), "wait, or set the clock right")
		return
	}
	for _, above := range k.path[i+1:] {
		if c.NotAfter.After(above.NotAfter) && !k.at.After(above.NotAfter) {
			severity := SeverityWarning
			if i == 0 && k.leaf {
				severity = SeverityError
			}
			l.add(severity, codeOutlivesIssuer, fmt.Sprintf("%s is valid until %s, longer than %s above it, which expires at %s", title(c), stamp(c.NotAfter), title(above), stamp(above.NotAfter)), "issue it for less time, or renew what is above it first")
			return
		}
	}
}

// checkAuthority asks whether a certificate may sign those below it.
func (k *pathCheck) checkAuthority(l *faults, i int) {
	c := l.cert
	below := k.path[:i]
	if k.leaf {
		below = k.path[1:i]
	}
	depth := 0
	for _, b := range below {
		if !selfIssued(b) {
			depth++
		}
	}
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		l.fail(codeNotCA, fmt.Sprintf("%s is no certificate authority: it says CA:FALSE, or nothing", title(c)), "give the certificate of an authority, with basicConstraints CA:TRUE")
		return
	case lacksUsage(c, x509.KeyUsageCertSign):
		l.fail(codeNoCertSign, fmt.Sprintf("the key usage of %s lacks keyCertSign: nobody accepts what it signs", title(c)), signingUsages)
	case (c.MaxPathLen > 0 || c.MaxPathLenZero) && depth > c.MaxPathLen:
		l.fail(codePathLength, fmt.Sprintf("%s allows %d authorities below it (pathlen:%d), and has %d", title(c), c.MaxPathLen, c.MaxPathLen, depth), "issue it without pathlen, or with a greater one; or let it sign leaves itself")
	}
	if _, there := findExtension(c, oidKeyUsage); !there {
		l.warn(codeNoKeyUsage, fmt.Sprintf("%s has no key usage, which allows all: openssl refuses it where it is strict, and Go makes no revocation list of it", title(c)), signingUsages)
	}
	lacks := lackingPurposes(c.ExtKeyUsage)
	if k.server {
		lacks = slices.DeleteFunc(lacks, func(name string) bool { return name == "clientAuth" })
	}
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && len(lacks) > 0 {
		l.fail(codePurpose, fmt.Sprintf("the extended key usage of %s lacks %s, and so do all leaves below it", title(c), strings.Join(lacks, " and ")), "issue it without an extended key usage, or with serverAuth and clientAuth both")
	}
	l.checkKey()
	l.checkAuthorityID(k)
}

// signingUsages is the way out where an authority's key usage is not right.
const signingUsages = "issue it with the key usages keyCertSign and cRLSign"

// lacksUsage tells whether a certificate limits the use of its key, and to
// others than this. Without a key usage all are allowed (RFC 5280, 4.2.1.3).
func lacksUsage(c *x509.Certificate, usage x509.KeyUsage) bool {
	_, there := findExtension(c, oidKeyUsage)
	return there && c.KeyUsage&usage == 0
}

// checkAuthorityID is CA-4: an authority that names itself names a trust domain,
// and that of all leaves below it.
func (l *faults) checkAuthorityID(k *pathCheck) {
	uris := rawURIs(l.cert)
	if len(uris) != 1 || !strings.HasPrefix(uris[0], scheme) {
		return
	}
	id, err := ParseID(uris[0])
	switch {
	case err != nil:
		l.fail(codeCAIdentity, fmt.Sprintf("%s: %v", title(l.cert), err), "issue the authority without a URI, or with that of its trust domain")
		return
	case id.Path() != "":
		l.fail(codeCAIdentity, fmt.Sprintf("%s names itself %q: an authority's identity has no path", title(l.cert), id), "issue the authority without a URI, or with that of its trust domain")
		return
	case !k.leaf:
		return
	}
	if leaf, ok := identity(k.path[0]); ok && leaf.TrustDomain() != id.TrustDomain() {
		l.fail(codeWrongDomain, fmt.Sprintf("%s is for the trust domain %s, and the leaf is in %s", title(l.cert), id.TrustDomain(), leaf.TrustDomain()), "issue the leaf by the authority of its own trust domain")
	}
}

// checkIssuer compares a certificate with the one that signed it (CA-12).
func checkIssuer(l *faults, issuer *x509.Certificate) {
	c := l.cert
	if weakSignature(c.SignatureAlgorithm) {
		l.fail(codeWeakSignature, fmt.Sprintf("%s is signed with %s, which is broken", title(c), c.SignatureAlgorithm), "issue it anew, with SHA-256")
	}
	if len(c.AuthorityKeyId) > 0 && len(issuer.SubjectKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, issuer.SubjectKeyId) {
		l.fail(codeKeyID, fmt.Sprintf("the authority key identifier of %s is not the subject key identifier of %s: openssl and Envoy refuse the chain", title(c), title(issuer)), "issue it anew, with the identifier that its issuer has")
	}
}

// identity is the one SPIFFE ID of a certificate.
func identity(c *x509.Certificate) (ID, bool) {
	uris := rawURIs(c)
	if len(uris) != 1 {
		return ID{}, false
	}
	id, err := ParseID(uris[0])
	return id, err == nil
}

// domainFaults asks whether the authorities of a path allow a trust domain. In a
// constraint a host covers itself only; with a dot before it, what is below it
// (CA-28). Go takes both for both.
func domainFaults(authorities path, domain string) []fault {
	var all []fault
	for _, c := range authorities {
		l := &faults{cert: c}
		const fix = "issue the authority with the trust domain as the permitted URI, or without name constraints"
		if len(c.PermittedURIDomains) > 0 && !slices.ContainsFunc(c.PermittedURIDomains, covers(domain)) {
			l.fail(codeNameConstraint, fmt.Sprintf("%s allows names in %s only, and the trust domain is %s", title(c), strings.Join(c.PermittedURIDomains, ", "), domain), fix)
		}
		if slices.ContainsFunc(c.ExcludedURIDomains, covers(domain)) {
			l.fail(codeNameConstraint, fmt.Sprintf("%s forbids names in the trust domain %s", title(c), domain), fix)
		}
		all = append(all, l.all...)
	}
	return all
}

func covers(domain string) func(string) bool {
	return func(constraint string) bool {
		if strings.HasPrefix(constraint, ".") {
			return strings.HasSuffix(domain, strings.ToLower(constraint))
		}
		return strings.EqualFold(constraint, domain)
	}
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// title is how messages call a certificate: by its identity, else by its subject.
func title(c *x509.Certificate) string {
	if id, ok := identity(c); ok && !c.IsCA {
		return fmt.Sprintf("the certificate of %s", id)
	}
	return nameOf(c.Subject.String())
}

func nameOf(subject string) string {
	if subject == "" {
		return "a certificate without a subject"
	}
	return fmt.Sprintf("%q", subject)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
