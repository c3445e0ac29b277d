package certs

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Role is what a certificate is for.
type Role string

// The roles.
const (
	RootRole         Role = "root"
	IntermediateRole Role = "intermediate"
	LeafRole         Role = "leaf"
)

// RoleOf is the role that a certificate claims.
func RoleOf(c *x509.Certificate) Role {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return LeafRole
	case selfIssued(c):
		return RootRole
	}
	return IntermediateRole
}

// IdentityOf is the SPIFFE ID of a certificate; the zero ID if it has none, or
// one that is not valid.
func IdentityOf(c *x509.Certificate) ID {
	id, _ := identity(c)
	return id
}

// IssuerAmong finds the certificate whose key signed another one; nil if it is
// not among them.
func IssuerAmong(c *x509.Certificate, all []*x509.Certificate) *x509.Certificate {
	for _, issuer := range all {
		if bytes.Equal(issuer.RawSubject, c.RawIssuer) && signedBy(c, issuer) {
			return issuer
		}
	}
	return nil
}

// Examined is a problem of one certificate.
type Examined struct {
	Problem
	Certificate *x509.Certificate
}

// Examine says what is wrong with certificates that were found together, whether
// they make a chain or not: with each by its role, and with what they say of each
// other. Whether somebody trusts them is not asked. What expires within a time is
// an error; without one there is a warning where little of a life is left.
func Examine(all []*x509.Certificate, at time.Time, within time.Duration) []Examined {
	var found []Examined
	add := func(faults []fault) {
		for _, f := range faults {
			if e := (Examined{f.Problem, f.cert}); !slices.Contains(found, e) {
				found = append(found, e)
			}
		}
	}
	tops := topmost(all)
	for _, c := range all {
		leaf := RoleOf(c) == LeafRole
		switch {
		case leaf && isWorkload(c):
			add(leafFaults(c))
		case leaf:
			l := &faults{cert: c}
			l.checkKey()
			l.checkSerial()
			add(l.all)
		}
		add(linked(c, all, tops, at))
		add(ending(c, at, within))
	}
	return found
}

// linked checks a certificate with those above it, as far as they are there.
func linked(c *x509.Certificate, all, tops []*x509.Certificate, at time.Time) []fault {
	leaf := RoleOf(c) == LeafRole
	check := func(p path) []fault {
		found := (&pathCheck{path: p, at: at, leaf: leaf, server: leaf && !isWorkload(c)}).faults()
		if id, ok := identity(c); ok && leaf {
			found = append(found, domainFaults(p[1:], id.TrustDomain())...)
		}
		return found
	}
	paths, lost := findPaths(c, all, tops)
	switch {
	case lost == nil:
		return bestPath(paths, check)
	case lost.Code == codeBadSignature && lost.cert.Equal(c):
		return append(check(path{c}), *lost)
	}
	return check(path{c})
}

// topmost are the certificates above which there is nothing.
func topmost(all []*x509.Certificate) []*x509.Certificate {
	var tops []*x509.Certificate
	for _, c := range all {
		named := slices.ContainsFunc(all, func(other *x509.Certificate) bool { return bytes.Equal(other.RawSubject, c.RawIssuer) })
		if selfIssued(c) || !named {
			tops = append(tops, c)
		}
	}
	return tops
}

// isWorkload tells the certificates of workloads from those of other servers,
// which have DNS names or addresses and no URI.
func isWorkload(c *x509.Certificate) bool {
	for _, uri := range rawURIs(c) {
		if strings.HasPrefix(strings.ToLower(uri), scheme) {
			return true
		}
	}
	return len(rawURIs(c)) == 0 && len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses) == 0
}

// ending tells of what ends soon.
func ending(c *x509.Certificate, at time.Time, within time.Duration) []fault {
	left := c.NotAfter.Sub(at)
	l := &faults{cert: c}
	switch {
	case left < 0 || at.Before(c.NotBefore):
	case within > 0:
		if left < within {
			l.fail(codeExpiresSoon, fmt.Sprintf("%s expires in %s, at %s, and is to last for %s", title(c), days(left), stamp(c.NotAfter), days(within)), "renew it")
		}
	case RoleOf(c) == LeafRole:
		return expiringLeaf(c, at)
	case left < earlyAuthorityLife:
		l.warn(codeExpiresSoon, fmt.Sprintf("%s expires in %s, at %s", title(c), days(left), stamp(c.NotAfter)), "renew it: all leaves end with it")
	}
	return l.all
}
