package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
)

// ParseToken reads a token that a user hands over: a JSON object is the claims
// of a token that is taken to be valid; three parts with dots between them, with
// or without "Bearer " before them, are a real token, whose signature and times
// count. Where in the request it goes is for the caller to say.
func ParseToken(data []byte) (Token, error) {
	text := strings.TrimSpace(string(data))
	if strings.HasPrefix(text, "{") {
		claims, ok := readObject([]byte(text))
		if !ok {
			return Token{}, errors.New("not a token: expected one JSON object of claims without repeated names")
		}
		return Token{Valid: true, Claims: claims}, nil
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "Bearer "))
	parts := strings.Split(text, ".")
	malformed := func(part string) bool {
		_, ok := decodeBase64(part)
		return part == "" || !ok || strings.ContainsAny(part, whitespace)
	}
	if len(parts) != 3 || slices.ContainsFunc(parts, malformed) {
		return Token{}, errors.New("not a token: expected a JSON object of claims, or a JWT: header, payload and signature in base64url with dots between them")
	}
	return Token{JWT: text}, nil
}

// credential is what a provider finds in a request: a token that is described,
// or a real one.
type credential struct {
	text   string
	claims map[string]any
	// What reading it, the time and, of a described one, the signature say.
	parsed, timely, signed jwtStatus
	real                   *compact // nil for a described one
}

// read makes a credential of a text in the request. One that stands for no
// described token is a real one, wherever it comes from.
func (v *verification) read(text string) credential {
	t := v.tokens[text]
	if t == nil {
		real, status := parseCompact(text)
		if status != jwtOK {
			return credential{parsed: status}
		}
		return credential{text: text, claims: real.claims, timely: real.timely(v.now), real: real}
	}
	c := credential{text: text, claims: t.Claims}
	if t.Valid {
		return c
	}
	switch t.Why {
	case "malformed":
		c.parsed = jwtMalformed
	case "expired":
		c.timely = jwtExpired
	default:
		c.signed = jwtSignature
	}
	return c
}

// payload is the claims as the token has them.
func (c *credential) payload() string {
	if c.real != nil {
		return c.real.payload
	}
	text, _ := json.Marshal(c.claims)
	return base64.RawURLEncoding.EncodeToString(text)
}

// compact is a JWT in its compact serialization, taken apart.
type compact struct {
	algorithm, keyID string
	claims           map[string]any
	payload          string // in base64url, as it was sent
	signed           string // what the signature is for
	signature        []byte
}

// algorithms are those that Envoy verifies (DP-31).
func algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "EdDSA"}
}

// parseCompact reads a token as Envoy does (DP-31): empty parts do not count,
// and crit and typ are not looked at.
func parseCompact(text string) (*compact, jwtStatus) {
	parts := slices.DeleteFunc(strings.Split(text, "."), func(s string) bool { return s == "" })
	if len(parts) != 3 {
		return nil, jwtParts
	}
	header, ok := readPart(parts[0])
	if !ok {
		return nil, jwtHeader
	}
	c := &compact{payload: parts[1], signed: parts[0] + "." + parts[1]}
	if c.algorithm, ok = header["alg"].(string); !ok || !slices.Contains(algorithms(), c.algorithm) {
		return nil, jwtAlgorithm
	}
	if kid, there := header["kid"]; there {
		if c.keyID, ok = kid.(string); !ok {
			return nil, jwtHeader
		}
	}
	if c.claims, ok = readPart(parts[1]); !ok {
		return nil, jwtPayload
	}
	if c.signature, ok = decodeBase64(parts[2]); !ok {
		return nil, jwtParts
	}
	return c, jwtOK
}

func readPart(part string) (map[string]any, bool) {
	text, ok := decodeBase64(part)
	if !ok {
		return nil, false
	}
	if string(bytes.TrimSpace(text)) == "null" {
		return map[string]any{}, true // as good as {} to Envoy
	}
	return readObject(text)
}

// timely checks nbf, then exp (DP-30). Neither must be there, and an exp of 0 is
// for ever. Without a time nothing is checked.
func (c *compact) timely(now time.Time) jwtStatus {
	const skew = 60 * time.Second
	if now.IsZero() {
		return jwtOK
	}
	exp, _ := c.claims["exp"].(float64)
	nbf, _ := c.claims["nbf"].(float64)
	exp, nbf = math.Trunc(exp), math.Trunc(nbf)
	switch {
	case float64(now.Add(skew).Unix()) < nbf:
		return jwtTooEarly
	case exp != 0 && float64(now.Add(-skew).Unix()) > exp:
		return jwtExpired
	}
	return jwtOK
}
