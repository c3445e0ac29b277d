package ca_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/ca"
)

// bundles are two of one account.
func bundles(t testing.TB) ([]ca.Request, []ca.Bundle) {
	t.Helper()
	return []ca.Request{request(t, "shop", "till"), request(t, "shop", "till")}, []ca.Bundle{
		{Folder: "shop/till-1", Files: map[string][]byte{"cluster.env": []byte("N='1'\n"), "mesh.yaml": []byte("a: 1\n")}},
		{Folder: "shop/till-2", Files: map[string][]byte{"cluster.env": []byte("N='2'\n"), "mesh.yaml": []byte("a: 2\n")}},
	}
}

// put delivers bundles, and gives their results.
func put(t testing.TB, a *ca.Authority, o ca.DeliverOptions, requests []ca.Request) string {
	t.Helper()
	o.Layout = ca.Files
	done, err := a.Deliver(context.Background(), requests, o)
	must(t, err)
	var all []string
	for _, d := range done {
		all = append(all, string(d.Result))
	}
	return strings.Join(all, " ")
}

// TestMachineBundles: each has its folder, a certificate of its own and its files, for
// the user only (CA-55, CA-61); what is good is kept, and what changed is written
// without another certificate (CA-74).
func TestMachineBundles(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{})
	dir := filepath.Join(t.TempDir(), "machines")
	requests, all := bundles(t)
	o := ca.DeliverOptions{Dir: dir, Bundles: all}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, "shop", name))
		must(t, err)
		return string(text)
	}
	if got := put(t, a, o, requests); got != "issued issued" {
		t.Error(got)
	}
	if read("till-1/key.pem") == read("till-2/key.pem") {
		t.Error("two machines share a key")
	}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		must(t, err)
		info, err := e.Info()
		must(t, err)
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return nil
	}))
	if got := put(t, a, o, requests); got != "kept kept" {
		t.Error(got)
	}
	key, n := read("till-2/key.pem"), len(records(t, a))
	must(t, os.WriteFile(filepath.Join(dir, "shop", "till-2", "notes"), []byte("mine"), 0o640))
	o.Bundles[1].Files["cluster.env"] = []byte("N='3'\n")
	if got := put(t, a, o, requests); got != "kept updated" || read("till-2/cluster.env") != "N='3'\n" || read("till-2/key.pem") != key || len(records(t, a)) != n {
		t.Error(got, read("till-2/cluster.env"))
	}
	o.Renew = true
	if got := put(t, a, o, requests); got != "renewed renewed" || read("till-2/key.pem") == key || read("till-2/notes") != "mine" {
		t.Error(got)
	}
	o.Renew = false
	c.now = c.now.Add(13 * time.Hour)
	if got := put(t, a, o, requests); got != "renewed renewed" {
		t.Errorf("%s after half of their life", got)
	}
	requests[0] = request(t, "shop", "other")
	if got := put(t, a, o, requests); got != "renewed kept" {
		t.Errorf("%s after a change of the account", got)
	}
}

func records(t testing.TB, a *ca.Authority) []ca.Record {
	t.Helper()
	all, err := a.Records(time.Time{})
	must(t, err)
	return all
}

// TestForeignBundle: what this authority did not write is not written over, and
// nothing is issued then, for none of the bundles.
func TestForeignBundle(t *testing.T) {
	t.Parallel()
	c := newClock()
	a, other := initialize(t, c, ca.InitOptions{}), initialize(t, c, ca.InitOptions{})
	requests, all := bundles(t)
	theirs := filepath.Join(t.TempDir(), "theirs")
	put(t, other, ca.DeliverOptions{Dir: theirs, Bundles: all}, requests)
	for _, name := range []string{"cluster.env", "mesh.yaml", "key.pem", "root-cert.pem", "cert-chain.pem"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "shop", "till-2", name)
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		text, err := os.ReadFile(filepath.Join(theirs, "shop", "till-2", name))
		must(t, err)
		must(t, os.WriteFile(file, text, 0o600))
		n := len(records(t, a))
		_, err = a.Deliver(context.Background(), requests, ca.DeliverOptions{Dir: dir, Layout: ca.Files, Bundles: all})
		if want := file + ": exists already, and this authority did not write it"; err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", name, err, want)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != string(text) || len(records(t, a)) != n {
			t.Errorf("%s: changed, or something was issued: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "shop", "till-1")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the other bundle was written", name)
		}
	}
}

// TestBundleFolders: names that mean something else somewhere are refused (CA-62).
func TestBundleFolders(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{})
	requests, all := bundles(t)
	for folder, want := range map[string]string{
		"shop": `folder "shop": expected NAMESPACE/NAME`, "shop/../x": `folder "shop/../x": expected NAMESPACE/NAME`, "shop/..": `begins with "."`,
		"con/x": "Windows has a device of this name", "SHOP/Till-2": "two bundles would share the folder shop/till-2",
	} {
		all[0].Folder = folder
		if _, err := a.PlanFolders(requests, ca.DeliverOptions{Dir: t.TempDir(), Layout: ca.Files, Bundles: all}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

// TestBundleTLS: with the files of a bundle, and nothing else, a machine completes
// mTLS on both sides (CA-72).
func TestBundleTLS(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{})
	dir := t.TempDir()
	requests, all := bundles(t)
	requests[1] = request(t, "shop", "bank")
	put(t, a, ca.DeliverOptions{Dir: dir, Bundles: all}, requests)
	server, client := machine(t, filepath.Join(dir, "shop", "till-1")), machine(t, filepath.Join(dir, "shop", "till-2"))
	near, far := net.Pipe()
	s, done := tls.Server(near, server), make(chan error, 1)
	go func() { done <- s.Handshake() }()
	k := tls.Client(far, client)
	must(t, k.Handshake())
	must(t, <-done)
	for who, state := range map[string]tls.ConnectionState{"till": k.ConnectionState(), "bank": s.ConnectionState()} {
		if got := state.PeerCertificates[0].URIs[0].String(); got != "spiffe://cluster.local/ns/shop/sa/"+who {
			t.Errorf("%s is seen as %s", who, got)
		}
	}
}

// machine is the TLS of one that has a bundle.
func machine(t testing.TB, dir string) *tls.Config {
	t.Helper()
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert-chain.pem"), filepath.Join(dir, "key.pem"))
	must(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "root-cert.pem"))
	must(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no roots")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
		InsecureSkipVerify: true, // names are SPIFFE IDs; the chain is verified here
		VerifyConnection: func(s tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
			return err
		},
	}
}
