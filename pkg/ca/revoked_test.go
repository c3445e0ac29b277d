package ca_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// wants an error with a text, and with a hint.
func wants(t *testing.T, err error, text, hint string) {
	t.Helper()
	var input *report.InputError
	if err == nil || !strings.Contains(err.Error(), text) || !errors.As(err, &input) || !strings.Contains(input.Hint, hint) {
		t.Errorf("%v, want %q with the hint %q", err, text, hint)
	}
}

// nothingBelow wants an authority not to issue, keep, plan or publish, for a reason.
func nothingBelow(t *testing.T, a *ca.Authority, o ca.DeliverOptions, text, hint string) {
	t.Helper()
	requests := []ca.Request{request(t, "shop", "web")}
	_, err := a.Issue(context.Background(), requests)
	wants(t, err, text, hint)
	_, err = a.Deliver(context.Background(), requests, o)
	wants(t, err, text, hint)
	_, err = a.PlanFolders(requests, o)
	wants(t, err, text, hint)
	_, err = a.PlanSecrets(ca.IstioSecret, requests, nil, ca.PlanOptions{})
	wants(t, err, text, hint)
	_, err = a.Plugged()
	wants(t, err, text, hint)
}

func states(t *testing.T, a *ca.Authority) string {
	t.Helper()
	s, err := a.Status()
	must(t, err)
	var all []string
	for _, m := range s.Authorities {
		all = append(all, string(m.State))
	}
	return strings.Join(all, ", ")
}

// TestRevokedAuthority: nothing below a revoked intermediate is issued, kept or
// published, and the status says so; another intermediate ends it (CA-29).
func TestRevokedAuthority(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{})
	o := ca.DeliverOptions{Dir: filepath.Join(t.TempDir(), "out"), Layout: ca.Files}
	requests := []ca.Request{request(t, "shop", "web")}
	put(t, a, o, requests)
	_, err := a.Revoke(ca.Target{Serial: a.Signer().SerialNumber.Text(16)}, "keyCompromise")
	must(t, err)
	nothingBelow(t, a, o, "is revoked", "make another with meshctl ca intermediate")
	if got := states(t, a); got != "good, revoked" {
		t.Error(got)
	}
	if w, err := a.Warnings(); err != nil || len(w) != 1 || !strings.Contains(w[0], "it is revoked") {
		t.Errorf("%v, %v", w, err)
	}
	_, err = a.NewIntermediate(nil, "", certs.IntermediateOptions{})
	must(t, err)
	done, err := a.Deliver(context.Background(), requests, o)
	if err != nil || done[0].Result != ca.Renewed {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestRevokedRoot: a root is not revoked but changed; one that an older log has as
// revoked lets nothing be issued.
func TestRevokedRoot(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{})
	serial := a.Roots()[0].SerialNumber.Text(16)
	_, err := a.Revoke(ca.Target{Serial: serial}, "keyCompromise")
	wants(t, err, "is a root", "meshctl ca rotate root")
	must(t, a.Close())
	append1(t, a.Dir(), ca.Record{Event: ca.Revoked, Serial: serial, NotAfter: c.now.Add(time.Hour), Reason: "keyCompromise"})
	must(t, with(a.Dir(), c.env(), func(a *ca.Authority) error {
		nothingBelow(t, a, ca.DeliverOptions{Dir: t.TempDir(), Layout: ca.Files}, "is revoked", "meshctl ca rotate root")
		if got := states(t, a); got != "revoked, issuer revoked" {
			t.Error(got)
		}
		for range 2 {
			_, err := a.RotateRoot(ca.RotateOptions{})
			must(t, err)
		}
		_, err := a.Issue(context.Background(), []ca.Request{request(t, "shop", "web")})
		return err
	}))
}

