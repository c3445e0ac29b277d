package policy_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// verdictOf says what one provider with these keys makes of a token.
func verdictOf(t testing.TB, set, token string) string {
	t.Helper()
	o := policy.Options{Now: noon, Keys: map[string]*policy.Keys{"": keys(t, set)}}
	v := modelAt(t, o, jwtPolicy("issuer: a, jwksUri: https://keys/")).Evaluate(request(bearer(token)))
	return strings.TrimSpace(fmt.Sprint(v.HTTPStatus, " ", strings.TrimPrefix(v.Reason, "request authentication: ")))
}

const (
	verified = "200"
	forged   = "401 signature does not verify"
	noKey    = "401 no key has the token's kid and alg"
)

// TestAlgorithms: tokens that another library signed verify, with its JWK, and
// with any bit changed they do not (DP-31).
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	k := ring()
	signers := map[string]any{
		"RS256": k.rsa, "RS384": k.rsa, "RS512": k.rsa, "PS256": k.rsa, "PS384": k.rsa, "PS512": k.rsa,
		"ES256": k.p256, "ES384": k.p384, "ES512": k.p521, "EdDSA": k.edwards,
		"HS256": k.secret, "HS384": k.secret, "HS512": k.secret,
	}
	for algorithm, private := range signers {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			set := jwks(publicJWK(t, private, nil))
			token := signed(t, private, algorithm, "", `{"iss":"a"}`)
			if got := verdictOf(t, set, token); got != verified {
				t.Errorf("good: %s", got)
			}
			at := strings.LastIndex(token, ".")
			signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range []int{0, len(signature) / 2, len(signature) - 1} {
				signature[i] ^= 1
				if got := verdictOf(t, set, token[:at+1]+base64.RawURLEncoding.EncodeToString(signature)); got != forged {
					t.Errorf("byte %d changed: %s", i, got)
				}
				signature[i] ^= 1
			}
			other := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"a","admin":true}`))
			if got := verdictOf(t, set, token[:strings.Index(token, ".")+1]+other+token[at:]); got != forged {
				t.Errorf("another payload: %s", got)
			}
		})
	}
}

// ecdsaToken is signed by a key that its alg is not for.
func ecdsaToken(t testing.TB, private *ecdsa.PrivateKey, algorithm string, digest func(string) []byte) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+algorithm+`"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"a"}`))
	r, s, err := ecdsa.Sign(rand.Reader, private, digest(text))
	if err != nil {
		t.Fatal(err)
	}
	size := (private.Curve.Params().BitSize + 7) / 8
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...))
}

