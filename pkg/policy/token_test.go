package policy_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestRealTokens: reading, claims and times of a token whose signature is good,
// as measured with Envoy 1.40.
func TestRealTokens(t *testing.T) {
	t.Parallel()
	k := ring()
	o := policy.Options{Now: noon, Keys: map[string]*policy.Keys{"": keys(t, jwks(publicJWK(t, k.secret, nil)))}}
	m := modelAt(t, o, jwtPolicy("issuer: a, audiences: [web], jwksUri: https://keys/"))
	const header, claims = `{"alg":"HS256"}`, `{"iss":"a","aud":"web"}`
	good := crafted(k.secret, header, claims)
	parts := strings.Split(good, ".")
	with := func(more string) string { return crafted(k.secret, header, `{"iss":"a","aud":"web",`+more+`}`) }
	at := func(name string, seconds int) string {
		return with(fmt.Sprintf("%q: %d", name, noon.Unix()+int64(seconds)))
	}
	nested := func(n int) string { return with(`"x":` + strings.Repeat("[", n) + strings.Repeat("]", n)) }
	padded := base64.URLEncoding.EncodeToString([]byte(claims + " "))
	const ok, parse, early, late = "200 ", "401 malformed", "401 not valid yet", "401 expired"
	tests := []struct{ rule, token, want string }{
		{"RA-5 good", good, ok},
		{"RA-5 bad signature", good[:len(good)-4] + "AAAA", "401 signature"},
		{"RA-5 another's signature", crafted([]byte("another"), header, claims), "401 signature"},
		{"RA-5 issuer", crafted(k.secret, header, `{"iss":"b","aud":"web"}`), "401 issuer"},
		{"RA-5 issuer before expiry", crafted(k.secret, header, `{"iss":"b","exp":1}`), "401 issuer"},
		{"RA-5 expiry before audience", crafted(k.secret, header, `{"iss":"a","exp":1}`), late},
		{"RA-5 audience before signature", crafted([]byte("another"), header, `{"iss":"a","aud":"api"}`), "403 audience"},
		{"RA-18 no audience", crafted(k.secret, header, `{"iss":"a"}`), "403 audience"},
		{"RA-18 scheme and slash", crafted(k.secret, header, `{"iss":"a","aud":["x","https://web/"]}`), ok},
		{"DP-30 exp within the skew", at("exp", -60), ok},
		{"DP-30 exp", at("exp", -61), late},
		{"DP-30 nbf within the skew", at("nbf", 60), ok},
		{"DP-30 nbf", at("nbf", 61), early},
		{"DP-30 nbf before exp", with(fmt.Sprintf(`"exp":1,"nbf":%d`, noon.Unix()+100)), early},
		{"DP-30 exp 0 is for ever", with(`"exp":0`), ok},
		{"DP-30 exp 0.5 is 0", with(`"exp":0.5`), ok},
		{"DP-30 fractions", with(fmt.Sprintf(`"exp":%d.9`, noon.Unix()-61)), late},
		{"DP-30 iat does not matter", at("iat", 1000), ok},
		{"DP-30 exp of text", with(`"exp":"1"`), parse},
		{"DP-30 negative", with(`"nbf":-1`), parse},
		{"DP-30 beyond 64 bits", with(`"exp":18446744073709551616`), parse},
		{"DP-30 iat of text", with(`"iat":"x"`), parse},
		{"DP-31 none", crafted(k.secret, `{"alg":"none"}`, claims), "401 alg"},
		{"DP-31 none without a signature", parts[0] + "." + parts[1] + ".", "401 three parts"},
		{"DP-31 no alg", crafted(k.secret, `{}`, claims), "401 alg"},
		{"DP-31 alg in small letters", crafted(k.secret, `{"alg":"hs256"}`, claims), "401 alg"},
		{"DP-31 crit and typ", crafted(k.secret, `{"alg":"HS256","typ":7,"crit":["b64"],"b64":false}`, claims), ok},
		{"DP-31 two parts", parts[0] + "." + parts[1], "401 three parts"},
		{"DP-31 four parts", good + ".x", "401 three parts"},
		{"DP-31 empty parts do not count", "." + parts[0] + ".." + parts[1] + "." + parts[2] + ".", ok},
		{"DP-31 padded signature", good + "=", ok},
		{"DP-31 wrongly padded", good + "==", "401 three parts"},
		{"DP-31 padded payload", sealed(k.secret, parts[0], padded), ok},
		{"DP-31 blanks in the signature", good[:len(good)-5] + " " + good[len(good)-5:], ok},
		{"DP-31 not base64url", good[:len(good)-5] + "+" + good[len(good)-4:], "401 three parts"},
		{"DP-31 header that is no JSON", crafted(k.secret, `x`, claims), "401 header"},
		{"DP-32 kid of another type", crafted(k.secret, `{"alg":"HS256","kid":1}`, claims), "401 header"},
		{"DP-33 duplicate member", with(`"iss":"a"`), "401 payload"},
		{"DP-33 duplicate member deep down", with(`"x":[{"y":1,"y":2}]`), "401 payload"},
		{"DP-33 duplicate member of the header", crafted(k.secret, `{"alg":"HS256","alg":"HS256"}`, claims), "401 header"},
		{"DP-33 subject that is no text", with(`"sub":1`), parse},
		{"DP-33 null", with(`"sub":null`), parse},
		{"DP-33 audience null", crafted(k.secret, header, `{"iss":"a","aud":null}`), parse},
		{"DP-33 audiences that are no texts", crafted(k.secret, header, `{"iss":"a","aud":["web",1]}`), parse},
		{"DP-33 jti", with(`"jti":true`), parse},
		{"DP-33 no issuer", crafted(k.secret, header, `{"aud":"web"}`), "401 issuer"},
		{"DP-33 payload null is empty", crafted(k.secret, header, `null`), "401 issuer"},
		{"DP-33 payload that is a list", crafted(k.secret, header, `[]`), "401 payload"},
		{"DP-33 something after the payload", crafted(k.secret, header, claims+"{}"), "401 payload"},
		{"DP-33 99 levels", nested(99), ok},
		{"DP-33 100 levels", nested(100), "401 payload"},
		{"DP-33 a number beyond a double", with(`"x":1e400`), "401 payload"},
		{"DP-33 half of a surrogate pair", with(`"x":"\ud83d"`), "401 payload"},
		{"DP-33 the other half", with(`"x":"\udc00"`), "401 payload"},
		{"DP-33 two first halves", with(`"x":"\ud83d\ud83d\ude00"`), "401 payload"},
		{"DP-33 both halves", with(`"x":"\ud83d\ude00 \\ud83d é"`), ok},
		{"DP-33 invalid UTF-8", with("\"x\":\"\xff\""), "401 payload"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			v := m.Evaluate(request(bearer(tt.token)))
			status, reason, _ := strings.Cut(tt.want, " ")
			if got := fmt.Sprint(v.HTTPStatus); got != status || !strings.Contains(v.Reason, reason) {
				t.Errorf("%s (%s), want %s", got, v.Reason, tt.want)
			}
		})
	}
}