// append1 adds a record as a command does that is stopped before the state knows it.
func append1(t *testing.T, dir string, r ca.Record) {
	t.Helper()
	file := filepath.Join(dir, "log.jsonl")
	text, err := os.ReadFile(file)
	must(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	var last ca.Record
	must(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	r.Seq, r.Time, r.Previous = last.Seq+1, last.Time, sha256Hex(lines[len(lines)-1])
	line, err := json.Marshal(r)
	must(t, err)
	must(t, os.WriteFile(file, append(append(text, line...), '\n'), 0o600))
}

// TestExpiredAuthority: the status says expired, not that it ends soon.
func TestExpiredAuthority(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{})
	if got := states(t, a); got != "good, good" {
		t.Error(got)
	}
	c.now = c.now.Add(360 * 24 * time.Hour)
	if got := states(t, a); got != "good, ends soon" {
		t.Error(got)
	}
	c.now = c.now.Add(10 * 24 * time.Hour)
	if got := states(t, a); got != "good, expired" {
		t.Error(got)
	}
	if w, err := a.Warnings(); err != nil || len(w) != 1 || !strings.Contains(w[0], "it has expired") {
		t.Errorf("%v, %v", w, err)
	}
}

// TestListOfOthers: the list of a root whose key is elsewhere revokes the
// intermediate here: what breaks is listed before, and the authority acts on it
// after (CA-29).
func TestListOfOthers(t *testing.T) {
	t.Parallel()
	c := newClock()
	corp := initialize(t, c, ca.InitOptions{})
	b, err := corp.Plugged()
	must(t, err)
	a, _, err := ca.Import(filepath.Join(t.TempDir(), "own"), ca.ImportOptions{Bundle: b}, c.env())
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	o := ca.DeliverOptions{Dir: filepath.Join(t.TempDir(), "out"), Layout: ca.Files}
	put(t, a, o, []ca.Request{request(t, "shop", "web"), request(t, "shop", "db")})
	_, err = corp.Revoke(ca.Target{Serial: corp.Signer().SerialNumber.Text(16)}, "keyCompromise")
	must(t, err)
	lists, err := corp.CRLs(ca.CRLOptions{})
	must(t, err)
	if broken, err := a.Breaks(); err != nil || len(broken) != 0 {
		t.Errorf("%+v, %v", broken, err)
	}
	if broken, err := a.Breaks(lists...); err != nil || len(broken) != 2 || broken[0].Reason != "issuer revoked: keyCompromise" {
		t.Errorf("%+v, %v", broken, err)
	}
	if got := states(t, a); got != "good, good" {
		t.Error(got)
	}
	for range 2 { // it is taken down once
		_, err = a.CRLs(ca.CRLOptions{Given: lists})
		must(t, err)
	}
	n := 0
	for _, r := range records(t, a) {
		if r.Event == ca.Revoked {
			n++
		}
	}
	if got := states(t, a); got != "good, revoked" || n != 1 {
		t.Errorf("%s, %d times", got, n)
	}
	nothingBelow(t, a, o, "is revoked", "meshctl ca intermediate --csr FILE")
}

// TestListsEnd: no list counts longer than its authority, and none for no time.
func TestListsEnd(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{})
	lists, err := a.CRLs(ca.CRLOptions{TTL: 20 * 365 * 24 * time.Hour})
	must(t, err)
	for i, c := range []*x509.Certificate{a.Roots()[0], a.Signer()} {
		if !lists[i].NextUpdate.Equal(c.NotAfter) {
			t.Errorf("%s: until %s, want %s", c.Subject, lists[i].NextUpdate, c.NotAfter)
		}
	}
	for _, ttl := range []time.Duration{-time.Hour, time.Millisecond} {
		if _, err := a.CRLs(ca.CRLOptions{TTL: ttl}); err == nil || !strings.Contains(err.Error(), "at least 1s are needed") {
			t.Errorf("%s: %v", ttl, err)
		}
	}
}

