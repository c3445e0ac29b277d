package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// Keys are the keys of a JWKS that Envoy can use.
type Keys struct {
	keys []key
	text string
}

// Text is the JWKS as it was read.
func (k *Keys) Text() string { return k.text }

// key is one of them: an *rsa.PublicKey, an *ecdsa.PublicKey, an
// ed25519.PublicKey, or a secret ([]byte).
type key struct {
	id, algorithm string // "" fits any
	value         any
}

// ParseKeys reads a JWKS, or an object of PEM certificates by key ID, as Envoy
// does: a key that it cannot use is left out, and what it does not look at (use,
// x5c, the private part) does not matter. It fails if no key is left, with what
// is wrong with each (DP-5). RSA keys under 1024 bits, which Envoy takes, are
// not supported.
func ParseKeys(jwks []byte) (*Keys, error) {
	set, ok := readObject(jwks)
	if !ok {
		return nil, errors.New("not a JWKS: expected a JSON object without repeated names")
	}
	member, ok := set["keys"]
	if !ok {
		return certificates(jwks, set)
	}
	list, ok := member.([]any)
	if !ok {
		return nil, errors.New("not a JWKS: keys: expected a list")
	}
	all := Keys{text: string(jwks)}
	var problems []string
	for i, item := range list {
		k, err := parseKey(item)
		if err != nil {
			problems = append(problems, fmt.Sprintf("keys[%d]: %v", i, err))
			continue
		}
		all.keys = append(all.keys, k)
	}
	if all.keys == nil {
		return nil, errors.New(strings.Join(append([]string{"no key that Envoy can use"}, problems...), "; "))
	}
	return &all, nil
}

// certificates reads RSA keys from certificates. One bad certificate spoils all.
func certificates(jwks []byte, set map[string]any) (*Keys, error) {
	all := Keys{text: string(jwks)}
	for _, id := range slices.Sorted(maps.Keys(set)) {
		text, _ := set[id].(string)
		block, rest := pem.Decode([]byte(text))
		if id == "" || block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
			return nil, errors.New("not a JWKS: expected \"keys\", or certificates in PEM by key ID")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("not a JWKS: malformed certificate")
		}
		public, ok := certificate.PublicKey.(*rsa.PublicKey)
		if !ok {
			return nil, errors.New("not a JWKS: certificate without an RSA key")
		}
		all.keys = append(all.keys, key{id: id, value: public})
	}
	if all.keys == nil {
		return nil, errors.New("not a JWKS: no \"keys\"")
	}
	return &all, nil
}

// jwk is a JSON web key. Its accessors take another type for a missing member.
type jwk map[string]any

func (j jwk) text(name string) string {
	s, _ := j[name].(string)
	return s
}

// number reads a number of any length, leading zeros allowed.
func (j jwk) number(name string) (*big.Int, bool) {
	data, ok := decodeBase64(j.text(name))
	return new(big.Int).SetBytes(data), ok && len(data) > 0
}

// parseKey reads one key. The algorithm, if there is one, must be for keys of
// its type (DP-32).
func parseKey(item any) (key, error) {
	members, ok := item.(map[string]any)
	if !ok {
		return key{}, errors.New("expected an object")
	}
	j := jwk(members)
	k := key{id: j.text("kid"), algorithm: j.text("alg")}
	families := map[string][]string{"RSA": {"", "RS", "PS"}, "EC": {"", "ES"}, "oct": {"", "HS256", "HS384", "HS512"}, "OKP": {"", "EdDSA"}}
	kind := j.text("kty")
	allowed, ok := families[kind]
	if !ok {
		return key{}, errors.New("kty: expected RSA, EC, OKP or oct")
	}
	family := k.algorithm
	if kind == "RSA" || kind == "EC" {
		family = family[:min(2, len(family))]
	}
	if !slices.Contains(allowed, family) {
		return key{}, fmt.Errorf("alg: not one of %s keys", kind)
	}
	var err error
	switch kind {
	case "RSA":
		k.value, err = j.rsa()
	case "EC":
		k.value, err = j.ec()
	case "OKP":
		k.value, err = j.edwards()
	default:
		k.value, err = j.secret()
	}
	return k, err
}

