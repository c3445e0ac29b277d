package policy_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestPaths: what RBAC and the application see of a path at each level (AP-80,
// AP-81, AP-83, and section 5 of the datapath reference). An empty want of a level is the want of the level before; = is
// the path as sent; 400 is refused.
func TestPaths(t *testing.T) {
	t.Parallel()
	levels := []string{"NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"}
	for sent, wants := range map[string][4]string{
		"/a//b":          {"=", "=", "/a/b", ""},
		"/a/./b":         {"=", "/a/b", "", ""},
		"/a/.":           {"=", "/a/", "", ""},
		"/%2e":           {"=", "/", "", ""},
		"/a/../b":        {"=", "/b", "", ""},
		"/../b":          {"=", "/b", "", ""},
		"/a/..":          {"=", "/", "", ""},
		"/a/b//../c":     {"=", "/a/b/c", "", ""},
		"/%2e%2e/x":      {"=", "/x", "", ""},
		"/a/%2E./b":      {"=", "/b", "", ""},
		"/%61":           {"=", "/a", "", ""},
		"/%7Euser":       {"=", "/~user", "", ""},
		"/A%2Db%5fc":     {"=", "/A-b_c", "", ""},
		"/a%2Fb":         {"=", "=", "=", "/a/b"},
		"/a%5cb":         {"=", "=", "=", "/a/b"},
		"/a%2F..%2Fb":    {"=", "=", "=", "/b"},
		"/a/%2e%2e%2fb":  {"=", "/a/..%2fb", "", "/b"},
		"/a%252Fb":       {"=", "=", "=", "="},
		`/a\b`:           {"=", "/a/b", "", ""},
		`/a\..\b`:        {"=", "/b", "", ""},
		`/\\a`:           {"=", "///a", "/a", ""},
		"/a;x=1":         {"=", "=", "=", "="},
		"/a/..;/b":       {"=", "/b", "", ""},
		"/a/..;x=1/b":    {"=", "/b", "", ""},
		"/a/.;x/b":       {"=", "/a/b", "", ""},
		"/a/%2e%2e;/b":   {"=", "/a/..;/b", "", ""},
		"/a|b":           {"=", "/a%7Cb", "", ""},
		"/a^`b":          {"=", "/a%5E%60b", "", ""},
		"/a[b]!$&'()*+,": {"=", "=", "=", "="},
		"/%20%c3%a4%zz":  {"=", "=", "=", "="},
		"/a%":            {"=", "=", "=", "="},
		"/a%00b":         {"=", "400", "", ""},
		"//":             {"=", "=", "//", ""},
		"////":           {"=", "=", "//", ""},
		"/.//":           {"=", "//", "", ""},
		"/%2f":           {"=", "=", "=", "//"},
		"/a/":            {"=", "=", "=", "="},
		"/a//":           {"=", "=", "/a/", ""},
		"/a?x=/../y//z":  {"/a", "", "", ""},
		"/a#b?c":         {"/a", "", "", ""},
		"http://o.com/a": {"/a", "", "", ""},
		"https://o.com":  {"/", "", "", ""},
	} {
		want := ""
		for i, level := range levels {
			if wants[i] != "" {
				want = wants[i]
			}
			expected := want
			if expected == "=" {
				expected = sent
			}
			t.Run(level+sent, func(t *testing.T) {
				t.Parallel()
				exact := strings.ReplaceAll(expected, "'", "''")
				m := model(t, allowTo("paths: ['"+exact+"']"), "pathNormalization: {normalization: "+level+"}\n")
				v := m.Evaluate(request(path(sent)))
				switch {
				case expected == "400" && (v.Outcome != policy.Rejected || v.HTTPStatus != 400):
					t.Errorf("%s %d, want it rejected", v.Outcome, v.HTTPStatus)
				case expected != "400" && !strings.Contains(expected, "*") && v.Outcome != policy.Allow:
					t.Errorf("%s is not seen as %s (%s %s)", sent, expected, v.Outcome, v.Reason)
				}
			})
		}
	}
}

// TestCodec: what is answered or closed before any policy (RUN-3, DP-20..DP-27).
func TestCodec(t *testing.T) {
	t.Parallel()
	h2 := func(r *policy.Request) {
		r.HTTP.Version = "2"
		r.From.ALPN = []string{"istio-h2", "istio", "h2"}
	}
	grpc := header("content-type", "application/grpc")
	tests := []struct {
		rule    string
		changes []change
		outcome policy.Outcome
		status  int
	}{
		{"DP-20 unknown method", []change{method("FOO")}, policy.Rejected, 400},
		{"DP-20 PURGE is known", []change{method("PURGE")}, policy.Allow, 200},
		{"DP-20 any method on HTTP/2", []change{h2, method("FOO")}, policy.Allow, 200},
		{"no path", []change{path("x")}, policy.Rejected, 400},
		{"blank in the path", []change{path("/a b")}, policy.Rejected, 400},
		{"GET *", []change{path("*")}, policy.Rejected, 400},
		{"OPTIONS *", []change{method("OPTIONS"), path("*")}, policy.Rejected, 404},
		{"absolute without path", []change{path("http://o.com?x")}, policy.Rejected, 404},
		{"DP-62 slash in the host", []change{host("a.com/x")}, policy.Rejected, 400},
		{"DP-21 path without slash on HTTP/2", []change{h2, path("x")}, policy.Refused, 0},
		{"DP-21 connection header on HTTP/2", []change{h2, header("connection", "close")}, policy.Refused, 0},
		{"DP-21 name in upper case on HTTP/2", []change{h2, header("X-A", "b")}, policy.Refused, 0},
		{"DP-21a te on HTTP/2", []change{h2, header("te", "gzip")}, policy.Refused, 0},
		{"DP-21a authority with user on HTTP/2", []change{h2, host("u@a")}, policy.Refused, 0},
		{"DP-14a HTTP/1 where ALPN chose h2", []change{h2, func(r *policy.Request) { r.HTTP.Version = "" }}, policy.Refused, 0},
		{"DP-14a h2 where ALPN chose HTTP/1", []change{func(r *policy.Request) { r.HTTP.Version = "2" }}, policy.Rejected, 400},
		{"DP-24 gRPC is allowed", []change{h2, grpc}, policy.Allow, 200},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			v := model(t, "", "").Evaluate(request(tt.changes...))
			if v.Outcome != tt.outcome || v.HTTPStatus != tt.status {
				t.Errorf("%s %d (%s), want %s %d", v.Outcome, v.HTTPStatus, v.Reason, tt.outcome, tt.status)
			}
		})
	}
	v := model(t, ap("d", "action: DENY, rules: [{}]"), "").Evaluate(request(h2, grpc))
	if v.Outcome != policy.Deny || v.HTTPStatus != 200 || v.GRPCStatus == nil || *v.GRPCStatus != 7 {
		t.Errorf("DP-24: a gRPC denial is %s %d %v", v.Outcome, v.HTTPStatus, v.GRPCStatus)
	}
}
