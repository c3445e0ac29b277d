package ca

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// Modes of what the directory holds (CA-55).
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Authority is one in a directory. It is for one goroutine.
type Authority struct {
	dir   string
	env   Env
	disk  *atomicfile.Disk
	lock  *os.File // nil if it is only read
	state *state
	log   *issuance
	certs map[string]*x509.Certificate // of members, by name

	damage error // of the log
}

// Open reads an authority, without keeping others from writing. One whose log is
// damaged is refused.
func Open(dir string, e Env) (*Authority, error) {
	a, err := Look(dir, e)
	if err != nil {
		return nil, err
	}
	return a, a.damage
}

// Look is Open for whoever only shows an authority, and says what Damage its log
// has.
func Look(dir string, e Env) (*Authority, error) {
	a := &Authority{dir: dir, env: e, disk: &atomicfile.Disk{Step: e.Step}}
	return a, a.load()
}

// Edit opens an authority to write, and waits until nobody else does. The caller
// closes it.
func Edit(dir string, e Env) (*Authority, error) {
	if _, err := readState(dir); err != nil { // before a lock is left where none belongs
		return nil, err
	}
	held, err := lock(dir, e)
	if err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, env: e, disk: &atomicfile.Disk{Step: e.Step}, lock: held}
	if err := errors.Join(a.load(), a.damage); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if err := a.checkClock(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// Close gives the lock back.
func (a *Authority) Close() error {
	if a == nil || a.lock == nil {
		return nil
	}
	err := a.lock.Close()
	a.lock = nil
	return err
}

// errReadOnly is an attempt to change what Open opened.
var errReadOnly = errors.New("the authority was opened to read only")

// writable wants the lock.
func (a *Authority) writable() error {
	if a.lock == nil {
		return errReadOnly
	}
	return nil
}

// load reads state, log and certificates. The state comes first: it never knows
// more of the log than there is.
func (a *Authority) load() (err error) {
	if a.state, err = readState(a.dir); err != nil {
		return err
	}
	if a.log, err = readLog(a.dir); err != nil {
		return err
	}
	a.certs = map[string]*x509.Certificate{}
	for _, m := range a.state.Members {
		if a.certs[m.Name], err = readCertificate(filepath.Join(a.dir, m.Name+".pem")); err != nil {
			return err
		}
	}
	a.damage = a.check()
	return nil
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file) //nolint:gosec // a file of the directory
	if err != nil {
		return nil, err
	}
	all, err := certs.ParseCertificates(text)
	if err != nil {
		return nil, &report.InputError{Location: report.Location{File: file}, Err: err, Hint: "bring back the directory from a backup"}
	}
	return all[0], nil
}

// clockMargin is by how much a clock may be behind the log (CA-67).
const clockMargin = 5 * time.Minute

