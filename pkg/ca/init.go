package ca

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// InitOptions say what authority to make.
type InitOptions struct {
	TrustDomain string
	// Key is the kind of both keys; P-256 if empty.
	Key certs.KeyAlgorithm
	// Passphrase encrypts the root's key; nil leaves it in the clear.
	Passphrase   []byte
	Root         certs.RootOptions
	Intermediate certs.IntermediateOptions
}

// Init makes an authority: a root, and an intermediate that signs. The directory
// appears complete or not at all; it must not exist, or be empty (CA-58). The
// caller closes it.
func Init(dir string, o InitOptions, e Env) (*Authority, error) {
	if err := certs.CheckTrustDomain(o.TrustDomain); err != nil {
		return nil, err
	}
	if err := checkAuthorityKey(o.Key); err != nil {
		return nil, err
	}
	key, err := certs.GenerateKey(o.Key)
	if err != nil {
		return nil, err
	}
	mint := &certs.Mint{Now: e.Now, Random: e.Random}
	root, err := mint.Root(key, o.TrustDomain, o.Root)
	if err != nil {
		return nil, err
	}
	return found(dir, o, e, founders{path: []*x509.Certificate{root.Root()}, key: key})
}

func checkAuthorityKey(a certs.KeyAlgorithm) error {
	switch a {
	case "", certs.P256, certs.P384, certs.RSA4096:
		return nil
	}
	return fmt.Errorf("key algorithm %q: authorities have one of %s, %s, %s", a, certs.P256, certs.P384, certs.RSA4096)
}

// founders are the certificates that an authority begins with.
type founders struct {
	path     []*x509.Certificate // the one whose key is there, then those above it, a root last
	key      crypto.Signer
	roots    []*x509.Certificate // that are trusted beside the path's
	cross    []*x509.Certificate // that go with the chain; one of the others signed each
	imported bool                // they were made elsewhere
	records  []Record            // of what was revoked before
}

// found makes a directory for an authority with a root whose key is there, and
// mints an intermediate under it; or, if the path has an intermediate already,
// for one whose key that is.
func found(dir string, o InitOptions, e Env, from founders) (*Authority, error) {
	if err := vacant(dir); err != nil {
		return nil, err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, dirMode); err != nil {
		return nil, err
	}
	a := &Authority{
		env: e, disk: &atomicfile.Disk{Step: e.Step}, log: &issuance{}, certs: map[string]*x509.Certificate{},
		state: &state{Version: stateVersion, TrustDomain: o.TrustDomain, Created: e.Now().UTC().Truncate(time.Second), Sequence: 1},
	}
	var err error
	if a.dir, err = os.MkdirTemp(parent, "."+filepath.Base(filepath.Clean(dir))+".new-"); err != nil { // 0700
		return nil, err
	}
	if err := a.settle(o, from); err != nil {
		return nil, errors.Join(err, a.disk.RemoveAll(a.dir))
	}
	if err := a.moveTo(dir); err != nil {
		return nil, errors.Join(err, a.removeUnlessMoved(dir))
	}
	return a, nil
}

// settle fills a new directory.
func (a *Authority) settle(o InitOptions, from founders) error {
	a.log.file = filepath.Join(a.dir, logName)
	if err := a.disk.Create(atomicfile.File{Name: a.log.file, Mode: fileMode}); err != nil {
		return err
	}
	d := a.draft()
	a.state = d.state // what is below looks names up in it
	last, err := a.addPath(d, o, from)
	if err != nil {
		return err
	}
	d.Roots, d.Signer = []string{d.Members[0].Name}, last
	if err := a.addBeside(d, from); err != nil {
		return err
	}
	d.records = append(d.records, from.records...)
	if len(from.path) == 1 {
		if err := a.intermediate(d, &certs.Issuer{Chain: from.path, Key: from.key}, last, o.Key, o.Intermediate); err != nil {
			return err
		}
	}
	return a.commit(d)
}

