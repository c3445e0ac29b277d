package main

import (
	"crypto"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/meshctl/meshctl/pkg/certs"
)

// signer has the keys that tokens are signed with, and those that policies are
// given. They are new in each run; what follows from them is not.
type signer struct{ keys []jose.JSONWebKey }

func newSigner() (*signer, error) {
	s := &signer{}
	for i, k := range []struct {
		algorithm certs.KeyAlgorithm
		name      jose.SignatureAlgorithm
		id        string
	}{{certs.P256, jose.ES256, "ec"}, {certs.RSA2048, jose.RS256, "rsa"}, {certs.P384, jose.ES384, ""}, {certs.Ed25519, jose.EdDSA, "ed"}, {certs.P256, jose.ES256, "other"}} {
		key, err := certs.GenerateKey(k.algorithm)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		s.keys = append(s.keys, jose.JSONWebKey{Key: key, KeyID: k.id, Algorithm: string(k.name)})
	}
	return s, nil
}

// jwks is a set of public keys.
func (s *signer) jwks(which ...int) (string, error) {
	var set jose.JSONWebKeySet
	for _, i := range which {
		set.Keys = append(set.Keys, s.keys[i].Public())
	}
	text, err := json.Marshal(set)
	return string(text), err
}

// sign makes a token with one of the keys; withID tells it which.
func (s *signer) sign(which int, withID bool, claims object) (string, error) {
	key := s.keys[which]
	var private any = key.Key.(crypto.Signer)
	if withID {
		private = key
	}
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: private}, nil)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	object, err := made.Sign(payload)
	if err != nil {
		return "", err
	}
	return object.CompactSerialize()
}

// Times of tokens, far enough from now that the clock does not matter.
const (
	longAgo  = 1_000_000_000
	farAhead = 4_000_000_000
)

// claims are random, of what policies ask for.
func (d dice) claims(now time.Time) object {
	c := object{"iss": d.one("issuer-a", "issuer-a", "issuer-b", "issuer-c"), "sub": d.one("alice", "bob", "a/b")}
	may := func(percent int, name string, values ...any) {
		if d.percent(percent) {
			c[name] = values[d.IntN(len(values))]
		}
	}
	may(60, "aud", "web", "api", []any{"api", "web"}, "https://web/", []any{})
	may(30, "azp", "web", "cli")
	may(40, "scope", "read", "read write", "", " read ", []any{"read", "write"})
	may(40, "groups", "admin", []any{"admin", "dev"}, []any{"dev", 7}, 7, true, []any{[]any{"admin"}})
	may(30, "realm", object{"roles": []any{"admin", "dev"}}, object{"roles": "admin"}, object{"roles": object{"a": "admin"}}, "admin")
	may(20, "scp", "read write", "read")
	may(80, "exp", farAhead, farAhead, farAhead, 0, longAgo, farAhead+0.5)
	may(15, "nbf", longAgo, longAgo, farAhead)
	may(10, "iat", now.Unix(), farAhead)
	if d.percent(4) {
		delete(c, "iss")
	}
	if d.percent(4) {
		delete(c, "sub")
	}
	return c
}

// token is a random token: mostly good, sometimes spoilt.
func (d dice) token(s *signer, now time.Time) (string, error) {
	text, err := s.sign([]int{0, 0, 0, 1, 2, 3, 4}[d.IntN(7)], d.percent(50), d.claims(now))
	if err != nil || d.percent(75) {
		return text, err
	}
	parts := strings.Split(text, ".")
	switch d.IntN(7) {
	case 0:
		parts[2] = strings.Repeat("A", len(parts[2]))
	case 1:
		parts = parts[:2]
	case 2:
		parts[1] = parts[1][1:]
	case 3:
		return d.one("x", "a.b.c", "..", "e30.e30.e30", "null"), nil
	case 4:
		parts[2] += d.one("=", "==", ".x")
	case 5:
		parts[0] = "eyJhbGciOiJub25lIn0" // {"alg":"none"}
	default:
		parts = append(parts, "x")
	}
	return strings.Join(parts, "."), nil
}