// TestRequestAnew: a request that is open is for the kind of key that it was made
// for.
func TestRequestAnew(t *testing.T) {
	t.Parallel()
	c := newClock()
	corp := initialize(t, c, ca.InitOptions{})
	b, err := corp.Plugged()
	must(t, err)
	a, _, err := ca.Import(filepath.Join(t.TempDir(), "own"), ca.ImportOptions{Bundle: b}, c.env())
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	first, err := a.RequestIntermediate(certs.P384)
	must(t, err)
	for _, same := range []certs.KeyAlgorithm{"", certs.P384} {
		again, err := a.RequestIntermediate(same)
		if err != nil || !certs.EqualKeys(first.PublicKey, again.PublicKey) {
			t.Errorf("%q: %v", same, err)
		}
	}
	_, err = a.RequestIntermediate(certs.P256)
	wants(t, err, "a request is open for a key of the kind P-384: P-256 is not asked for", "meshctl ca intermediate --signed FILE")
}

// TestRevokeFails: what is told of a revocation that cannot be written is true of
// it, and nothing is said to be revoked.
func TestRevokeFails(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{"log.jsonl": "nothing was revoked", ".state.json.new": "the log has it as revoked, but the state does not vouch for it yet"} {
		c := newClock()
		a := initialize(t, c, ca.InitOptions{})
		serial := issue(t, a, request(t, "shop", "web"))[0].Leaf().SerialNumber.Text(16)
		must(t, a.Close())
		e := c.env()
		e.Step = func(what, name string) error {
			if what == "write" && filepath.Base(name) == file {
				return errors.New("no space left on device")
			}
			return nil
		}
		err := with(a.Dir(), e, func(a *ca.Authority) error {
			done, err := a.Revoke(ca.Target{Serial: serial}, "superseded")
			if len(done) > 0 {
				t.Errorf("%s: told of %+v", file, done)
			}
			return err
		})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "issued:") {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
		_, err = ca.Open(a.Dir(), c.env())
		must(t, err)
	}
}

// TestTargets: what is malformed is told so.
func TestTargets(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{})
	for _, target := range []ca.Target{{ID: "nonsense"}, {ID: "https://x/y"}, {Serial: "zz"}, {Serial: "0x"}, {Serial: "-1"}} {
		if _, err := a.Revoke(target, "superseded"); err == nil || strings.Contains(err.Error(), "no certificate of this authority") {
			t.Errorf("%+v: %v", target, err)
		}
	}
	unknown, err := rand.Int(rand.Reader, big.NewInt(1<<40))
	must(t, err)
	if _, err := a.Revoke(ca.Target{Serial: unknown.Text(16)}, "superseded"); err == nil || !strings.Contains(err.Error(), "no certificate of this authority") {
		t.Error(err)
	}
}

// TestOthersKeys: a key that others could read is made anew, in every layout
// (CA-55).
func TestOthersKeys(t *testing.T) {
	t.Parallel()
	for layout, name := range map[ca.Layout]string{ca.Files: "key.pem", ca.SPIFFE: "credential-bundle.private-key.pem", ca.PKCS12: "keystore.p12", ca.SDS: "default.yaml"} {
		a := initialize(t, newClock(), ca.InitOptions{})
		o := ca.DeliverOptions{Dir: filepath.Join(t.TempDir(), "out"), Layout: layout, Password: "changeit"}
		requests := []ca.Request{request(t, "shop", "web")}
		_, err := a.Deliver(context.Background(), requests, o)
		must(t, err)
		file := filepath.Join(o.Dir, "shop", "web", name)
		must(t, os.Chmod(file, 0o604))
		for _, want := range []ca.Result{ca.Renewed, ca.Kept} {
			done, err := a.Deliver(context.Background(), requests, o)
			if err != nil || done[0].Result != want || (done[0].Why != "") != (want == ca.Renewed) {
				t.Errorf("%s: %+v, %v, want %s", layout, done, err, want)
			}
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", layout, err)
		}
	}
}

func sha256Hex(line string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(line))) }
