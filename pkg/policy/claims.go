package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// whitespace is skipped in base64url.
const whitespace = " \t\n\v\f\r"

// decodeBase64 reads base64url as Envoy does: blanks do not count, and padding
// is either right or not there.
func decodeBase64(s string) ([]byte, bool) {
	if strings.ContainsAny(s, whitespace) {
		s = strings.Map(func(r rune) rune {
			if strings.ContainsRune(whitespace, r) {
				return -1
			}
			return r
		}, s)
	}
	if bare := strings.TrimRight(s, "="); len(bare) != len(s) {
		if len(s)%4 != 0 || len(s)-len(bare) > 2 {
			return nil, false
		}
		s = bare
	}
	data, err := base64.RawURLEncoding.DecodeString(s)
	return data, err == nil
}

// maxDepth is how deep Envoy's reader follows objects and lists.
const maxDepth = 100

// readObject reads a JSON object as strictly as Envoy: no name twice in an
// object (DP-33), valid UTF-8 and no half of a surrogate pair, not too deep,
// numbers that a double can hold. Envoy's reader is lenient in ways that no
// issuer uses (names without quotes, a comma after the last member), which this
// one refuses.
func readObject(text []byte) (map[string]any, bool) {
	if !json.Valid(text) || !utf8.Valid(text) || halfSurrogate(text) {
		return nil, false
	}
	value, ok := readValue(json.NewDecoder(bytes.NewReader(text)), 0)
	object, isObject := value.(map[string]any)
	return object, ok && isObject
}

// readValue reads one value of valid JSON.
func readValue(d *json.Decoder, depth int) (any, bool) {
	t, err := d.Token()
	_, nests := t.(json.Delim)
	if err != nil || nests && depth >= maxDepth {
		return nil, false
	}
	switch t {
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			name, err := d.Token()
			key, isText := name.(string)
			_, twice := object[key]
			value, ok := readValue(d, depth+1)
			if err != nil || !isText || twice || !ok {
				return nil, false
			}
			object[key] = value
		}
		_, err = d.Token()
		return object, err == nil
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, ok := readValue(d, depth+1)
			if !ok {
				return nil, false
			}
			list = append(list, value)
		}
		_, err = d.Token()
		return list, err == nil
	}
	return t, true
}

// halfSurrogate finds an escape such as \ud83d without its other half.
func halfSurrogate(text []byte) bool {
	for {
		at := bytes.IndexByte(text, '\\')
		if at < 0 {
			return false
		}
		text = text[at:]
		switch surrogate(text) {
		case high:
			if text = text[escape:]; surrogate(text) != low {
				return true
			}
			text = text[escape:]
		case low:
			return true
		default:
			text = text[2:] // valid JSON: something follows a backslash
		}
	}
}

const (
	escape = len(`\ud83d`)
	high   = 0xd8 // the first byte, of which six bits say which half it is
	low    = 0xdc
)

// surrogate tells which half of a pair a text begins with; 0 is none.
func surrogate(text []byte) int {
	if len(text) < escape || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, _ := strconv.ParseUint(string(text[2:4]), 16, 8)
	switch half := int(unit) & 0xfc; half {
	case high, low:
		return half
	}
	return 0
}

// check verifies one token, in Envoy's order (RA-5).
func (p *Provider) check(v *verification, c *credential) jwtStatus {
	issuer, _ := c.claims["iss"].(string)
	switch {
	case c.parsed != jwtOK:
		return c.parsed
	case !wellTyped(c.claims):
		return jwtClaims
	case p.Rule.Issuer != "" && issuer != p.Rule.Issuer:
		return jwtUnknownIssuer
	case c.timely != jwtOK:
		return c.timely
	case !p.acceptsAudience(c.claims["aud"]):
		return jwtAudience
	case c.real == nil:
		return c.signed
	}
	return p.signature(v, c)
}

// wellTyped tells whether the registered claims have their types (RA-5, DP-33).
func wellTyped(claims map[string]any) bool {
	for _, name := range []string{"iss", "sub", "jti"} {
		if v, ok := claims[name]; ok {
			if _, isText := v.(string); !isText {
				return false
			}
		}
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if v, ok := claims[name]; ok {
			if n, isNumber := v.(float64); !isNumber || n < 0 || n >= 1<<64 {
				return false
			}
		}
	}
	aud, ok := claims["aud"]
	switch aud := aud.(type) {
	case string:
		return true
	case []any:
		return !slices.ContainsFunc(aud, func(v any) bool { _, isText := v.(string); return !isText })
	}
	return !ok
}

// acceptsAudience wants any of the token's audiences to be the provider's,
// scheme and final slash aside (RA-18).
func (p *Provider) acceptsAudience(aud any) bool {
	if len(p.Rule.Audiences) == 0 {
		return true
	}
	bare := func(s string) string {
		s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
		return strings.TrimSuffix(s, "/")
	}
	var given []any
	switch v := aud.(type) {
	case string:
		given = []any{v}
	case []any:
		given = v
	}
	return slices.ContainsFunc(given, func(v any) bool {
		s, ok := v.(string)
		return ok && slices.ContainsFunc(p.Rule.Audiences, func(a string) bool { return bare(a) == bare(s) })
	})
}
