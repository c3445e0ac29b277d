package diff_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy/diff"
)

// TestModes: a mode is looser if it takes what was refused, or no caller has an
// identity any more; it is tighter if it refuses what was taken. Lines, parts and
// the exit status say the same.
func TestModes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ before, after, want string }{
		{"STRICT", "PERMISSIVE", "looser"},
		{"PERMISSIVE", "STRICT", "tighter"},
		{"STRICT", "DISABLE", "looser"},
		{"PERMISSIVE", "DISABLE", "looser"},
		{"DISABLE", "PERMISSIVE", "looser"},
		{"DISABLE", "STRICT", "looser tighter"},
	} {
		for _, of := range []func(string) string{peers, portPeers} {
			r := diff.Compare(side(t, of(tt.before), ""), side(t, of(tt.after), ""))
			var inbound []string
			for _, line := range told(r) {
				if strings.Contains(line, "inbound") {
					inbound = append(inbound, line)
				}
			}
			all := strings.Join(inbound, "\n")
			for _, tag := range []string{"looser", "tighter"} {
				if want := strings.Contains(tt.want, tag); strings.Contains(all, tag+": ") != want {
					t.Errorf("%s, then %s: %s %t\n%s", tt.before, tt.after, tag, !want, all)
				}
			}
			if r.Looser() != strings.Contains(strings.Join(told(r), "\n"), "looser: ") || hiddenPart(r) != "" {
				t.Errorf("%s, then %s: looser %t, hidden %s\n%s", tt.before, tt.after, r.Looser(), hiddenPart(r), strings.Join(told(r), "\n"))
			}
			for _, line := range told(r) {
				if strings.Contains(line, "has changed: ") || strings.Contains(line, "chain") {
					t.Errorf("%s, then %s: %s", tt.before, tt.after, line)
				}
			}
		}
	}
}

// portPeers sets the mode of one port.
func portPeers(mode string) string {
	return strings.Replace(peers("PERMISSIVE"), "spec: {mtls: {mode: PERMISSIVE}}", "spec: {selector: {matchLabels: {app: reviews}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {9080: {mode: "+mode+"}}}", 1)
}

// TestFirstTokens: that tokens are verified refuses bad ones, and lets in by the
// rules that want good ones. Rules that deny who has a token let nobody in.
func TestFirstTokens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ action, source, want string }{
		{"ALLOW", "requestPrincipals: ['*']", "looser tighter"},
		{"ALLOW", "notRequestPrincipals: ['*']", "tighter"},
		{"DENY", "requestPrincipals: [iss/bob]", "tighter"},
		{"DENY", "notRequestPrincipals: ['*']", "looser tighter"},
		{"AUDIT", "requestPrincipals: ['*']", "tighter"},
		{"ALLOW", "namespaces: [prod]", "tighter"},
	} {
		rules := authz(tt.action, "[{from: [{source: {"+tt.source+"}}]}]")
		r := diff.Compare(side(t, rules, ""), side(t, rules+tokens("iss"), ""))
		if got := tagsOf(r); got != tt.want {
			t.Errorf("%s %s: %s, want %s\n%s", tt.action, tt.source, got, tt.want, strings.Join(told(r), "\n"))
		}
		if shown := dryRun(rules); tt.action != "AUDIT" {
			if got := tagsOf(diff.Compare(side(t, shown, ""), side(t, shown+tokens("iss"), ""))); got != "tighter" {
				t.Errorf("dry run of %s %s: %s", tt.action, tt.source, got)
			}
		}
	}
}
