package ca_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// errStopped is a machine that stopped, and stays so.
var errStopped = errors.New("stopped")

// stopAfter lets n steps happen, and none after that.
func stopAfter(e ca.Env, n int, seen *int) ca.Env {
	e.Step = func(string, string) error {
		if *seen++; *seen > n {
			return errStopped
		}
		return nil
	}
	return e
}

// operations are the commands that write, each on a directory of its own.
func operations(t *testing.T, out string) map[string]func(a *ca.Authority) error {
	requests := []ca.Request{request(t, "shop", "web"), request(t, "shop", "db")}
	deliver := func(o ca.PlanOptions) func(a *ca.Authority) error {
		return func(a *ca.Authority) error {
			_, err := a.Deliver(context.Background(), requests, ca.DeliverOptions{PlanOptions: o, Dir: out, Layout: ca.Files})
			return err
		}
	}
	machines, bundles := bundles(t)
	return map[string]func(a *ca.Authority) error{
		"bundles": func(a *ca.Authority) error {
			_, err := a.Deliver(context.Background(), machines, ca.DeliverOptions{Dir: out, Layout: ca.Files, Bundles: bundles})
			return err
		},
		"issue":  deliver(ca.PlanOptions{}),
		"renew":  deliver(ca.PlanOptions{Renew: true}),
		"rotate": func(a *ca.Authority) error { _, err := a.RotateRoot(ca.RotateOptions{CrossSign: true}); return err },
		"renew root": func(a *ca.Authority) error {
			_, err := a.RenewRoot(nil, 0)
			return err
		},
		"intermediate": func(a *ca.Authority) error {
			_, err := a.NewIntermediate(nil, "", certs.IntermediateOptions{})
			return err
		},
		"revoke": func(a *ca.Authority) error {
			_, err := a.Revoke(ca.Target{ID: requests[0].ID.String()}, "superseded")
			return err
		},
		"crl": func(a *ca.Authority) error { _, err := a.CRLs(ca.CRLOptions{}); return err },
	}
}

// TestKilled: wherever a command is stopped, the directory opens, its log is
// whole and has the serial number of every certificate that left, and the next
// command works. 1,000 stops (CA-60, CA-61).
func TestKilled(t *testing.T) {
	t.Parallel()
	const runs = 1000
	c := newClock()
	base := initialize(t, c, ca.InitOptions{})
	must(t, base.Close())
	names := []string{"bundles", "renew", "rotate", "renew root", "intermediate", "revoke", "crl"}
	stopped := map[string]int{}
	for run := range runs {
		root := t.TempDir()
		dir, out := filepath.Join(root, "ca"), filepath.Join(root, "out")
		must(t, os.CopyFS(dir, os.DirFS(base.Dir())))
		privatize(t, dir)
		ops := operations(t, out)
		prepare(t, c, dir, ops["issue"])
		name, dice := names[run%len(names)], rand.New(rand.NewPCG(1, uint64(run)))
		before := readAll(t, dir)
		seen := 0
		err := with(dir, stopAfter(c.env(), dice.IntN(30), &seen), ops[name])
		if err != nil && !errors.Is(err, errStopped) {
			t.Fatalf("run %d, %s: %v", run, name, err)
		}
		if err != nil {
			stopped[name]++
		}
		for file, text := range before { // nothing that counted is gone or changed
			if now, err := os.ReadFile(filepath.Join(dir, file)); file != "state.json" && file != "lock" && (err != nil || !bytes.HasPrefix(now, text)) {
				t.Errorf("run %d, %s: %s is damaged: %v", run, name, file, err)
			}
		}
		checkWhole(t, c, dir, out)
		if err := with(dir, c.env(), ops["renew"]); err != nil {
			t.Errorf("run %d, after %s: %v", run, name, err)
		}
		checkWhole(t, c, dir, out)
		if t.Failed() {
			return
		}
		must(t, os.RemoveAll(root))
	}
	for _, name := range names {
		if stopped[name] < 10 {
			t.Errorf("%s was stopped %d times only", name, stopped[name])
		}
	}
}

// privatize undoes the modes of a copy.
func privatize(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		must(t, os.Chmod(filepath.Join(dir, e.Name()), 0o600))
	}
}

