package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// TestKeyIDs: a key's identifier is that of RFC 7093, of the bits that its
// encoding has (CA-12).
func TestKeyIDs(t *testing.T) {
	t.Parallel()
	for _, kind := range KeyAlgorithms() {
		key, err := GenerateKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		var info struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		if _, err := asn1.Unmarshal(encoded, &info); err != nil {
			t.Fatal(err)
		}
		want := sha256.Sum256(info.Key.Bytes)
		if got, err := keyID(key.Public()); err != nil || !bytes.Equal(got, want[:20]) {
			t.Errorf("%s: %x, %v, want %x", kind, got, err, want[:20])
		}
	}
	if _, err := keyID("no key"); err == nil {
		t.Error("what is no key has an identifier")
	}
}