// TestKeyChoice: which keys are tried (DP-32), as measured with Envoy 1.40.
func TestKeyChoice(t *testing.T) {
	t.Parallel()
	k := ring()
	rsa := func(more map[string]any) string { return publicJWK(t, k.rsa, more) }
	other := func(more map[string]any) string { return publicJWK(t, k.rsaOther, more) }
	member := func(name string, value any) map[string]any { return map[string]any{name: value} }
	const claims = `{"iss":"a"}`
	plain, named := signed(t, k.rsa, "RS256", "", claims), signed(t, k.rsa, "RS256", "1", claims)
	sha256Sum := func(s string) []byte { d := sha256.Sum256([]byte(s)); return d[:] }
	sha512Sum := func(s string) []byte { d := sha512.Sum512([]byte(s)); return d[:] }
	edwards := publicJWK(t, k.edwards, nil)
	tests := []struct{ rule, set, token, want string }{
		{"kid", jwks(other(member("kid", "2")), rsa(member("kid", "1"))), named, verified},
		{"another kid", jwks(rsa(member("kid", "2"))), named, noKey},
		{"kid twice", jwks(other(member("kid", "1")), rsa(member("kid", "1"))), named, verified},
		{"kid and a key without", jwks(other(member("kid", "1")), rsa(nil)), named, verified},
		{"kid of the wrong key", jwks(other(member("kid", "1")), rsa(member("kid", "2"))), named, forged},
		{"keys without kid", jwks(other(nil), rsa(nil)), named, verified},
		{"empty kid of a key", jwks(rsa(member("kid", ""))), named, verified},
		{"kid of a key that is no text", jwks(rsa(member("kid", 7))), named, verified},
		{"token without kid", jwks(other(member("kid", "1")), rsa(member("kid", "2"))), plain, verified},
		{"alg of the key", jwks(rsa(member("alg", "RS256"))), plain, verified},
		{"another alg of the key", jwks(rsa(member("alg", "RS512"))), plain, noKey},
		{"use and key_ops", jwks(rsa(map[string]any{"use": "enc", "key_ops": []string{"sign"}})), plain, verified},
		{"x5c and d", jwks(rsa(map[string]any{"x5c": []string{"x"}, "d": "!"})), plain, verified},
		{"other keys", jwks(publicJWK(t, k.secret, nil), publicJWK(t, k.p256, nil), rsa(nil)), plain, verified},
		{"an Ed25519 key without alg ends the search", jwks(edwards, rsa(nil)), plain, forged},
		{"with alg it does not", jwks(publicJWK(t, k.edwards, member("alg", "EdDSA")), rsa(nil)), plain, verified},
		{"the key says how, RS256 by ECDSA", jwks(publicJWK(t, k.p256, nil)), ecdsaToken(t, k.p256, "RS256", sha256Sum), verified},
		{"SHA-256 for another family", jwks(publicJWK(t, k.p256, nil)), ecdsaToken(t, k.p256, "RS512", sha512Sum), forged},
		{"ES256 by a P-384 key", jwks(publicJWK(t, k.p384, nil)), ecdsaToken(t, k.p384, "ES256", sha256Sum), verified},
		{"ES256 by a secret", jwks(publicJWK(t, k.secret, nil)), crafted(k.secret, `{"alg":"ES256"}`, claims), verified},
		{"ES256 by RSA", jwks(rsa(nil)), signed(t, k.p256, "ES256", "", claims), forged},
		{"HS256 with the modulus as secret", jwks(rsa(nil)), crafted(k.rsa.N.Bytes(), `{"alg":"HS256"}`, claims), forged},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			if got := verdictOf(t, tt.set, tt.token); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestKeyForms: keys as Envoy reads them.
func TestKeyForms(t *testing.T) {
	t.Parallel()
	k := ring()
	const claims = `{"iss":"a"}`
	text := func(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
	p256 := func(more map[string]any) string { return jwks(publicJWK(t, k.p256, more)) }
	point, err := k.p256.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x := point[1:33]
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &k.rsa.PublicKey, k.rsa)
	if err != nil {
		t.Fatal(err)
	}
	byID, err := json.Marshal(map[string]string{"1": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))})
	if err != nil {
		t.Fatal(err)
	}
	es256, rs256 := signed(t, k.p256, "ES256", "", claims), signed(t, k.rsa, "RS256", "1", claims)
	tests := []struct{ name, set, token string }{
		{"no crv is P-256", p256(map[string]any{"crv": nil}), es256},
		{"crv by alg", jwks(publicJWK(t, k.p384, map[string]any{"crv": "", "alg": "ES384"})), signed(t, k.p384, "ES384", "", claims)},
		{"a zero before a coordinate", p256(map[string]any{"x": text(append([]byte{0}, x...))}), es256},
		{"padding", p256(map[string]any{"x": text(x) + "="}), es256},
		{"blanks", p256(map[string]any{"x": " " + text(x) + "\n"}), es256},
		{"a zero before the modulus", jwks(publicJWK(t, k.rsa, map[string]any{"n": text(append([]byte{0}, k.rsa.N.Bytes()...))})), rs256},
		{"certificates by kid", string(byID), rs256},
		{"bad keys beside a good one", jwks(`7`, `null`, `{}`, `{"kty":"foo"}`, `{"kty":"RSA"}`, `{"kty":"oct","k":"!"}`, publicJWK(t, k.rsa, nil)), rs256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := verdictOf(t, tt.set, tt.token); got != verified {
				t.Error(got)
			}
		})
	}
}