// TestRealTokensInRequests: wherever it comes from, a real token does what a
// described one does.
func TestRealTokensInRequests(t *testing.T) {
	t.Parallel()
	k := ring()
	good := crafted(k.secret, `{"alg":"HS256"}`, `{"scope":"read write", "sub":"alice","iss":"a"}`)
	rule := "issuer: a, jwks: '" + jwks(publicJWK(t, k.secret, nil)) + "'"
	needs := ap("needs", "rules: [{from: [{source: {requestPrincipals: [a/alice]}}]}]")
	at := func(in, name string) change { return token(policy.Token{In: in, Name: name, JWT: good}) }
	payload := strings.Split(good, ".")[1]
	tests := []struct {
		rule, policies string
		request        *policy.Request
		want           policy.Outcome
	}{
		{"RA-16 claims", docs(jwtPolicy(rule), needs), request(bearer(good)), policy.Allow},
		{"RA-10 parameter", docs(jwtPolicy(rule), needs), request(at("param", "access_token")), policy.Allow},
		{"RA-12 cookie", docs(jwtPolicy(rule+", fromCookies: [c]"), needs), request(at("cookie", "c")), policy.Allow},
		{"RA-11 a header line like any other", docs(jwtPolicy(rule), needs), request(header("authorization", "Bearer "+good)), policy.Allow},
		{"DP-36 two lines of one header", jwtPolicy(rule), request(bearer(good), bearer(good)), policy.Unauthenticated},
		{"DP-36 one more, which is bad", jwtPolicy(rule), request(bearer(good), token(policy.Token{In: "param", Name: "access_token", JWT: good + "x"})), policy.Unauthenticated},
		{"RA-14 gone once verified", docs(jwtPolicy(rule), allowWhen("request.headers[authorization]", "values: ['*']")), request(bearer(good)), policy.Deny},
		{"RA-15 the payload as it was sent", docs(jwtPolicy(rule+", outputPayloadToHeader: x-p"), allowWhen("request.headers[x-p]", "values: ["+payload+"]")), request(bearer(good)), policy.Allow},
		{"AP-42 scope is split", docs(jwtPolicy(rule), allowWhen("request.auth.claims[scope]", "values: [write]")), request(bearer(good)), policy.Allow},
		{"RA-21 preflight", jwtPolicy(rule), request(method("OPTIONS"), header("origin", "o"), header("access-control-request-method", "GET"), bearer("x")), policy.Allow},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			if v := model(t, tt.policies, "").Evaluate(tt.request); v.Outcome != tt.want {
				t.Errorf("%s (%s), want %s", v.Outcome, v.Reason, tt.want)
			}
		})
	}
}

