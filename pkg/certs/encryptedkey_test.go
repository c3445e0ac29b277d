package certs_test

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/certs"
)

func keyFile(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "keys", name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestEncryptedKeys: what openssl encrypts is opened with the right passphrase
// only, and what cannot be read, or would take too long, says so (CA-56).
func TestEncryptedKeys(t *testing.T) {
	t.Parallel()
	plain, err := certs.ParseKey(keyFile(t, "plain"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aes128-sha1", "aes192-sha512", "aes256-sha256", "aes256-sha384", "des3-sha256"} {
		text := keyFile(t, name)
		if _, err := certs.ParseKey(text); !errors.Is(err, certs.ErrEncrypted) {
			t.Errorf("%s: %v", name, err)
		}
		if key, err := certs.DecryptKey(text, []byte("battery")); err != nil || !certs.EqualKeys(key.Public(), plain.Public()) {
			t.Errorf("%s: %v", name, err)
		}
		for _, wrong := range []string{"", "Battery", "battery "} {
			if _, err := certs.DecryptKey(text, []byte(wrong)); !errors.Is(err, certs.ErrPassphrase) {
				t.Errorf("%s, passphrase %q: %v", name, wrong, err)
			}
		}
	}
	cut := keyFile(t, "aes256-sha256")
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"openssl's own, of old": {keyFile(t, "legacy"), "expected one PEM block ENCRYPTED PRIVATE KEY"},
		"scrypt":                {keyFile(t, "scrypt"), "encrypted in a way that is not read here"},
		"PBES1":                 {keyFile(t, "pbe1"), "encrypted in a way that is not read here"},
		"three million rounds":  {keyFile(t, "slow"), "3000000 rounds of hashing: at most 2000000"},
		"cut off":               {cut[:len(cut)-60], "line 1: block ENCRYPTED PRIVATE KEY has no end"},
		"a key in the clear":    {keyFile(t, "plain"), "expected one PEM block ENCRYPTED PRIVATE KEY"},
		"no DER":                {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}), "damaged"},
		"nothing":               {nil, "expected one PEM block"},
	} {
		if _, err := certs.DecryptKey(tt.text, []byte("battery")); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

// TestEncryptKey: what is encrypted is opened again, and never the same.
func TestEncryptKey(t *testing.T) {
	t.Parallel()
	for _, kind := range []certs.KeyAlgorithm{certs.P256, certs.RSA2048, certs.Ed25519} {
		key := newKey(t, kind)
		first, err := certs.EncryptKey(rand.Reader, key, []byte("correct horse"))
		if err != nil {
			t.Fatal(err)
		}
		second, err := certs.EncryptKey(rand.Reader, key, []byte("correct horse"))
		if err != nil || bytes.Equal(first, second) {
			t.Errorf("twice the same, or %v", err)
		}
		if again, err := certs.DecryptKey(first, []byte("correct horse")); err != nil || !certs.EqualKeys(again.Public(), key.Public()) {
			t.Error(err)
		}
		if _, err := certs.DecryptKey(first, []byte("correct hors")); !errors.Is(err, certs.ErrPassphrase) {
			t.Error(err)
		}
	}
}

// FuzzDecryptKey: no text makes it panic, and none tells what it holds.
func FuzzDecryptKey(f *testing.F) {
	for _, name := range []string{"aes128-sha1", "des3-sha256", "scrypt", "pbe1"} {
		block, _ := pem.Decode(keyFile(f, name))
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		text := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})
		key, err := certs.DecryptKey(text, []byte("battery"))
		if err == nil && key.Public() == nil {
			t.Error("a key without a public half")
		}
	})
}
