package policytest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/report"
)

// faults are the errors that were joined, each with its hint.
func faults(err error) string {
	var lines []string
	var walk func(error)
	walk = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				walk(e)
			}
			return
		}
		line := err.Error()
		var input *report.InputError
		if errors.As(err, &input) && input.Hint != "" {
			line += " <" + input.Hint + ">"
		}
		lines = append(lines, line)
	}
	if err != nil {
		walk(err)
	}
	return strings.Join(lines, "\n")
}

// TestFaults: what is wrong with a file is told with its place, its path and
// what may have been meant; several faults together.
func TestFaults(t *testing.T) {
	t.Parallel()
	const one = "cases:\n- {name: a, from: plaintext, to: svc/web.shop, expect: allow}\n"
	tests := []struct{ name, text, want string }{
		{"not YAML", header + "cases: [\n", `t.meshtest.yaml:3:8: yaml: line 3: did not find expected node content <the [ that opens here is not closed: write ] where it ends>`},
		{"empty", "# nothing\n", `t.meshtest.yaml: the file has no test in it <it needs apiVersion: meshctl.dev/v1alpha1, kind: PolicyTest, and cases>`},
		{"nothing at all", "", `t.meshtest.yaml: the file has no test in it <it needs apiVersion: meshctl.dev/v1alpha1, kind: PolicyTest, and cases>`},
		{"another document", "apiVersion: v1\nkind: Service\nmetadata: {name: s, labels: {}}\n", `t.meshtest.yaml:1:1: PolicyTest s: cases is missing
t.meshtest.yaml:1:13: PolicyTest s: apiVersion: "v1": expected meshctl.dev/v1alpha1
t.meshtest.yaml:2:7: PolicyTest s: kind: "Service": expected PolicyTest
t.meshtest.yaml:3:21: PolicyTest s: metadata.labels: unknown field <expected one of name>`},
		{"a list", "- a\n", `t.meshtest.yaml:1:1: PolicyTest: expected a mapping (key: value), found a list`},
		{"two documents, each with a fault", header + one + "---\n" + header + "metadata: {name: second}\ncases: []\n---\n" + header + "casses: []\n", `t.meshtest.yaml:9:8: PolicyTest second: cases: the list is empty
t.meshtest.yaml:11:1: PolicyTest: cases is missing
t.meshtest.yaml:13:1: PolicyTest: casses: unknown field <did you mean "cases"?>`},
		{"wrong kinds", header + `inputs: deploy
namespace: 7
identities: [a]
tokens: {t: [x]}
cases:
- name: {a: b}
  from: {workload: x}
  to: [[svc/web.shop]]
  path: 1
  method: true
  headers: [a]
  http2: yes
  port: 99999
  httpStatus: "200"
  expect: [allow]
  by:
`, `t.meshtest.yaml:3:9: PolicyTest: inputs: expected a list (- item), found text
t.meshtest.yaml:4:12: PolicyTest: namespace: expected text, found a number <quote it: "7">
t.meshtest.yaml:5:13: PolicyTest: identities: expected a mapping (key: value), found a list
t.meshtest.yaml:6:13: PolicyTest: tokens.t: expected a mapping (key: value), found a list
t.meshtest.yaml:8:9: PolicyTest: cases.0.name: expected text, found a mapping
t.meshtest.yaml:9:9: PolicyTest: cases.0.from: expected text, found a mapping
t.meshtest.yaml:10:8: PolicyTest: cases.0.to.0: expected text, found a list
t.meshtest.yaml:11:9: PolicyTest: cases.0.path: expected text, found a number <quote it: "1">
t.meshtest.yaml:12:11: PolicyTest: cases.0.method: expected text, found true or false <quote it: "true">
t.meshtest.yaml:13:13: PolicyTest: cases.0.headers.0: expected a mapping (key: value), found text
t.meshtest.yaml:14:10: PolicyTest: cases.0.http2: expected true or false, found text
t.meshtest.yaml:15:9: PolicyTest: cases.0.port: 99999: expected 1 to 65535
t.meshtest.yaml:16:15: PolicyTest: cases.0.httpStatus: expected a whole number, found text
t.meshtest.yaml:17:11: PolicyTest: cases.0.expect: expected allow, deny, unauthenticated, refused, rejected or unknown, found a list
t.meshtest.yaml:18:6: PolicyTest: cases.0.by: expected text, found nothing`},
		{"words", header + `metadata: {name: words}
cases:
- name: a
  form: plaintext
  from: plaintext
  to: svc/web.shop
  expect: denied
  custom: maybe
  mtls: strict
  by: readers
  httpStatus: 42
- {name: b, from: plaintext, to: svc/web.shop, expect: allow, expcet: deny}
`, `t.meshtest.yaml:6:3: PolicyTest words: cases.0.form: unknown field <did you mean "from"?>
t.meshtest.yaml:9:11: PolicyTest words: cases.0.expect: unknown verdict "denied" <expected one of allow, deny, refused, rejected, unauthenticated, unknown>
t.meshtest.yaml:10:11: PolicyTest words: cases.0.custom: unknown answer "maybe" <expected one of allow, deny, error>
t.meshtest.yaml:11:9: PolicyTest words: cases.0.mtls: unknown mtls "strict" <expected one of auto, plaintext>
t.meshtest.yaml:12:7: PolicyTest words: cases.0.by: "readers": expected NAMESPACE/NAME#RULE, ns[NAMESPACE]-policy[NAME]-rule[RULE] or none
t.meshtest.yaml:13:15: PolicyTest words: cases.0.httpStatus: 42: expected 100 to 599
t.meshtest.yaml:14:63: PolicyTest words: cases.1.expcet: unknown field <did you mean "expect"?>`},
		{"given twice", header + `identities: {a: {plaintext: true, plaintext: true}}
cases:
- {name: a, from: plaintext, to: x/y, expect: allow, name: b}
`, `t.meshtest.yaml:3:35: PolicyTest: identities.a: "plaintext" is given twice
t.meshtest.yaml:5:54: PolicyTest: cases.0: "name" is given twice`},
		{"identities", header + `identities:
  a/b: {plaintext: true}
  plaintext: {plaintext: true}
  both: {plaintext: true, workload: deploy/web.shop}
  neither: {ip: 10.1.2.3}
  false: {plaintext: false}
  accounts: {serviceAccount: web}
  ids: {principal: "*/ns/shop/sa/web"}
  where: {plaintext: true, ip: here}
` + one, `t.meshtest.yaml:4:3: PolicyTest: identities: "a/b" is no short name: take one without / and *, other than plaintext
t.meshtest.yaml:5:3: PolicyTest: identities: "plaintext" is no short name: take one without / and *, other than plaintext
t.meshtest.yaml:6:9: PolicyTest: identities.both: expected one of workload, serviceAccount, principal or plaintext
t.meshtest.yaml:7:12: PolicyTest: identities.neither: expected one of workload, serviceAccount, principal or plaintext
t.meshtest.yaml:8:22: PolicyTest: identities.false.plaintext: false says nothing: leave it out
t.meshtest.yaml:9:30: PolicyTest: identities.accounts.serviceAccount: "web": expected NAMESPACE/SERVICEACCOUNT
t.meshtest.yaml:10:20: PolicyTest: identities.ids.principal: principal "*/ns/shop/sa/web": expected a SPIFFE ID such as spiffe://cluster.local/ns/shop/sa/web
t.meshtest.yaml:11:32: PolicyTest: identities.where.ip: "here": expected an address such as 10.1.2.3`},
		{"tokens", header + `tokens:
  none: {iss: a}
  twice: {iss: a, claims: {iss: b}}
  good: {iss: a, valid: true, invalid: expired}
  bad: {iss: a, valid: false}
  worse: {iss: a, invalid: signatur}
  cookie: {iss: a, in: cookie}
  real: {jwt: a.b}
  both: {jwt: eyJhbGciOiJSUzI1NiJ9.e30.c2ln, iss: a}
  list: {aud: []}
  numbers: {claims: {exp: .inf}}
` + one, `t.meshtest.yaml:4:3: PolicyTest: tokens: "none" is no name for a token: it stands for a request without one
t.meshtest.yaml:5:10: PolicyTest: tokens.twice: iss is given twice: here and in claims
t.meshtest.yaml:6:40: PolicyTest: tokens.good.invalid: the token cannot be both valid and invalid
t.meshtest.yaml:7:24: PolicyTest: tokens.bad.valid: say why, with invalid: signature, expired or malformed
t.meshtest.yaml:8:28: PolicyTest: tokens.worse.invalid: unknown fault of a token "signatur" <did you mean "signature"?>
t.meshtest.yaml:9:11: PolicyTest: tokens.cookie: name is missing: the cookie's
t.meshtest.yaml:10:15: PolicyTest: tokens.real.jwt: not a JWT: expected header, payload and signature in base64url with dots between them
t.meshtest.yaml:11:15: PolicyTest: tokens.both.jwt: a real token goes with neither claims nor valid and invalid
t.meshtest.yaml:12:15: PolicyTest: tokens.list.aud: the list is empty
t.meshtest.yaml:13:27: PolicyTest: tokens.numbers.claims.exp: .inf is no number that JSON has`},
		{"short names", header + `identities: {frontend: {plaintext: true}}
tokens: {alice: {iss: a}}
cases:
- {name: a, from: [fronted, nobody], to: svc/web.shop, token: [alise, bob], expect: allow}
`, `t.meshtest.yaml:6:20: PolicyTest: cases.0.from.0: unknown identity "fronted" <did you mean "frontend"?; or name a workload such as deploy/web.shop, or NAMESPACE/SERVICEACCOUNT>
t.meshtest.yaml:6:29: PolicyTest: cases.0.from.1: unknown identity "nobody" <expected one of frontend, plaintext; or name a workload such as deploy/web.shop, or NAMESPACE/SERVICEACCOUNT>
t.meshtest.yaml:6:64: PolicyTest: cases.0.token.0: unknown token "alise" <did you mean "alice"?; or describe it under tokens>
t.meshtest.yaml:6:71: PolicyTest: cases.0.token.1: unknown token "bob" <expected one of alice, none; or describe it under tokens>`},
		{"what a case must have", header + `cases:
- {from: plaintext, to: svc/web.shop}
`, `t.meshtest.yaml:4:3: PolicyTest: cases.0: expect is missing
t.meshtest.yaml:4:3: PolicyTest: cases.0: name is missing`},
		{"what a case lacks, and has too much of", header + `cases:
- {name: a, expect: allow}
- {name: b, from: plaintext, to: svc/web.shop:80, port: [80, http], expect: allow}
- {name: c, from: plaintext, to: svc/web.shop, tcp: true, path: /x, headers: {a: b}, expect: allow}
- {name: c, from: plaintext, to: svc/web.shop, expect: allow}
`, `t.meshtest.yaml:4:3: PolicyTest: cases.0: from is missing, here and in defaults
t.meshtest.yaml:4:3: PolicyTest: cases.0: to is missing, here and in defaults
t.meshtest.yaml:5:58: PolicyTest: cases.1.port.0: to has a port already: "svc/web.shop:80"
t.meshtest.yaml:5:62: PolicyTest: cases.1.port.1: to has a port already: "svc/web.shop:80"
t.meshtest.yaml:6:65: PolicyTest: cases.2.path: tcp: true sends bytes that have no path
t.meshtest.yaml:6:78: PolicyTest: cases.2.headers: tcp: true sends bytes that have no headers
t.meshtest.yaml:7:10: PolicyTest: cases.3.name: another case has this name, on line 6`},
		{"what no client can send", header + `cases:
- {name: a, from: plaintext, to: svc/web.shop, expect: allow, method: "A B", path: "/x\ny", headers: {Host: x, ":path": y, "a b": z, c: "d\r\n"}, sourceIP: 10.1}
- {name: b, from: plaintext, to: svc/web.shop, expect: allow, path: "", method: []}
`, `t.meshtest.yaml:4:71: PolicyTest: cases.0.method: "A B": expected one word
t.meshtest.yaml:4:84: PolicyTest: cases.0.path: "/x\ny": it would end the line in which it is sent
t.meshtest.yaml:4:103: PolicyTest: cases.0.headers: "Host" is not for headers <the fields method, path and host say it>
t.meshtest.yaml:4:112: PolicyTest: cases.0.headers: ":path" is not for headers <the fields method, path and host say it>
t.meshtest.yaml:4:124: PolicyTest: cases.0.headers: "a b" is no name of a header
t.meshtest.yaml:4:137: PolicyTest: cases.0.headers.c: "d\r\n": it would end the line in which it is sent
t.meshtest.yaml:4:157: PolicyTest: cases.0.sourceIP: expected text, found a number <quote it: "10.1">
t.meshtest.yaml:5:69: PolicyTest: cases.1.path: expected text, found an empty one
t.meshtest.yaml:5:81: PolicyTest: cases.1.method: the list is empty`},
		{"proofs are for later", header + `cases:
- {name: a, from: ["*"], to: svc/*.shop:80, path: "/**", method: "*", host: "*.example", expect: deny}
- {name: b, from: plaintext, to: svc/web.shop, path: ["*", "/x?q=*"], method: OPTIONS, expect: deny}
- name: c
  from: plaintext
  to: svc/web.shop
  path: [/a, /b]
  expectTable: |
    allow deny
  expect: allow
invariants:
- {name: only GET crosses}
`, `t.meshtest.yaml:4:20: PolicyTest: cases.0.from.0: "*" asks about all at once, which needs a proof over all requests; this version decides single requests <name the ones that matter, as a list>
t.meshtest.yaml:4:30: PolicyTest: cases.0.to: "svc/*.shop:80" asks about all at once, which needs a proof over all requests; this version decides single requests <name the ones that matter, as a list>
t.meshtest.yaml:4:51: PolicyTest: cases.0.path: "/**" asks about all at once, which needs a proof over all requests; this version decides single requests <name the ones that matter, as a list>
t.meshtest.yaml:4:66: PolicyTest: cases.0.method: "*" asks about all at once, which needs a proof over all requests; this version decides single requests <name the ones that matter, as a list>
t.meshtest.yaml:4:77: PolicyTest: cases.0.host: "*.example" asks about all at once, which needs a proof over all requests; this version decides single requests <name the ones that matter, as a list>
t.meshtest.yaml:10:16: PolicyTest: cases.2.expectTable: tables of verdicts are not in this version <write a case for each verdict: lists of callers, paths and so on still multiply within each>
t.meshtest.yaml:14:1: PolicyTest: invariants: these are proofs about all requests at once, which this version does not have; it decides single requests <write cases for single requests until then>`},
		{"inputs", header + `inputs: ["-", "https://example.com/x", {path: a, kustomize: b}, {recursive: true}, {kustomize: a, gitRef: main}, {path: a, gitRef: --all}, {path: a, gitRef: "a..b"}, {path: a, gitref: main}]
meshConfig: [a]
jwks: {x: "-"}
` + one, `t.meshtest.yaml:3:10: PolicyTest: inputs.0: standard input is not for test files: name a file, or give the manifests with -f -
t.meshtest.yaml:3:15: PolicyTest: inputs.1: "https://example.com/x": tests touch no network: download it and name the file
t.meshtest.yaml:3:40: PolicyTest: inputs.2: expected either path or kustomize
t.meshtest.yaml:3:65: PolicyTest: inputs.3: expected either path or kustomize
t.meshtest.yaml:3:84: PolicyTest: inputs.4: kustomize goes with neither gitRef nor recursive
t.meshtest.yaml:3:132: PolicyTest: inputs.5.gitRef: "--all": expected a commit, branch or tag
t.meshtest.yaml:3:158: PolicyTest: inputs.6.gitRef: "a..b": expected a commit, branch or tag
t.meshtest.yaml:3:177: PolicyTest: inputs.7.gitref: unknown field <did you mean "gitRef"?>
t.meshtest.yaml:4:13: PolicyTest: meshConfig: expected text, found a list
t.meshtest.yaml:5:11: PolicyTest: jwks.x: standard input is not for test files: name a file, or give the manifests with -f -`},
		{"aliases and merges", header + `identities: {a: &a {plaintext: true}, b: *a}
x: &c {from: plaintext, to: svc/web.shop, expect: denied}
cases:
- {<<: *c, name: a}
- {<<: [*c, 7], name: b, expect: allow}
`, `t.meshtest.yaml:4:1: PolicyTest: x: unknown field <expected one of apiVersion, cases, defaults, identities, inputs, jwks, kind, meshConfig, metadata, namespace, tokens>
t.meshtest.yaml:4:51: PolicyTest: cases.0.expect: unknown verdict "denied" <expected one of allow, deny, refused, rejected, unauthenticated, unknown>
t.meshtest.yaml:7:13: PolicyTest: cases.1: << merges mappings, and this is a number`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files, err := parse(tt.text)
			if diff := cmp.Diff(tt.want, faults(err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if files != nil {
				t.Error("files in spite of faults")
			}
		})
	}
}

// TestHostileFiles: what is small and would grow, or is deep, is refused.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	const one = "cases: [{name: a, from: plaintext, to: svc/web.shop, expect: allow}]\n"
	bomb := "tokens:\n  a0: {claims: &a0 {x: y}}\n"
	for i := range 30 {
		bomb += fmt.Sprintf("  a%d: {claims: &a%d {x: *a%d, y: *a%d}}\n", i+1, i+1, i, i)
	}
	many := "cases:\n- name: a\n  expect: allow\n  from: plaintext\n  to: svc/web.shop\n"
	for _, list := range []string{"path", "host", "method"} {
		many += "  " + list + ": [" + strings.Repeat("/x, ", 99) + "/x]\n"
	}
	for want, text := range map[string]string{
		"nested more than 64 deep":                                    "tokens: {t: {claims: &c {a: [*c]}}}\n" + one,
		"its aliases add more than 65536":                             bomb + one,
		"the lists of this case multiply to more than 10000 requests": many,
		"expected text, found a number":                               "cases:\n" + strings.Repeat("- {name: 1}\n", 1000),
	} {
		_, err := parse(header + text)
		if got := faults(err); !strings.Contains(got, want) || strings.Count(got, "\n") > 100 {
			t.Errorf("want %q, got %d lines: %.300s", want, strings.Count(got, "\n"), got)
		}
	}
}
