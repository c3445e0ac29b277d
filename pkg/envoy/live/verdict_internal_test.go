package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

func number(n int) *int { return &n }

// TestVerdicts: what a client got and what Envoy wrote of it, in the words of
// the simulator. The lines are such as a live Envoy 1.40 wrote.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	ended := errors.New("EOF")
	request := func(code int, details string) []envoy.LogEntry {
		return []envoy.LogEntry{{Scope: envoy.RequestScope, Code: code, Details: details}, {Scope: envoy.ConnectionScope}}
	}
	stream := func(e envoy.LogEntry) []envoy.LogEntry {
		e.Scope = envoy.ConnectionScope
		return []envoy.LogEntry{e}
	}
	const rule = "ns[shop]-policy[p]-rule[0]"
	for _, tt := range []struct {
		what  string
		reply reply
		log   []envoy.LogEntry
		want  policy.Verdict
	}{
		{"allowed", reply{answered: true, status: 200}, request(200, "via_upstream"), policy.Verdict{Outcome: policy.Allow, HTTPStatus: 200}},
		{"bytes allowed", reply{answered: true}, stream(envoy.LogEntry{TCP: map[string]string{"allow_shadow_effective_policy_id": rule}}), policy.Verdict{Outcome: policy.Allow, By: rule}},
		{"denied", reply{status: 403}, request(403, byRule+rule+"]"), policy.Verdict{Outcome: policy.Deny, HTTPStatus: 403, By: rule}},
		{"denied by no rule", reply{status: 403}, request(403, byRule+"none]"), policy.Verdict{Outcome: policy.Deny, HTTPStatus: 403, By: "none"}},
		{"denied, gRPC", reply{status: 200, grpc: number(7)}, request(200, byRule+rule+"]"), policy.Verdict{Outcome: policy.Deny, HTTPStatus: 200, GRPCStatus: number(7), By: rule}},
		{"bytes denied", reply{failed: ended}, stream(envoy.LogEntry{Ended: byRule + rule + "]"}), policy.Verdict{Outcome: policy.Deny, By: rule}},
		{"provider that cannot be used", reply{status: 403}, request(403, byRule+"istio-ext-authz-x-"+rule+"]"), policy.Verdict{Outcome: policy.Deny, HTTPStatus: 403, By: "istio-ext-authz-x-" + rule, Custom: "istio-ext-authz-x-" + rule}},
		{"bytes an authorizer denied", reply{failed: ended}, stream(envoy.LogEntry{Details: "ext_authz_denied", TCP: map[string]string{"istio_ext_authz_shadow_effective_policy_id": rule}}), policy.Verdict{Outcome: policy.Deny, By: rule, Custom: rule}},
		{"bad token", reply{status: 401}, request(401, "jwt_authn_access_denied{Jwt_is_expired}"), policy.Verdict{Outcome: policy.Unauthenticated, HTTPStatus: 401}},
		{"bad audience", reply{status: 403}, request(403, byAudience), policy.Verdict{Outcome: policy.Deny, HTTPStatus: 403}},
		{"rejected", reply{status: 400}, request(400, "http1.codec_error"), policy.Verdict{Outcome: policy.Rejected, HTTPStatus: 400}},
		{"rejected, gRPC", reply{status: 200, grpc: number(13)}, request(200, "path_normalization_failed"), policy.Verdict{Outcome: policy.Rejected, HTTPStatus: 200, GRPCStatus: number(13)}},
		{"CONNECT", reply{status: 404}, request(404, "route_not_found"), policy.Verdict{Outcome: policy.Allow, HTTPStatus: 404}},
		{"no chain", reply{failed: ended}, stream(envoy.LogEntry{Details: "filter_chain_not_found", Flags: "NR"}), policy.Verdict{Outcome: policy.Refused}},
		{"no handshake", reply{failed: ended, handshake: true}, stream(envoy.LogEntry{}), policy.Verdict{Outcome: policy.Refused}},
		{"another trust domain", reply{failed: ended}, stream(envoy.LogEntry{TLSFailure: "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher"}), policy.Verdict{Outcome: policy.Refused}},
		{"HTTP/2 that is none", reply{failed: ended}, request(0, "http2.invalid.header.field"), policy.Verdict{Outcome: policy.Refused}},
		{"HTTP/1 where HTTP/2 was agreed", reply{failed: ended}, stream(envoy.LogEntry{Flags: "DPE"}), policy.Verdict{Outcome: policy.Refused}},
		{
			"dry runs",
			reply{answered: true, status: 200},
			[]envoy.LogEntry{{Scope: envoy.RequestScope, Code: 200, Details: "via_upstream", HTTP: map[string]string{
				"istio_dry_run_allow_shadow_engine_result": "denied", "istio_dry_run_deny_shadow_engine_result": "denied", "istio_dry_run_deny_shadow_effective_policy_id": rule,
			}}, {Scope: envoy.ConnectionScope}},
			policy.Verdict{Outcome: policy.Allow, HTTPStatus: 200, DryRun: &policy.DryRun{Allow: &policy.Shadow{Result: "denied"}, Deny: &policy.Shadow{Result: "denied", By: rule}}},
		},
	} {
		v, err := tt.reply.verdict(tt.log)
		if err != nil || !reflect.DeepEqual(v, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", tt.what, v, err, tt.want)
		}
		if differences := Differences(&v, &tt.want); differences != nil {
			t.Errorf("%s: %v", tt.what, differences)
		}
	}
}

