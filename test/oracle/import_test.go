//go:build oracle

package oracle

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// TestImported: a root and an intermediate of openssl's, the key encrypted as
// openssl does it, are taken in; what they issue then is good to everybody, with
// revocation lists of which openssl wrote the root's, and below another
// intermediate that openssl signed as was asked (CA-22, CA-23, CA-29, CA-56).
func TestImported(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		command := exec.Command("openssl", args...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v: %s", args, err, out)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		return text
	}
	must(t, os.WriteFile(filepath.Join(dir, "ca.cnf"), []byte(config), 0o600))
	run("req", "-x509", "-newkey", "rsa:3072", "-nodes", "-keyout", "root-key.pem", "-out", "root.pem", "-days", "3000", "-subj", "/O=Corp/CN=Corp Root", "-config", "ca.cnf", "-extensions", "root")
	run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-keyout", "mesh-key.pem", "-passout", "pass:battery", "-out", "mesh.csr", "-subj", "/O=Corp/CN=Corp Mesh", "-config", "ca.cnf")
	run("x509", "-req", "-in", "mesh.csr", "-CA", "root.pem", "-CAkey", "root-key.pem", "-out", "mesh.pem", "-days", "300", "-extfile", "ca.cnf", "-extensions", "mesh")
	must(t, os.WriteFile(filepath.Join(dir, "index.txt"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "crlnumber"), []byte("05\n"), 0o600))
	run("ca", "-gencrl", "-config", "ca.cnf", "-keyfile", "root-key.pem", "-cert", "root.pem", "-out", "root-crl.pem", "-crldays", "30")

	key, err := certs.DecryptKey(read("mesh-key.pem"), []byte("battery"))
	must(t, err)
	secret, err := certs.EncodeKey(key)
	must(t, err)
	b := certs.Bundle{Cert: read("mesh.pem"), Key: secret, Root: read("root.pem"), Chain: append(read("mesh.pem"), read("root.pem")...)}
	a, _, err := ca.Import(filepath.Join(dir, "mesh"), ca.ImportOptions{Bundle: b}, ca.Env{Now: time.Now, Random: rand.Reader})
	must(t, err)
	defer func() { must(t, a.Close()) }()
	check(t, a, filepath.Join(dir, "leaves"), certs.P256)
	lists, err := certs.ParseCRLs(read("root-crl.pem"))
	must(t, err)
	revoked(t, a, filepath.Join(dir, "leaves", "shop", "web"), ca.CRLOptions{Given: lists})

	csr, err := a.RequestIntermediate(certs.P384)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "next.csr"), certs.EncodeRequest(csr), 0o600))
	run("req", "-verify", "-noout", "-in", "next.csr")
	run("x509", "-req", "-in", "next.csr", "-CA", "root.pem", "-CAkey", "root-key.pem", "-out", "next.pem", "-days", "300", "-copy_extensions", "copyall")
	next, err := certs.ParseCertificates(read("next.pem"))
	must(t, err)
	_, _, err = a.TakeIntermediate(next)
	must(t, err)
	check(t, a, filepath.Join(dir, "next"), certs.P256)

	root := certs.Bundle{Cert: read("root.pem"), Key: read("root-key.pem")}
	own, _, err := ca.Import(filepath.Join(dir, "own"), ca.ImportOptions{Bundle: root}, ca.Env{Now: time.Now, Random: rand.Reader})
	must(t, err)
	defer func() { must(t, own.Close()) }()
	lint(t, filepath.Join(dir, "own", "intermediate-1.pem"))
	check(t, own, filepath.Join(dir, "own-leaves"), certs.P256)
	revoked(t, own, filepath.Join(dir, "own-leaves", "shop", "web"), ca.CRLOptions{})
	_, err = own.RenewRoot(nil, 0)
	must(t, err)
	lint(t, filepath.Join(dir, "own", "root-2.pem"))
	check(t, own, filepath.Join(dir, "renewed"), certs.P256)
}

// TestEncrypted: openssl opens a key that is encrypted here (CA-56).
func TestEncrypted(t *testing.T) {
	key, err := certs.GenerateKey(certs.P256)
	must(t, err)
	text, err := certs.EncryptKey(rand.Reader, key, []byte("battery"))
	must(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	must(t, os.WriteFile(file, text, 0o600))
	out, err := exec.Command("openssl", "pkey", "-in", file, "-passin", "pass:battery").Output()
	must(t, err)
	if again, err := certs.ParseKey(out); err != nil || !certs.EqualKeys(again.Public(), key.Public()) {
		t.Errorf("%v: %s", err, "openssl read another key")
	}
}

const config = `[req]
distinguished_name = name
prompt = no
[name]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[mesh]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ca]
default_ca = corp
[corp]
database = index.txt
crlnumber = crlnumber
default_md = sha256
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
`
