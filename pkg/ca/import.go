package ca

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// ImportOptions say what authority to take in.
type ImportOptions struct {
	// TrustDomain is that of all identities; "" is the one that the authority or a
	// root names, else Istio's default.
	TrustDomain string
	Bundle      certs.Bundle
	// CRL is ca-crl.pem beside it; nil if there is none.
	CRL []byte
	// Passphrase encrypts a root's key. It is asked for if a root is imported, when
	// nothing is wrong with it; nil leaves the key in the clear.
	Passphrase func() ([]byte, error)
	// Key and Intermediate are of what is made below a root.
	Key          certs.KeyAlgorithm
	Intermediate certs.IntermediateOptions
}

// RefusedError is an authority that must not be used, and why.
type RefusedError struct{ Problems []certs.Problem }

func (e *RefusedError) Error() string {
	n := 0
	for _, p := range e.Problems {
		if p.Severity == certs.SeverityError {
			n++
		}
	}
	return fmt.Sprintf("the authority cannot be used: %d things are wrong with it", n)
}

// Import makes a directory for an authority that was made elsewhere: an
// intermediate, which signs as it is while the key of its root stays where it is,
// or a root with its key, which gets an intermediate that signs. It is held to
// all of CA-23 before; an error is a RefusedError, and there is no directory then.
// Problems are warnings. The caller closes the authority.
func Import(dir string, o ImportOptions, e Env) (*Authority, []certs.Problem, error) {
	if o.TrustDomain != "" {
		if err := certs.CheckTrustDomain(o.TrustDomain); err != nil {
			return nil, nil, err
		}
	}
	if err := checkAuthorityKey(o.Key); err != nil {
		return nil, nil, err
	}
	if err := vacant(dir); err != nil { // before anybody is asked for anything
		return nil, nil, err
	}
	c := &imported{options: o, env: e}
	c.check()
	if certs.HasErrors(c.problems) {
		return nil, nil, &RefusedError{c.problems}
	}
	init := InitOptions{TrustDomain: c.lineage.TrustDomain, Key: o.Key, Intermediate: o.Intermediate}
	if c.isRoot() && o.Passphrase != nil {
		var err error
		if init.Passphrase, err = o.Passphrase(); err != nil {
			return nil, nil, err
		}
	}
	a, err := found(dir, init, e, c.founders())
	return a, c.problems, err
}

// imported is what is to be imported.
type imported struct {
	options  ImportOptions
	env      Env
	lineage  *certs.Lineage
	problems []certs.Problem
}

func (c *imported) isRoot() bool { return len(c.lineage.Path) == 1 }

func (c *imported) signer() *x509.Certificate { return c.lineage.Path[0] }

func (c *imported) check() {
	c.options.Bundle = c.options.Bundle.SelfSigned()
	c.lineage, c.problems = c.options.Bundle.Lineage(c.options.TrustDomain, c.env.Now())
	if c.lineage == nil {
		return
	}
	c.checkLists()
	c.checkKeys()
	if c.isRoot() && !certs.HasErrors(c.problems) {
		c.tryRoot()
	}
}

// checkLists takes a list that is damaged, or that revokes what is imported, for an
// error; one that is missing or out of date can be written when the authority is here.
func (c *imported) checkLists() {
	if c.options.CRL == nil {
		return
	}
	for _, p := range certs.CheckBundleCRL(c.options.Bundle, c.options.CRL, c.env.Now()) {
		if p.Code != "bad-crl" && p.Code != "revoked" {
			p.Severity = certs.SeverityWarning
		}
		c.problems = append(c.problems, p)
	}
}

// checkKeys takes an authority without a key identifier for an error: the log and
// the lists name authorities by theirs.
func (c *imported) checkKeys() {
	for i := range c.problems {
		if c.problems[i].Code == "key-id" {
			c.problems[i].Severity = certs.SeverityError
		}
	}
}

// tryRoot makes an intermediate below a root and throws it away: one may forbid
// what is to come.
func (c *imported) tryRoot() {
	key, err := certs.GenerateKey(certs.P256)
	if err != nil {
		c.refuse(err)
		return
	}
	mint := &certs.Mint{Now: c.env.Now, Random: c.env.Random}
	i, err := mint.Intermediate(&certs.Issuer{Chain: c.lineage.Path, Key: c.lineage.Key}, key, c.lineage.TrustDomain, c.options.Intermediate)
	if err != nil {
		c.refuse(err)
		return
	}
	secret, err := certs.EncodeKey(key)
	if err != nil {
		c.refuse(err)
		return
	}
	b := certs.Bundle{
		Cert: certs.EncodeCertificates(i.Certificate()), Key: secret,
		Root: certs.EncodeCertificates(c.lineage.Roots...), Chain: certs.EncodeCertificates(i.Chain...),
	}
	for _, p := range b.CheckFor(c.lineage.TrustDomain, c.env.Now()) {
		if p.Severity == certs.SeverityError {
			p.Fix += "; or import an intermediate of it"
			c.problems = append(c.problems, p)
		}
	}
}

func (c *imported) refuse(err error) {
	c.problems = append(c.problems, certs.Problem{
		Code: "refused", Severity: certs.SeverityError, File: certs.BundleCert,
		Message: fmt.Sprintf("it cannot sign an intermediate: %v", err), Fix: "import an intermediate of it",
	})
}

// beside are roots that are trusted beside the path's, and what goes with the
// chain without being on the path: cross-signed authorities (CA-27).
func (c *imported) beside() (roots, cross []*x509.Certificate) {
	for _, root := range c.lineage.Roots {
		if !slices.ContainsFunc(c.lineage.Path, root.Equal) {
			roots = append(roots, root)
		}
	}
	known := slices.Concat(c.lineage.Path, roots)
	for _, other := range c.lineage.Others {
		if certs.IssuerAmong(other, known) != nil {
			cross = append(cross, other)
		}
	}
	return roots, cross
}

func (c *imported) founders() founders {
	roots, cross := c.beside()
	return founders{path: c.lineage.Path, key: c.lineage.Key, roots: roots, cross: cross, imported: true, records: c.revoked()}
}

// revoked are the entries of the signer's own list, so that they are in the next
// one too, which has a higher number (CA-29).
func (c *imported) revoked() []Record {
	lists, err := certs.ParseCRLs(c.options.CRL)
	if err != nil { // there is none; damage was told
		return nil
	}
	var records []Record
	last := new(big.Int)
	for _, list := range lists {
		if !signedBy(list, c.signer()) {
			continue
		}
		if list.Number != nil && list.Number.IsInt64() && list.Number.Cmp(last) > 0 {
			last = list.Number
		}
		for _, entry := range list.RevokedCertificateEntries {
			records = append(records, Record{
				Event: Revoked, Serial: hexSerial(entry.SerialNumber), Issuer: hex.EncodeToString(c.signer().SubjectKeyId),
				NotAfter: c.signer().NotAfter, Reason: reasonName(entry.ReasonCode), By: "import",
			})
		}
	}
	if last.Sign() > 0 {
		records = append(records, Record{Event: IssuedCRL, Number: last.Int64(), NotBefore: c.env.Now().UTC().Truncate(time.Second), By: "import"})
	}
	return records
}

func reasonName(code int) string {
	for name, n := range reasons() {
		if n == code {
			return name
		}
	}
	return "unspecified"
}
