package ca_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// clock is what the authorities of a test go by.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Now().UTC().Truncate(time.Second)} }

func (c *clock) env() ca.Env {
	return ca.Env{Now: func() time.Time { return c.now }, Random: rand.Reader, Caller: "test", Command: "go test", WorkFactor: 10}
}

// passphrase of all tests.
func passphrase() []byte { return []byte("correct horse") }

func initialize(t testing.TB, c *clock, o ca.InitOptions) *ca.Authority {
	t.Helper()
	if o.TrustDomain == "" {
		o.TrustDomain = "cluster.local"
	}
	a, err := ca.Init(filepath.Join(t.TempDir(), "ca"), o, c.env())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func request(t testing.TB, namespace, account string) ca.Request {
	t.Helper()
	id, err := certs.WorkloadID("cluster.local", namespace, account)
	if err != nil {
		t.Fatal(err)
	}
	return ca.Request{ID: id}
}

func issue(t testing.TB, a *ca.Authority, requests ...ca.Request) []ca.Issued {
	t.Helper()
	all, err := a.Issue(context.Background(), requests)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// svidVerify is go-spiffe's opinion (CA-72).
func svidVerify(chain, roots []*x509.Certificate, at time.Time) error {
	domain := spiffeid.RequireTrustDomainFromString("cluster.local")
	_, _, err := x509svid.Verify(chain, x509bundle.FromX509Authorities(domain, roots), x509svid.WithTime(at))
	return err
}

// TestAuthority: what Init makes issues leaves that go-spiffe parses and
// verifies, opened again without a passphrase (CA-55..CA-57, CA-72).
func TestAuthority(t *testing.T) {
	t.Parallel()
	c := newClock()
	for _, key := range []certs.KeyAlgorithm{certs.P256, certs.P384} {
		a := initialize(t, c, ca.InitOptions{Key: key, Passphrase: passphrase()})
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := ca.Edit(a.Dir(), c.env())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range issue(t, again, request(t, "shop", "web"), request(t, "shop", "db")) {
			if err := svidVerify(i.Chain, i.Roots, c.now); err != nil {
				t.Error(err)
			}
			secret, _ := certs.EncodeKey(i.Key)
			if _, err := x509svid.Parse(certs.EncodeCertificates(i.Chain...), secret); err != nil {
				t.Error(err)
			}
		}
		if n, err := again.VerifyLog(); err != nil || n != 4 {
			t.Errorf("%d records, %v", n, err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestDirectory: nobody else can read it, and the root's key is encrypted
// (CA-55, CA-56).
func TestDirectory(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{Passphrase: passphrase()})
	want := "intermediate-1.key.pem intermediate-1.pem lock log.jsonl root-1.key.age root-1.pem state.json"
	entries, err := os.ReadDir(a.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%s", got)
	}
	if info, err := os.Stat(a.Dir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if text, err := os.ReadFile(filepath.Join(a.Dir(), "root-1.key.age")); err != nil || !strings.HasPrefix(string(text), "age-encryption.org/v1\n-> scrypt ") {
		t.Errorf("the root's key begins with %.30q, %v", text, err)
	}
	if _, err := ca.Init(a.Dir(), ca.InitOptions{TrustDomain: "cluster.local"}, newClock().env()); err == nil || !strings.Contains(err.Error(), "nothing is overwritten") {
		t.Error(err)
	}
}

// TestRefusals: each fault is refused in words, and nothing is issued.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := newClock()
	key := filepath.Join("intermediate-1.key.pem")
	for name, tt := range map[string]struct {
		damage func(t *testing.T, dir string)
		later  time.Duration
		want   string
	}{
		"readable key (CA-55)": {func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, key), 0o644)) }, 0, "others can read it: its mode is 0644"},
		"linked key (CA-55)": {func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, key), filepath.Join(dir, "elsewhere")))
			must(t, os.Symlink("elsewhere", filepath.Join(dir, key)))
		}, 0, "a symbolic link is not taken for a key"},
		"cut key":                {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, key), 40)) }, 0, "line 1: block PRIVATE KEY has no end: the text is cut off"},
		"clock set back (CA-67)": {func(*testing.T, string) {}, -6 * time.Minute, "the clock is behind"},
		"expired (CA-15)":        {func(*testing.T, string) {}, 366 * 24 * time.Hour, "expired"},
		"no state":               {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "state.json"))) }, 0, "there is no certificate authority here"},
		"damaged state": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "state.json"), []byte("{"), 0o600))
		}, 0, "the state is damaged"},
		"cut log": {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "log.jsonl"), 0)) }, 0, "it ends before record 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := initialize(t, c, ca.InitOptions{})
			must(t, a.Close())
			tt.damage(t, a.Dir())
			later := &clock{c.now.Add(tt.later)}
			again, err := ca.Edit(a.Dir(), later.env())
			if err == nil {
				_, err = again.Issue(context.Background(), []ca.Request{request(t, "shop", "web")})
				must(t, again.Close())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestForeignDomain: the authority signs in its own trust domain only (CA-64).
func TestForeignDomain(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{TrustDomain: "other.local"})
	if _, err := a.Issue(context.Background(), []ca.Request{request(t, "shop", "web")}); err == nil || !strings.Contains(err.Error(), `its trust domain "cluster.local" is not the authority's, "other.local"`) {
		t.Error(err)
	}
}