// TestNoVerdict: what nothing tells is no verdict, rather than a refusal.
func TestNoVerdict(t *testing.T) {
	t.Parallel()
	lost := errors.New("i/o timeout")
	for what, tt := range map[string]struct {
		reply reply
		entry envoy.LogEntry
	}{
		"a connection that hangs":     {reply{failed: lost}, envoy.LogEntry{Scope: envoy.ConnectionScope}},
		"an upstream that is not":     {reply{status: 503}, envoy.LogEntry{Scope: envoy.RequestScope, Code: 503, Details: "upstream_reset_before_response_started"}},
		"plaintext that TLS precedes": {reply{failed: lost}, envoy.LogEntry{Scope: envoy.ConnectionScope, TLSFailure: "TLS_error|error:100000f7:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end"}}, // DP-13
	} {
		if v, err := tt.reply.verdict([]envoy.LogEntry{tt.entry}); err == nil || !strings.HasPrefix(err.Error(), "no verdict: ") {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
	}
}

// TestDifferences: every part that Envoy tells is compared.
func TestDifferences(t *testing.T) {
	t.Parallel()
	a := &policy.Verdict{Outcome: policy.Allow, HTTPStatus: 200, By: "r", DryRun: &policy.DryRun{Allow: &policy.Shadow{Result: "allowed", By: "x"}}}
	b := &policy.Verdict{Outcome: policy.Deny, HTTPStatus: 403, GRPCStatus: number(7), By: "q", Custom: "c", DryRun: &policy.DryRun{Deny: &policy.Shadow{Result: "denied"}}}
	want := "verdict: simulated allow, envoy deny|HTTP status: simulated 200, envoy 403|gRPC status: simulated none, envoy 7|rule: simulated r, envoy q|CUSTOM rule: simulated , envoy c|" +
		"dry-run ALLOW: simulated {allowed x}, envoy { }|dry-run DENY: simulated { }, envoy {denied }"
	if got := strings.Join(Differences(a, b), "|"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestLogTail: the lines of a connection are handed over when it has ended; a
// port that serves again is another connection.
func TestLogTail(t *testing.T) {
	t.Parallel()
	path, other := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "log")
	tail := newLogTail()
	tail.follow(path)
	tail.follow(other)
	writeTo := func(path, text string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		_, err = f.WriteString(text)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Error(err)
		}
	}
	write := func(text string) { writeTo(path, text) }
	line := func(id, peer, local, scope, code string) string {
		return fmt.Sprintf(`{"workload":"shop/web","connection":%s,"peer":%q,"local":%q,"scope":%q,"code":%s}`+"\n", id, peer, local, scope, code)
	}
	go func() {
		write(line("1", "1:1", "9:80", "request", "200") + line("2", "2:2", "9:80", "request", "403") + line("1", "1:1", "9:80", "connection", "0"))
		time.Sleep(2 * logFlush)
		whole := line("2", "2:2", "9:80", "connection", "0") + line("3", "1:1", "9:80", "request", "401") + line("3", "1:1", "9:80", "connection", "0")
		write(whole[:len(whole)/2])
		time.Sleep(2 * logFlush)
		write(whole[len(whole)/2:])
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := tail.take(ctx, map[string]int{connection("shop/web", "1:1"): 2, connection("shop/web", "2:2"): 1})
	if err != nil {
		t.Fatal(err)
	}
	first, second, third := got["shop/web 1:1"][0], got["shop/web 1:1"][1], got["shop/web 2:2"][0]
	if first[0].Code != 200 || second[0].Code != 401 || third[0].Code != 403 || len(first) != 2 || len(second) != 2 || len(third) != 2 {
		t.Errorf("%v", got)
	}
	// One port of a client's, and two of the server's, at the same time.
	write(line("4", "4:4", "9:80", "request", "200") + line("5", "4:4", "9:90", "connection", "7") + line("4", "4:4", "9:80", "connection", "0"))
	for local, want := range map[string]int{"9:90": 1, "9:80": 2} {
		if one, err := tail.takeOne(t.Context(), connection("shop/web", "4:4"), local); err != nil || len(one) != want || one[0].Local != local {
			t.Errorf("%s: %v, %v", local, one, err)
		}
	}
	// One ID, and one line in pieces, of two Envoys.
	whole := line("6", "6:6", "9:80", "connection", "0")
	write(line("6", "6:6", "9:80", "request", "200") + whole[:9])
	writeTo(other, line("6", "7:7", "9:80", "connection", "0"))
	write(whole[9:])
	for peer, want := range map[string]int{"6:6": 2, "7:7": 1} {
		if one, err := tail.takeOne(t.Context(), connection("shop/web", peer), "9:80"); err != nil || len(one) != want {
			t.Errorf("%s: %v, %v", peer, one, err)
		}
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := tail.take(ended, map[string]int{"shop/web 3:3": 1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	write("nonsense\n")
	if _, err := tail.take(t.Context(), map[string]int{"shop/web 3:3": 1}); err == nil || !strings.HasPrefix(err.Error(), "access log: ") {
		t.Error(err)
	}
}

// TestComplaint: of all that Envoy prints the reason counts.
func TestComplaint(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		"[2026-01-01][1][warning][x] old\n[2026-01-01 00:00:00][1][critical][main] [source/server.cc:1] std::terminate called\nmore": "[main] [source/server.cc:1] std::terminate called",
		"x\nerror initializing configuration '/tmp/b.json': Unknown field\ny":                                                        "error initializing configuration '/tmp/b.json': Unknown field",
		"one\ntwo\n": "two",
		"[1][2][critical][main] [s.cc:1] error in 'b.json': goo.gle/debugstr  \nnode {\n  id: \": x\"\n}\n: Proto constraint validation failed (a | caused by b)\n": "[main] [s.cc:1] error in 'b.json': Proto constraint validation failed (a | caused by b)",
		"[1][2][critical][main] [s.cc:1] error: goo.gle/debugonly \ncut off":                                                                                        "[main] [s.cc:1] error: goo.gle/debugonly",
	} {
		if got := complaint(output); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestTokens: a described token becomes a real one that the model judges as it
// judged the description.
func TestTokens(t *testing.T) {
	t.Parallel()
	now := time.Now()
	issuer, err := newIssuer(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	key, err := issuer.public()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(key, `"d"`) {
		t.Fatalf("the private part is shown: %s", key)
	}
	claims := map[string]any{"iss": "a", "sub": "b"}
	r, err := issuer.real(policy.Request{HTTP: &policy.HTTP{Tokens: []policy.Token{
		{Valid: true, Claims: claims}, {Why: "expired", Claims: claims}, {Why: "signature", Claims: claims}, {Why: "malformed"}, {JWT: "kept"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(claims) != 2 {
		t.Errorf("the claims have changed: %v", claims)
	}
	keys, err := policy.ParseKeys([]byte(`{"keys":[` + key + `]}`))
	if err != nil || keys == nil {
		t.Fatal(err)
	}
	for i, parts := range []int{3, 3, 3, 1, 1} {
		if got := strings.Count(r.HTTP.Tokens[i].JWT, ".") + 1; got != parts {
			t.Errorf("token %d has %d parts: %s", i, got, r.HTTP.Tokens[i].JWT)
		}
	}
	if r.HTTP.Tokens[4].JWT != "kept" || r.HTTP.Tokens[2].JWT == r.HTTP.Tokens[0].JWT || !strings.HasSuffix(r.HTTP.Tokens[2].JWT, "AAAA") {
		t.Errorf("%v", r.HTTP.Tokens)
	}
}
