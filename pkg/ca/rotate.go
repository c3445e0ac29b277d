package ca

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// Stage is how far a change of the root is (CA-25).
type Stage int

// The stages. Each is published before the next begins.
const (
	OneRoot   Stage = 1 // bundle A, A signs; also the rest after all
	BothTrust Stage = 2 // bundle A and B, A signs
	NewSigns  Stage = 3 // bundle A and B, B signs
	NewOnly   Stage = 4 // bundle B, B signs
)

// Describe says it in words.
func (s Stage) Describe() string {
	return map[Stage]string{
		OneRoot: "one root is trusted, and what is below it signs", BothTrust: "both roots are trusted, and the old one signs",
		NewSigns: "both roots are trusted, and the new one signs", NewOnly: "only the new root is trusted, and it signs",
	}[s]
}

// Stage is that of now.
func (a *Authority) Stage() Stage {
	if a.state.Rotation == nil {
		return OneRoot
	}
	return Stage(a.state.Rotation.Stage)
}

// Step is a step of a rotation: what changed, and what to do before the next.
type Step struct {
	Stage   Stage    `json:"stage"`
	Changes []string `json:"changes"` // lines of a diff
	Next    []string `json:"next"`
	// Until is when the next step becomes possible, if nothing is issued by the old
	// root until then; zero if it is now.
	Until time.Time `json:"until,omitzero"`
}

// RotateOptions say how a root is changed.
type RotateOptions struct {
	Passphrase   []byte // of the old root's key, and of the new one's
	Key          certs.KeyAlgorithm
	Root         certs.RootOptions
	Intermediate certs.IntermediateOptions
	// CrossSign lets the old root certify the new one, for peers that hold only the
	// old (CA-27).
	CrossSign bool
}

// RotateRoot goes one step further towards a new root.
func (a *Authority) RotateRoot(o RotateOptions) (*Step, error) {
	if err := a.writable(); err != nil {
		return nil, err
	}
	switch a.Stage() {
	case BothTrust:
		return a.letNewSign()
	case NewSigns:
		return a.dropOld()
	default:
		return a.addRoot(o)
	}
}

// addRoot makes a new root and its intermediate, and trusts both roots.
func (a *Authority) addRoot(o RotateOptions) (*Step, error) {
	d := a.draft()
	from, err := a.ownRoot("the root cannot be changed from here", "when whoever has it makes another root, import an intermediate below it with both roots in root-cert.pem, then with the new one only: meshctl ca import --dir DIRECTORY")
	if err != nil {
		return nil, err
	}
	old, err := a.issuer(from, o.Passphrase)
	if err != nil {
		return nil, err
	}
	to, err := a.freeName(d.state, "root")
	if err != nil {
		return nil, err
	}
	if o.Key == "" {
		o.Key = algorithmOf(old.Certificate().PublicKey)
	}
	key, err := certs.GenerateKey(o.Key)
	if err != nil {
		return nil, err
	}
	o.Root.Generation = generation(to)
	root, err := a.mint().Root(key, a.state.TrustDomain, o.Root)
	if err != nil {
		return nil, err
	}
	passphrase := o.Passphrase
	if m := a.state.member(from); !m.encrypted() {
		passphrase = nil
	}
	m, secret, err := a.keep(member{Name: to}, key, passphrase)
	if err != nil {
		return nil, err
	}
	a.add(d, m, root.Certificate(), secret)
	d.records = append(d.records, certificateRecord(root.Certificate(), IssuedAuthority))
	signer := d.Signer
	if err := a.intermediate(d, root, to, o.Key, o.Intermediate); err != nil {
		return nil, err
	}
	d.Rotation = &rotation{Stage: int(BothTrust), From: from, To: to, Next: d.Signer, Since: a.env.Now().UTC().Truncate(time.Second)}
	d.Signer, d.Roots = signer, append(d.Roots, to)
	d.Sequence++
	if o.CrossSign {
		if err := a.crossSign(d, old, to); err != nil {
			return nil, err
		}
	}
	return a.advance(d)
}

