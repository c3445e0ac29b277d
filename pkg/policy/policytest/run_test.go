package policytest_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

// expectations are held to what the shop does: text is a file without its
// header, want its outcomes.
func TestRun(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"each caller by each path, the last list first", `
cases:
- name: matrix
  to: svc/web.shop:80
  path: [/items/1, /other]
  from: [shop/reader, plaintext]
  expect: allow
`, `passed matrix [shop/reader, /items/1]
failed matrix [shop/reader, /other]
  verdict: expected allow, got deny
  ALLOW: no rule of 1 policy matches; nearest is AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5): paths wants /items/*; the request has /other
failed matrix [plaintext, /items/1]
  verdict: expected allow, got deny
  ALLOW: no rule of 1 policy matches; nearest is AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5): serviceAccounts wants reader; the request has no identity (no mTLS)
failed matrix [plaintext, /other]
  verdict: expected allow, got deny
  ALLOW: no rule of 1 policy matches; nearest is AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5): paths wants /items/*; the request has /other, serviceAccounts wants reader; the request has no identity (no mTLS)`},
		{"what decides, in each form", `
defaults: {to: svc/web.shop:80, from: shop/reader, path: /items/1}
cases:
- {name: rule, expect: allow, by: shop/readers#0}
- {name: policy, expect: allow, by: shop/readers}
- {name: envoy, expect: allow, by: "ns[shop]-policy[readers]-rule[0]"}
- {name: no rule, method: PUT, expect: deny, by: none}
- {name: another rule, expect: allow, by: shop/readers#1}
- {name: another policy, expect: allow, by: shop/no-admin}
- {name: another of envoy, expect: allow, by: "ns[shop]-policy[readers]-rule[1]"}
- {name: not none, expect: allow, by: none}
- {name: denied, path: /items/admin, expect: deny, by: shop/no-admin#0, httpStatus: 403}
- {name: not allowed, path: /items/admin, expect: allow, httpStatus: 200}
`, `passed rule
passed policy
passed envoy
passed no rule
failed another rule
  by: expected shop/readers#1, got shop/readers#0
  ALLOW: AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5) matches
failed another policy
  by: expected shop/no-admin, got shop/readers#0
  ALLOW: AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5) matches
failed another of envoy
  by: expected ns[shop]-policy[readers]-rule[1], got ns[shop]-policy[readers]-rule[0]
  ALLOW: AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5) matches
failed not none
  by: expected none, got shop/readers#0
  ALLOW: AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5) matches
passed denied
failed not allowed
  verdict: expected allow, got deny
  httpStatus: expected 200, got 403
  DENY: AuthorizationPolicy shop/no-admin rule 0 (mesh.yaml:39:5) matches`},
		{"addresses: the case's, the identity's, the default, or unknown", `
defaults: {to: deploy/web.shop:9000}
identities:
  near: {plaintext: true, ip: 10.1.2.3}
  far: {principal: cluster.local/ns/dev/sa/x, ip: 192.0.2.1}
cases:
- {name: near, from: near, expect: allow, by: shop/readers#1}
- {name: far, from: far, expect: deny}
- {name: moved, from: near, sourceIP: 192.0.2.2, expect: deny}
- {name: somewhere, from: shop/web, expect: deny}
- {name: somewhere is unknown, from: shop/web, expect: unknown, by: shop/readers#1}
- {name: near is known, from: near, expect: unknown}
`, `passed near
passed far
passed moved
unknown somewhere
  verdict: expected deny, got unknown
  it depends on the client's address (sourceIP)
passed somewhere is unknown
failed near is known
  verdict: expected unknown, got allow
  ALLOW: AuthorizationPolicy shop/readers rule 1 (mesh.yaml:30:5) matches`},
		{"bytes where the port says so, and the case nothing of HTTP", `
defaults: {from: plaintext, sourceIP: 10.1.2.3, method: GET, headers: {x-a: b}}
cases:
- {name: bytes, to: svc/web.shop:tcp-raw, expect: allow, httpStatus: 200}
- {name: request, to: svc/web.shop, port: 9000, path: /, expect: allow, httpStatus: 200}
- {name: bytes to HTTP, to: svc/web.shop, port: [80, http], tcp: true, expect: rejected}
`, `failed bytes
  httpStatus: expected 200, got none
  ALLOW: AuthorizationPolicy shop/readers rule 1 (mesh.yaml:30:5) matches
passed request
passed bytes to HTTP [80]
passed bytes to HTTP [http]`},
		{"every kind of caller, and the words of a name", `
defaults: {to: svc/web.shop:80, path: /items/1}
identities:
  a: {workload: deploy/reader.shop}
  b: {serviceAccount: shop/reader}
  c: {principal: spiffe://cluster.local/ns/shop/sa/reader}
cases:
- {name: "yes", from: [a, b, c, shop/reader, deploy/reader.shop, sa/reader.shop, "spiffe://cluster.local/ns/shop/sa/reader"], expect: allow}
- {name: "no", from: [spiffe://elsewhere/ns/shop/sa/reader], expect: refused}
- {name: plain, from: [a, c], mtls: plaintext, expect: deny, by: none}
`, `passed yes [a]
passed yes [b]
passed yes [c]
passed yes [shop/reader]
passed yes [deploy/reader.shop]
passed yes [sa/reader.shop]
passed yes [spiffe://cluster.local/ns/shop/sa/reader]
passed no [spiffe://elsewhere/ns/shop/sa/reader]
passed plain [a]
passed plain [c]`},
		{"several lists, in the fixed order whatever the file's", `
cases:
- name: all
  http2: [false, true]
  headers: [{}, {x-a: [b, c], cookie: secret}]
  method: [GET, PUT]
  to: [svc/web.shop:80]
  from: shop/reader
  path: /items/1
  expect: allow
`, `passed all [svc/web.shop:80, GET, no headers, false]
passed all [svc/web.shop:80, GET, no headers, true]
passed all [svc/web.shop:80, GET, x-a: b, x-a: c, cookie, false]
passed all [svc/web.shop:80, GET, x-a: b, x-a: c, cookie, true]
failed all [svc/web.shop:80, PUT, no headers, false]
  verdict: expected allow, got deny
  ALLOW: no rule of 1 policy matches; nearest is AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5): methods wants GET; the request has PUT`},
	}
	s := snapshot(t, shop)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := run(t, s, tt.text, policytest.Options{FailFast: strings.HasPrefix(tt.name, "several lists")})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outcomes(r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// authority asks for tokens, and knows a second policy by host and gRPC.
const authority = shop + `---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  jwtRules: [{issuer: https://issuer.example, audiences: [api], fromHeaders: [{name: authorization, prefix: "Bearer "}, {name: x-jwt}], fromParams: [t], fromCookies: [c], jwksUri: https://issuer.example/keys}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tokens, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  rules:
  - from: [{source: {requestPrincipals: [https://issuer.example/alice]}}]
    when: [{key: "request.auth.claims[group]", values: [admin]}]
  - to: [{operation: {methods: [POST], hosts: [other.example]}}]
    when: [{key: "request.headers[content-type]", values: [application/grpc]}, {key: "request.headers[te]", values: [trailers]}]
`

// TestTokens: where tokens stand, what they claim and what is wrong with them
// (RA-5, RA-10); and requests of gRPC.
func TestTokens(t *testing.T) {
	t.Parallel()
	r, err := run(t, snapshot(t, authority), `
defaults: {to: svc/web.shop:80, from: plaintext}
tokens:
  good: &good {iss: https://issuer.example, sub: alice, aud: [api, other], claims: {group: [admin, 7, 1.5, true, null, {a: b}]}}
  header: {<<: *good, name: x-jwt}
  prefixed: {<<: *good, name: x-jwt, prefix: "Bearer "}
  bare: {<<: *good, prefix: ""}
  param: {<<: *good, in: param, name: t}
  cookie: {<<: *good, in: cookie, name: c}
  elsewhere: {<<: *good, in: param}
  bob: {<<: *good, sub: bob}
  audience: {<<: *good, aud: web}
  forged: {<<: *good, invalid: signature}
  expired: {<<: *good, valid: false, invalid: expired}
  malformed: {invalid: malformed}
  real: {jwt: eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiYXBpIiwiZXhwIjoxfQ.c2ln}
cases:
- {name: good, token: [good, header, param, cookie], expect: allow, by: shop/tokens#0}
- {name: no such token there, token: [none, bob, elsewhere, bare], expect: deny, by: none}
- {name: bad, token: [forged, expired, malformed, prefixed], expect: unauthenticated, httpStatus: 401}
- {name: audience, token: audience, expect: deny, httpStatus: 403}
- {name: real, token: real, expect: allow}
- {name: grpc, grpc: true, host: other.example, expect: allow, by: shop/tokens#1}
- {name: not grpc, grpc: true, method: PUT, host: other.example, expect: deny, httpStatus: 200}
`, policytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `passed good [good]
passed good [header]
passed good [param]
passed good [cookie]
passed no such token there [none]
passed no such token there [bob]
passed no such token there [elsewhere]
passed no such token there [bare]
passed bad [forged]
passed bad [expired]
passed bad [malformed]
passed bad [prefixed]
passed audience
unknown real
  verdict: expected allow, got unknown
  request authentication: the keys of issuer "https://issuer.example" are at jwksUri https://issuer.example/keys: give them as jwks; deny if they verify the token, unauthenticated if they do not
passed grpc
passed not grpc`
	if diff := cmp.Diff(want, outcomes(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const three = `
defaults: {to: svc/web.shop:80, from: shop/reader}
cases:
- {name: first, path: /items/1, expect: allow}
- {name: second, path: [/a, /b], expect: allow}
- {name: third, path: /c, expect: deny}
`

func TestFailFast(t *testing.T) {
	t.Parallel()
	r, err := run(t, snapshot(t, shop), three, policytest.Options{FailFast: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(r); !strings.Contains(got, "failed second [/a]") || strings.Contains(got, "/b") || strings.Contains(got, "third") {
		t.Errorf("%s", got)
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	r, err := run(t, snapshot(t, shop), three, policytest.Options{Only: regexp.MustCompile(`third|/b\]$`)})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range r.Suites[0].Cases {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"second [/b]", "third"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := run(t, snapshot(t, shop), three, policytest.Options{Only: regexp.MustCompile("fourth")}); !errors.Is(err, policytest.ErrNoCase) {
		t.Errorf("no case: %v", err)
	}
}

// TestDetail: a case that fails tells the request and every stage.
func TestDetail(t *testing.T) {
	t.Parallel()
	r, err := run(t, snapshot(t, shop), three, policytest.Options{Only: regexp.MustCompile("/a")})
	if err != nil {
		t.Fatal(err)
	}
	want := `GET /a, host web.shop.svc.cluster.local, from service account shop/reader to web.shop.svc.cluster.local:80
at Deployment shop/web port 8080: deny
  client TLS: mTLS as spiffe://cluster.local/ns/shop/sa/reader: automatic; the caller is assumed to have a sidecar
  transport: nothing in the files says whether the workload has a sidecar; it is assumed to have one
  transport: mTLS as spiffe://cluster.local/ns/shop/sa/reader; port 8080 (HTTP) is PERMISSIVE: ends at the sidecar, as HTTP requests
    Service shop/web (mesh.yaml:1:1)
  CUSTOM: no policy asks an external authorizer
  authentication: no RequestAuthentication: tokens are not looked at
  DENY: no rule of 1 policy matches
  ALLOW: no rule of 1 policy matches
    AuthorizationPolicy shop/readers (mesh.yaml:22:1)
    nearest is AuthorizationPolicy shop/readers rule 0 (mesh.yaml:28:5): paths wants /items/*; the request has /a`
	if diff := cmp.Diff(want, r.Suites[0].Cases[0].Detail); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
