package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// errOwnRoot is a request that nobody has to be asked for.
var errOwnRoot = errors.New("the key of the root is here: meshctl ca intermediate makes another without a request")

// RequestIntermediate is a request for another intermediate, for whoever has the
// key of the root. Its own key is made here and stays here; asked again it is for
// the same key, until TakeIntermediate has what came of it.
func (a *Authority) RequestIntermediate(algorithm certs.KeyAlgorithm) (*x509.CertificateRequest, error) {
	if err := a.writable(); err != nil {
		return nil, err
	}
	if a.state.member(a.rootOf(a.state.Signer)).Key != "" {
		return nil, errOwnRoot
	}
	if err := checkAuthorityKey(algorithm); err != nil {
		return nil, err
	}
	if a.state.Pending == "" {
		if err := a.openRequest(algorithm); err != nil {
			return nil, err
		}
	}
	key, err := a.readKey(a.pendingKey(), nil)
	if err != nil {
		return nil, err
	}
	if has := algorithmOf(key.Public()); algorithm != "" && algorithm != has {
		return nil, &report.InputError{
			Location: report.Location{File: a.dir}, Err: fmt.Errorf("a request is open for a key of the kind %s: %s is not asked for", has, algorithm),
			Hint: "leave out --key-type to have that request again; what comes of it ends it: meshctl ca intermediate --signed FILE",
		}
	}
	return a.mint().IntermediateRequest(key, a.state.TrustDomain, generation(a.state.Pending))
}

// pendingKey is the file of the key that a request is open for.
func (a *Authority) pendingKey() string { return a.state.Pending + ".key.pem" }

// openRequest makes the key of a request.
func (a *Authority) openRequest(algorithm certs.KeyAlgorithm) error {
	key, err := certs.GenerateKey(algorithm)
	if err != nil {
		return err
	}
	d := a.draft()
	if d.Pending, err = a.freeName(d.state, "intermediate"); err != nil {
		return err
	}
	secret, err := encodeKey(key, nil, a.env.WorkFactor)
	if err != nil {
		return err
	}
	d.files = append(d.files, atomicfile.File{Name: filepath.Join(a.dir, d.Pending+".key.pem"), Data: secret, Mode: fileMode})
	return a.commit(d)
}

// TakeIntermediate takes in what came of a request: the certificate for its key,
// and those between it and the root, if there are any. It is held to all that an
// authority is held to that is imported, and signs from now on; what the one before
// signed stays good. An error may be a RefusedError.
func (a *Authority) TakeIntermediate(chain []*x509.Certificate) (*Step, []certs.Problem, error) {
	if err := a.writable(); err != nil {
		return nil, nil, err
	}
	fault := func(text, hint string) (*Step, []certs.Problem, error) {
		return nil, nil, &report.InputError{Location: report.Location{File: a.dir}, Err: errors.New(text), Hint: hint}
	}
	if a.state.Pending == "" {
		return fault("no request is open", "make one with meshctl ca intermediate --csr FILE")
	}
	key, err := a.readKey(a.pendingKey(), nil)
	if err != nil {
		return nil, nil, err
	}
	at := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return certs.EqualKeys(c.PublicKey, key.Public()) })
	if at < 0 {
		return fault("none of the certificates is for the key of the request that is open", "give what was made of the last meshctl ca intermediate --csr")
	}
	secret, err := certs.EncodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	signer := chain[at]
	others := slices.Concat(slices.Delete(slices.Clone(chain), at, at+1), a.between(), a.Roots())
	c := &imported{env: a.env, options: ImportOptions{TrustDomain: a.state.TrustDomain, Bundle: certs.Bundle{
		Cert: certs.EncodeCertificates(signer), Key: secret, Root: certs.EncodeCertificates(a.Roots()...),
		Chain: certs.EncodeCertificates(append([]*x509.Certificate{signer}, others...)...),
	}}}
	c.lineage, c.problems = c.options.Bundle.Lineage(a.state.TrustDomain, a.env.Now())
	if c.lineage != nil {
		c.checkKeys()
	}
	if certs.HasErrors(c.problems) {
		return nil, nil, &RefusedError{c.problems}
	}
	revoked, err := a.revocations()
	if err != nil {
		return nil, nil, err
	}
	for _, above := range c.lineage.Path {
		if _, gone := revoked[hexSerial(above.SerialNumber)]; gone {
			return fault(fmt.Sprintf("%s is revoked", above.Subject), "have another signed")
		}
	}
	step, err := a.adopt(c.lineage.Path)
	return step, c.problems, err
}

// adopt adds the certificates of a path that are not known yet, and lets the first
// sign.
func (a *Authority) adopt(path []*x509.Certificate) (*Step, error) {
	d := a.draft()
	above := ""
	for i := len(path) - 1; i >= 0; i-- {
		known := slices.IndexFunc(d.Members, func(m member) bool { return a.certs[m.Name].Equal(path[i]) })
		if known >= 0 {
			above = d.Members[known].Name
			continue
		}
		m := member{Name: d.Pending, Issuer: above}
		if i == 0 {
			m.Key = a.pendingKey()
		}
		if _, err := os.Lstat(filepath.Join(a.dir, d.Pending+".pem")); i > 0 || err == nil { // left from a try that was stopped
			if m.Name, err = a.freeName(d.state, "intermediate"); err != nil {
				return nil, err
			}
		}
		a.addFounder(d, m, founders{imported: true}, path[i], nil)
		above = m.Name
	}
	d.Signer, d.Pending = above, ""
	step, err := a.advance(d)
	if step != nil {
		step.Next = []string{"publish it: meshctl ca cacerts", "issue again before the old intermediate expires: meshctl ca issue"}
	}
	return step, err
}
