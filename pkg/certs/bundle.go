package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Bundle is a plugged-in CA as istiod reads it: ca-cert.pem, ca-key.pem,
// root-cert.pem and cert-chain.pem, as PEM (CA-24).
type Bundle struct {
	Cert, Key, Root, Chain []byte
}

// The names of a bundle's parts, as a Secret cacerts has them.
const (
	BundleCert  = "ca-cert.pem"
	BundleKey   = "ca-key.pem"
	BundleRoot  = "root-cert.pem"
	BundleChain = "cert-chain.pem"
	BundleCRL   = "ca-crl.pem"
)

// TLSBundle is the bundle that istiod makes of the keys tls.crt, tls.key and
// ca.crt: its chain is what is in tls.crt, and then what is in ca.crt (CA-24).
func TLSBundle(crt, key, ca []byte) Bundle {
	return Bundle{Cert: firstBlock(crt), Key: key, Root: ca, Chain: slices.Concat(crt, []byte("\n"), ca)}
}

// TLSPart is the key of a Secret that a part of a TLSBundle comes from.
func TLSPart(file string) string {
	switch file {
	case BundleCert, BundleChain:
		return "tls.crt"
	case BundleKey:
		return "tls.key"
	case BundleRoot:
		return "ca.crt"
	}
	return file
}

// DefaultTrustDomain is Istio's.
const DefaultTrustDomain = "cluster.local"

// Lives of authorities that are left at least, and that are left without a
// warning (CA-23).
const (
	leastAuthorityLife = 7 * 24 * time.Hour
	earlyAuthorityLife = 30 * 24 * time.Hour
)

// CheckBundle says what is wrong with a bundle: with its parts, with what they
// say of each other, and with a leaf that is signed for trial and verified
// through the very bytes that proxies would get. istiod loads some bundles whose
// leaves nobody can verify (CA-23, CA-70). The trust domain is the one that the
// authority names, otherwise DefaultTrustDomain.
func CheckBundle(b Bundle, at time.Time) []Problem { return b.CheckFor("", at) }

// CheckFor is CheckBundle for a trust domain.
func (b Bundle) CheckFor(domain string, at time.Time) []Problem { return b.check(domain, at).all }

func (b Bundle) check(domain string, at time.Time) *bundleCheck {
	k := &bundleCheck{at: at, domain: domain}
	k.cert = k.signer(b.Cert)
	k.key = k.privateKey(b.Key)
	k.roots = k.certificates(BundleRoot, b.Root)
	k.chain = k.chainCertificates(b.Chain)
	if k.cert == nil {
		return k
	}
	if k.key != nil && !EqualKeys(k.key.Public(), k.cert.PublicKey) {
		k.fail(codeKeyMismatch, BundleKey, "the private key is not that of the certificate in "+BundleCert, "give the key that the certificate was made for")
	}
	if k.domain == "" {
		k.domain = k.namedDomain()
	}
	k.checkChain(len(bytes.TrimSpace(b.Chain)) > 0)
	k.checkRoots()
	k.checkPath()
	k.checkSigner()
	k.checkOthers()
	k.trial()
	return k
}

// bundleCheck goes through a bundle; parts that cannot be read stay nil.
type bundleCheck struct {
	at     time.Time
	domain string

	cert         *x509.Certificate
	key          crypto.Signer
	roots, chain []*x509.Certificate
	path         path // up to a root, with the least that is wrong
	all          []Problem
}

func (k *bundleCheck) fail(code, file, message, fix string) {
	k.all = append(k.all, Problem{code, SeverityError, file, message, fix})
}

func (k *bundleCheck) warn(code, file, message, fix string) {
	k.all = append(k.all, Problem{code, SeverityWarning, file, message, fix})
}

// namedDomain is the trust domain that the authority or a root names.
func (k *bundleCheck) namedDomain() string {
	for _, c := range append([]*x509.Certificate{k.cert}, k.roots...) {
		if id, ok := identity(c); ok {
			return id.TrustDomain()
		}
	}
	return DefaultTrustDomain
}

// place finds the part that a certificate is in.
func (k *bundleCheck) place(c *x509.Certificate) string {
	switch {
	case k.cert.Equal(c):
		return BundleCert
	case slices.ContainsFunc(k.roots, c.Equal):
		return BundleRoot
	}
	return BundleChain
}

// found takes over what is wrong with certificates.
func (k *bundleCheck) found(all []fault) {
	for _, f := range all {
		f.File = k.place(f.cert)
		if !slices.Contains(k.all, f.Problem) {
			k.all = append(k.all, f.Problem)
		}
	}
}

