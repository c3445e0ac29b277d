package live

import (
	"crypto"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/policy"
)

// issuer signs tokens that are described only.
type issuer struct {
	key jose.JSONWebKey
	now func() time.Time
}

// ownKeyID names the key among those of token rules.
const ownKeyID = "meshctl-throwaway"

func newIssuer(now func() time.Time) (*issuer, error) {
	key, err := certs.GenerateKey(certs.P256)
	if err != nil {
		return nil, err
	}
	return &issuer{jose.JSONWebKey{Key: key, KeyID: ownKeyID, Algorithm: string(jose.ES256)}, now}, nil
}

// public is the key that verifies the tokens, as a JWK.
func (i *issuer) public() (string, error) {
	key := i.key
	key.Key = i.key.Key.(crypto.Signer).Public() // as it was made
	text, err := json.Marshal(key)
	return string(text), err
}

// sign makes a token of claims.
func (i *issuer) sign(claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, nil)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// token makes a described token real: good, or spoilt as it says.
func (i *issuer) token(t policy.Token) (string, error) {
	claims := maps.Clone(t.Claims)
	if claims == nil {
		claims = map[string]any{}
	}
	const longSince = time.Hour
	switch {
	case t.Valid:
		return i.sign(claims)
	case t.Why == "malformed":
		return "not-a-token", nil
	case t.Why == "expired":
		claims["exp"] = i.now().Add(-longSince).Unix()
		return i.sign(claims)
	}
	text, err := i.sign(claims)
	signature := strings.LastIndexByte(text, '.') + 1
	return text[:signature] + strings.Repeat("A", len(text)-signature), err
}

// real is a request whose tokens are real.
func (i *issuer) real(r policy.Request) (policy.Request, error) {
	if r.HTTP == nil {
		return r, nil
	}
	h := *r.HTTP
	h.Tokens = make([]policy.Token, len(r.HTTP.Tokens))
	for n, t := range r.HTTP.Tokens {
		if t.JWT == "" {
			text, err := i.token(t)
			if err != nil {
				return r, err
			}
			t.JWT = text
		}
		h.Tokens[n] = t
	}
	r.HTTP = &h
	return r, nil
}