// TestLock: the second writer learns who is the first (CA-59).
func TestLock(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{})
	if _, err := ca.Edit(a.Dir(), newClock().env()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d, go test", os.Getpid())) {
		t.Error(err)
	}
	read, err := ca.Open(a.Dir(), newClock().env())
	must(t, err)
	if _, err := read.Issue(context.Background(), []ca.Request{request(t, "shop", "web")}); err == nil {
		t.Error("issued without the lock")
	}
}

// TestLogTampering: a changed, removed or cut line is found (CA-60).
func TestLogTampering(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func([]string) []string{
		"changed": func(l []string) []string { l[2] = strings.Replace(l[2], "web", "wob", 1); return l },
		"removed": func(l []string) []string { return append(l[:2:2], l[3:]...) },
		"swapped": func(l []string) []string { l[2], l[3] = l[3], l[2]; return l },
		"not revoked": func(l []string) []string {
			return slices.DeleteFunc(l, func(s string) bool { return strings.Contains(s, "revoked") })
		},
		"another revoked": func(l []string) []string { l[5] = strings.Replace(l[5], `"serial":"`, `"serial":"1`, 1); return l },
		"cut":             func(l []string) []string { return l[:5] },
		"cut by many":     func(l []string) []string { return l[:2] },
	} {
		a := initialize(t, newClock(), ca.InitOptions{})
		all := issue(t, a, request(t, "shop", "web"), request(t, "shop", "db"), request(t, "shop", "cache"))
		_, err := a.Revoke(ca.Target{Serial: all[0].Leaf().SerialNumber.Text(16)}, "keyCompromise")
		must(t, err)
		file := filepath.Join(a.Dir(), "log.jsonl")
		text, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, []byte(strings.Join(change(strings.SplitAfter(string(text), "\n")), "")), 0o600))
		must(t, a.Close())
		read, err := ca.Look(a.Dir(), newClock().env())
		must(t, err)
		for who, err := range map[string]error{"verify": second(read.VerifyLog()), "look": read.Damage(), "open": second(ca.Open(a.Dir(), newClock().env())), "edit": second(ca.Edit(a.Dir(), newClock().env()))} {
			if err == nil || !strings.Contains(err.Error(), "the log is damaged") {
				t.Errorf("%s, %s: %v", name, who, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// BenchmarkOpen reads an authority with a log of 10,000 leaves, whose hashes it
// follows.
func BenchmarkOpen(b *testing.B) {
	a := initialize(b, newClock(), ca.InitOptions{})
	requests := make([]ca.Request, 10*leaves)
	for i := range requests {
		requests[i] = request(b, "shop", "web")
	}
	issue(b, a, requests...)
	for b.Loop() {
		_, err := ca.Open(a.Dir(), newClock().env())
		must(b, err)
	}
}

// TestIdempotent: what is good is kept, and what is not is issued again (CA-74).
func TestIdempotent(t *testing.T) {
	t.Parallel()
	for _, layout := range ca.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			c := newClock()
			a := initialize(t, c, ca.InitOptions{Passphrase: passphrase()})
			requests := []ca.Request{request(t, "shop", "web"), request(t, "shop", "db")}
			o := ca.DeliverOptions{Dir: filepath.Join(t.TempDir(), "out"), Layout: layout, Password: "changeit"}
			deliver := func(want ...ca.Result) []ca.Delivery {
				t.Helper()
				got, err := a.Deliver(context.Background(), requests, o)
				must(t, err)
				for i := range got {
					if got[i].Result != want[i] {
						t.Errorf("%s: %s, want %s", got[i].ID, got[i].Result, want[i])
					}
				}
				return got
			}
			first := deliver(ca.New, ca.New)
			deliver(ca.Kept, ca.Kept)
			requests[1].Key = certs.P384
			deliver(ca.Kept, ca.Renewed)
			if _, err := a.Revoke(ca.Target{Serial: first[0].Serial}, "keyCompromise"); err != nil {
				t.Error(err)
			}
			deliver(ca.Renewed, ca.Kept)
			if _, err := a.RotateRoot(ca.RotateOptions{Passphrase: passphrase()}); err != nil {
				t.Fatal(err)
			}
			deliver(ca.Updated, ca.Updated)
			deliver(ca.Kept, ca.Kept)
			c.now = c.now.Add(13 * time.Hour)
			deliver(ca.Renewed, ca.Renewed)
			o.Renew = true
			deliver(ca.Renewed, ca.Renewed)
		})
	}
}