// crossSign adds the new root as the old one certifies it. It goes with chains
// once the new root signs.
func (a *Authority) crossSign(d *draft, old *certs.Issuer, to string) error {
	name, err := a.freeName(d.state, "cross")
	if err != nil {
		return err
	}
	c, err := a.mint().CrossSign(old, a.certs[to])
	if err != nil {
		return err
	}
	a.add(d, member{Name: name, Issuer: d.Rotation.From, Key: d.member(to).Key}, c, nil)
	d.records = append(d.records, certificateRecord(c, IssuedAuthority))
	d.Cross = append(d.Cross, name)
	return nil
}

// letNewSign has the new root's intermediate sign from now on.
func (a *Authority) letNewSign() (*Step, error) {
	d := a.draft()
	d.Rotation.Stage, d.Rotation.Since = int(NewSigns), a.env.Now().UTC().Truncate(time.Second)
	d.Signer = d.Rotation.Next
	return a.advance(d)
}

// dropOld ends the trust in the old root, if nobody needs it any more.
func (a *Authority) dropOld() (*Step, error) {
	r := a.state.Rotation
	last, n, err := a.lastUnder(r.From)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return nil, &report.InputError{
			Location: report.Location{File: a.dir},
			Err:      fmt.Errorf("%d certificates of the old root can still be used, the last until %s: without its root they would be refused", n, stamp(last)),
			Hint:     "issue them again, and wait; or revoke them if they are gone",
		}
	}
	d := a.draft()
	for i := range d.Members {
		m := &d.Members[i]
		m.Retired = m.Retired || a.rootOf(m.Name) == r.From
	}
	d.Roots = slices.DeleteFunc(d.Roots, func(name string) bool { return name == r.From })
	d.Cross, d.Rotation = nil, nil
	d.Sequence++
	step, err := a.advance(d)
	if step != nil {
		step.Stage = NewOnly
		step.Next = []string{"publish the bundle; nothing else is left to do", "keep a backup of the old root's key, or destroy it"}
	}
	return step, err
}

// lastUnder counts the leaves of a root that have neither expired nor been
// revoked, and tells when the last of them expires.
func (a *Authority) lastUnder(root string) (last time.Time, n int, err error) {
	revoked, err := a.revocations()
	if err != nil {
		return last, 0, err
	}
	issuers := map[string]bool{}
	for _, m := range a.state.Members {
		if a.rootOf(m.Name) == root && !slices.Contains(a.state.Cross, m.Name) {
			issuers[hex.EncodeToString(a.certs[m.Name].SubjectKeyId)] = true
		}
	}
	found, err := a.live(func(r *Record) bool {
		_, gone := revoked[r.Serial]
		return issuers[r.Issuer] && !gone
	})
	for _, r := range found {
		if r.NotAfter.After(last) {
			last = r.NotAfter
		}
	}
	return last, len(found), err
}

// advance commits a step and says what it changed.
func (a *Authority) advance(d *draft) (*Step, error) {
	before := a.published(a.state)
	if err := a.commit(d); err != nil {
		return nil, err
	}
	after := a.published(a.state)
	step := &Step{Stage: a.Stage(), Changes: diff(before, after)}
	switch step.Stage {
	case BothTrust:
		step.Next = []string{
			"publish the bundle everywhere: meshctl ca cacerts, meshctl ca bundle, meshctl ca issue (keys and leaves stay)",
			"istiod takes another root only with ISTIO_MULTIROOT_MESH=true",
			"when every workload trusts both roots: meshctl ca rotate root",
		}
	case NewSigns:
		last, n, err := a.lastUnder(a.state.Rotation.From)
		if err != nil {
			return nil, err
		}
		step.Until = last
		step.Next = []string{
			"publish the signer, and issue again: meshctl ca cacerts, meshctl ca issue",
			fmt.Sprintf("%d certificates of the old root can still be used; when they have expired: meshctl ca rotate root", n),
		}
	case OneRoot, NewOnly:
	}
	return step, nil
}