// checkChain wants the chain to begin with the certificate that signs, and to go
// up to the root.
func (k *bundleCheck) checkChain(given bool) {
	if k.chain == nil {
		if !given {
			k.fail(codeChainEmpty, BundleChain, "the chain is empty: proxies get a leaf without the certificate that signed it, and istiod does not say so", "put what is in "+BundleCert+" into it, and then the certificates above, the root last")
		}
		return
	}
	at := slices.IndexFunc(k.chain, k.cert.Equal)
	switch {
	case at < 0:
		k.fail(codeChainLacksCA, BundleChain, "the chain lacks the certificate of "+BundleCert+": no peer can verify what it signs, and istiod does not say so", "put what is in "+BundleCert+" before the other certificates")
	case at > 0 || !ordered(k.chain):
		k.warn(codeChainOrder, BundleChain, "the chain does not go up from the certificate of "+BundleCert+" to the root: not all peers sort it", "put each certificate before the one that signed it")
	}
}

// ordered tells whether no certificate stands behind all that could have signed it.
// What leads elsewhere, such as a second root, may follow.
func ordered(chain []*x509.Certificate) bool {
	for i, c := range chain {
		signs := func(above *x509.Certificate) bool { return string(c.RawIssuer) == string(above.RawSubject) }
		if !selfIssued(c) && slices.ContainsFunc(chain[:i], signs) && !slices.ContainsFunc(chain[i+1:], signs) {
			return false
		}
	}
	return true
}

// checkRoots wants roots that sign themselves. Those that are not on the way up
// may be left from before a rotation, or be meant for one.
func (k *bundleCheck) checkRoots() {
	for _, root := range k.roots {
		switch {
		case !selfIssued(root):
			k.warn(codePartialAnchor, BundleRoot, fmt.Sprintf("%s is signed by %s: openssl and Java want roots that sign themselves", title(root), nameOf(root.Issuer.String())), "put the certificate of its root in its place")
		case k.at.After(root.NotAfter) && !k.cert.Equal(root) && string(root.RawSubject) != string(k.cert.RawIssuer):
			k.warn(codeExpired, BundleRoot, fmt.Sprintf("%s expired at %s; nothing here needs it", title(root), stamp(root.NotAfter)), "take it out")
		}
	}
}

// checkPath wants a way from the certificate that signs to a root on which every
// authority allows it to sign leaves of the trust domain.
func (k *bundleCheck) checkPath() {
	if k.roots == nil {
		return
	}
	paths, lost := findPaths(k.cert, k.chain, k.roots)
	if lost != nil {
		lost.Fix = "give the root that signed the certificate in " + BundleCert + ", and the certificates between them in " + BundleChain
		k.found([]fault{*lost})
		if lost.cert.Equal(k.cert) {
			k.all[len(k.all)-1].File = BundleRoot
		}
		k.found((&pathCheck{path: path{k.cert}, at: k.at}).faults())
		return
	}
	var best []fault
	for _, p := range paths {
		found := slices.Concat((&pathCheck{path: p, at: k.at}).faults(), domainFaults(p, k.domain), istiodFaults(p), listFaults(p), k.expiring(p))
		if k.path == nil || weight(found) < weight(best) {
			k.path, best = p, found
		}
	}
	k.found(best)
}

// bestPath gives what is wrong with the path with which the least is.
func bestPath(paths []path, check func(path) []fault) []fault {
	var best []fault
	for i, p := range paths {
		found := check(p)
		if i == 0 || weight(found) < weight(best) {
			best = found
		}
	}
	return best
}

// weight counts errors, and warnings for little.
func weight(all []fault) int {
	const much = 1000
	sum := 0
	for _, f := range all {
		if sum++; f.Severity == SeverityError {
			sum += much
		}
	}
	return sum
}

// expiring tells of authorities that have little time left.
func (k *bundleCheck) expiring(p path) []fault {
	var all []fault
	for _, c := range p {
		l := &faults{cert: c}
		switch left := c.NotAfter.Sub(k.at); {
		case left < 0 || k.at.Before(c.NotBefore):
		case left < leastAuthorityLife:
			l.fail(codeExpiresSoon, fmt.Sprintf("%s expires in %s, at %s", title(c), days(left), stamp(c.NotAfter)), "renew it now: all leaves end with it")
		case left < earlyAuthorityLife:
			l.warn(codeExpiresSoon, fmt.Sprintf("%s expires in %s, at %s", title(c), days(left), stamp(c.NotAfter)), "renew it: all leaves end with it")
		}
		all = append(all, l.all...)
	}
	return all
}
