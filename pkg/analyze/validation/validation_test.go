package validation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze/validation"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// verdict is what validation makes of an object: "ok", "warned" or "refused".
func verdict(t *testing.T, kind, annotations, spec string) string {
	t.Helper()
	group := "security.istio.io/v1"
	if kind == "DestinationRule" {
		group = "networking.istio.io/v1"
	}
	text := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: a, namespace: shop, annotations: {%s}}\nspec: %s\n", group, kind, annotations, spec)
	s, err := manifest.Read("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	i := mesh.Survey([]*manifest.Stream{s}, mesh.Options{})
	if len(i.Problems) > 0 {
		t.Fatalf("%s %s: %v", kind, spec, i.Problems)
	}
	var problems []validation.Problem
	for _, r := range i.AuthorizationPolicies("shop") {
		problems = validation.AuthorizationPolicy(r)
	}
	for _, r := range i.PeerAuthentications("shop") {
		problems = validation.PeerAuthentication(r)
	}
	for _, r := range i.RequestAuthentications("shop") {
		problems = validation.RequestAuthentication(r)
	}
	for _, r := range i.DestinationRules("shop") {
		problems = validation.DestinationRule(r)
	}
	result := "ok"
	for _, p := range problems {
		if p.Text == "" || len(p.Path) == 0 {
			t.Errorf("%s %s: %+v says nothing, or points nowhere", kind, spec, p)
		}
		if !p.Warning {
			return "refused"
		}
		result = "warned"
	}
	return result
}

type row struct{ rule, spec, want string }

func check(t *testing.T, kind string, rows []row) {
	t.Helper()
	for _, r := range rows {
		if got := verdict(t, kind, "", r.spec); got != r.want {
			t.Errorf("%s: %s %s: %s, want %s", r.rule, kind, r.spec, got, r.want)
		}
	}
}

