package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestTargets: what becomes of a request target on an HTTP port, and on one that
// looks at the bytes first: there, what the parser does not take is no HTTP, and
// the rules for byte streams decide (section 5 of the datapath reference, seen
// with a live Envoy 1.40). "bytes" is such a stream.
func TestTargets(t *testing.T) {
	t.Parallel()
	m := model(t, ap("p", "action: DENY, rules: [{to: [{operation: {methods: [NOBODY]}}]}]"), "")
	for _, tt := range []struct{ method, target, http, sniffed string }{
		{"GET", "/a", "allow 200", "allow 200"},
		{"GET", "/a|\"^{}`b", "allow 200", "allow 200"},
		{"GET", `\a`, "rejected 400", "bytes"},
		{"GET", "a/b", "rejected 400", "bytes"},
		{"GET", "?x", "rejected 400", "bytes"},
		{"GET", "a.b:80", "rejected 400", "bytes"},
		{"GET", "/a\tb", "rejected 400", "bytes"},
		{"GET", "*", "rejected 400", "rejected 400"},
		{"GET", "*x", "rejected 400", "rejected 400"},
		{"OPTIONS", "*", "rejected 404", "rejected 404"},
		{"OPTIONS", "*/a", "rejected 404", "rejected 404"},
		{"GET", "http://o.com/a", "allow 200", "allow 200"},
		{"GET", "HTTPS://o.com:443", "allow 200", "allow 200"},
		{"GET", "http://[::1]:80/a", "allow 200", "allow 200"},
		{"GET", "http://u:p@o.com/a", "allow 200", "allow 200"},
		{"GET", "http://o.com?x", "rejected 404", "rejected 404"},
		{"GET", "ftp://o.com/a", "rejected 400", "rejected 400"},
		{"GET", "http:///a", "rejected 400", "rejected 400"},
		{"GET", "http://a_b/", "rejected 400", "rejected 400"},
		{"GET", "http://o%41.com/", "rejected 400", "rejected 400"},
		{"GET", "http://o.com:x/", "rejected 400", "rejected 400"},
		{"GET", "http://o.com:/", "rejected 400", "rejected 400"},
		{"GET", "http://o.com:99999/", "rejected 400", "rejected 400"},
		{"GET", "http://[::1/", "rejected 400", "rejected 400"},
		{"GET", "http://u@v@o.com/", "rejected 400", "rejected 400"},
		{"GET", "http://u@@o.com/", "rejected 400", "bytes"},
		{"GET", "http://o.com#x", "rejected 400", "bytes"},
		{"GET", "http:/o.com", "rejected 400", "bytes"},
		{"GET", "://o.com", "rejected 400", "bytes"},
		{"CONNECT", "a:80", "allow 404", "allow 404"},
		{"CONNECT", "[::1]:80", "allow 404", "allow 404"},
		{"CONNECT", "a", "rejected 400", "rejected 400"},
		{"CONNECT", "a:99999", "rejected 400", "rejected 400"},
		{"CONNECT", "u@a:80", "rejected 400", "rejected 400"},
		{"CONNECT", "/", "rejected 400", "rejected 400"},
		{"CONNECT", "http://a:80", "rejected 400", "rejected 400"},
		{"CONNECT", "a#b:80", "rejected 400", "bytes"},
		{"CONNECT", "", "rejected 400", "rejected 400"},
		{"GET", "", "rejected 400", "bytes"},
		{"MSEARCH", "/", "allow 200", "allow 200"},
		{"M-SEARCH", "/", "rejected 400", "rejected 400"},
	} {
		for port, want := range map[uint32]string{8080: tt.http, 7000: tt.sniffed} {
			v := m.Evaluate(request(plaintext, to(port), method(tt.method), path(tt.target)))
			got := fmt.Sprintf("%s %d", v.Outcome, v.HTTPStatus)
			if v.Outcome == policy.Deny && v.HTTPStatus == 0 {
				got = "bytes" // the rule is wider there
			}
			if got != want {
				t.Errorf("%s %s to %d: %s (%s), want %s", tt.method, tt.target, port, got, v.Reason, want)
			}
		}
	}
}

