package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// Request asks for a leaf.
type Request struct {
	ID certs.ID
	// Key is the kind of key to make; P-256 if empty.
	Key     certs.KeyAlgorithm
	Options certs.LeafOptions

	public  crypto.PublicKey // of a CSR; nil makes a key
	request string           // the CSR's hash
}

// Issued is a leaf with what belongs to it.
type Issued struct {
	ID    certs.ID
	Key   crypto.Signer       // nil if whoever asked has it
	Chain []*x509.Certificate // the leaf, then up to the root, without it
	Roots []*x509.Certificate // the trust bundle
}

// Leaf is the certificate itself.
func (i *Issued) Leaf() *x509.Certificate { return i.Chain[0] }

// Issue makes leaves, all or none. Keys and certificates leave when the log has
// them all on the disk, in one go (CA-60).
func (a *Authority) Issue(ctx context.Context, requests []Request) ([]Issued, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	if err := a.writable(); err != nil {
		return nil, err
	}
	if err := a.checkDomains(requests); err != nil {
		return nil, err
	}
	signer, err := a.issuer(a.state.Signer, nil)
	if err != nil {
		return nil, err
	}
	if err := a.checkSigner(); err != nil {
		return nil, err
	}
	all, records := make([]Issued, len(requests)), make([]Record, len(requests))
	mint, between, roots := a.mint(), a.between()[1:], a.Roots()
	err = workers.Each(ctx, len(requests), batch(len(requests)), func(i int) error {
		leaf, key, err := issueOne(mint, signer, &requests[i])
		if err != nil {
			return fmt.Errorf("%s: %w", requests[i].ID, err)
		}
		chain := append([]*x509.Certificate{leaf, signer.Certificate()}, between...)
		all[i] = Issued{ID: requests[i].ID, Key: key, Chain: chain, Roots: roots}
		records[i] = leafRecord(leaf, &requests[i])
		return nil
	})
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(all))
	for i := range records {
		if seen[records[i].Serial] {
			return nil, errors.New("the source of randomness gave the same serial number twice: nothing was issued")
		}
		seen[records[i].Serial] = true
	}
	if err := a.record(records...); err != nil {
		return nil, err
	}
	return all, nil
}

func leafRecord(leaf *x509.Certificate, request *Request) Record {
	r := certificateRecord(leaf, IssuedLeaf)
	r.By, r.Request = "local", request.request
	if r.Request != "" {
		r.By = "csr"
	}
	return r
}

// batch is how many leaves a worker makes at a time.
func batch(n int) int {
	const most = 16
	return max(1, min(most, n/runtime.GOMAXPROCS(0)))
}

func issueOne(mint *certs.Mint, signer *certs.Issuer, r *Request) (*x509.Certificate, crypto.Signer, error) {
	public := r.public
	var key crypto.Signer
	if public == nil {
		var err error
		if key, err = certs.GenerateKey(r.Key); err != nil {
			return nil, nil, err
		}
		public = key.Public()
	}
	leaf, err := mint.Leaf(signer, public, r.ID, r.Options)
	if err != nil {
		return nil, nil, err
	}
	return leaf, key, checkLeaf(leaf, signer, public, r.ID)
}

// checkLeaf holds a leaf to what was asked for, before anybody gets it (CA-31).
// Its signature was checked when it was made.
func checkLeaf(leaf *x509.Certificate, signer *certs.Issuer, public crypto.PublicKey, id certs.ID) error {
	switch {
	case !certs.EqualKeys(leaf.PublicKey, public):
		return errors.New("the certificate is for another key")
	case len(leaf.URIs) != 1 || leaf.URIs[0].String() != id.String():
		return errors.New("the certificate is for another identity")
	case leaf.IsCA || !bytes.Equal(leaf.AuthorityKeyId, signer.Certificate().SubjectKeyId):
		return errors.New("the certificate does not name its issuer")
	}
	for _, above := range signer.Chain {
		if leaf.NotAfter.After(above.NotAfter) {
			return errors.New("the certificate outlives its issuer")
		}
	}
	return nil
}

// checkDomains refuses identities of other trust domains (CA-64).
func (a *Authority) checkDomains(requests []Request) error {
	for i := range requests {
		if domain := requests[i].ID.TrustDomain(); domain != a.state.TrustDomain {
			return &report.InputError{
				Subject: requests[i].ID.String(), Err: fmt.Errorf("its trust domain %q is not the authority's, %q", domain, a.state.TrustDomain),
				Hint: "make another authority with meshctl ca init --trust-domain " + domain,
			}
		}
	}
	return nil
}