// prepare issues some leaves first.
func prepare(t *testing.T, c *clock, dir string, do func(a *ca.Authority) error) {
	t.Helper()
	must(t, with(dir, c.env(), do))
}

// with does something with an authority. A process that is killed closes
// nothing, but its lock is gone.
func with(dir string, e ca.Env, do func(a *ca.Authority) error) error {
	a, err := ca.Edit(dir, e)
	if err != nil {
		return err
	}
	return errors.Join(do(a), a.Close())
}

func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		all[e.Name()] = text
	}
	return all
}

// checkWhole opens a directory as the next command will, and holds every folder
// that was written to its log.
func checkWhole(t *testing.T, c *clock, dir, out string) {
	t.Helper()
	a, err := ca.Open(dir, c.env())
	must(t, err)
	if _, err := a.VerifyLog(); err != nil {
		t.Error(err)
	}
	records, err := a.Records(time.Time{})
	must(t, err)
	logged := map[string]bool{}
	for _, r := range records {
		logged[r.Serial] = true
	}
	found, err := filepath.Glob(filepath.Join(out, "*", "*", "cert-chain.pem"))
	must(t, err)
	for _, name := range found {
		text, err := os.ReadFile(name)
		must(t, err)
		chain, err := certs.ParseCertificates(text)
		if err != nil && strings.Contains(name, ".meshctl-new-") {
			continue // half a file, which nobody looks at
		}
		must(t, err)
		if !logged[fmt.Sprintf("%x", chain[0].SerialNumber)] {
			t.Errorf("%s is not in the log", name)
		}
		if strings.Contains(name, ".meshctl-new-") {
			continue
		}
		if strings.Contains(name, "till-") { // a bundle has all of its files, or is not there
			_, err := os.Stat(filepath.Join(filepath.Dir(name), "cluster.env"))
			must(t, err)
		}
		secret, err := os.ReadFile(filepath.Join(filepath.Dir(name), "key.pem"))
		must(t, err)
		roots, err := os.ReadFile(filepath.Join(filepath.Dir(name), "root-cert.pem"))
		must(t, err)
		trusted, err := certs.ParseCertificates(roots)
		must(t, err)
		if err := keyFits(chain, secret); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := svidVerify(chain, trusted, c.now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestInitKilled: wherever it is stopped, there is a whole authority or none, and
// it can be made again.
func TestInitKilled(t *testing.T) {
	t.Parallel()
	c := newClock()
	for n := 0; ; n++ {
		dir, seen := filepath.Join(t.TempDir(), "ca"), 0
		a, err := ca.Init(dir, ca.InitOptions{TrustDomain: "cluster.local"}, stopAfter(c.env(), n, &seen))
		if err == nil {
			must(t, a.Close())
			if n < 20 {
				t.Errorf("only %d steps", n)
			}
			return
		}
		if !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); err == nil {
			checkWhole(t, c, dir, "")
			continue
		}
		again, err := ca.Init(dir, ca.InitOptions{TrustDomain: "cluster.local"}, c.env())
		must(t, err)
		must(t, again.Close())
	}
}

// TestFullDisk: when no more can be written nothing is issued, and what was there
// stays; with room again the next command works.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	c := newClock()
	for name := range operations(t, "") {
		for n := range 40 {
			a := initialize(t, c, ca.InitOptions{})
			must(t, a.Close())
			out := filepath.Join(t.TempDir(), "out")
			ops := operations(t, out)
			must(t, with(a.Dir(), c.env(), ops["issue"]))
			e, writes := c.env(), 0
			e.Step = func(what, _ string) error {
				if what != "write" && what != "create" && what != "mkdir" {
					return nil // what frees room, or needs none, works
				}
				if writes++; writes > n {
					return errors.New("no space left on device")
				}
				return nil
			}
			err := with(a.Dir(), e, ops[name])
			if err == nil {
				break
			}
			if !strings.Contains(err.Error(), "no space left on device") {
				t.Fatalf("%s: %v", name, err)
			}
			checkWhole(t, c, a.Dir(), out)
			if rest, _ := filepath.Glob(filepath.Join(out, ".meshctl-new-*")); len(rest) > 0 {
				t.Errorf("%s: left %v", name, rest)
			}
			must(t, with(a.Dir(), c.env(), ops["renew"]))
			if t.Failed() {
				return
			}
		}
	}
}