func (j jwk) rsa() (any, error) {
	const least, most = 1024, 16384
	n, okN := j.number("n")
	e, okE := j.number("e")
	switch {
	case !okN || !okE:
		return nil, errors.New("n, e: expected base64url")
	case !e.IsInt64() || e.Int64() != 3 && e.Int64() != 65537:
		return nil, errors.New("e: expected 3 or 65537")
	case n.Bit(0) == 0 || n.BitLen() < least || n.BitLen() > most:
		return nil, fmt.Errorf("n: expected an odd number of %d to %d bits", least, most)
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func (j jwk) ec() (any, error) {
	algorithm, name := j.text("alg"), j.text("crv")
	named := map[string]string{"": "P-256", "ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm]
	if name == "" {
		name = named
	}
	curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[name]
	if curve == nil || algorithm != "" && name != named {
		return nil, errors.New("crv: expected P-256, P-384 or P-521, as alg has it")
	}
	x, okX := j.number("x")
	y, okY := j.number("y")
	bits := curve.Params().BitSize
	if !okX || !okY || x.BitLen() > bits || y.BitLen() > bits {
		return nil, errors.New("x, y: expected base64url of the curve's size")
	}
	size := (bits + 7) / 8
	point := make([]byte, 1+2*size)
	const uncompressed = 4
	point[0] = uncompressed
	x.FillBytes(point[1 : 1+size])
	y.FillBytes(point[1+size:])
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errors.New("x, y: not a point of the curve")
	}
	return public, nil
}

func (j jwk) edwards() (any, error) {
	x, ok := decodeBase64(j.text("x"))
	if j.text("crv") != "Ed25519" || !ok || len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("crv, x: expected Ed25519 and %d bytes in base64url", ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(x), nil
}

func (j jwk) secret() (any, error) {
	k, ok := decodeBase64(j.text("k"))
	if !ok || len(k) == 0 {
		return nil, errors.New("k: expected base64url")
	}
	return k, nil
}

// verify tries the keys that fit a token's kid and alg, in their order (DP-32).
func (k *Keys) verify(t *compact) jwtStatus {
	status := jwtNoKey
	for i := range k.keys {
		key := &k.keys[i]
		if t.keyID != "" && key.id != "" && key.id != t.keyID || key.algorithm != "" && key.algorithm != t.algorithm {
			continue
		}
		status = jwtSignature
		if _, edwards := key.value.(ed25519.PublicKey); edwards && len(t.signature) != ed25519.SignatureSize {
			return status // Envoy looks no further, even if the token is of another algorithm
		}
		if key.verifies(t) {
			return jwtOK
		}
	}
	return status
}

// verifies checks a signature. As in Envoy it is the key that says how, and the
// token's alg only says which hash function, SHA-256 if alg is of another
// family; RSA alone wants its own.
func (k *key) verifies(t *compact) bool {
	switch value := k.value.(type) {
	case *rsa.PublicKey:
		hash := hashOf(t.algorithm, "RS", "PS")
		switch t.algorithm[:2] {
		case "RS":
			return rsa.VerifyPKCS1v15(value, hash, digest(hash, t.signed), t.signature) == nil
		case "PS":
			return rsa.VerifyPSS(value, hash, digest(hash, t.signed), t.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
	case *ecdsa.PublicKey:
		half := len(t.signature) / 2
		r, s := new(big.Int).SetBytes(t.signature[:half]), new(big.Int).SetBytes(t.signature[half:2*half])
		return ecdsa.Verify(value, digest(hashOf(t.algorithm, "ES"), t.signed), r, s)
	case ed25519.PublicKey:
		return ed25519.Verify(value, []byte(t.signed), t.signature)
	case []byte:
		mac := hmac.New(hashOf(t.algorithm, "HS").New, value)
		mac.Write([]byte(t.signed))
		return hmac.Equal(mac.Sum(nil), t.signature)
	}
	return false
}

func hashOf(algorithm string, families ...string) crypto.Hash {
	if slices.Contains(families, algorithm[:2]) {
		switch algorithm[2:] {
		case "384":
			return crypto.SHA384
		case "512":
			return crypto.SHA512
		}
	}
	return crypto.SHA256
}

func digest(hash crypto.Hash, text string) []byte {
	h := hash.New()
	h.Write([]byte(text))
	return h.Sum(nil)
}
