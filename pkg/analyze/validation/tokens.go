package validation

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// RequestAuthentication checks V-RA-1..V-RA-6 and V-RA-8.
func RequestAuthentication(p *mesh.RequestAuthentication) []Problem {
	c := &checker{}
	if !c.dryRun(p.Object, nil) {
		return c.problems
	}
	c.selection(p.Spec.Selector, p.Spec.TargetRef, p.Spec.TargetRefs)
	for i, r := range p.Spec.JwtRules {
		path := below([]string{"spec", "jwtRules"}, i)
		c.issuer(r, path)
		c.keys(r, path)
		c.tokenPlaces(r, path)
		c.claimHeaders(r, path)
		if r.Timeout != nil {
			c.timeout(r.Timeout, below(path, "timeout"))
		}
	}
	return c.problems
}

func (c *checker) issuer(r *security.JWTRule, path []string) {
	if r.Issuer == "" && r.JwksUri == "" {
		c.refuse(path, "a rule needs an issuer or a jwksUri")
	}
	for i, audience := range r.Audiences {
		if audience == "" {
			c.refuse(below(path, "audiences", i), "an audience cannot be empty")
		}
	}
}

// keys checks where the keys come from, or the keys (V-RA-3).
func (c *checker) keys(r *security.JWTRule, path []string) {
	if r.JwksUri != "" {
		if err := checkAddress(r.JwksUri); err != nil {
			c.refuse(below(path, "jwksUri"), "jwksUri %q: %v", r.JwksUri, err)
		}
	}
	if r.Jwks == "" {
		return
	}
	keys, err := readKeys(r.Jwks)
	if err != nil {
		c.refuse(below(path, "jwks"), "jwks: %v", err)
	}
	for _, k := range keys {
		if k.private() {
			c.warn(below(path, "jwks"), "key %q is not for everybody's eyes: only public keys belong here", k.ID)
		}
	}
}

func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("expected http or https, not %q", u.Scheme)
	}
	if u.Port() != "" {
		_, err = strconv.Atoi(u.Port())
	}
	return err
}

// webKey is what is read of a JSON web key (RFC 7517, RFC 7518 section 6).
type webKey struct {
	Type string `json:"kty"`
	ID   string `json:"kid"`
	N    string `json:"n"`
	E    string `json:"e"`
	X    string `json:"x"`
	Y    string `json:"y"`
	D    string `json:"d"`
	K    string `json:"k"`
}

func (k webKey) private() bool { return k.D != "" || k.Type == "oct" }

func (k webKey) check() error {
	needed := map[string][]string{"RSA": {k.N, k.E}, "EC": {k.X, k.Y}, "OKP": {k.X}, "oct": {k.K}}[k.Type]
	if needed == nil {
		return fmt.Errorf("key %q has no type that is known: expected kty RSA, EC, OKP or oct", k.ID)
	}
	for _, part := range needed {
		if _, err := base64.RawURLEncoding.DecodeString(part); part == "" || err != nil {
			return fmt.Errorf("key %q lacks a part of a key of type %s", k.ID, k.Type)
		}
	}
	return nil
}

// readKeys reads a set of keys, or a single one.
func readKeys(text string) ([]webKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return nil, errors.New("expected a JSON object {\"keys\": [...]}")
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{json.RawMessage(text)}
	}
	var keys []webKey
	for _, text := range set.Keys {
		var k webKey
		if err := json.Unmarshal(text, &k); err != nil {
			return keys, errors.New("a key is a JSON object of texts")
		}
		if err := k.check(); err != nil {
			return keys, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// tokenPlaces checks where tokens are looked for (V-RA-4).
func (c *checker) tokenPlaces(r *security.JWTRule, path []string) {
	for i, h := range r.FromHeaders {
		if h.GetName() == "" {
			c.refuse(below(path, "fromHeaders", i), "a header needs a name")
		}
	}
	for name, list := range map[string][]string{"fromParams": r.FromParams, "fromCookies": r.FromCookies} {
		for i := range slices.Values(indicesOfEmpty(list)) {
			c.refuse(below(path, name, i), "a name cannot be empty")
		}
	}
}

func indicesOfEmpty(list []string) []int {
	var found []int
	for i, value := range list {
		if value == "" {
			found = append(found, i)
		}
	}
	return found
}

var headerName = regexp.MustCompile(`^[-_A-Za-z0-9]+$`)

// claimHeaders checks the headers that carry claims (V-RA-5).
func (c *checker) claimHeaders(r *security.JWTRule, path []string) {
	for i, o := range r.OutputClaimToHeaders {
		at := below(path, "outputClaimToHeaders", i)
		switch {
		case o.GetHeader() == "" || o.GetClaim() == "":
			c.refuse(at, "a header and a claim are needed")
		case !headerName.MatchString(o.Header):
			c.refuse(below(at, "header"), "%q is no name of a header", o.Header)
		}
	}
}

// timeout checks a duration (V-RA-6).
func (c *checker) timeout(d *durationpb.Duration, path []string) {
	if t := d.AsDuration(); t < time.Millisecond || t%time.Millisecond != 0 {
		c.refuse(path, "%v: expected whole milliseconds, one at least", t)
	}
}
