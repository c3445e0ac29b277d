package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestMissingKeys: a real token whose keys are not in the files leaves the
// verdict unknown only where they matter (RA-7, RA-8, RA-20).
func TestMissingKeys(t *testing.T) {
	t.Parallel()
	k := ring()
	inline := "jwks: '" + jwks(publicJWK(t, k.secret, nil)) + "'"
	const away = "issuer: a, jwksUri: https://keys/"
	token := func(claims string) string { return crafted(k.secret, `{"alg":"HS256"}`, claims) }
	good, expired := token(`{"iss":"a","aud":"web","sub":"s"}`), token(`{"iss":"a","exp":1}`)
	forged := crafted([]byte("another"), `{"alg":"HS256"}`, `{"iss":"a","aud":"web","sub":"s"}`)
	asked := allowWhen("request.headers[authorization]", "values: ['*']")
	const unknown = "unknown 0"
	tests := []struct {
		rule, policies string
		request        *policy.Request
		want           string
	}{
		{"RA-20 one provider", jwtPolicy(away), request(bearer(good)), unknown},
		{"RA-20 discovery", jwtPolicy("issuer: a"), request(bearer(good)), unknown},
		{"RA-4 no token", jwtPolicy(away), request(), "allow 200"},
		{"RA-5 expired whatever the keys", jwtPolicy(away), request(bearer(expired)), "unauthenticated 401"},
		{"RA-5 malformed", jwtPolicy(away), request(bearer("x")), "unauthenticated 401"},
		{"RA-5 issuer", jwtPolicy(away), request(bearer(token(`{"iss":"b"}`))), "unauthenticated 401"},
		{"RA-5 audience", jwtPolicy(away + ", audiences: [api]"), request(bearer(good)), "deny 403"},
		{"RA-21 preflight", jwtPolicy(away), request(method("OPTIONS"), header("origin", "o"), header("access-control-request-method", "GET"), bearer(good)), "allow 200"},
		{"EV-1 CUSTOM comes before", docs(jwtPolicy(away), ap("c", "action: CUSTOM, provider: {name: nobody}, rules: [{}]")), request(bearer(good)), "deny 403"},
		{"DP-40 the other provider has the keys", jwtPolicy(away, "issuer: a, "+inline), request(bearer(good)), "allow 200"},
		{"DP-40 in the other order", jwtPolicy("issuer: a, "+inline, away), request(bearer(good)), "allow 200"},
		{"DP-40 the other provider's keys are others", jwtPolicy(away, "issuer: a, "+inline), request(bearer(forged)), unknown},
		{"DP-40 the other provider wants another audience", jwtPolicy(away, "issuer: a, audiences: [api], "+inline), request(bearer(good)), unknown},
		{"RA-8c good token of another rule", jwtPolicy("issuer: a, jwksUri: https://keys/, fromParams: [t]", "issuer: a, "+inline), request(bearer(good), tokenIn("param", "t", good)), "allow 200"},
		{"RA-8d another token of the rule is expired", jwtPolicy(away), request(bearer(expired), tokenIn("param", "access_token", good)), "unauthenticated 401"},
		{"RA-8d in the other order", jwtPolicy(away), request(bearer(good), tokenIn("param", "access_token", expired)), "unauthenticated 401"},
		{"RA-8d both open", jwtPolicy(away), request(bearer(good), tokenIn("param", "access_token", forged)), unknown},
		{"the policies that follow make the difference", docs(jwtPolicy(away, "issuer: a, forwardOriginalToken: true, "+inline), asked), request(bearer(good)), unknown},
		{"or make none", docs(jwtPolicy(away+", forwardOriginalToken: true", "issuer: a, forwardOriginalToken: true, "+inline), asked), request(bearer(good)), "allow 200"},
		{"denied either way", docs(jwtPolicy(away, "issuer: a, "+inline), ap("d", "action: DENY, rules: [{}]")), request(bearer(good)), "deny 403"},
		{"two things are not known", docs(jwtPolicy(away), allowFrom("ipBlocks: [10.0.0.0/8]")), request(bearer(good), noAddress), unknown},
		{"one of them decides nothing", docs(jwtPolicy(away, "issuer: a, "+inline), allowFrom("ipBlocks: [10.0.0.0/8]")), request(bearer(good), noAddress), unknown + " allow"},
		{"described tokens have no signature", jwtPolicy(away), request(described("")), "allow 200"},
		{"described bad signature", jwtPolicy(away), request(described("signature")), "unauthenticated 401"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			v := modelAt(t, policy.Options{Now: noon}, tt.policies).Evaluate(tt.request)
			got := fmt.Sprintf("%s %d", v.Outcome, v.HTTPStatus)
			if v.Outcome == policy.Unknown && v.Stage != policy.Authentication {
				got += " " + string(v.Stage) // not for want of keys
			}
			if got != tt.want {
				t.Errorf("%s (%s), want %s", got, v.Reason, tt.want)
			}
		})
	}
}

