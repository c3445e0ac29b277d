package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secretsOf are the private keys of PEM files, in pieces as they could be printed:
// lines of base64, and the scalar in hex and in base64.
func secretsOf(t *testing.T, files ...string) [][]byte {
	t.Helper()
	var all [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			t.Fatalf("%s: no key", file)
		}
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 20 && line[0] != '-' && !bytes.HasPrefix(line, []byte("MIG")) {
				all = append(all, line)
			}
		}
		const from, size = 36, 24 // within the scalar of a key of P-256
		scalar := block.Bytes[from : from+size]
		all = append(all, []byte(hex.EncodeToString(scalar)), []byte(base64.StdEncoding.EncodeToString(scalar)))
	}
	return all
}

// TestCANoKeyShown: whatever the commands do, or refuse to do with damaged files,
// no key is in what they print, and none in the log.
func TestCANoKeyShown(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{root}, names...)...) }
	var said bytes.Buffer
	run := func(args ...string) {
		out, _ := program(args...).CombinedOutput() // it may refuse
		said.Write(out)
	}
	dir := at("ca")
	run("ca", "init", "--no-encrypt", "--dir", dir)
	run("ca", "issue", "--dir", dir, "--ns", "shop", "--sa", "web", "-o", "files="+at("out"))
	run("ca", "cacerts", "--dir", dir, "-o", "files="+at("plug"))
	own := []string{at("ca", "root-1.key.pem"), at("ca", "intermediate-1.key.pem"), at("out", "shop", "web", "key.pem")}
	secrets := secretsOf(t, own...)
	for _, args := range [][]string{
		{"ca", "issue", "--ns", "shop", "--sa", "web", "-o", "files=" + at("out")},
		{"ca", "status"},
		{"ca", "status", "-o", "json"},
		{"ca", "log"},
		{"ca", "log", "-o", "json"},
		{"ca", "bundle"},
		{"ca", "bundle", "--form", "spiffe"},
		{"ca", "crl"},
		{"ca", "intermediate"},
		{"ca", "rotate", "root"},
		{"ca", "sign", own[2], "--sa", "web"},
		{"ca", "sign", own[1], "--sa", "web"},
		{"ca", "revoke", "--serial", "1"},
		{"ca", "crl", "--with", own[0]},
		{"ca", "cacerts", "--crl", own[1]},
	} {
		run(append(args, "--dir", dir)...)
	}
	for _, file := range own {
		damage(t, file, at("damaged.pem"))
		for _, key := range []string{file, at("damaged.pem")} {
			run("ca", "import", "--dir", at("new"), "--cert", key, "--key", key)
			run("ca", "import", "--dir", at("new"), "--cert", at("ca", "root-1.pem"), "--key", key, "--chain", key, "--root", key)
			run("ca", "import", "--dir", at("new"), key)
			run("ca", "verify", key)
			run("cert", "inspect", key)
			run("cert", "inspect", key, "-o", "json")
			run("cert", "verify", key, "--roots", key)
			run("cert", "convert", key, "--to", "pem")
			run("cert", "convert", key, "--to", "jwks")
			run("cert", "jwt", "--key", key, "--iss", "i")
		}
	}
	for _, file := range []string{at("plug", "ca-key.pem"), at("plug", "cert-chain.pem")} {
		damage(t, own[1], file)
		run("ca", "verify", at("plug"))
		run("ca", "import", "--dir", at("new"), at("plug"))
	}
	damage(t, own[1], own[1])
	run("ca", "issue", "--dir", dir, "--ns", "shop", "--sa", "db", "-o", "files="+at("out"))
	log, err := os.ReadFile(at("ca", "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if said.Len() < 10_000 {
		t.Fatalf("they said %d bytes only", said.Len())
	}
	for _, secret := range secrets {
		if bytes.Contains(said.Bytes(), secret) || bytes.Contains(log, secret) {
			t.Errorf("%.6s... of a private key is shown", secret)
		}
	}
}

// damage writes a key that lacks a piece in the middle.
func damage(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("MIG"), []byte("MIX"), 1)
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