// TestRotation: at every stage every leaf verifies with every bundle that is
// published at that time, and the old root stays while it is needed (CA-25,
// CA-27).
func TestRotation(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{Passphrase: passphrase()})
	rotate := func(want ca.Stage) {
		t.Helper()
		step, err := a.RotateRoot(ca.RotateOptions{Passphrase: passphrase(), CrossSign: true})
		if err != nil || step.Stage != want {
			t.Fatalf("%+v, %v", step, err)
		}
	}
	oldRoots := a.Roots()
	leaves := issue(t, a, request(t, "shop", "web"))
	rotate(ca.BothTrust)
	leaves = append(leaves, issue(t, a, request(t, "shop", "db"))...)
	rotate(ca.NewSigns)
	fresh := issue(t, a, request(t, "shop", "cache"))
	for _, l := range append(leaves, fresh...) {
		if err := svidVerify(l.Chain, a.Roots(), c.now); err != nil {
			t.Error(err)
		}
		if err := svidVerify(l.Chain, oldRoots, c.now); err != nil {
			t.Errorf("with the old root only: %v", err)
		}
	}
	if _, err := a.RotateRoot(ca.RotateOptions{}); err == nil || !strings.Contains(err.Error(), "2 certificates of the old root can still be used") {
		t.Error(err)
	}
	c.now = c.now.Add(25 * time.Hour)
	rotate(ca.NewOnly)
	last := issue(t, a, request(t, "shop", "web"))[0]
	if err := svidVerify(last.Chain, a.Roots(), c.now); err != nil || len(a.Roots()) != 1 || a.Stage() != ca.OneRoot {
		t.Errorf("%v, %d roots", err, len(a.Roots()))
	}
	if _, err := a.VerifyLog(); err != nil {
		t.Error(err)
	}
}