func noAddress(r *policy.Request) { r.From.IP = "" }

func tokenIn(in, name, jwt string) change {
	return token(policy.Token{In: in, Name: name, JWT: jwt})
}

func described(why string) change {
	return token(policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: why == "", Why: why, Claims: map[string]any{"iss": "a"}})
}

// TestMissingKeysReason: the reason names what is missing and the way out.
func TestMissingKeysReason(t *testing.T) {
	t.Parallel()
	good := crafted(ring().secret, `{"alg":"HS256"}`, `{"iss":"a"}`)
	tests := []struct{ policies, want string }{
		{
			jwtPolicy("issuer: a, jwksUri: https://keys/"),
			`request authentication: the keys of issuer "a" are at jwksUri https://keys/: give them with --jwks FILE; allow if they verify the token, unauthenticated if they do not`,
		},
		{
			docs(jwtPolicy("jwksUri: https://keys/"), ap("d", "action: DENY, rules: [{}]")),
			`request authentication: the keys of any issuer are at jwksUri https://keys/: give them with --jwks FILE; deny if they verify the token, unauthenticated if they do not`,
		},
		{
			jwtPolicy("issuer: a"),
			`request authentication: the keys of issuer "a" are where its OpenID discovery says: give them with --jwks FILE; allow if they verify the token, unauthenticated if they do not`,
		},
	}
	for _, tt := range tests {
		if v := modelAt(t, policy.Options{Now: noon}, tt.policies).Evaluate(request(bearer(good))); v.Reason != tt.want {
			t.Errorf("%s\nwant %s", v.Reason, tt.want)
		}
	}
	// Many tokens: not every combination is looked at.
	var many []change
	for i := range 40 {
		many = append(many, header("x-t", crafted([]byte(fmt.Sprint(i)), `{"alg":"HS256"}`, `{"iss":"a"}`)))
	}
	v := modelAt(t, policy.Options{Now: noon}, jwtPolicy("issuer: a, jwksUri: https://keys/, fromHeaders: [{name: x-t}]", "issuer: a, jwksUri: https://others/, fromHeaders: [{name: x-t}]")).Evaluate(request(many...))
	if v.Outcome != policy.Unknown || !strings.Contains(v.Reason, "--jwks FILE") {
		t.Errorf("%s (%s)", v.Outcome, v.Reason)
	}
}

// TestMissingKeysTrace: the explanation says what is missing, and what was
// assumed where that makes no difference.
func TestMissingKeysTrace(t *testing.T) {
	t.Parallel()
	k := ring()
	good := crafted(k.secret, `{"alg":"HS256"}`, `{"iss":"a","sub":"s"}`)
	const away = "issuer: a, jwksUri: https://keys/"
	tests := []struct{ policies, want string }{
		{jwtPolicy(away), `the keys of issuer "a" are at jwksUri https://keys/: give them with --jwks FILE`},
		{
			jwtPolicy(away, "issuer: a, jwks: '"+jwks(publicJWK(t, k.secret, nil))+"'"),
			"the token is good, request principal a/s; keys are missing, which here makes no difference: as if they verified the token",
		},
	}
	for _, tt := range tests {
		m := modelAt(t, policy.Options{Now: noon}, tt.policies)
		v, trace := m.Explain(request(bearer(good)))
		if w := m.Evaluate(request(bearer(good))); w.Outcome != v.Outcome || w.Reason != v.Reason {
			t.Errorf("%+v explained, %+v evaluated", v, w)
		}
		var found []string
		for _, step := range trace {
			if step.Stage == policy.Authentication {
				found = append(found, step.Finding)
			}
		}
		if len(found) != 1 || found[0] != tt.want {
			t.Errorf("%q, want %s", found, tt.want)
		}
	}
}

// TestMissingKeysLaw: on random providers and tokens, a verdict without the keys
// is what every choice of keys gives, and it is unknown only if two of them
// differ.
func TestMissingKeysLaw(t *testing.T) {
	t.Parallel()
	undecided, decided := 0, 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 2))
		policies, sources := randomProviders(r)
		req, secrets := randomTokens(r)
		v := modelAt(t, policy.Options{Now: noon}, policies).Evaluate(req)
		seen := map[string]bool{}
		// Every source has the keys of some of the tokens, or of none.
		choices := 1 << len(secrets)
		for n := range pow(choices, len(sources)) {
			o := policy.Options{Now: noon, Keys: map[string]*policy.Keys{}}
			for _, source := range sources {
				set := []string{publicJWK(t, []byte("of nobody"), nil)}
				for i, secret := range secrets {
					if n%choices>>i&1 == 1 {
						set = append(set, publicJWK(t, []byte(secret), nil))
					}
				}
				o.Keys[source] = keys(t, jwks(set...))
				n /= choices
			}
			w := modelAt(t, o, policies).Evaluate(req)
			seen[fmt.Sprint(w.Outcome, w.HTTPStatus, w.By, w.Stage)] = true
		}
		if v.Outcome == policy.Unknown {
			undecided++
		} else {
			decided++
		}
		if known := len(seen) == 1; known != (v.Outcome != policy.Unknown) || known && !seen[fmt.Sprint(v.Outcome, v.HTTPStatus, v.By, v.Stage)] {
			t.Errorf("seed %d: %s %d (%s), but with keys %v\n%s", seed, v.Outcome, v.HTTPStatus, v.Reason, seen, policies)
		}
	}
	if undecided < 20 || decided < 20 {
		t.Errorf("%d unknown, %d known: the law was hardly tried", undecided, decided)
	}
}