// addPath adds the certificates of the path, from the root down, and gives the
// name of the last.
func (a *Authority) addPath(d *draft, o InitOptions, from founders) (last string, err error) {
	for i := len(from.path) - 1; i >= 0; i-- {
		kind := "intermediate"
		if last == "" {
			kind = "root"
		}
		m := member{Issuer: last}
		if m.Name, err = a.freeName(d.state, kind); err != nil {
			return "", err
		}
		var secret []byte
		if i == 0 {
			if m, secret, err = a.keep(m, from.key, o.Passphrase); err != nil {
				return "", err
			}
		}
		a.addFounder(d, m, from, from.path[i], secret)
		last = m.Name
	}
	return last, nil
}

// addBeside adds other roots that are trusted, and what goes with the chain.
func (a *Authority) addBeside(d *draft, from founders) error {
	for _, root := range from.roots {
		name, err := a.freeName(d.state, "root")
		if err != nil {
			return err
		}
		a.addFounder(d, member{Name: name}, from, root, nil)
		d.Roots = append(d.Roots, name)
	}
	for _, c := range from.cross {
		name, err := a.freeName(d.state, "cross")
		if err != nil {
			return err
		}
		above := slices.IndexFunc(d.Members, func(m member) bool { return certs.IssuerAmong(c, a.certificates([]string{m.Name})) != nil })
		a.addFounder(d, member{Name: name, Issuer: d.Members[above].Name}, from, c, nil)
		d.Cross = append(d.Cross, name)
	}
	return nil
}

func (a *Authority) addFounder(d *draft, m member, from founders, c *x509.Certificate, secret []byte) {
	a.add(d, m, c, secret)
	r := certificateRecord(c, IssuedAuthority)
	if from.imported {
		r.By = "import"
	}
	if m.Issuer != "" { // which not everybody names by its key
		r.Issuer = hex.EncodeToString(a.certs[m.Issuer].SubjectKeyId)
	}
	d.records = append(d.records, r)
}

// keep encodes a member's key; that of a root is encrypted.
func (a *Authority) keep(m member, key crypto.Signer, passphrase []byte) (member, []byte, error) {
	if m.Issuer != "" {
		passphrase = nil
	}
	m.Key = m.Name + ".key.pem"
	if passphrase != nil {
		m.Key = m.Name + ".key.age"
	}
	secret, err := encodeKey(key, passphrase, a.env.WorkFactor)
	return m, secret, err
}

// intermediate mints one under a root, and lets it sign.
func (a *Authority) intermediate(d *draft, root *certs.Issuer, above string, algorithm certs.KeyAlgorithm, o certs.IntermediateOptions) error {
	key, err := certs.GenerateKey(algorithm)
	if err != nil {
		return err
	}
	name, err := a.freeName(d.state, "intermediate")
	if err != nil {
		return err
	}
	o.Generation = generation(name)
	i, err := a.mint().Intermediate(root, key, a.state.TrustDomain, o)
	if err != nil {
		return err
	}
	m, secret, err := a.keep(member{Name: name, Issuer: above}, key, nil)
	if err != nil {
		return err
	}
	a.add(d, m, i.Certificate(), secret)
	d.records = append(d.records, certificateRecord(i.Certificate(), IssuedAuthority))
	d.Signer = name
	return nil
}

// vacant wants that there is no directory, or an empty one.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return &report.InputError{
			Location: report.Location{File: dir}, Err: errors.New("there is something already: nothing is overwritten"),
			Hint: "choose another directory with --dir, or move this one aside",
		}
	}
	return nil
}

// moveTo gives a new directory its name, and takes the lock in it.
func (a *Authority) moveTo(dir string) error {
	if err := a.disk.Rename(a.dir, dir); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return vacant(dir)
		}
		return err
	}
	a.dir, a.log.file = dir, filepath.Join(dir, logName)
	held, err := lock(dir, a.env)
	a.lock = held
	return err
}

// removeUnlessMoved takes away what did not become the directory.
func (a *Authority) removeUnlessMoved(dir string) error {
	if a.dir == dir {
		return a.Close()
	}
	return a.disk.RemoveAll(a.dir)
}
