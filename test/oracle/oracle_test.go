//go:build oracle

// Package oracle asks openssl, Java and zlint what they make of certificates that
// the authority issued.
package oracle

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// TestOracles: every kind of authority and of leaf, before and after another root
// and with a CRL, is good to each of them for both purposes; a revoked leaf is
// not (CA-29, CA-49, CA-72).
func TestOracles(t *testing.T) {
	for _, authority := range []certs.KeyAlgorithm{certs.P256, certs.P384, certs.RSA4096} {
		t.Run(string(authority), func(t *testing.T) {
			dir := t.TempDir()
			a, err := ca.Init(filepath.Join(dir, "ca"), ca.InitOptions{TrustDomain: "cluster.local", Key: authority}, ca.Env{Now: time.Now, Random: rand.Reader})
			must(t, err)
			defer func() { must(t, a.Close()) }()
			for _, name := range []string{"root-1.pem", "intermediate-1.pem"} {
				lint(t, filepath.Join(dir, "ca", name))
			}
			for _, leaf := range certs.KeyAlgorithms() {
				check(t, a, filepath.Join(dir, string(leaf)), leaf)
			}
			revoked(t, a, filepath.Join(dir, "P-256", "shop", "web"), ca.CRLOptions{})
			_, err = a.RotateRoot(ca.RotateOptions{CrossSign: true})
			must(t, err)
			_, err = a.RotateRoot(ca.RotateOptions{})
			must(t, err)
			check(t, a, filepath.Join(dir, "rotated"), certs.P256)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check issues a leaf, as files and for Java, and asks all.
func check(t *testing.T, a *ca.Authority, dir string, key certs.KeyAlgorithm) {
	t.Helper()
	id, err := certs.WorkloadID("cluster.local", "shop", "web")
	must(t, err)
	requests := []ca.Request{{ID: id, Key: key}}
	_, err = a.Deliver(context.Background(), requests, ca.DeliverOptions{Dir: dir, Layout: ca.Files})
	must(t, err)
	own := filepath.Join(dir, "shop", "web")
	for _, purpose := range []string{"sslserver", "sslclient"} {
		if out, err := openssl(own, "-purpose", purpose); err != nil {
			t.Errorf("openssl, %s, key %s: %v: %s", purpose, key, err, out)
		}
	}
	lint(t, filepath.Join(own, "cert-chain.pem"))
	if key == certs.Ed25519 {
		return // Java takes it from 15 on only
	}
	java := dir + "-java"
	_, err = a.Deliver(context.Background(), requests, ca.DeliverOptions{Dir: java, Layout: ca.PKCS12, Password: "changeit"})
	must(t, err)
	for store, want := range map[string]string{"keystore.p12": "PrivateKeyEntry", "truststore.p12": "trustedCertEntry"} {
		out, err := exec.Command("keytool", "-list", "-storepass", "changeit", "-keystore", filepath.Join(java, "shop", "web", store)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("keytool, %s, key %s: %v: %s", store, key, err, out)
		}
	}
}

// openssl verifies the leaf of a folder, strictly.
func openssl(dir string, args ...string) (string, error) {
	chain := filepath.Join(dir, "cert-chain.pem")
	args = append([]string{"verify", "-x509_strict", "-CAfile", filepath.Join(dir, "root-cert.pem"), "-untrusted", chain}, append(args, chain)...)
	out, err := exec.Command("openssl", args...).CombinedOutput()
	return string(out), err
}

// revoked revokes the leaf of a folder: openssl takes it with the lists from
// before, and not with those from after.
func revoked(t *testing.T, a *ca.Authority, dir string, o ca.CRLOptions) {
	t.Helper()
	for n, want := range []string{": OK", "certificate revoked"} {
		lists, err := a.CRLs(o)
		must(t, err)
		file := filepath.Join(t.TempDir(), "crl.pem")
		must(t, os.WriteFile(file, certs.EncodeCRLs(lists...), 0o600))
		if out, _ := openssl(dir, "-crl_check_all", "-CRLfile", file); !strings.Contains(out, want) {
			t.Errorf("with CRLs %d: %s, want %s", n, out, want)
		}
		if n == 0 {
			_, err = a.Revoke(ca.Target{ID: "spiffe://cluster.local/ns/shop/sa/web"}, "keyCompromise")
			must(t, err)
		}
	}
}

// lint asks zlint about the first certificate of a file.
func lint(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	all, err := certs.ParseCertificates(text)
	must(t, err)
	command := exec.Command("zlint", "-includeSources", "RFC5280")
	command.Stdin = strings.NewReader(string(certs.EncodeCertificates(all[0])))
	out, err := command.Output()
	if err != nil {
		t.Fatalf("zlint (make certs-oracle builds it): %v", err)
	}
	var results map[string]struct{ Result string }
	must(t, json.Unmarshal(out, &results))
	passed := 0
	for name, r := range results {
		switch r.Result {
		case "pass":
			passed++
		case "error", "fatal", "warn":
			t.Errorf("%s: zlint: %s: %s", filepath.Base(file), name, r.Result)
		}
	}
	if passed < 10 {
		t.Errorf("zlint passed %d lints only", passed)
	}
}
