package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// nobodySays leaves open where the request comes from and where it arrives.
func nobodySays(r *policy.Request) { r.From.IP, r.To.IP = "", "" }

// TestUnknownAddresses: a verdict is unknown only if an address that nobody told
// would change it, and then says how to tell it. Each row stands for a rule of
// three-valued logic.
func TestUnknownAddresses(t *testing.T) {
	t.Parallel()
	const config = `extensionProviders:
- {name: ext, envoyExtAuthzHttp: {service: ext.shop.svc.cluster.local, port: 80}}
- {name: busy, envoyExtAuthzGrpc: {service: ext.shop.svc.cluster.local, port: 80, statusOnError: "429"}}
- {name: open, envoyExtAuthzHttp: {service: ext.shop.svc.cluster.local, port: 80, failOpen: true}}
`
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: ext, namespace: shop}\nspec: {ports: [{port: 80}]}\n"
	const byPeer, byClient, byPod = "from: [{source: {ipBlocks: [10.0.0.0/8]}}]", "from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]", "when: [{key: destination.ip, values: [10.0.0.0/8]}]"
	const post, get, curlOnly = "to: [{operation: {methods: [POST]}}]", "to: [{operation: {methods: [GET]}}]", "from: [{source: {serviceAccounts: [curl]}}]"
	allow := func(rule string) string { return ap("a", "rules: [{"+rule+"}]") }
	deny := func(rule string) string { return ap("d", "action: DENY, rules: [{"+rule+"}]") }
	ask := func(provider, rule string) string {
		return docs(service, ap("c", "action: CUSTOM, provider: {name: "+provider+"}, rules: [{"+rule+"}]"))
	}
	const a, d = "ns[shop]-policy[a]-rule[0]", "ns[shop]-policy[d]-rule[0]"
	const c = "istio-ext-authz-ext-ns[shop]-policy[c]-rule[0]"
	tests := []struct {
		what, policies string
		changes        []change
		want           string
	}{
		{"an ALLOW rule", allow(byPeer), nil, "unknown allow " + a},
		{"a DENY rule", deny(byPeer), nil, "unknown deny " + d},
		{"the address of the original client", allow(byClient), nil, "unknown allow " + a},
		{"which a header tells", allow(byClient), []change{header("x-forwarded-for", "10.1.1.1")}, "allow allow " + a},
		{"but not what the peer's address is", allow(byPeer), []change{header("x-forwarded-for", "10.1.1.1")}, "unknown allow " + a},
		{"nor does it on TCP, where nobody reads it", allow(byClient), []change{bytesTo(9000)}, "unknown allow " + a},
		{"a header that is no address tells nothing", allow(byClient), []change{header("x-forwarded-for", "nonsense")}, "unknown allow " + a},
		{"the pod's address", allow(byPod), nil, "unknown allow " + a},
		{"an excluded block", allow("from: [{source: {notIpBlocks: [10.0.0.0/8]}}]"), nil, "unknown allow " + a},
		{"an identity decides before", allow("from: [{source: {ipBlocks: [10.0.0.0/8], namespaces: [other]}}]"), nil, "deny allow none"},
		{"one of two sources fits anyway", allow("from: [{source: {ipBlocks: [10.0.0.0/8]}}, {source: {namespaces: [shop]}}]"), nil, "allow allow " + a},
		{"the operation does not fit anyway", deny(byPeer + ", " + post), nil, "allow allow "},
		{"another rule allows anyway", docs(allow(byPeer), ap("b", "rules: [{"+curlOnly+"}]")), nil, "allow allow ns[shop]-policy[b]-rule[0]"},
		{"another rule denies anyway", docs(deny(byPeer), ap("e", "action: DENY, rules: [{"+get+"}]")), nil, "deny deny ns[shop]-policy[e]-rule[0]"},
		{"no ALLOW rule fits, so a DENY rule does not matter", docs(deny(byPeer), allow(post)), nil, "deny allow none"},
		{"an ALLOW rule fits, so the DENY rule matters", docs(deny(byPeer), allow(get)), nil, "unknown deny " + d},
		{"both in doubt: the first is told", docs(deny(byPeer), allow(byPeer)), nil, "unknown deny " + d},
		{"AUDIT decides nothing", ap("a", "action: AUDIT, rules: [{"+byPeer+"}]"), nil, "allow allow "},
		{"a bad token ends it anyway", docs(deny(byPeer), jwtPolicy("issuer: a, jwks: '{}'")), []change{header("authorization", "Bearer x")}, "unauthenticated authentication "},
		{"no chain takes it anyway", docs(deny(byPeer), moded(policy.Strict)), []change{plaintext}, "refused transport "},
		{"the authorizer allows anyway", ask("ext", byPeer), []change{custom("allow")}, "allow allow "},
		{"the authorizer would deny", ask("ext", byPeer), []change{custom("deny")}, "unknown custom " + c},
		{"the authorizer is out of reach", ask("ext", byPeer), []change{custom("error")}, "unknown custom " + c},
		{"out of reach, but that does not matter", ask("open", byPeer), []change{custom("error")}, "allow allow "},
		{"the authorizer's answer is not known either", ask("ext", byPeer), nil, "unknown custom " + c},
		{"it may be asked, and a bad token is told otherwise", docs(ask("ext", byPeer), jwtPolicy("issuer: a, jwks: '{}'")), []change{custom("deny"), header("authorization", "Bearer x")}, "unknown custom " + c},
		{"it may be asked, but all is denied anyway", docs(ask("ext", byPeer), deny(get)), []change{custom("deny")}, "deny deny " + d},
		{"or denied with another status", docs(ask("busy", byPeer), deny(get)), []change{custom("error")}, "unknown custom istio-ext-authz-busy-ns[shop]-policy[c]-rule[0]"},
		{"which a byte stream does not have", docs(ask("busy", byPeer), deny("to: [{operation: {ports: ['9000']}}]")), []change{custom("error"), bytesTo(9000)}, "deny deny " + d},
		{"a provider that cannot be used denies perhaps", ask("nosuch", byPeer), []change{custom("allow")}, "unknown custom istio-ext-authz-nosuch-ns[shop]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			v := model(t, tt.policies, config).Evaluate(request(append([]change{nobodySays}, tt.changes...)...))
			if got := fmt.Sprintf("%s %s %s", v.Outcome, v.Stage, v.By); got != tt.want {
				t.Errorf("%s (%s)\nwant %s", got, v.Reason, tt.want)
			}
			if v.Outcome == policy.Unknown && (!strings.Contains(v.Reason, "--") && !strings.Contains(v.Reason, "external authorizer") || v.HTTPStatus != 0) {
				t.Errorf("%q says no way out, or it is answered with %d", v.Reason, v.HTTPStatus)
			}
		})
	}
}