// TestRenewal: a root with new dates verifies old leaves (CA-26).
func TestRenewal(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{Passphrase: passphrase()})
	leaf := issue(t, a, request(t, "shop", "web"))[0]
	if _, err := a.RenewRoot([]byte("wrong passphrase"), 0); err == nil || !strings.Contains(err.Error(), "the passphrase is not the one") {
		t.Error(err)
	}
	if _, err := a.RenewRoot(passphrase(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := a.NewIntermediate(passphrase(), "", certs.IntermediateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, l := range append(issue(t, a, request(t, "shop", "db")), leaf) {
		if err := svidVerify(l.Chain, a.Roots(), c.now); err != nil {
			t.Error(err)
		}
	}
	must(t, a.Close())
	again, err := ca.Open(a.Dir(), c.env())
	must(t, err)
	if _, err := again.VerifyLog(); err != nil {
		t.Error(err)
	}
}

// TestRevocation: a list for every authority, with numbers that grow; what
// breaks is told (CA-29).
func TestRevocation(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{Passphrase: passphrase()})
	leaves := issue(t, a, request(t, "shop", "web"), request(t, "shop", "db"))
	if _, err := a.Revoke(ca.Target{ID: "spiffe://cluster.local/ns/shop/sa/web"}, "superseded"); err != nil {
		t.Fatal(err)
	}
	for number := int64(1); number < 3; number++ {
		lists, err := a.CRLs(ca.CRLOptions{Passphrase: passphrase()})
		if err != nil || len(lists) != 2 {
			t.Fatalf("%d lists, %v", len(lists), err)
		}
		for _, l := range lists {
			if l.Number.Int64() != number || !l.NextUpdate.Equal(c.now.Add(ca.DefaultCRLTTL)) {
				t.Errorf("number %s, until %s", l.Number, l.NextUpdate)
			}
		}
		must(t, lists[0].CheckSignatureFrom(a.Roots()[0]))
		must(t, lists[1].CheckSignatureFrom(a.Signer()))
		if got := lists[1].RevokedCertificateEntries; len(got) != 1 || got[0].SerialNumber.Cmp(leaves[0].Leaf().SerialNumber) != 0 || got[0].ReasonCode != 4 {
			t.Errorf("%+v", got)
		}
	}
	if broken, err := a.Breaks(); err != nil || len(broken) != 1 || broken[0].ID != "spiffe://cluster.local/ns/shop/sa/web" {
		t.Errorf("%+v, %v", broken, err)
	}
	if _, err := a.Revoke(ca.Target{Serial: fmt.Sprintf("%x", a.Signer().SerialNumber)}, "caCompromise"); err != nil {
		t.Fatal(err)
	}
	if broken, err := a.Breaks(); err != nil || len(broken) != 2 {
		t.Errorf("%+v, %v", broken, err)
	}
	if _, err := a.Issue(context.Background(), []ca.Request{request(t, "shop", "web")}); err == nil || !strings.Contains(err.Error(), "is revoked") {
		t.Error(err)
	}
	if _, err := a.Revoke(ca.Target{Serial: "00:01"}, "superseded"); err == nil || !strings.Contains(err.Error(), "no certificate of this authority") {
		t.Error(err)
	}
}

// keyFits tells whether a key is that of a chain.
func keyFits(chain []*x509.Certificate, secret []byte) error {
	_, err := tls.X509KeyPair(certs.EncodeCertificates(chain...), secret)
	return err
}

// TestOneSync: the records of a batch get to the disk in one go, before any
// certificate leaves (CA-60).
func TestOneSync(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{})
	must(t, a.Close())
	e, steps := c.env(), map[string]int{}
	e.Step = func(what, name string) error {
		if filepath.Base(name) == "log.jsonl" {
			steps[what]++
		} else if steps["sync"] == 0 && what != "mkdir" { // an empty folder shows that there is room for one
			t.Errorf("%s of %s before the log is on the disk", what, name)
		}
		return nil
	}
	requests := make([]ca.Request, 100)
	for i := range requests {
		requests[i] = request(t, "shop", fmt.Sprintf("web-%d", i))
	}
	must(t, with(a.Dir(), e, func(a *ca.Authority) error {
		_, err := a.Deliver(context.Background(), requests, ca.DeliverOptions{Dir: filepath.Join(t.TempDir(), "out"), Layout: ca.Files})
		return err
	}))
	if steps["sync"] != 1 {
		t.Errorf("%v", steps)
	}
}
