package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// VerifyOptions say what a workload's certificate is held to. The zero value
// verifies at the beginning of time, which nothing passes: At must be set.
type VerifyOptions struct {
	At time.Time
	// Peers are the identities that are expected; none takes every identity.
	// This is secure naming: a chain alone does not tell who is there.
	Peers []ID
	// TrustDomains are those whose identities are accepted; none takes all.
	TrustDomains []string
}

// Verifier verifies chains of workloads. It may be shared.
type Verifier struct {
	roots   []*x509.Certificate
	pool    *x509.CertPool
	options VerifyOptions
}

// NewVerifier verifies against roots: self-signed, or intermediates that are
// trusted by themselves.
func NewVerifier(roots []*x509.Certificate, o VerifyOptions) *Verifier {
	v := &Verifier{roots: roots, pool: x509.NewCertPool(), options: o}
	for _, root := range roots {
		v.pool.AddCert(root)
	}
	return v
}

// Verify says why peers refuse a chain, or should: the leaf first, then the
// intermediates, in any order. It holds the leaf to the profile of workloads
// (CA-1..CA-16) and each certificate to those above it, for servers and clients
// both. File is left empty. Without problems the chain is valid.
func (v *Verifier) Verify(chain []*x509.Certificate) []Problem {
	if len(chain) == 0 {
		return []Problem{{Code: codeChainEmpty, Severity: SeverityError, Message: "there is no certificate", Fix: "give the leaf, then the certificates above it"}}
	}
	var all []Problem
	for _, x := range v.Examine(chain) {
		if !slices.Contains(all, x.Problem) {
			all = append(all, x.Problem)
		}
	}
	return all
}

// Examine is Verify for a chain with a leaf, and tells of each problem which
// certificate of the chain or of the roots has it.
func (v *Verifier) Examine(chain []*x509.Certificate) []Examined {
	var all []Examined
	for _, f := range v.faults(chain) {
		if x := (Examined{f.Problem, f.cert}); !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

func (v *Verifier) faults(chain []*x509.Certificate) []fault {
	leaf := chain[0]
	all := slices.Concat(leafFaults(leaf), v.nameFaults(leaf))
	paths, err := v.libraryPaths(chain)
	if err == nil {
		return append(all, bestPath(paths, v.pathFaults)...)
	}
	paths, lost := findPaths(leaf, chain[1:], v.roots)
	if lost != nil {
		return append(all, append((&pathCheck{path: path{leaf}, at: v.options.At, leaf: true}).faults(), *lost)...)
	}
	all = append(all, bestPath(paths, v.pathFaults)...)
	if !slices.ContainsFunc(all, func(f fault) bool { return f.Severity == SeverityError }) {
		l := &faults{cert: leaf}
		l.fail(codeRefused, "the chain does not verify: "+trimmedError(err), "issue it anew")
		all = append(all, l.all...)
	}
	return all
}

// libraryPaths asks the library, which is fast and not ours. Purposes are
// compared later.
func (v *Verifier) libraryPaths(chain []*x509.Certificate) ([]path, error) {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	found, err := chain[0].Verify(x509.VerifyOptions{
		Roots: v.pool, Intermediates: intermediates, CurrentTime: v.options.At, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("no chain was found")
	}
	paths := make([]path, len(found))
	for i, p := range found {
		paths[i] = p
	}
	return paths, nil
}

func (v *Verifier) pathFaults(p path) []fault {
	all := (&pathCheck{path: p, at: v.options.At, leaf: true}).faults()
	if id, ok := identity(p[0]); ok {
		all = append(all, domainFaults(p[1:], id.TrustDomain())...)
	}
	return all
}

// nameFaults is secure naming.
func (v *Verifier) nameFaults(leaf *x509.Certificate) []fault {
	id, ok := identity(leaf)
	l := &faults{cert: leaf}
	switch {
	case !ok: // which is told already
	case len(v.options.TrustDomains) > 0 && !slices.Contains(v.options.TrustDomains, id.TrustDomain()):
		l.fail(codeWrongDomain, fmt.Sprintf("the identity %s is in the trust domain %s; expected %s", id, id.TrustDomain(), strings.Join(v.options.TrustDomains, " or ")), "issue it by the authority of that trust domain, or make the domain an alias in the mesh config")
	case len(v.options.Peers) > 0 && !slices.Contains(v.options.Peers, id):
		l.fail(codeWrongIdentity, fmt.Sprintf("the identity %s is not expected here; expected %s", id, idList(v.options.Peers)), "use the certificate of a service account that may run the service")
	}
	return l.all
}

func idList(all []ID) string {
	const most = 4
	var names []string
	for i, id := range all {
		if i == most {
			names = append(names, fmt.Sprintf("one of %d more", len(all)-most))
			break
		}
		names = append(names, id.String())
	}
	return strings.Join(names, " or ")
}

// VerifyPEM is Verify for a text: the leaf first, and nothing but certificates.
// What cannot be read is a problem too, with its line.
func (v *Verifier) VerifyPEM(p Part) []Problem {
	chain, all := readCertificates(p.Name, p.PEM)
	if len(chain) == 0 || slices.ContainsFunc(all, func(found Problem) bool { return found.Code == codeMalformed || found.Code == codeBadID }) {
		return all
	}
	for _, found := range v.Verify(chain) {
		found.File = p.Name
		all = append(all, found)
	}
	return all
}
