package policy_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/meshctl/meshctl/pkg/policy"
)

// noon is the time of all tests with real tokens.
var noon = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

// keyring has a private key for every family of algorithms.
type keyring struct {
	rsa, rsaOther    *rsa.PrivateKey
	p256, p384, p521 *ecdsa.PrivateKey
	edwards          ed25519.PrivateKey
	secret           []byte
}

// ring is made once: RSA keys take their time.
var ring = sync.OnceValue(func() *keyring {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var k keyring
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.rsaOther, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	for curve, key := range map[elliptic.Curve]**ecdsa.PrivateKey{elliptic.P256(): &k.p256, elliptic.P384(): &k.p384, elliptic.P521(): &k.p521} {
		*key, err = ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
	}
	_, k.edwards, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	k.secret = []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	return &k
})

// publicJWK is a key for a JWKS as another library writes it, with members
// changed, or taken out by nil.
func publicJWK(t testing.TB, private any, change map[string]any) string {
	t.Helper()
	k := jose.JSONWebKey{Key: private}
	if _, secret := private.([]byte); !secret {
		k = k.Public()
	}
	text, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		members[name] = value
		if value == nil {
			delete(members, name)
		}
	}
	if text, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func jwks(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// signed is a token as another library makes it.
func signed(t testing.TB, key any, algorithm, kid, claims string) string {
	t.Helper()
	o := &jose.SignerOptions{}
	if kid != "" {
		o = o.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := token.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// crafted is a token with any header and payload, signed with HS256 all the
// same.
func crafted(secret []byte, header, payload string) string {
	return sealed(secret, base64.RawURLEncoding.EncodeToString([]byte(header)), base64.RawURLEncoding.EncodeToString([]byte(payload)))
}

func sealed(secret []byte, header, payload string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(header + "." + payload))
	return header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// bearer sends a real token where most clients do.
func bearer(jwt string) change {
	return token(policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", JWT: jwt})
}

// keys reads a JWKS that must be good.
func keys(t testing.TB, text string) *policy.Keys {
	t.Helper()
	k, err := policy.ParseKeys([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// modelAt compiles the workload with what the manifests do not say.
func modelAt(t testing.TB, o policy.Options, policies ...string) *policy.Model {
	t.Helper()
	s := snapshot(t, docs(append([]string{workloadYAML}, policies...)...), "")
	return o.Compile(s, s.Workload("shop", "app"))
}