// TestWhatIsNotKnown: an unknown verdict names what is not known, with the flag
// and the field that tell it.
func TestWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	const peer, client, pod = "the client's address (--source-ip, from.ip)", "the address of the original client (--xff or --source-ip)", "the workload's address (--destination-ip, to.ip)"
	for _, tt := range []struct {
		rule    string
		changes []change
		want    string
	}{
		{"when: [{key: source.ip, values: [10.0.0.1]}]", []change{nobodySays}, "it depends on " + peer},
		{"when: [{key: remote.ip, values: [10.0.0.1]}]", []change{nobodySays}, "it depends on " + client},
		{"when: [{key: destination.ip, values: [10.0.0.9]}]", []change{nobodySays}, "it depends on " + pod},
		{"when: [{key: destination.ip, values: [10.0.0.9]}, {key: source.ip, values: [10.0.0.1]}]", []change{nobodySays}, "it depends on " + peer + " and " + pod},
		{"when: [{key: destination.ip, values: [10.0.0.9]}, {key: source.ip, values: [10.0.0.1]}]", []change{func(r *policy.Request) { r.To.IP = "" }}, "it depends on " + pod},
		{"when: [{key: destination.ip, values: [10.0.0.9]}, {key: source.ip, values: [10.0.0.1]}]", nil, ""},
	} {
		if v := model(t, ap("p", "rules: [{"+tt.rule+"}]"), "").Evaluate(request(tt.changes...)); v.Reason != tt.want {
			t.Errorf("%s: %s %q, want %q", tt.rule, v.Outcome, v.Reason, tt.want)
		}
	}
}

// TestUnknownDryRun: what dry-run policies would do may be unknown where the
// verdict is not.
func TestUnknownDryRun(t *testing.T) {
	t.Parallel()
	dry := strings.Replace(ap("d", "action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]"), "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: \"true\"}}", 1)
	m := model(t, dry, "")
	v := m.Evaluate(request(nobodySays))
	if v.Outcome != policy.Allow || v.DryRun == nil || v.DryRun.Deny == nil || *v.DryRun.Deny != (policy.Shadow{Result: "unknown"}) {
		t.Errorf("%s %+v", v.Outcome, v.DryRun)
	}
	if v := m.Evaluate(request()); v.DryRun.Deny.Result != "denied" {
		t.Errorf("with an address: %+v", v.DryRun.Deny)
	}
}