// published is what others see of a state, one line each.
func (a *Authority) published(s *state) []string {
	var lines []string
	for _, name := range s.Roots {
		lines = append(lines, "trust "+a.describe(name))
	}
	for _, name := range s.Cross {
		lines = append(lines, "cross-signed "+a.describe(name))
	}
	return append(lines, "sign with "+a.describe(s.Signer))
}

func (a *Authority) describe(name string) string {
	c := a.certs[name]
	return fmt.Sprintf("%s: %s, key %.16s, until %s", name, c.Subject, KeyHash(c), stamp(c.NotAfter))
}

// diff is what went and what came.
func diff(before, after []string) []string {
	var lines []string
	for _, line := range before {
		if !slices.Contains(after, line) {
			lines = append(lines, "- "+line)
		}
	}
	for _, line := range after {
		mark := "+ "
		if slices.Contains(before, line) {
			mark = "  "
		}
		lines = append(lines, mark+line)
	}
	return lines
}

// errRotating is a change that has to wait for another.
var errRotating = errors.New("a change of the root is under way: end it first with meshctl ca rotate root")

// RenewRoot gives the root new dates: leaves stay good with either (CA-26).
func (a *Authority) RenewRoot(passphrase []byte, ttl time.Duration) (*Step, error) {
	if err := a.writable(); err != nil {
		return nil, err
	}
	if a.state.Rotation != nil {
		return nil, errRotating
	}
	from, err := a.ownRoot("the root cannot be given new dates from here", "let whoever has it renew it, then import the intermediate again with the new root: meshctl ca import --dir DIRECTORY")
	if err != nil {
		return nil, err
	}
	old, err := a.issuer(from, passphrase)
	if err != nil {
		return nil, err
	}
	root, err := a.mint().RenewRoot(old.Key, old.Certificate(), ttl)
	if err != nil {
		return nil, err
	}
	d := a.draft()
	to, err := a.freeName(d.state, "root")
	if err != nil {
		return nil, err
	}
	m := *d.member(from)
	m.Name = to
	a.add(d, m, root.Certificate(), nil)
	d.records = append(d.records, certificateRecord(root.Certificate(), IssuedAuthority))
	d.replaceRoot(from, to)
	d.Sequence++
	step, err := a.advance(d)
	if step != nil {
		step.Next = []string{"publish the bundle; leaves and intermediates stay as they are", "this does not help if somebody else has the key: then rotate without --same-key"}
	}
	return step, err
}

// replaceRoot puts a renewed root in the place of the old one.
func (d *draft) replaceRoot(from, to string) {
	added := d.Members[len(d.Members)-1]
	d.Members = slices.Insert(d.Members[:len(d.Members)-1], 0, added) // above those that it is the issuer of
	for i := range d.Members {
		if d.Members[i].Issuer == from {
			d.Members[i].Issuer = to
		}
	}
	d.member(from).Retired = true
	for i, name := range d.Roots {
		if name == from {
			d.Roots[i] = to
		}
	}
}

// NewIntermediate makes another intermediate under the root, which signs from now
// on. What the one before signed stays good.
func (a *Authority) NewIntermediate(passphrase []byte, algorithm certs.KeyAlgorithm, o certs.IntermediateOptions) (*Step, error) {
	if err := a.writable(); err != nil {
		return nil, err
	}
	if a.state.Rotation != nil {
		return nil, errRotating
	}
	from, err := a.ownRoot("another intermediate cannot be made here", "let whoever has it sign a request: meshctl ca intermediate --csr FILE, then meshctl ca intermediate --signed FILE")
	if err != nil {
		return nil, err
	}
	root, err := a.issuer(from, passphrase)
	if err != nil {
		return nil, err
	}
	d := a.draft()
	if err := a.intermediate(d, root, from, algorithm, o); err != nil {
		return nil, err
	}
	step, err := a.advance(d)
	if step != nil {
		step.Next = []string{"publish it: meshctl ca cacerts", "issue again before the old intermediate expires: meshctl ca issue"}
	}
	return step, err
}
