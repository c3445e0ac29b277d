package jwt_test

import (
	"crypto"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/jwt"
)

var noon = time.Date(2030, time.January, 2, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB, a certs.KeyAlgorithm) crypto.Signer {
	t.Helper()
	key, err := certs.GenerateKey(a)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSigner(t testing.TB, a certs.KeyAlgorithm) *jwt.Signer {
	t.Helper()
	s, err := jwt.NewSigner(newKey(t, a))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read verifies a token with a JWKS, and gives its claims.
func read(t *testing.T, token string, keys []byte) (kind, claims string) {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(keys, &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	header := parsed.Signatures[0].Header
	found := set.Key(header.KeyID)
	if len(found) != 1 || !found[0].IsPublic() || found[0].Use != "sig" {
		t.Fatalf("%d keys of the ID %s", len(found), header.KeyID)
	}
	text, err := parsed.Verify(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(header.Algorithm, " ", header.ExtraHeaders["typ"]), string(text)
}

// TestTokens: what is signed verifies with the JWKS, which has no private part
// (CA-50, CA-51).
func TestTokens(t *testing.T) {
	t.Parallel()
	for algorithm, want := range map[certs.KeyAlgorithm]string{certs.P256: "ES256 JWT", certs.RSA2048: "RS256 JWT"} {
		s := newSigner(t, algorithm)
		keys, err := s.JWKS()
		if err != nil || strings.Contains(string(keys), `"d"`) {
			t.Fatalf("%s, %v", keys, err)
		}
		token, err := s.Sign(jwt.Claims{Issuer: "i", Subject: "alice", Audiences: []string{"a", "b"}, Others: map[string]any{"groups": []string{"admin"}}}, noon)
		if err != nil {
			t.Fatal(err)
		}
		kind, claims := read(t, token, keys)
		if wanted := `{"aud":["a","b"],"exp":1893589200,"groups":["admin"],"iat":1893585600,"iss":"i","sub":"alice"}`; kind != want || claims != wanted {
			t.Errorf("%s: %s %s", algorithm, kind, claims)
		}
	}
}

// TestLives: an hour unless told otherwise, and less than nothing for a token
// that has expired; tokens of SPIFFE IDs keep to SPIFFE's rules (CA-51).
func TestLives(t *testing.T) {
	t.Parallel()
	s := newSigner(t, certs.P256)
	keys, err := s.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	spiffe := "spiffe://td/ns/shop/sa/web"
	for _, tt := range []struct {
		claims jwt.Claims
		want   string
	}{
		{jwt.Claims{Issuer: "i", TTL: 24 * time.Hour}, `{"exp":1893672000,"iat":1893585600,"iss":"i"}`},
		{jwt.Claims{Issuer: "i", TTL: -time.Hour}, `{"exp":1893582000,"iat":1893578400,"iss":"i"}`},
		{jwt.Claims{Others: map[string]any{"iss": "file"}}, `{"exp":1893589200,"iat":1893585600,"iss":"file"}`},
		{jwt.Claims{Issuer: "flag", Others: map[string]any{"iss": "file"}}, `{"exp":1893589200,"iat":1893585600,"iss":"flag"}`},
		{jwt.Claims{Issuer: "i", Subject: spiffe, Audiences: []string{"a"}}, `{"aud":"a","exp":1893589200,"iat":1893585600,"iss":"i","sub":"spiffe://td/ns/shop/sa/web"}`},
		{jwt.Claims{}, "no issuer: a RequestAuthentication finds its rule by it"},
		{jwt.Claims{Issuer: "i", Subject: spiffe}, "subject spiffe://td/ns/shop/sa/web: the token of a SPIFFE ID needs an audience"},
		{jwt.Claims{Issuer: "i", Subject: spiffe, Audiences: []string{"a"}, TTL: 2 * time.Hour}, "subject spiffe://td/ns/shop/sa/web: the token of a SPIFFE ID lasts for 1h0m0s at most, and not for 2h0m0s"},
		{jwt.Claims{Issuer: "i", Subject: "spiffe://TD/x", Audiences: []string{"a"}}, `subject: SPIFFE ID "spiffe://TD/x": trust domain "TD": upper case is not allowed; did you mean "td"?`},
	} {
		token, err := s.Sign(tt.claims, noon)
		got := fmt.Sprint(err)
		if err == nil {
			_, got = read(t, token, keys)
		}
		if got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.claims, got, tt.want)
		}
	}
}

// TestSigningKeys: Envoy verifies RS256 and ES256, and nothing is signed that it
// does not (CA-16, CA-51).
func TestSigningKeys(t *testing.T) {
	t.Parallel()
	for algorithm, want := range map[certs.KeyAlgorithm]string{
		certs.P384:    "key of the kind P-384: tokens are signed with P-256 or RSA",
		certs.Ed25519: "key of the kind Ed25519: tokens are signed with P-256 or RSA",
	} {
		if _, err := jwt.NewSigner(newKey(t, algorithm)); fmt.Sprint(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestRequestAuthentication: the policy holds the issuer, the audiences and the
// keys that a token verifies with.
func TestRequestAuthentication(t *testing.T) {
	t.Parallel()
	s := newSigner(t, certs.P256)
	text, err := s.RequestAuthentication("i", []string{"a"}, "jwt", "shop")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Kind     string
		Metadata struct{ Name, Namespace string }
		Spec     struct {
			JwtRules []struct {
				Issuer, Jwks string
				Audiences    []string
			}
		}
	}
	if err := yaml.Unmarshal(text, &policy); err != nil || len(policy.Spec.JwtRules) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	rule := policy.Spec.JwtRules[0]
	token, err := s.Sign(jwt.Claims{Issuer: rule.Issuer}, noon)
	if err != nil {
		t.Fatal(err)
	}
	read(t, token, []byte(rule.Jwks))
	if policy.Kind != "RequestAuthentication" || policy.Metadata.Name != "jwt" || policy.Metadata.Namespace != "shop" || fmt.Sprint(rule.Audiences) != "[a]" {
		t.Errorf("%s", text)
	}
}

// TestSetClaim: values that are JSON are taken as such, and dots lead into
// objects.
func TestSetClaim(t *testing.T) {
	t.Parallel()
	claims := map[string]any{}
	for _, c := range [][2]string{{"a", "text"}, {"b", "1"}, {"c", `["x"]`}, {"d.e.f", "true"}, {"d.g", `{"h":null}`}} {
		if err := jwt.SetClaim(claims, strings.Split(c[0], "."), c[1]); err != nil {
			t.Error(err)
		}
	}
	text, err := json.Marshal(claims)
	if want := `{"a":"text","b":1,"c":["x"],"d":{"e":{"f":true},"g":{"h":null}}}`; err != nil || string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	if err := jwt.SetClaim(claims, []string{"a", "b"}, "1"); fmt.Sprint(err) != "a is no object" {
		t.Error(err)
	}
}