// TestNoTime: without a time no token is too early or too late.
func TestNoTime(t *testing.T) {
	t.Parallel()
	k := ring()
	policies := jwtPolicy("issuer: a, jwks: '" + jwks(publicJWK(t, k.secret, nil)) + "'")
	for _, claims := range []string{`{"iss":"a","exp":1}`, `{"iss":"a","nbf":99999999999}`} {
		r := request(bearer(crafted(k.secret, `{"alg":"HS256"}`, claims)))
		if v := modelAt(t, policy.Options{}, policies).Evaluate(r); v.Outcome != policy.Allow {
			t.Errorf("%s: %s (%s)", claims, v.Outcome, v.Reason)
		}
		if v := modelAt(t, policy.Options{Now: noon}, policies).Evaluate(r); v.Outcome != policy.Unauthenticated {
			t.Errorf("%s at noon: %s", claims, v.Outcome)
		}
	}
}

func TestParseToken(t *testing.T) {
	t.Parallel()
	const notObject = "not a token: expected one JSON object of claims without repeated names"
	const neither = "not a token: expected a JSON object of claims, or a JWT: header, payload and signature in base64url with dots between them"
	tests := []struct{ name, text, jwt, err string }{
		{"claims", " {\"iss\": \"a\"}\n", "", ""},
		{"JWT", "e30.e30.c2ln", "e30.e30.c2ln", ""},
		{"JWT in blanks", "\n e30.e30.c2ln\r\n", "e30.e30.c2ln", ""},
		{"JWT as in a header", "Bearer  e30.e30.c2ln\n", "e30.e30.c2ln", ""},
		{"padded JWT", "e30=.e30=.c2ln", "e30=.e30=.c2ln", ""},
		{"nothing", "", "", neither},
		{"two parts", "e30.e30", "", neither},
		{"empty signature", "e30.e30.", "", neither},
		{"four parts", "e30.e30.e30.e30", "", neither},
		{"blank within", "e30.e30. c2ln", "", neither},
		{"other characters", "secret.example.c/m", "", neither},
		{"list", `[{"iss":"a"}]`, "", neither},
		{"broken object", `{"iss":"secret"`, "", notObject},
		{"two objects", `{"iss":"secret"} {}`, "", notObject},
		{"repeated name", `{"iss":"secret","iss":"b"}`, "", notObject},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := policy.ParseToken([]byte(tt.text))
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || got.JWT != tt.jwt || got.Valid != (tt.jwt == "") {
				t.Errorf("%+v, %v", got, err)
			}
			if tt.jwt == "" && got.Claims["iss"] != "a" {
				t.Errorf("claims %v", got.Claims)
			}
		})
	}
}

// TestTokensOfRequests: a token is either real or described.
func TestTokensOfRequests(t *testing.T) {
	t.Parallel()
	const either = `x:1: http.tokens[0]: expected either "jwt", or "valid", "invalid" and "claims"`
	const one = `x:1: http.tokens[0]: expected "jwt", "valid" true, or "invalid" signature, expired or malformed`
	tests := []struct{ token, want string }{
		{`"jwt":"e30.e30.c2ln"`, ""},
		{`"valid":true`, ""},
		{`"invalid":"expired"`, ""},
		{`"jwt":"e30.e30.c2ln","valid":false`, ""},
		{`"jwt":"e30.e30.c2ln","valid":true`, either},
		{`"jwt":"e30.e30.c2ln","invalid":"expired"`, either},
		{`"jwt":"e30.e30.c2ln","claims":{}`, either},
		{`"jwt":""`, one},
		{`"claims":{"iss":"a"}`, one},
	}
	for _, tt := range tests {
		line := `{"to":{"namespace":"shop","workload":"app","port":1},"from":{"identity":null},"http":{"method":"GET","path":"/","authority":"a","tokens":[{"in":"header","name":"a",` + tt.token + `}]}}`
		_, err := policy.ReadRequests("x", strings.NewReader(line))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.token, got, tt.want)
		}
	}
}
