package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/certs"
)

// Lifetimes of tokens (CA-51).
const (
	DefaultTTL = time.Hour
	MaxTTL     = time.Hour // of tokens for SPIFFE IDs
)

// Claims are what a token says. Others may be beside those that have fields; iat
// and exp are always set.
type Claims struct {
	Issuer    string
	Subject   string
	Audiences []string
	TTL       time.Duration // 0 is DefaultTTL; less than 0 makes a token that has expired
	Others    map[string]any
}

// Signer signs tokens with one key.
type Signer struct {
	key       crypto.Signer
	algorithm jose.SignatureAlgorithm
	id        string
}

// NewSigner takes keys of which Envoy verifies signatures: RSA and P-256, with
// RS256 and ES256 (CA-51).
func NewSigner(key crypto.Signer) (*Signer, error) {
	s := &Signer{key: key}
	if err := certs.CheckKey(key.Public()); err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		s.algorithm = jose.RS256
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("key of the kind %s: tokens are signed with P-256 or RSA", certs.KeyName(k.Public()))
		}
		s.algorithm = jose.ES256
	default:
		return nil, fmt.Errorf("key of the kind %s: tokens are signed with P-256 or RSA", certs.KeyName(key.Public()))
	}
	var err error
	s.id, err = KeyID(key.Public())
	return s, err
}

// KeyID names a public key by its thumbprint (RFC 7638).
func KeyID(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// Sign makes a token. A SPIFFE ID as the subject is held to what SPIFFE says of
// its tokens: an audience, and an hour at most (CA-51).
func (s *Signer) Sign(c Claims, now time.Time) (string, error) {
	claims, err := c.all(now)
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: s.algorithm, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, options)
	if err != nil {
		return "", errors.New("the key cannot sign tokens") // the library may quote it
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", errors.New("the key cannot sign tokens")
	}
	return signed.CompactSerialize()
}

// all are the claims as they are written.
func (c *Claims) all(now time.Time) (map[string]any, error) {
	ttl := c.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	claims := maps.Clone(c.Others)
	if claims == nil {
		claims = map[string]any{}
	}
	set := func(name string, value any, given bool) {
		if given {
			claims[name] = value
		}
	}
	set("iss", c.Issuer, c.Issuer != "")
	set("sub", c.Subject, c.Subject != "")
	set("aud", c.Audiences, len(c.Audiences) > 1)
	if len(c.Audiences) == 1 {
		claims["aud"] = c.Audiences[0]
	}
	set("iat", now.Unix(), true)
	if ttl < 0 {
		claims["iat"] = now.Add(ttl).Add(-DefaultTTL).Unix()
	}
	set("exp", now.Add(ttl).Unix(), true)
	if claims["iss"] == nil {
		return nil, errors.New("no issuer: a RequestAuthentication finds its rule by it")
	}
	return claims, c.checkIdentity(claims, ttl)
}

// checkIdentity holds tokens of workloads to SPIFFE.
func (*Claims) checkIdentity(claims map[string]any, ttl time.Duration) error {
	subject, _ := claims["sub"].(string)
	const scheme = "spiffe://"
	if len(subject) < len(scheme) || subject[:len(scheme)] != scheme {
		return nil
	}
	if _, err := certs.ParseID(subject); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	switch {
	case claims["aud"] == nil:
		return fmt.Errorf("subject %s: the token of a SPIFFE ID needs an audience", subject)
	case ttl > MaxTTL:
		return fmt.Errorf("subject %s: the token of a SPIFFE ID lasts for %s at most, and not for %s", subject, MaxTTL, ttl)
	}
	return nil
}

// JWKS is the public key, as jwksUri serves it and jwks holds it (CA-50).
func (s *Signer) JWKS() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: s.id, Use: "sig", Algorithm: string(s.algorithm)}}})
}

// RequestAuthentication is a policy that takes tokens of an issuer with the
// signer's key.
func (s *Signer) RequestAuthentication(issuer string, audiences []string, name, namespace string) ([]byte, error) {
	keys, err := s.JWKS()
	if err != nil {
		return nil, err
	}
	rule := map[string]any{"issuer": issuer, "jwks": string(keys)}
	if len(audiences) > 0 {
		rule["audiences"] = audiences
	}
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return yaml.Marshal(map[string]any{
		"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication", "metadata": metadata,
		"spec": map[string]any{"jwtRules": []any{rule}},
	})
}

// SetClaim sets a claim, or one within others. A value that is JSON is taken as
// such, and any other as a text.
func SetClaim(claims map[string]any, path []string, text string) error {
	for _, name := range path[:len(path)-1] {
		inner, there := claims[name]
		if !there {
			inner = map[string]any{}
			claims[name] = inner
		}
		object, ok := inner.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", name)
		}
		claims = object
	}
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		value = text
	}
	claims[path[len(path)-1]] = value
	return nil
}