// TestMetadata: V-M-1, V-M-2, V-RA-8.
func TestMetadata(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ kind, annotation, spec, want string }{
		{"AuthorizationPolicy", `istio.io/dry-run: "true"`, "{}", "ok"},
		{"AuthorizationPolicy", `istio.io/dry-run: "F"`, "{}", "ok"},
		{"AuthorizationPolicy", `istio.io/dry-run: "yes"`, "{}", "refused"},
		{"AuthorizationPolicy", `istio.io/dry-run: "true"`, "{action: AUDIT}", "refused"},
		{"PeerAuthentication", `istio.io/dry-run: "true"`, "{}", "refused"},
		{"PeerAuthentication", `internal.istio.io/parents: "a"`, "{}", "refused"},
		{"AuthorizationPolicy", `internal.istio.io/webhook-always-reject: "true"`, "{}", "refused"},
		{"RequestAuthentication", `istio.io/dry-run: "true"`, "{}", "refused"},
		{"DestinationRule", `istio.io/dry-run: "true"`, "{host: a}", "refused"},
	} {
		if got := verdict(t, tt.kind, tt.annotation, tt.spec); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// TestSelectors: V-S-1..V-S-4, V-PA-4, V-RA-1.
func TestSelectors(t *testing.T) {
	t.Parallel()
	check(t, "AuthorizationPolicy", []row{
		{"V-S-1", "{selector: {}, targetRefs: [{kind: Service, name: a}]}", "refused"},
		{"V-S-1", "{targetRef: {kind: Service, name: a}, targetRefs: [{kind: Service, name: a}]}", "refused"},
		{"V-S-2", `{selector: {matchLabels: {"": x}}}`, "refused"},
		{"V-S-2", `{selector: {matchLabels: {a: "x*"}}}`, "refused"},
		{"V-S-2", `{selector: {matchLabels: {a: ""}}}`, "ok"},
		{"V-S-3", "{selector: {}}", "warned"},
		{"V-S-4", "{targetRefs: [{kind: Service, name: a}]}", "ok"},
		{"V-S-4", "{targetRefs: [{kind: Service, group: core, name: a}]}", "ok"},
		{"V-S-4", "{targetRefs: [{kind: Service}]}", "refused"},
		{"V-S-4", "{targetRefs: [{kind: Service, name: a, namespace: b}]}", "refused"},
		{"V-S-4", "{targetRefs: [{kind: Pod, name: a}]}", "refused"},
		{"V-S-4", "{targetRefs: [{kind: Gateway, name: a}]}", "refused"},
		{"V-S-4", "{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: a}]}", "ok"},
	})
	check(t, "PeerAuthentication", []row{{"V-PA-4", "{selector: {}}", "warned"}})
	check(t, "RequestAuthentication", []row{{"V-RA-1", "{}", "ok"}, {"V-RA-1", "{selector: {}, targetRefs: [{kind: Service, name: a}]}", "refused"}})
}

// TestActions: V-AP-1..V-AP-3, V-AP-6, V-AP-8.
func TestActions(t *testing.T) {
	t.Parallel()
	asks := func(what string) string {
		return "{action: CUSTOM, provider: {name: a}, rules: [" + what + "]}"
	}
	check(t, "AuthorizationPolicy", []row{
		{"V-AP-1", "{action: CUSTOM, provider: {name: a}}", "refused"},
		{"V-AP-2", "{action: CUSTOM, rules: [{}]}", "refused"},
		{"V-AP-2", asks("{}"), "ok"},
		{"V-AP-3", "{provider: {name: a}}", "refused"},
		{"V-AP-8", "{action: DENY}", "refused"},
		{"V-AP-8", "{action: AUDIT}", "ok"},
		{"V-AP-6", asks("{from: [{source: {namespaces: [a]}}]}"), "refused"},
		{"V-AP-6", asks("{from: [{source: {notRequestPrincipals: [a]}}]}"), "refused"},
		{"V-AP-6", asks("{from: [{source: {ipBlocks: [10.0.0.1]}}]}"), "ok"},
		{"V-AP-6", asks("{when: [{key: source.trustDomain, values: [a]}]}"), "refused"},
		{"V-AP-6", asks("{when: [{key: 'request.auth.claims[a]', values: [a]}]}"), "refused"},
		{"V-AP-6", asks("{when: [{key: 'request.headers[a]', values: [a]}]}"), "ok"},
	})
}

// TestSources: V-AP-9..V-AP-14, V-AP-20.
func TestSources(t *testing.T) {
	t.Parallel()
	source := func(what string) string { return "{rules: [{from: [{source: {" + what + "}}]}]}" }
	long := strings.Repeat("a", 321)
	check(t, "AuthorizationPolicy", []row{
		{"V-AP-9", "{rules: [{from: [{}]}]}", "refused"},
		{"V-AP-9", "{rules: [{from: []}]}", "ok"},
		{"V-AP-10", source(""), "refused"},
		{"V-AP-11", source("serviceAccounts: [a], namespaces: [b]"), "refused"},
		{"V-AP-11", source("notServiceAccounts: [a], notPrincipals: [b]"), "refused"},
		{"V-AP-12", source("ipBlocks: [10.0.0.0/8, '::1']"), "ok"},
		{"V-AP-12", source("notRemoteIpBlocks: [10.0.0.0/33]"), "refused"},
		{"V-AP-12", source("ipBlocks: [10.0.0]"), "refused"},
		{"V-AP-12", source("namespaces: ['']"), "refused"},
		{"V-AP-13", source("serviceAccounts: [a, b/c]"), "ok"},
		{"V-AP-13", source("serviceAccounts: ['a*']"), "refused"},
		{"V-AP-13", source("serviceAccounts: [a/b/c]"), "refused"},
		{"V-AP-13", source("serviceAccounts: [/a]"), "refused"},
		{"V-AP-13", source("serviceAccounts: [" + long + "]"), "refused"},
		{"V-AP-13", source("serviceAccounts: [" + strings.Repeat("a,", 17) + "]"), "refused"},
		{"V-AP-14", source("trustDomains: ['*.example', 'td*', td]"), "ok"},
		{"V-AP-14", source("trustDomains: ['a*b']"), "refused"},
		{"V-AP-14", source("trustDomains: ['*a*']"), "refused"},
		{"V-AP-14", source("notTrustDomains: [a/b]"), "refused"},
		{"V-AP-20", source("principals: ['a*b*']"), "ok"},
	})
}

// TestOperations: V-AP-9, V-AP-10, V-AP-12, V-AP-15, V-AP-21, V-AP-22.
func TestOperations(t *testing.T) {
	t.Parallel()
	operation := func(what string) string { return "{rules: [{to: [{operation: {" + what + "}}]}]}" }
	rows := []row{
		{"V-AP-9", "{rules: [{to: [{}]}]}", "refused"},
		{"V-AP-10", operation(""), "refused"},
		{"V-AP-12", operation("hosts: ['']"), "refused"},
		{"V-AP-15", operation("ports: ['0', '65535']"), "ok"},
		{"V-AP-15", operation("notPorts: ['65536']"), "refused"},
		{"V-AP-15", operation("ports: [http]"), "refused"},
		{"V-AP-15", operation("ports: ['-1']"), "refused"},
	}
	for path, want := range map[string]string{
		"/a/{*}": "ok", "/{**}": "ok", "/a/{*}/b/{**}": "ok", "t/{*}": "ok", "/{*}/": "ok", "/a*": "ok", "*/b": "ok",
		"/a{*}": "refused", "/{a}": "refused", "/{*": "refused", "/{**}/{*}": "refused", "/{**}/{**}": "refused", "/a*/{*}": "refused", "/a//{*}": "refused", "/{*}/y?z": "refused", "/{**}/a": "ok",
	} {
		rows = append(rows, row{"V-AP-21, V-AP-22", operation("paths: ['" + path + "']"), want})
	}
	check(t, "AuthorizationPolicy", rows)
}

// TestConditions: V-AP-16..V-AP-19.
func TestConditions(t *testing.T) {
	t.Parallel()
	when := func(key, values string) string {
		return "{rules: [{when: [{key: '" + key + "', " + values + "}]}]}"
	}
	rows := []row{
		{"V-AP-16", "{rules: [{when: [{values: [a]}]}]}", "refused"},
		{"V-AP-16", "{rules: [{when: [{key: source.ip}]}]}", "refused"},
		{"V-AP-18", when("request.headers[a]", "values: ['']"), "refused"},
		{"V-AP-19", when("source.ip", "values: [10.0.0.0/8]"), "ok"},
		{"V-AP-19", when("remote.ip", "notValues: [nowhere]"), "refused"},
		{"V-AP-19", when("destination.port", "values: ['80']"), "ok"},
		{"V-AP-19", when("destination.port", "values: [http]"), "refused"},
		{"V-AP-13", when("source.serviceAccount", "values: ['a*']"), "refused"},
		{"V-AP-14", when("source.trustDomain", "values: ['a/b']"), "ok"},
	}
	for key, want := range map[string]string{
		"connection.sni": "ok", "request.auth.claims[a][b]": "ok", "experimental.envoy.filters.a.b[c]": "ok", "request.headersX[a]": "ok",
		"request.headers": "refused", "request.headers[]": "refused", "request.auth.claims": "refused", "request.auth.claim[a]": "refused",
		"destination.namespace": "refused", "destination.labels[a]": "refused", "destination.name": "refused", "destination.user": "refused", "source.labels[a]": "refused", "experimental.x": "refused",
	} {
		rows = append(rows, row{"V-AP-17, V-AP-18", when(key, "values: [a]"), want})
	}
	check(t, "AuthorizationPolicy", rows)
}

// TestDenyOnTCP: V-AP-23.
func TestDenyOnTCP(t *testing.T) {
	t.Parallel()
	deny := func(rule string) string { return "{action: DENY, rules: [{" + rule + "}]}" }
	check(t, "AuthorizationPolicy", []row{
		{"V-AP-23", deny("to: [{operation: {paths: [/a]}}]"), "warned"},
		{"V-AP-23", deny("to: [{operation: {paths: [/a], ports: ['80']}}]"), "ok"},
		{"V-AP-23", deny("to: [{operation: {paths: [/a]}}, {operation: {notPorts: ['80']}}]"), "ok"},
		{"V-AP-23", deny("from: [{source: {requestPrincipals: [a]}}]"), "warned"},
		{"V-AP-23", deny("from: [{source: {trustDomains: [a]}}]"), "warned"},
		{"V-AP-23", deny("from: [{source: {namespaces: [a]}}]"), "ok"},
		{"V-AP-23", deny("when: [{key: 'request.headers[a]', values: [a]}]"), "ok"},
		{"V-AP-23", "{rules: [{to: [{operation: {paths: [/a]}}]}]}", "ok"},
	})
}

// TestPeerAuthentication: V-PA-1..V-PA-3.
func TestPeerAuthentication(t *testing.T) {
	t.Parallel()
	labels := "selector: {matchLabels: {a: b}}, "
	check(t, "PeerAuthentication", []row{
		{"V-PA-1", "{portLevelMtls: {80: {mode: STRICT}}}", "refused"},
		{"V-PA-1", "{" + labels + "portLevelMtls: {80: {mode: STRICT}}}", "ok"},
		{"V-PA-2", "{" + labels + "portLevelMtls: {}}", "refused"},
		{"V-PA-3", "{" + labels + "portLevelMtls: {0: {mode: STRICT}}}", "refused"},
		{"V-PA-3", "{" + labels + "portLevelMtls: {65536: {mode: STRICT}}}", "refused"},
	})
}

// TestRequestAuthentication: V-RA-2..V-RA-6.
func TestRequestAuthentication(t *testing.T) {
	t.Parallel()
	rule := func(what string) string { return "{jwtRules: [{" + what + "}]}" }
	check(t, "RequestAuthentication", []row{
		{"V-RA-2", rule("audiences: [a]"), "refused"},
		{"V-RA-2", rule("jwksUri: 'https://a/keys'"), "ok"},
		{"V-RA-3", rule("issuer: a, audiences: ['']"), "refused"},
		{"V-RA-3", rule("issuer: a, jwksUri: 'ftp://a'"), "refused"},
		{"V-RA-3", rule("issuer: a, jwksUri: 'http://a:x/'"), "refused"},
		{"V-RA-3", rule("issuer: a, jwks: 'nope'"), "refused"},
		{"V-RA-3", rule("issuer: a, jwks: '{}'"), "refused"},
		{"V-RA-3", rule(`issuer: a, jwks: '{"keys":[{"kty":"oct","k":"AAAA"}]}'`), "warned"},
		{"V-RA-3", rule(`issuer: a, jwks: '{"keys":[{"kty":"RSA","n":"AAAA","e":"AQAB"}]}'`), "ok"},
		{"V-RA-4", rule("issuer: a, fromHeaders: [{prefix: x}]"), "refused"},
		{"V-RA-4", rule("issuer: a, fromParams: ['']"), "refused"},
		{"V-RA-4", rule("issuer: a, fromCookies: [a, '']"), "refused"},
		{"V-RA-5", rule("issuer: a, outputClaimToHeaders: [{header: x}]"), "refused"},
		{"V-RA-5", rule("issuer: a, outputClaimToHeaders: [{header: 'x a', claim: b}]"), "refused"},
		{"V-RA-5", rule("issuer: a, outputClaimToHeaders: [{header: x_a-1, claim: b}]"), "ok"},
		{"V-RA-6", rule("issuer: a, timeout: 1ms"), "ok"},
		{"V-RA-6", rule("issuer: a, timeout: 0.0005s"), "refused"},
		{"V-RA-6", rule("issuer: a, timeout: 0.0015s"), "refused"},
	})
}

// TestDestinationRule: V-DR-1..V-DR-6.
func TestDestinationRule(t *testing.T) {
	t.Parallel()
	tls := func(what string) string { return "{host: a, trafficPolicy: {tls: {" + what + "}}}" }
	export := func(what string) string { return "{host: a, exportTo: [" + what + "]}" }
	rows := []row{
		{"V-DR-2", "{host: a, trafficPolicy: {}}", "refused"},
		{"V-DR-2", "{host: a, trafficPolicy: {portLevelSettings: [{tls: {mode: DISABLE}}]}}", "refused"},
		{"V-DR-2", "{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}}]}}", "refused"},
		{"V-DR-2", "{host: a, trafficPolicy: {tunnel: {targetHost: a, targetPort: 80}, proxyProtocol: {version: V1}}}", "refused"},
		{"V-DR-3", "{host: a, subsets: [{name: v1}, {name: v1}]}", "refused"},
		{"V-DR-3", "{host: a, subsets: [{name: V_1}]}", "refused"},
		{"V-DR-3", "{host: a, subsets: [{labels: {a: b}}]}", "refused"},
		{"V-DR-3", "{host: a, subsets: [{name: v1, labels: {'a b': c}}]}", "refused"},
		{"V-DR-4", tls("mode: SIMPLE, insecureSkipVerify: true, caCertificates: a"), "refused"},
		{"V-DR-4", tls("mode: SIMPLE, insecureSkipVerify: true, credentialName: a"), "refused"},
		{"V-DR-4", tls("mode: MUTUAL, insecureSkipVerify: true, credentialName: a"), "ok"},
		{"V-DR-4", tls("mode: MUTUAL, insecureSkipVerify: true, credentialName: a, subjectAltNames: [b]"), "refused"},
		{"V-DR-4", tls("mode: SIMPLE, credentialName: a, caCertificates: b"), "refused"},
		{"V-DR-4", tls("mode: MUTUAL, clientCertificate: a"), "refused"},
		{"V-DR-4", tls("mode: MUTUAL, clientCertificate: a, privateKey: b"), "ok"},
		{"V-DR-4", tls("mode: ISTIO_MUTUAL, clientCertificate: a"), "ok"},
		{"V-DR-4", tls("mode: SIMPLE, credentialName: 'configmap://shop/a'"), "ok"},
		{"V-DR-4", tls("mode: SIMPLE, credentialName: 'configmap://other/a'"), "refused"},
		{"V-DR-4", tls("mode: SIMPLE, credentialName: 'configmap://a'"), "refused"},
		{"V-DR-4", tls("mode: DISABLE, credentialName: 'configmap://other/a'"), "refused"},
		{"V-DR-4", tls("mode: ISTIO_MUTUAL, credentialName: 'configmap://a'"), "refused"},
		{"V-DR-4", tls("mode: DISABLE, credentialName: a, caCertificates: b"), "ok"},
		{"V-DR-5", export("., shop"), "refused"},
		{"V-DR-5", export("'*', a"), "refused"},
		{"V-DR-5", export("'~'"), "refused"},
		{"V-DR-5", export("a_b"), "refused"},
		{"V-DR-5", export("., other"), "ok"},
		{"V-DR-5", "{host: a, workloadSelector: {matchLabels: {a: b}}, exportTo: [other]}", "refused"},
		{"V-DR-5", "{host: a, workloadSelector: {matchLabels: {a: b}}, exportTo: [.]}", "ok"},
		{"V-DR-6", "{host: a, trafficPolicy: {outlierDetection: {consecutiveErrors: 3}}}", "warned"},
	}
	for host, want := range map[string]string{
		"a": "ok", "a.b": "ok", "*": "ok", "*.b": "ok", "*-a.b": "ok", "a.b.": "ok", "A.b": "ok",
		"a*b": "refused", "a.*": "refused", "bad_host": "refused", "a.123": "refused", "a..b": "refused", strings.Repeat("a", 64): "refused",
	} {
		rows = append(rows, row{"V-DR-1", "{host: '" + host + "'}", want})
	}
	check(t, "DestinationRule", append(rows, row{"V-DR-1", "{host: ''}", "refused"}))
}