// checkSigner wants leaves of the signer to verify with the published bundle,
// and nothing above them to be revoked.
func (a *Authority) checkSigner() error {
	if err := a.checkRevoked(); err != nil {
		return err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range a.Roots() {
		roots.AddCert(root)
	}
	for _, c := range a.between() {
		between.AddCert(c)
	}
	_, err := a.Signer().Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: a.env.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return &report.InputError{
			Location: report.Location{File: a.dir}, Err: fmt.Errorf("what %s signs cannot be verified: %w", a.Signer().Subject, err),
			Hint: a.signerHint("; if the root has expired, with meshctl ca rotate root"),
		}
	}
	return nil
}

// checkRevoked wants the signer and all that goes with it not to be revoked.
func (a *Authority) checkRevoked() error {
	revoked, err := a.revocations()
	if err != nil {
		return err
	}
	for _, c := range slices.Concat(a.above(a.state.Signer), a.certificates(a.state.Cross)) {
		if _, gone := revoked[hexSerial(c.SerialNumber)]; !gone {
			continue
		}
		hint := a.signerHint("")
		if root := a.rootOf(a.state.Signer); c.Equal(a.certs[root]) {
			hint = "change the root: meshctl ca rotate root"
			if a.state.member(root).Key == "" {
				hint = "import an authority below another root"
			}
		}
		return &report.InputError{Location: report.Location{File: a.dir}, Err: fmt.Errorf("%s is revoked", c.Subject), Hint: hint}
	}
	return nil
}

// signerHint is how to get another signer.
func (a *Authority) signerHint(more string) string {
	if a.state.member(a.rootOf(a.state.Signer)).Key == "" {
		return "let whoever has the key of the root sign another: meshctl ca intermediate --csr FILE, then meshctl ca intermediate --signed FILE"
	}
	return "make another with meshctl ca intermediate" + more
}

// half of its life must be left for a certificate to be kept (CA-74).
const half = 2

// Keep tells whether a certificate that somebody has need not be issued again:
// it is for the identity, of this kind of key, by the one that signs now, not
// revoked, and more than half of its life is left (CA-74).
func (a *Authority) Keep(leaf *x509.Certificate, r *Request, revoked map[string]Record) bool {
	now, life := a.env.Now(), leaf.NotAfter.Sub(leaf.NotBefore)
	_, gone := revoked[hexSerial(leaf.SerialNumber)]
	want := r.Key
	if want == "" {
		want = certs.P256
	}
	return !gone && len(leaf.URIs) == 1 && leaf.URIs[0].String() == r.ID.String() &&
		algorithmOf(leaf.PublicKey) == want &&
		leaf.CheckSignatureFrom(a.Signer()) == nil &&
		!now.Before(leaf.NotBefore) && leaf.NotAfter.Sub(now) > life/half &&
		sameNames(leaf, &r.Options) && a.log.serials()[hexSerial(leaf.SerialNumber)]
}

// sameNames tells whether a certificate has the names that are asked for.
func sameNames(leaf *x509.Certificate, o *certs.LeafOptions) bool {
	if fmt.Sprint(leaf.DNSNames) != fmt.Sprint(o.DNSNames) || len(leaf.IPAddresses) != len(o.IPs) {
		return false
	}
	for i, ip := range o.IPs {
		if !leaf.IPAddresses[i].Equal(ip.AsSlice()) {
			return false
		}
	}
	return true
}

// Revocations are the records of what is revoked, by serial number in hex.
func (a *Authority) Revocations() (map[string]Record, error) { return a.revocations() }

func (a *Authority) revocations() (map[string]Record, error) {
	all := map[string]Record{}
	if !bytes.Contains(a.log.text, []byte(`"event":"revoked"`)) {
		return all, nil // nothing is: the usual case, and a quick answer
	}
	for r, err := range a.log.records() {
		if err != nil {
			return nil, err
		}
		if r.Event == Revoked {
			all[r.Serial] = r
		}
	}
	return all, nil
}

// Now is the authority's clock.
func (a *Authority) Now() time.Time { return a.env.Now() }