func pow(base, exponent int) int {
	n := 1
	for range exponent {
		n *= base
	}
	return n
}

// randomProviders are up to three rules whose keys are at up to two places, or
// inline, and what follows them.
func randomProviders(r *rand.Rand) (policies string, sources []string) {
	pick := func(choices ...string) string { return choices[r.IntN(len(choices))] }
	var rules []string
	used := map[string]bool{}
	for range 1 + r.IntN(3) {
		rule := "issuer: a" + pick("", "", ", audiences: [api]") + pick("", ", fromParams: [t]", ", fromHeaders: [{name: x-t}]") + pick("", ", forwardOriginalToken: true")
		source := pick("https://one/", "https://two/", "inline")
		if source == "inline" {
			rule += `, jwks: '{"keys":[{"kty":"oct","k":"MA"}]}'`
		} else {
			rule += ", jwksUri: " + source
			if !used[source] {
				used[source] = true
				sources = append(sources, source)
			}
		}
		rules = append(rules, rule)
	}
	after := pick("", allowWhen("request.headers[authorization]", "values: ['*']"), ap("d", "action: DENY, rules: [{}]"), allowFrom("requestPrincipals: ['*']"))
	return docs(jwtPolicy(rules...), after), sources
}

// randomTokens is a request with up to two tokens, and the secrets that sign
// them.
func randomTokens(r *rand.Rand) (req *policy.Request, secrets []string) {
	var changes []change
	for i := range 1 + r.IntN(2) {
		secret := fmt.Sprint(i) // that of the first is inline
		secrets = append(secrets, secret)
		claims := []string{`{"iss":"a","sub":"s"}`, `{"iss":"a","sub":"s","aud":"api"}`, `{"iss":"a","sub":"s","aud":"api"}`, `{"iss":"a","aud":"api","exp":1}`, `{"iss":"b"}`}[r.IntN(5)]
		jwt := crafted([]byte(secret), `{"alg":"HS256"}`, claims)
		changes = append(changes, []change{bearer(jwt), tokenIn("param", "access_token", jwt), tokenIn("param", "t", jwt), tokenIn("header", "x-t", jwt)}[r.IntN(4)])
	}
	return request(changes...), secrets
}

// FuzzToken: no token and no JWKS panics, and what is decided without the keys
// stays so with them.
func FuzzToken(f *testing.F) {
	secret := []byte("secret")
	set := `{"keys":[{"kty":"oct","k":"c2VjcmV0"},{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`
	f.Add([]byte(crafted(secret, `{"alg":"HS256","kid":"1"}`, `{"iss":"a","aud":["x"],"exp":1,"scope":"a b"}`)), []byte(set))
	f.Add([]byte("Bearer "+crafted(secret, `{"alg":"ES256"}`, `{"iss":"a","x":"\ud83d\ude00"}`)), []byte(jwks(publicJWK(f, ring().p256, nil), publicJWK(f, ring().rsa, nil), publicJWK(f, ring().edwards, nil))))
	f.Add([]byte(`{"iss":"a"}`), []byte(`{"a":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}`))
	s := snapshot(f, docs(workloadYAML, jwtPolicy("issuer: a, jwksUri: https://one/", "issuer: a, jwksUri: https://two/, outputPayloadToHeader: x-p")), "")
	w := s.Workload("shop", "app")
	without := policy.Options{Now: noon}.Compile(s, w)
	f.Fuzz(func(t *testing.T, text, set []byte) {
		k := policy.Token{JWT: string(text)}
		parsed, err := policy.ParseToken(text)
		if err == nil {
			k = parsed
		}
		k.In, k.Name, k.Prefix = "header", "authorization", "Bearer "
		v := without.Evaluate(request(token(k)))
		if v.Outcome == "" || err == nil && parsed.JWT != "" && strings.Contains(v.Reason, "three parts") {
			t.Errorf("%s (%s)", v.Outcome, v.Reason)
		}
		known, err := policy.ParseKeys(set)
		if err != nil {
			return
		}
		o := policy.Options{Now: noon, Keys: map[string]*policy.Keys{"https://one/": known}}
		if with := o.Compile(s, w).Evaluate(request(token(k))); v.Outcome != policy.Unknown && with.Outcome != v.Outcome {
			t.Errorf("%s with keys, %s without", with.Outcome, v.Outcome)
		}
	})
}
