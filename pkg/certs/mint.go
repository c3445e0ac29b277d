package certs

import (
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"time"
)

// Mint makes certificates. Now and Random must be set; it may be shared if they
// may.
type Mint struct {
	Now    func() time.Time
	Random io.Reader // of serial numbers and signatures
	// Taken tells which serial numbers are in use; nil is none (CA-13).
	Taken func(*big.Int) bool
}

// Issuer signs certificates.
type Issuer struct {
	// Chain is the certificate that signs, then those above it, the root last.
	Chain []*x509.Certificate
	Key   crypto.Signer // the first certificate's
}

// Certificate is the one that signs.
func (i *Issuer) Certificate() *x509.Certificate { return i.Chain[0] }

// Root is the certificate that the chain ends in.
func (i *Issuer) Root() *x509.Certificate { return i.Chain[len(i.Chain)-1] }

// Root makes the self-signed certificate of a trust domain (CA-20).
func (m *Mint) Root(key crypto.Signer, domain string, o RootOptions) (*Issuer, error) {
	if err := CheckTrustDomain(domain); err != nil {
		return nil, err
	}
	now := m.Now()
	template, err := rootTemplate(domain, now, o)
	if err != nil {
		return nil, err
	}
	ttl := o.TTL
	if ttl <= 0 {
		ttl = DefaultRootTTL
	}
	template.NotBefore, template.NotAfter = now.Add(-backdating), now.Add(ttl)
	root, err := m.sign(template, nil, key, key.Public())
	if err != nil {
		return nil, err
	}
	return &Issuer{Chain: []*x509.Certificate{root}, Key: key}, nil
}

// Leaf makes the certificate of a workload. It does not outlive any certificate
// above it (CA-15).
func (m *Mint) Leaf(i *Issuer, public crypto.PublicKey, id ID, o LeafOptions) (*x509.Certificate, error) {
	ttl, err := o.lifetime()
	if err != nil {
		return nil, err
	}
	template, err := leafTemplate(id, public, o)
	if err != nil {
		return nil, err
	}
	if err := m.below(i, template, m.Now(), ttl, 0); err != nil {
		return nil, err
	}
	return m.sign(template, i.Certificate(), i.Key, public)
}

// sign completes a template and signs it. Without a parent it signs itself.
func (m *Mint) sign(template, parent *x509.Certificate, key crypto.Signer, public crypto.PublicKey) (*x509.Certificate, error) {
	err := CheckKey(public)
	if err != nil {
		return nil, err
	}
	if template.SignatureAlgorithm, err = signatureAlgorithm(key.Public()); err != nil {
		return nil, err
	}
	if template.SerialNumber, err = m.serial(); err != nil {
		return nil, err
	}
	if template.SubjectKeyId == nil {
		if template.SubjectKeyId, err = keyID(public); err != nil {
			return nil, err
		}
	}
	if parent == nil {
		parent = template
	}
	encoded, err := x509.CreateCertificate(m.Random, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(encoded)
}

// readFull is io.ReadFull that takes a missing source for an error.
func readFull(r io.Reader, data []byte) error {
	if r == nil {
		return errors.New("no source of randomness")
	}
	_, err := io.ReadFull(r, data)
	return err
}
