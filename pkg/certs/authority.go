package certs

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"
)

// DefaultIntermediateTTL is a year (CA-22).
const DefaultIntermediateTTL = 365 * 24 * time.Hour

// IstiodName is the DNS name under which istiod serves.
const IstiodName = "istiod.istio-system.svc"

// IntermediateOptions are what may vary between intermediates. The zero value is
// the profile's.
type IntermediateOptions struct {
	TTL time.Duration // 0 is DefaultIntermediateTTL
	// Generation tells intermediates of one day apart; 2 and more are in the name.
	Generation int
	// Unconstrained leaves out the constraint to the trust domain (CA-28).
	Unconstrained bool
	// Istio adds IstiodName (CA-22).
	Istio bool
}

// Intermediate makes a certificate that signs leaves and nothing else. It ends
// before the certificates above it do (CA-22).
func (m *Mint) Intermediate(i *Issuer, key crypto.Signer, domain string, o IntermediateOptions) (*Issuer, error) {
	if err := CheckTrustDomain(domain); err != nil {
		return nil, err
	}
	now := m.Now()
	t := authorityTemplate(domain, "intermediate", o.Generation, now)
	t.MaxPathLenZero = true
	if !o.Unconstrained {
		t.PermittedURIDomains, t.PermittedDNSDomainsCritical = []string{domain}, true
	}
	if o.Istio {
		t.DNSNames = []string{IstiodName}
	}
	ttl := o.TTL
	if ttl <= 0 {
		ttl = DefaultIntermediateTTL
	}
	if err := m.below(i, t, now, ttl, time.Second); err != nil {
		return nil, err
	}
	c, err := m.sign(t, i.Certificate(), i.Key, key.Public())
	if err != nil {
		return nil, err
	}
	return &Issuer{Chain: append([]*x509.Certificate{c}, i.Chain...), Key: key}, nil
}

// CrossSign certifies another root, for peers that have only the issuer's
// (CA-27).
func (m *Mint) CrossSign(i *Issuer, other *x509.Certificate) (*x509.Certificate, error) {
	t := copyOfAuthority(other)
	if err := m.below(i, t, m.Now(), other.NotAfter.Sub(m.Now()), time.Second); err != nil {
		return nil, err
	}
	return m.sign(t, i.Certificate(), i.Key, other.PublicKey)
}

// RenewRoot makes a root with new dates of an old one: with its name and its key,
// so that what the one signed verifies with the other. It does not help where
// the key is known to others (CA-26).
func (m *Mint) RenewRoot(key crypto.Signer, old *x509.Certificate, ttl time.Duration) (*Issuer, error) {
	if ttl <= 0 {
		ttl = DefaultRootTTL
	}
	t := copyOfAuthority(old)
	now := m.Now()
	t.NotBefore, t.NotAfter = now.Add(-backdating), now.Add(ttl)
	c, err := m.sign(t, nil, key, key.Public())
	if err != nil {
		return nil, err
	}
	return &Issuer{Chain: []*x509.Certificate{c}, Key: key}, nil
}

// copyOfAuthority has the name, the key identifier and the powers of a root, and
// no more than its limits allow.
func copyOfAuthority(c *x509.Certificate) *x509.Certificate {
	t := &x509.Certificate{
		RawSubject: c.RawSubject, SubjectKeyId: c.SubjectKeyId, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLen: c.MaxPathLen, MaxPathLenZero: c.MaxPathLenZero,
	}
	nameConstraints, purposes := asn1.ObjectIdentifier{2, 5, 29, 30}, asn1.ObjectIdentifier{2, 5, 29, 37}
	for _, e := range c.Extensions {
		if e.Id.Equal(alternativeNames()) || e.Id.Equal(nameConstraints) || e.Id.Equal(purposes) {
			t.ExtraExtensions = append(t.ExtraExtensions, e)
		}
	}
	return t
}

// authorityTemplate is what roots and intermediates have in common. Their names
// differ from day to day, so that generations can be told apart (CA-20).
func authorityTemplate(domain, kind string, generation int, now time.Time) *x509.Certificate {
	name := kind + " " + now.UTC().Format(time.DateOnly)
	if generation > 1 {
		name += fmt.Sprintf("-%d", generation)
	}
	t := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{domain}, CommonName: domain + " " + name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if len(domain) > maxCommonName { // an organization's limit too; the ID tells the whole
		t.Subject.Organization = []string{domain[:maxCommonName]}
	}
	if len(t.Subject.CommonName) > maxCommonName {
		t.Subject.CommonName = name
	}
	return t
}

// below gives a certificate its dates: it ends at the latest some time before
// those above it do (CA-15).
func (*Mint) below(i *Issuer, t *x509.Certificate, now time.Time, ttl, margin time.Duration) error {
	t.NotBefore, t.NotAfter = now.Add(-backdating), now.Add(ttl)
	for _, above := range i.Chain {
		last := above.NotAfter.Add(-margin)
		if !now.Before(last) {
			return fmt.Errorf("issuer %q expired at %s", above.Subject, above.NotAfter.UTC().Format(time.RFC3339))
		}
		if last.Before(t.NotAfter) {
			t.NotAfter = last
		}
	}
	return nil
}