// TestAuthorityOfTargets: what a target names replaces the Host header, without
// who logs in (DP-61).
func TestAuthorityOfTargets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ method, target, host string }{
		{"GET", "http://u:p@o.com:80/a", "o.com:80"},
		{"GET", "http://O.com#", "app.shop"},
		{"CONNECT", "o.com:80", "o.com:80"},
	} {
		v := model(t, allowTo("hosts: ['"+tt.host+"']"), "").Evaluate(request(method(tt.method), path(tt.target)))
		if ok := v.Outcome == policy.Allow; ok != (tt.host != "app.shop") {
			t.Errorf("%s %s: %s (%s)", tt.method, tt.target, v.Outcome, v.Reason)
		}
	}
}

// TestHeaderLines: header lines that end a request before any policy (DP-21a,
// DP-26, DP-27).
func TestHeaderLines(t *testing.T) {
	t.Parallel()
	h2 := func(r *policy.Request) {
		r.HTTP.Version = "2"
		r.From.ALPN = []string{"istio-h2", "istio", "h2"}
	}
	upgrade := func(to string) change {
		return func(r *policy.Request) { header("upgrade", to)(r); header("connection", "close, Upgrade")(r) }
	}
	// What counts of a request with one header line, x-a.
	const http1, http2 = "GET /a HTTP/1.1\r\nhost: app.shop\r\nx-a: \r\n\r\n", ":methodGET:schemehttps:path/a:authorityapp.shopx-a"
	filled := func(fixed string, more int) change {
		return header("x-a", strings.Repeat("a", 60<<10-len(fixed)+more))
	}
	lines := func(n int) change {
		return func(r *policy.Request) {
			r.HTTP.Headers = nil
			for range n {
				r.HTTP.Headers = append(r.HTTP.Headers, policy.Line{Name: "x-a", Value: "b"})
			}
		}
	}
	for _, tt := range []struct {
		what    string
		changes []change
		want    string
	}{
		{"control characters", []change{header("x-a", "\x01")}, "rejected 400"},
		{"DEL", []change{header("x-a", "\x7f")}, "rejected 400"},
		{"a tab", []change{header("x-a", "a\tb")}, "allow 200"},
		{"other bytes", []change{header("x-a", "\x80")}, "allow 200"},
		{"a blank in the name", []change{header("x a", "b")}, "rejected 400"},
		{"a length", []change{header("content-length", "0")}, "allow 200"},
		{"twice", []change{header("content-length", "0", "0")}, "rejected 400"},
		{"twice on HTTP/2", []change{h2, header("content-length", "0", "0")}, "refused 0"},
		{"that is no number", []change{header("Content-Length", "-0")}, "rejected 400"},
		{"that is empty", []change{header("content-length", "")}, "rejected 400"},
		{"another encoding", []change{header("transfer-encoding", "gzip")}, "rejected 501"},
		{"chunks", []change{header("transfer-encoding", "Chunked")}, "allow 200"},
		{"both", []change{header("transfer-encoding", "gzip"), header("content-length", "0")}, "rejected 400"},
		{"DP-27 100 lines with the host", []change{lines(99)}, "allow 200"},
		{"DP-27 more", []change{lines(100)}, "rejected 431"},
		{"DP-27 100 headers of HTTP/2 with the pseudo-headers", []change{h2, lines(96)}, "allow 200"},
		{"DP-27 more of them", []change{h2, lines(97)}, "refused 0"},
		{"DP-27 60 KiB", []change{filled(http1, 0)}, "allow 200"},
		{"DP-27 a byte more", []change{filled(http1, 1)}, "rejected 431"},
		{"DP-27 60 KiB of HTTP/2", []change{h2, filled(http2, 0)}, "allow 200"},
		{"DP-27 a byte more of it", []change{h2, filled(http2, 1)}, "refused 0"},
		{"DP-69 an empty protocol", []change{header("x-forwarded-proto", "")}, "allow 404"},
		{"DP-26 an upgrade", []change{upgrade("foo")}, "rejected 403"},
		{"DP-26 to WebSocket", []change{upgrade("WebSocket")}, "allow 200"},
		{"DP-26 to HTTP/2, which is not heard", []change{upgrade("h2c")}, "allow 200"},
		{"DP-26 that the connection does not ask for", []change{header("upgrade", "foo")}, "allow 200"},
		{"QUERY without a type", []change{method("QUERY")}, "rejected 400"},
		{"QUERY with one", []change{method("QUERY"), header("content-type", "text/plain")}, "allow 200"},
		{"QUERY on HTTP/2", []change{h2, method("QUERY")}, "rejected 400"},
		{"DP-22 host beside the authority", []change{h2, header("host", "x")}, "allow 200"},
		{"DP-22 host alone", []change{h2, host(""), header("host", "x")}, "allow 200"},
		{"host twice on HTTP/2", []change{h2, header("host", "x", "x")}, "refused 0"},
		{"host on HTTP/2, empty", []change{h2, header("host", "")}, "refused 0"},
		{"host on HTTP/2, malformed", []change{h2, header("host", "u@x")}, "refused 0"},
		{"what the target's form costs, before an encoding", []change{path("a:x"), header("transfer-encoding", "gzip")}, "rejected 400"},
		{"and its authority, after", []change{path("http://a_b/"), header("transfer-encoding", "gzip")}, "rejected 501"},
	} {
		v := model(t, "", "").Evaluate(request(tt.changes...))
		if got := fmt.Sprintf("%s %d", v.Outcome, v.HTTPStatus); got != tt.want {
			t.Errorf("%s: %s (%s), want %s", tt.what, got, v.Reason, tt.want)
		}
	}
}