// TestBadKeys: a JWKS without a key that Envoy can use (DP-5). The errors show
// nothing of the keys.
func TestBadKeys(t *testing.T) {
	t.Parallel()
	const noJSON = "not a JWKS: expected a JSON object without repeated names"
	const noSet = `not a JWKS: expected "keys", or certificates in PEM by key ID`
	bad := func(why string) string { return "no key that Envoy can use; keys[0]: " + why }
	tests := []struct{ text, want string }{
		{``, noJSON},
		{`secret`, noJSON},
		{`[]`, noJSON},
		{`{"keys":[],"keys":[]}`, noJSON},
		{`{"keys":[{"kty":"oct","k":"secret","k":"secret"}]}`, noJSON},
		{`{}`, `not a JWKS: no "keys"`},
		{`{"kty":"oct","k":"secret"}`, noSet},
		{`{"a":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}`, "not a JWKS: malformed certificate"},
		{`{"keys":{}}`, "not a JWKS: keys: expected a list"},
		{`{"keys":[]}`, "no key that Envoy can use"},
		{jwks(`"secret"`), bad("expected an object")},
		{jwks(`{"k":"secret"}`), bad("kty: expected RSA, EC, OKP or oct")},
		{jwks(`{"kty":"secret"}`), bad("kty: expected RSA, EC, OKP or oct")},
		{jwks(`{"kty":"oct","alg":"RS256","k":"secret"}`), bad("alg: not one of oct keys")},
		{jwks(`{"kty":"RSA","alg":"ES256"}`), bad("alg: not one of RSA keys")},
		{jwks(`{"kty":"oct","k":""}`), bad("k: expected base64url")},
		{jwks(`{"kty":"oct","k":"secret!"}`), bad("k: expected base64url")},
		{jwks(`{"kty":"RSA","n":"secret!","e":"AQAB"}`), bad("n, e: expected base64url")},
		{jwks(`{"kty":"RSA","n":"AQAB","e":"EQ"}`), bad("e: expected 3 or 65537")},
		{jwks(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`), bad("n: expected an odd number of 1024 to 16384 bits")},
		{jwks(`{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`), bad("crv: expected P-256, P-384 or P-521, as alg has it")},
		{jwks(`{"kty":"EC","crv":"P-256","alg":"ES384","x":"AA","y":"AA"}`), bad("crv: expected P-256, P-384 or P-521, as alg has it")},
		{jwks(`{"kty":"EC","x":"AA"}`), bad("x, y: expected base64url of the curve's size")},
		{jwks(`{"kty":"EC","x":"AA","y":"AA"}`), bad("x, y: not a point of the curve")},
		{jwks(`{"kty":"OKP","crv":"X25519","x":"AA"}`), bad("crv, x: expected Ed25519 and 32 bytes in base64url")},
		{jwks(`{}`, `7`), bad("kty: expected RSA, EC, OKP or oct; keys[1]: expected an object")},
	}
	for _, tt := range tests {
		if _, err := policy.ParseKeys([]byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
		}
	}
}

// TestWhichKeys: inline keys, else those for the jwksUri, the issuer, or all
// (RA-19).
func TestWhichKeys(t *testing.T) {
	t.Parallel()
	k := ring()
	set := func(secret string) string { return jwks(publicJWK(t, []byte(secret), nil)) }
	o := policy.Options{Now: noon, Keys: map[string]*policy.Keys{
		"https://keys/": keys(t, set("by address")), "a": keys(t, set("by issuer")), "": keys(t, set("by default")),
	}}
	inline := ", jwks: '" + jwks(publicJWK(t, k.secret, nil)) + "'"
	tests := []struct{ rule, issuer, secret string }{
		{"issuer: a, jwksUri: https://keys/" + inline, "a", string(k.secret)},
		{"issuer: a, jwksUri: https://keys/", "a", "by address"},
		{"issuer: a, jwksUri: https://others/", "a", "by issuer"},
		{"issuer: a", "a", "by issuer"},
		{"issuer: b, jwksUri: https://others/", "b", "by default"},
		{"issuer: b", "b", "by default"},
		{"jwksUri: https://others/", "a", "by default"},
	}
	for _, tt := range tests {
		m := modelAt(t, o, jwtPolicy(tt.rule))
		for _, secret := range []string{string(k.secret), "by address", "by issuer", "by default"} {
			v := m.Evaluate(request(bearer(crafted([]byte(secret), `{"alg":"HS256"}`, `{"iss":"`+tt.issuer+`"}`))))
			if got := v.Outcome == policy.Allow; got != (secret == tt.secret) {
				t.Errorf("%s: keys %s: %s (%s)", tt.rule, secret, v.Outcome, v.Reason)
			}
		}
	}
}

// TestUnusableInlineKeys: the provider tells what Envoy refuses (DP-5).
func TestUnusableInlineKeys(t *testing.T) {
	t.Parallel()
	m := modelAt(t, policy.Options{Keys: map[string]*policy.Keys{"": keys(t, jwks(publicJWK(t, ring().secret, nil)))}}, jwtPolicy(`issuer: a, jwks: '{"keys":[]}'`))
	if err := m.JWT.Providers[0].KeysErr; err == nil || err.Error() != "no key that Envoy can use" {
		t.Errorf("error %v", err)
	}
	v := m.Evaluate(request(bearer(crafted(ring().secret, `{"alg":"HS256"}`, `{"iss":"a"}`))))
	const want = `request authentication: Envoy refuses the listener: jwks of issuer "a": no key that Envoy can use`
	if v.Outcome != policy.Unknown || v.Stage != policy.Authentication || v.Reason != want {
		t.Errorf("%s at %s: %s", v.Outcome, v.Stage, v.Reason)
	}
}