// checkClock refuses a clock that was set back: certificates would begin before
// those that are in the log, and times of revocation would mean nothing.
func (a *Authority) checkClock() error {
	now, last := a.env.Now(), a.log.last.Time
	if now.Before(last.Add(-clockMargin)) {
		return &report.InputError{
			Location: report.Location{File: a.log.file},
			Err:      fmt.Errorf("the clock is behind: it is %s, and the last record is of %s", stamp(now), stamp(last)),
			Hint:     "set the clock right, then try again",
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// TrustDomain is that of all identities.
func (a *Authority) TrustDomain() string { return a.state.TrustDomain }

// Dir is where it is.
func (a *Authority) Dir() string { return a.dir }

// mint makes certificates with serial numbers that the log does not have.
func (a *Authority) mint() *certs.Mint {
	known := a.log.serials()
	return &certs.Mint{Now: a.env.Now, Random: a.env.Random, Taken: func(n *big.Int) bool { return known[hexSerial(n)] }}
}

// above are the certificates from a member up to its root.
func (a *Authority) above(name string) []*x509.Certificate {
	var chain []*x509.Certificate
	for m := a.state.member(name); m != nil; m = a.state.member(m.Issuer) {
		chain = append(chain, a.certs[m.Name])
	}
	return chain
}

// rootOf is the name of the root above a member.
func (a *Authority) rootOf(name string) string {
	m := a.state.member(name)
	for m.Issuer != "" {
		m = a.state.member(m.Issuer)
	}
	return m.Name
}

// Roots are the published trust bundle.
func (a *Authority) Roots() []*x509.Certificate { return a.certificates(a.state.Roots) }

func (a *Authority) certificates(names []string) []*x509.Certificate {
	all := make([]*x509.Certificate, len(names))
	for i, name := range names {
		all[i] = a.certs[name]
	}
	return all
}

// Signer is the intermediate that signs leaves.
func (a *Authority) Signer() *x509.Certificate { return a.certs[a.state.Signer] }

// between are the certificates that go with a leaf: the signer and those above
// it, without the root (CA-30), then roots that other roots certify (CA-27).
func (a *Authority) between() []*x509.Certificate {
	chain := a.above(a.state.Signer)
	return slices.Concat(chain[:len(chain)-1], a.certificates(a.state.Cross))
}

// issuer opens a member's key. Only encrypted ones need a passphrase.
func (a *Authority) issuer(name string, passphrase []byte) (*certs.Issuer, error) {
	m := a.state.member(name)
	if m.Key == "" {
		return nil, a.elsewhere(name, "", "let whoever has it sign, and take the result in with meshctl ca import")
	}
	key, err := a.readKey(m.Key, passphrase)
	if err != nil {
		return nil, err
	}
	if !certs.EqualKeys(key.Public(), a.certs[name].PublicKey) {
		return nil, &report.InputError{Location: report.Location{File: filepath.Join(a.dir, m.Key)}, Err: fmt.Errorf("it is not the key of the certificate %s.pem", name), Hint: "bring back the directory from a backup"}
	}
	return &certs.Issuer{Chain: a.above(name), Key: key}, nil
}

// readKey reads a key of the directory.
func (a *Authority) readKey(name string, passphrase []byte) (crypto.Signer, error) {
	file := filepath.Join(a.dir, name)
	text, err := ReadSecret(file, a.env.InsecureFiles)
	if err != nil {
		return nil, err
	}
	defer wipe(text)
	if encrypted(name) {
		if text, err = open(text, passphrase); err != nil {
			return nil, &report.InputError{Location: report.Location{File: file}, Err: err}
		}
		defer wipe(text)
	}
	key, err := certs.ParseKey(text)
	if err != nil {
		return nil, &report.InputError{Location: report.Location{File: file}, Err: err, Hint: "bring back the directory from a backup"}
	}
	return key, nil
}

// elsewhere is what cannot be done without a key that was not imported.
func (a *Authority) elsewhere(name, what, hint string) error {
	err := fmt.Errorf("the key of %s (%s) is elsewhere: it was not imported", name, a.certs[name].Subject)
	if what != "" {
		err = fmt.Errorf("%w, so %s", err, what)
	}
	return &report.InputError{Location: report.Location{File: a.dir}, Err: err, Hint: hint}
}

// ownRoot is the root above the signer, whose key must be here.
func (a *Authority) ownRoot(what, hint string) (string, error) {
	root := a.rootOf(a.state.Signer)
	if a.state.member(root).Key == "" {
		return "", a.elsewhere(root, what, hint)
	}
	return root, nil
}

// freeName is one of which there is no file yet, such as root-2. A file may be
// left from a command that was stopped; it does not count, and stays.
func (a *Authority) freeName(s *state, kind string) (string, error) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		name := kind + "-" + strconv.Itoa(n)
		used := slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			base, _, _ := strings.Cut(e.Name(), ".")
			return base == name
		})
		if !used && s.member(name) == nil {
			return name, nil
		}
	}
}

// generation is the number in a name.
func generation(name string) int {
	n, _ := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:]) // of freeName
	return n
}

// draft is a change of the state, with the files that it needs.
type draft struct {
	*state
	records []Record
	files   []atomicfile.File // keys before certificates
}

func (a *Authority) draft() *draft { return &draft{state: a.state.clone()} }

// add takes in an authority. Its key is written with it, unless it is nil.
func (a *Authority) add(d *draft, m member, c *x509.Certificate, key []byte) {
	if key != nil {
		d.files = append(d.files, atomicfile.File{Name: filepath.Join(a.dir, m.Key), Data: key, Mode: fileMode})
	}
	d.files = append(d.files, atomicfile.File{Name: filepath.Join(a.dir, m.Name+".pem"), Data: certs.EncodeCertificates(c), Mode: fileMode})
	d.Members = append(d.Members, m)
	a.certs[m.Name] = c
}

// record adds to the log, and has the state vouch for it, so that a log that is
// cut off is found out. What the records are about leaves only after that.
func (a *Authority) record(records ...Record) error {
	d := a.draft()
	d.records = records
	return a.commit(d)
}

// recorded says what came to pass all the same when the state cannot be written.
func (d *draft) recorded() string {
	if len(d.records) == 0 {
		return "nothing was changed"
	}
	last := d.records[len(d.records)-1].Event
	if last == Revoked {
		return "the log has it as revoked, but the state does not vouch for it yet"
	}
	return last.undone() + ", though the log has a record"
}

// commit makes a draft count: the log first, then files that nothing names yet,
// then the state, in one step (CA-60, CA-61).
func (a *Authority) commit(d *draft) error {
	if err := a.log.append(a.disk, a.env.Now(), a.env.Caller, d.records); err != nil {
		return err
	}
	for _, f := range d.files {
		if err := a.disk.Create(f); err != nil {
			return err
		}
	}
	d.Log = a.log.anchor()
	text, err := d.encode()
	if err != nil {
		return err
	}
	if err := a.disk.Replace(atomicfile.File{Name: filepath.Join(a.dir, stateName), Data: text, Mode: fileMode}); err != nil {
		return fmt.Errorf("%s: %w", d.recorded(), err)
	}
	a.state = d.state
	return nil
}