// TestHosts: what may stand in a host is the same in both versions of HTTP, but
// for @; HTTP/1 answers 400, HTTP/2 ends the connection (DP-21a).
func TestHosts(t *testing.T) {
	t.Parallel()
	evaluate := func(name, version string) string {
		v := model(t, "", "").Evaluate(request(host(name), func(r *policy.Request) {
			if r.HTTP.Version = version; version == "2" {
				r.From.ALPN = []string{"istio-h2", "istio", "h2"}
			}
		}))
		return fmt.Sprintf("%s %d", v.Outcome, v.HTTPStatus)
	}
	for c := ' '; c <= 0x100; c++ {
		name := "a" + string(c) + "b"
		want1, want2 := "allow 200", "allow 200"
		if strings.ContainsRune(" \"#/<>?@\\^`{|}", c) || c >= 0x7f {
			want1, want2 = "rejected 400", "refused 0"
		}
		if c == '@' {
			want1 = "allow 200"
		}
		if got1, got2 := evaluate(name, ""), evaluate(name, "2"); got1 != want1 || got2 != want2 {
			t.Errorf("%q: %s in HTTP/1 and %s in HTTP/2, want %s and %s", name, got1, got2, want1, want2)
		}
	}
}

// TestBlanks: blanks around a value are no part of it in HTTP/1 (DP-67), and are
// in HTTP/2.
func TestBlanks(t *testing.T) {
	t.Parallel()
	m := model(t, ap("p", "rules: [{when: [{key: 'request.headers[x-a]', values: ['on']}]}]"), "")
	for _, value := range []string{" on", "on ", "\ton", "on\t"} {
		one := m.Evaluate(request(header("x-a", value)))
		two := m.Evaluate(request(header("x-a", value), func(r *policy.Request) { r.HTTP.Version, r.From.ALPN = "2", []string{"istio-h2", "istio", "h2"} }))
		if one.Outcome != policy.Allow || two.Outcome != policy.Deny {
			t.Errorf("%q: %s in HTTP/1, %s in HTTP/2", value, one.Outcome, two.Outcome)
		}
	}
}

// TestRejectedGRPC: of what is rejected only a missing path is told in gRPC's
// way, and CONNECT is never gRPC (DP-24a).
func TestRejectedGRPC(t *testing.T) {
	t.Parallel()
	grpc := header("content-type", "application/grpc")
	for _, tt := range []struct {
		method, target string
		want           string
	}{
		{"OPTIONS", "*", "rejected 200 12"},
		{"GET", "http://o.com?x", "rejected 200 12"},
		{"GET", "*", "rejected 400 -1"},
		{"GET", "http://a_b/", "rejected 400 -1"},
		{"GET", "/%00", "rejected 200 13"},
		{"CONNECT", "a:80", "allow 404 -1"},
	} {
		v := model(t, "", "").Evaluate(request(grpc, method(tt.method), path(tt.target)))
		code := -1
		if v.GRPCStatus != nil {
			code = *v.GRPCStatus
		}
		if got := fmt.Sprintf("%s %d %d", v.Outcome, v.HTTPStatus, code); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.method, tt.target, got, tt.want)
		}
	}
	denied := model(t, ap("p", ""), "").Evaluate(request(grpc, method("CONNECT"), path("a:80")))
	if denied.Outcome != policy.Deny || denied.HTTPStatus != 403 || denied.GRPCStatus != nil {
		t.Errorf("CONNECT denied: %s %d", denied.Outcome, denied.HTTPStatus)
	}
}
