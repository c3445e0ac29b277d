package inspect

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"

	jose "github.com/go-jose/go-jose/v4"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/meshctl/meshctl/pkg/certs"
)

// binary reads DER: a PKCS #12 file, a key, a request, or certificates one after
// the other.
func (r *reader) binary(der []byte) error {
	var first asn1.RawValue
	if _, err := asn1.Unmarshal(der, &first); err != nil {
		return r.fail(0, errors.New("it begins as DER does, and is cut off or damaged"), "copy it anew, as binary")
	}
	if isStore(first.Bytes) {
		return r.store(der)
	}
	if key, err := certs.DecodeKey(der); err == nil {
		r.add(0, DER, Entry{Key: key, Public: key.Public()})
		return nil
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		r.add(0, DER, Entry{Public: key})
		return nil
	}
	if request, err := x509.ParseCertificateRequest(der); err == nil {
		r.add(0, DER, Entry{Request: request})
		return nil
	}
	for rest := der; len(rest) > 0; {
		var one asn1.RawValue
		after, err := asn1.Unmarshal(rest, &one)
		if err != nil {
			return r.fail(0, errors.New("what follows the first certificate is cut off or damaged"), "copy it anew, as binary")
		}
		r.certificate(0, DER, one.FullBytes)
		rest = after
	}
	if len(r.entries) == 0 {
		return r.fail(0, errForeign, howToGive)
	}
	return nil
}

// isStore tells PKCS #12, which begins with its version and names data that is
// protected.
func isStore(content []byte) bool {
	var version int
	rest, err := asn1.Unmarshal(content, &version)
	if err != nil || version != 3 {
		return false
	}
	var info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
	}
	_, err = asn1.Unmarshal(rest, &info)
	return err == nil
}

// maxRounds is a second of hashing; files that are in use ask for a thousandth
// to a half of it.
const maxRounds = 1_000_000

// rounds is the largest number of moderate size in a text of DER, at all depths
// that are not encrypted: what it can ask for of hashing.
func rounds(der []byte, depth int) int64 {
	const deepest, longest = 24, 8
	var most int64
	for len(der) > 0 && depth < deepest {
		var value asn1.RawValue
		rest, err := asn1.Unmarshal(der, &value)
		if err != nil {
			break
		}
		n := int64(0)
		switch {
		case value.Class == asn1.ClassUniversal && value.Tag == asn1.TagInteger:
			if len(value.Bytes) > longest {
				break
			}
			if _, err := asn1.Unmarshal(value.FullBytes, &n); err != nil {
				n = 0
			}
		case value.IsCompound || value.Class == asn1.ClassUniversal && value.Tag == asn1.TagOctetString:
			n = rounds(value.Bytes, depth+1)
		}
		most, der = max(most, n), rest
	}
	return most
}

// store reads PKCS #12: a key with its chain, or certificates that Java trusts
// (CA-49).
func (r *reader) store(der []byte) error {
	if n := rounds(der, 0); n > maxRounds {
		return r.fail(0, fmt.Errorf("a PKCS #12 file that asks for %d rounds of hashing, which takes too long: at most %d are done", n, maxRounds), "make it anew: meshctl cert convert --to pkcs12")
	}
	var password []byte
	if r.options.Password != nil {
		var err error
		if password, err = r.options.Password(); err != nil {
			return r.fail(0, err, "")
		}
	}
	key, leaf, above, err := pkcs12.DecodeChain(der, string(password))
	if err == nil {
		signer, ok := key.(crypto.Signer)
		if !ok {
			return r.fail(0, fmt.Errorf("a key of type %T cannot sign", key), "")
		}
		r.add(0, PKCS12, Entry{Key: signer, Public: signer.Public()})
		r.add(0, PKCS12, Entry{Certificate: leaf})
		for _, c := range above {
			r.add(0, PKCS12, Entry{Certificate: c})
		}
		return nil
	}
	trusted, trustErr := pkcs12.DecodeTrustStore(der, string(password))
	switch {
	case trustErr == nil && len(trusted) > 0:
		for _, c := range trusted {
			r.add(0, PKCS12, Entry{Certificate: c, Trusted: true})
		}
		return nil
	case errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(trustErr, pkcs12.ErrIncorrectPassword):
		return r.fail(0, errors.New("the password does not open this PKCS #12 file"), "give it with --password-file or --password-fd")
	}
	return r.fail(0, errors.New("a PKCS #12 file that cannot be read: expected one key with its chain, or trusted certificates as Java marks them"), "make it anew: meshctl cert convert --to pkcs12")
}

// isKeySet tells a JWKS, or a single key of one.
func isKeySet(text []byte) bool {
	var set struct {
		Keys json.RawMessage `json:"keys"`
		Kind string          `json:"kty"`
	}
	return json.Unmarshal(text, &set) == nil && (set.Keys != nil || set.Kind != "")
}

// keySet reads a JWKS: a bundle of SPIFFE, whose keys have their certificates,
// or keys for tokens (CA-50).
func (r *reader) keySet(text []byte) error {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return r.fail(0, errors.New("no JWKS: keys is no list"), howToGive)
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{text}
	}
	for i, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil || !key.Valid() {
			return r.fail(0, fmt.Errorf("key %d of the JWKS cannot be read: its kind is not known, or a part of it is missing", i+1), "make it anew: meshctl cert convert --to jwks")
		}
		r.webKey(&key)
	}
	if len(r.entries) == 0 {
		return r.fail(0, errors.New("a JWKS without keys"), "")
	}
	return nil
}

func (r *reader) webKey(key *jose.JSONWebKey) {
	if len(key.Certificates) > 0 {
		for _, c := range key.Certificates {
			r.add(0, JWKS, Entry{Certificate: c, Trusted: key.Use == "x509-svid"})
		}
		return
	}
	if signer, ok := key.Key.(crypto.Signer); ok {
		r.add(0, JWKS, Entry{Key: signer, Public: signer.Public()})
		return
	}
	r.add(0, JWKS, Entry{Public: key.Key})
}
