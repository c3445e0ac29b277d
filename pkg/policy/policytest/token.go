package policytest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// noToken is the request without a token, which needs no definition.
const noToken = "none"

// token is a JSON web token with a short name.
type token struct {
	policy.Token
	issuer, subject located[string]
	audiences       []string
	compact         located[string]
	prefix          located[string]
	valid           located[bool]
	why             located[string]
}

func tokenFields() []field[token] {
	return []field[token]{
		set("iss", "The issuer.", place(text()), func(t *token) *located[string] { return &t.issuer }),
		set("sub", "The subject.", place(text()), func(t *token) *located[string] { return &t.subject }),
		set("aud", "The audience, or a list of them.", oneOrMany(text()), func(t *token) *[]string { return &t.audiences }),
		set("claims", "All other claims.", anything(), func(t *token) *map[string]any { return &t.Claims }),
		set("in", "Where the token stands in the request. Default: header.", word("place of a token", "header", "param", "cookie"), func(t *token) *string { return &t.In }),
		set("name", "The name of the header, parameter or cookie. Default: authorization, access_token.", text(), func(t *token) *string { return &t.Name }),
		set("prefix", "What stands before the token in the header. Default: \"Bearer \" in authorization.", place(emptyOr(text())), func(t *token) *located[string] { return &t.prefix }),
		set("valid", "Whether the token is good. Default: true.", place(boolean()), func(t *token) *located[bool] { return &t.valid }),
		set("jwt", "A real token, in its compact serialization, in place of the claims. Its signature is verified; its times do not count, so that tests stay the same.", place(checked(text(), compact)), func(t *token) *located[string] { return &t.compact }),
		set("invalid", "What is wrong with the token.", place(word("fault of a token", "signature", "expired", "malformed")), func(t *token) *located[string] { return &t.why }),
	}
}

func tokenKind() kind[token] {
	k := object(tokenFields())
	return kind[token]{k.schema, func(d *decoder, n node) (token, bool) {
		t, ok := k.read(d, n)
		if !ok {
			return t, false
		}
		before := d.failures
		t.complete(d, n)
		return t, d.failures == before
	}}
}

func tokenName(name string) error {
	if name == noToken || name == "" {
		return fmt.Errorf("%q is no name for a token: it stands for a request without one", name)
	}
	return nil
}

func compact(v string) error {
	t, err := policy.ParseToken([]byte(v))
	if err != nil || t.JWT != v {
		return errors.New("not a JWT: expected header, payload and signature in base64url with dots between them")
	}
	return nil
}

// complete makes the token of what is told.
func (t *token) complete(d *decoder, n node) {
	if t.In == "" {
		t.In = "header"
	}
	switch {
	case t.Name == "" && t.In == "header":
		t.Name = "authorization"
	case t.Name == "" && t.In == "param":
		t.Name = "access_token"
	case t.Name == "":
		d.fail(n, "", "name is missing: the cookie's")
	}
	t.Prefix = t.prefix.value
	if !t.prefix.given() {
		t.Prefix = defaultPrefix(&t.Token)
	}
	if t.compact.given() {
		t.JWT = t.compact.value
		if t.issuer.given() || t.subject.given() || t.audiences != nil || t.Claims != nil || t.valid.given() || t.why.given() {
			d.fail(t.compact.at, "", "a real token goes with neither claims nor valid and invalid")
		}
		return
	}
	switch {
	case t.why.given() && t.valid.given() && t.valid.value:
		d.fail(t.why.at, "", "the token cannot be both valid and invalid")
	case t.valid.given() && !t.valid.value && !t.why.given():
		d.fail(t.valid.at, "", "say why, with invalid: signature, expired or malformed")
	}
	t.Valid, t.Why = !t.why.given(), t.why.value
	t.describe(d, n)
}

// defaultPrefix is what clients write before a token at its place.
func defaultPrefix(t *policy.Token) string {
	if t.In == "header" && strings.EqualFold(t.Name, "authorization") {
		return "Bearer "
	}
	return ""
}

// describe puts the claims together.
func (t *token) describe(d *decoder, n node) {
	claims := map[string]any{}
	for name, value := range t.Claims {
		claims[name] = value
	}
	add := func(name string, value any) {
		if _, twice := claims[name]; twice {
			d.fail(n, "", "%s is given twice: here and in claims", name)
		}
		claims[name] = value
	}
	if t.issuer.given() {
		add("iss", t.issuer.value)
	}
	if t.subject.given() {
		add("sub", t.subject.value)
	}
	switch len(t.audiences) {
	case 0:
	case 1:
		add("aud", t.audiences[0])
	default:
		var all []any
		for _, a := range t.audiences {
			all = append(all, a)
		}
		add("aud", all)
	}
	t.Claims = claims
}
