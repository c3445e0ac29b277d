package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestCustom: AP-60..AP-66, AP-70.
func TestCustom(t *testing.T) {
	t.Parallel()
	const config = `extensionProviders:
- {name: http, envoyExtAuthzHttp: {service: authz.ext.svc.cluster.local, port: 80}}
- {name: open, envoyExtAuthzHttp: {service: authz.ext.svc.cluster.local, port: 80, failOpen: true}}
- {name: grpc, envoyExtAuthzGrpc: {service: ext/authz.ext.svc.cluster.local, port: 90, statusOnError: "429"}}
- {name: nowhere, envoyExtAuthzHttp: {service: none.ext.svc.cluster.local, port: 80}}
`
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: authz, namespace: ext}\nspec: {ports: [{port: 80}]}\n"
	ask := func(name, provider, rest string) string {
		return ap(name, "action: CUSTOM, provider: {name: "+provider+"}, rules: [{to: [{operation: {paths: [/x]}}]}]"+rest)
	}
	dry := func(text string) string {
		return strings.Replace(text, "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: \"true\"}}", 1)
	}
	const id = "istio-ext-authz-%s-ns[shop]-policy[p]-rule[0]"
	const bad = id + "-deny-due-to-bad-CUSTOM-action"
	tests := []struct {
		rule, policies string
		request        *policy.Request
		want           string // outcome, status, rule
	}{
		{"AP-60 nobody says what the authorizer answers", ask("p", "http", ""), request(), "unknown 0 " + fmt.Sprintf(id, "http")},
		{"AP-61 allow", ask("p", "http", ""), request(custom("allow")), "allow 200 "},
		{"AP-61 deny", ask("p", "http", ""), request(custom("deny")), "deny 403 " + fmt.Sprintf(id, "http")},
		{"AP-61 no rule matches, nobody is asked", ask("p", "http", ""), request(path("/y")), "allow 200 "},
		{"AP-65 out of reach", ask("p", "http", ""), request(custom("error")), "deny 403 " + fmt.Sprintf(id, "http")},
		{"AP-65 status on error", ask("p", "grpc", ""), request(custom("error")), "deny 429 " + fmt.Sprintf(id, "grpc")},
		{"AP-65 fail open", ask("p", "open", ""), request(custom("error")), "allow 200 "},
		{"AP-62 unknown provider", ask("p", "unheard-of", ""), request(), "deny 403 " + fmt.Sprintf(bad, "unheard-of")},
		{"AP-62 of a service that is not there", ask("p", "nowhere", ""), request(), "deny 403 " + fmt.Sprintf(bad, "nowhere")},
		{"AP-62 two providers", docs(ask("p", "http", ""), ask("q", "grpc", "")), request(), "deny 403 istio-ext-authz-grpc-ns[shop]-policy[q]-rule[0]-deny-due-to-bad-CUSTOM-action"},
		{"AP-62 only what the rules match", ask("p", "unheard-of", ""), request(path("/y")), "allow 200 "},
		{"AP-64 HTTP providers are not on TCP", ask("p", "http", ""), request(bytesTo(9000)), "allow 0 "},
		{"AP-64 gRPC ones are, widened", ask("p", "grpc", ""), request(bytesTo(9000), custom("deny")), "deny 0 " + fmt.Sprintf(id, "grpc")},
		{"AP-66 no rules, nothing asked", ap("p", "action: CUSTOM, provider: {name: http}"), request(), "allow 200 "},
		{"AP-66 though its provider counts", docs(ask("p", "http", ""), ap("q", "action: CUSTOM, provider: {name: grpc}")), request(), "deny 403 " + fmt.Sprintf(bad, "http")},
		{"AP-70 a dry run that got in denies, and asks nobody", dry(ask("p", "http", "")), request(custom("allow")), "deny 403 " + fmt.Sprintf(id, "http")},
		{"EV-2 a denial comes before tokens", docs(ask("p", "http", ""), jwtPolicy("issuer: a, jwks: '{}'")), request(custom("deny"), token(policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Why: "malformed"})), "deny 403 " + fmt.Sprintf(id, "http")},
		{"AP-61 DENY comes after an allow", docs(ask("p", "http", ""), ap("d", "action: DENY, rules: [{}]")), request(custom("allow")), "deny 403 ns[shop]-policy[d]-rule[0]"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			v := model(t, docs(service, tt.policies), config).Evaluate(tt.request)
			if got := fmt.Sprintf("%s %d %s", v.Outcome, v.HTTPStatus, v.By); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestProviders: which external authorizers can be used; the rules of others
// deny (AP-62, AP-63, AP-65).
func TestProviders(t *testing.T) {
	t.Parallel()
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: authz, namespace: ext}\nspec: {ports: [{port: 80}]}\n"
	const at = "service: authz.ext.svc.cluster.local, port: 80"
	long := strings.Repeat("a", 63)
	tests := []struct {
		rule, name, providers string
		usable                bool
	}{
		{"AP-63 letters, digits and dashes", "a-1", "{name: a-1, envoyExtAuthzHttp: {" + at + "}}", true},
		{"AP-63 63 characters", long, "{name: " + long + ", envoyExtAuthzHttp: {" + at + "}}", true},
		{"AP-63 64 characters", long + "a", "{name: " + long + "a, envoyExtAuthzHttp: {" + at + "}}", false},
		{"AP-63 a dash at the end", "a-", "{name: a-, envoyExtAuthzHttp: {" + at + "}}", false},
		{"AP-63 capitals", "A", "{name: A, envoyExtAuthzHttp: {" + at + "}}", false},
		{"AP-63 a dot", "a.b", "{name: a.b, envoyExtAuthzHttp: {" + at + "}}", false},
		{"AP-62 of another kind", "a", "{name: a, envoyFileAccessLog: {path: /x}}", false},
		{"AP-62 no name", "''", "{name: a, envoyExtAuthzHttp: {" + at + "}}", false},
		{"AP-65 a status that there is", "a", "{name: a, envoyExtAuthzHttp: {" + at + ", statusOnError: '503'}}", true},
		{"AP-65 a status that there is not", "a", "{name: a, envoyExtAuthzHttp: {" + at + ", statusOnError: '999'}}", false},
		{"AP-65 a status in words", "a", "{name: a, envoyExtAuthzGrpc: {" + at + ", statusOnError: Forbidden}}", false},
		{"AP-65 a path", "a", "{name: a, envoyExtAuthzHttp: {" + at + ", pathPrefix: /check}}", true},
		{"AP-65 a path without its slash", "a", "{name: a, envoyExtAuthzHttp: {" + at + ", pathPrefix: check}}", false},
		{"AP-65 headers by prefix", "a", "{name: a, envoyExtAuthzHttp: {" + at + ", headersToUpstreamOnAllow: ['x-*']}}", true},
		{"AP-65 all headers", "a", "{name: a, envoyExtAuthzHttp: {" + at + ", headersToUpstreamOnAllow: ['*']}}", false},
		{"AP-65 a port that there is not", "a", "{name: a, envoyExtAuthzHttp: {service: authz.ext.svc.cluster.local, port: 65536}}", false},
		{"AP-65 no port", "a", "{name: a, envoyExtAuthzHttp: {service: authz.ext.svc.cluster.local}}", false},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			rules := ap("p", "action: CUSTOM, provider: {name: "+tt.name+"}, rules: [{}]")
			v := model(t, docs(service, rules), "extensionProviders: ["+tt.providers+"]\n").Evaluate(request(custom("allow")))
			if usable := v.Outcome == policy.Allow; usable != tt.usable || strings.HasSuffix(v.By, "-deny-due-to-bad-CUSTOM-action") == tt.usable {
				t.Errorf("%s by %q", v.Outcome, v.By)
			}
		})
	}
}
