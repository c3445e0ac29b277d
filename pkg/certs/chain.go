package certs

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Part is a text and what messages call it, such as tls.crt.
type Part struct {
	Name string
	PEM  []byte
}

// Pair is a chain with its key, as Secrets and folders hold them. Roots may be
// left out.
type Pair struct {
	Chain, Key, Roots Part
}

// Lives that are left of a leaf without a warning: a fifth of its whole life, and
// no more than this.
const earlyLeafLife = 14 * 24 * time.Hour

// CheckChain says what is wrong with the chain and the key of a TLS server, such
// as a gateway's Secret of type kubernetes.io/tls: parts that cannot be read, a
// key of another certificate, certificates that are out of date or soon will be,
// and links that do not hold. With roots the chain must lead to one.
func CheckChain(p Pair, at time.Time) []Problem { return checkPair(p, at, false) }

// CheckWorkload is CheckChain for the certificate of a workload, as in a Secret of
// type istio.io/key-and-cert: it is held to the profile, too (CA-47).
func CheckWorkload(p Pair, at time.Time) []Problem { return checkPair(p, at, true) }

func checkPair(p Pair, at time.Time, workload bool) []Problem {
	chain, all := readCertificates(p.Chain.Name, p.Chain.PEM)
	key, problem := readKey(p.Key.Name, p.Key.PEM)
	if problem != nil {
		all = append(all, *problem)
	}
	var roots []*x509.Certificate
	if len(p.Roots.PEM) > 0 {
		var found []Problem
		roots, found = readCertificates(p.Roots.Name, p.Roots.PEM)
		all = append(all, found...)
	}
	if len(chain) == 0 {
		return all
	}
	if key != nil && !EqualKeys(key.Public(), chain[0].PublicKey) {
		all = append(all, Problem{codeKeyMismatch, SeverityError, p.Key.Name, "the private key is not that of the first certificate in " + p.Chain.Name, "give the key that the certificate was made for, and the leaf before the other certificates"})
	}
	var found []fault
	switch {
	case workload && roots != nil:
		found = NewVerifier(roots, VerifyOptions{At: at}).faults(chain)
	case workload:
		found = slices.Concat(leafFaults(chain[0]), linkFaults(chain, nil, at))
	default:
		found = linkFaults(chain, roots, at)
	}
	found = append(found, expiringLeaf(chain[0], at)...)
	for _, f := range found {
		f.File = p.Chain.Name
		if slices.ContainsFunc(roots, f.cert.Equal) {
			f.File = p.Roots.Name
		}
		if !slices.Contains(all, f.Problem) {
			all = append(all, f.Problem)
		}
	}
	return all
}

// linkFaults checks a chain of any kind of leaf. Without roots the last
// certificate is taken for one.
func linkFaults(chain, roots []*x509.Certificate, at time.Time) []fault {
	leaf := &faults{cert: chain[0]}
	leaf.checkKey()
	if roots == nil && len(chain) == 1 {
		return append(leaf.all, (&pathCheck{path: path{chain[0]}, at: at, leaf: true}).faults()...)
	}
	if roots == nil {
		roots = chain[len(chain)-1:]
	}
	paths, lost := findPaths(chain[0], chain[1:], roots)
	if lost != nil {
		return append(leaf.all, append((&pathCheck{path: path{chain[0]}, at: at, leaf: true}).faults(), *lost)...)
	}
	return append(leaf.all, bestPath(paths, func(p path) []fault {
		return (&pathCheck{path: p, at: at, leaf: true, server: true}).faults()
	})...)
}

// expiringLeaf warns when little of a life is left.
func expiringLeaf(c *x509.Certificate, at time.Time) []fault {
	const parts = 5
	left, early := c.NotAfter.Sub(at), min(c.NotAfter.Sub(c.NotBefore)/parts, earlyLeafLife)
	l := &faults{cert: c}
	if left >= 0 && left < early && !at.Before(c.NotBefore) {
		l.warn(codeExpiresSoon, fmt.Sprintf("%s expires in %s, at %s", title(c), days(left), stamp(c.NotAfter)), "renew it")
	}
	return l.all
}
