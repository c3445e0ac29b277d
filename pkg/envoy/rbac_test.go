package envoy_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// authorization is a policy of shop/web.
func authorization(spec string) string {
	return "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec: {selector: {matchLabels: {app: web}}, " + spec + "}\n"
}

// filtersOf are the configurations of filters on the last chain of a port, by
// the end of the filters' names, as JSON without blanks.
func filtersOf(t testing.TB, c *envoy.Config, port uint32, name string) []string {
	t.Helper()
	chains := chainsOf(c, port)
	chain := chains[len(chains)-1]
	var all []string
	if m := manager(t, chain); m != nil {
		for _, f := range m.HttpFilters {
			if strings.HasSuffix(f.Name, "."+name) {
				all = append(all, compactJSON(t, unpack[proto.Message](t, f.GetTypedConfig())))
			}
		}
	}
	for _, f := range chain.Filters {
		if strings.HasSuffix(f.Name, "."+name) {
			all = append(all, compactJSON(t, unpack[proto.Message](t, f.GetTypedConfig())))
		}
	}
	return all
}

// TestRBAC: what a rule is on a port of HTTP, and on one of bytes.
func TestRBAC(t *testing.T) {
	t.Parallel()
	const (
		anything = `{"any":true}`
		noShadow = `"shadowRulesStatPrefix":"istio_dry_run_allow_"`
		nothing  = `{"notRule":` + anything + `}`
		nobody   = `{"notId":` + anything + `}`
		anywhere = `"permissions":[{"andRules":{"rules":[` + anything + `]}}]`
		anyone   = `"principals":[{"andIds":{"ids":[` + anything + `]}}]`
	)
	rule := func(content string) string { return `"policies":{"ns[shop]-policy[p]-rule[0]":{` + content + `}}` }
	or := func(kind, one string) string {
		return `{"or` + kind + `":{"` + strings.ToLower(kind) + `":[` + one + `]}}`
	}
	to := func(pieces string) string { return `"permissions":[{"andRules":{"rules":[` + pieces + `]}}],` + anyone }
	from := func(pieces string) string { return anywhere + `,"principals":[{"andIds":{"ids":[` + pieces + `]}}]` }
	account := or("Ids", `{"authenticated":{"principalName":{"exact":"spiffe://cluster.local/ns/shop/sa/curl"}}}`)
	get := or("Rules", `{"header":{"name":":method","stringMatch":{"exact":"GET"}}}`)
	for _, tt := range []struct {
		name, spec string
		port       uint32
		want       string
	}{
		{
			"EC-82 the usual rule", "rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/curl]}}], to: [{operation: {methods: [GET], paths: [/items/*]}}]}]", 8080,
			`{"rules":{` + rule(`"permissions":[{"andRules":{"rules":[`+get+`,`+or("Rules", `{"urlPath":{"path":{"prefix":"/items/"}}}`)+`]}}],"principals":[{"andIds":{"ids":[`+account+`]}}]`) + `},` + noShadow + `}`,
		},
		{"EC-71 an action is told unless it is ALLOW", "action: DENY, rules: [{}]", 8080, `{"rules":{"action":"DENY",` + rule(anywhere+","+anyone) + `},` + noShadow + `}`},
		{"EC-71 AUDIT logs", "action: AUDIT, rules: [{}]", 8080, `{"rules":{"action":"LOG",` + rule(anywhere+","+anyone) + `},` + noShadow + `}`},
		{"EC-72 no rules match nothing", "rules: []", 8080, `{"rules":{` + rule(`"permissions":[`+nothing+`],"principals":[`+nobody+`]`) + `},` + noShadow + `}`},
		{"EC-73 what must not be", "rules: [{to: [{operation: {notPorts: ['1']}}]}]", 8080, `{"rules":{` + rule(to(`{"notRule":`+or("Rules", `{"destinationPort":1}`)+`}`)) + `},` + noShadow + `}`},
		{
			"EC-73 conditions of the connection are permissions", "rules: [{when: [{key: connection.sni, values: [a]}]}]", 8080,
			`{"rules":{` + rule(to(or("Rules", `{"requestedServerName":{"exact":"a"}}`))) + `},` + noShadow + `}`,
		},
		{
			"EC-74 hosts, methods, paths, ports, conditions", "rules: [{to: [{operation: {ports: ['8080'], paths: [/a], methods: [GET], hosts: [h]}}], when: [{key: destination.port, values: ['2']}]}]", 8080,
			`{"rules":{` + rule(to(strings.Join([]string{
				or("Rules", `{"header":{"name":":authority","stringMatch":{"exact":"h","ignoreCase":true}}}`), get,
				or("Rules", `{"urlPath":{"path":{"exact":"/a"}}}`), or("Rules", `{"destinationPort":8080}`), or("Rules", `{"destinationPort":2}`),
			}, ","))) + `},` + noShadow + `}`,
		},
		{
			"EC-75 addresses: the peer's, and the forwarded one", "rules: [{from: [{source: {ipBlocks: [10.0.0.0/8], remoteIpBlocks: [192.0.2.1]}}]}]", 8080,
			`{"rules":{` + rule(from(or("Ids", `{"remoteIp":{"addressPrefix":"192.0.2.1","prefixLen":32}}`)+","+or("Ids", `{"directRemoteIp":{"addressPrefix":"10.0.0.0","prefixLen":8}}`))) + `},` + noShadow + `}`,
		},
		{
			"EC-76 identities are those of certificates", "rules: [{from: [{source: {namespaces: [shop]}}]}]", 8080,
			`{"rules":{` + rule(from(or("Ids", `{"authenticated":{"principalName":{"safeRegex":{"regex":".*/ns/shop/.*"}}}}`))) + `},` + noShadow + `}`,
		},
		{"EC-77 a rule of requests allows no bytes, and all are denied", "rules: [{to: [{operation: {methods: [GET]}}]}]", 9000, `{"rules":{},` + noShadow + `,"statPrefix":"tcp."}`},
		{
			"EC-77 and it denies more bytes", "action: DENY, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/curl]}}], to: [{operation: {methods: [GET]}}]}]", 9000,
			`{"rules":{"action":"DENY",` + rule(from(account)) + `},` + noShadow + `,"statPrefix":"tcp."}`,
		},
	} {
		c := webConfig(t, authorization(tt.spec), "")
		if got := strings.Join(filtersOf(t, c, tt.port, "rbac"), "\n"); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// TestRBACDryRun: dry-run rules are shadow rules under the action's own prefix,
// and enforce nothing (EC-78, EC-79).
func TestRBACDryRun(t *testing.T) {
	t.Parallel()
	for action, prefix := range map[string]string{"ALLOW": "istio_dry_run_allow_", "DENY": "istio_dry_run_deny_"} {
		text := strings.Replace(authorization("action: "+action+", rules: [{}]"), "{name: p,", "{annotations: {istio.io/dry-run: 'true'}, name: p,", 1)
		for _, port := range []uint32{8080, 9000} {
			got := strings.Join(filtersOf(t, webConfig(t, text, ""), port, "rbac"), "\n")
			if strings.Contains(got, `"rules":{"action`) || !strings.Contains(got, `"shadowRulesStatPrefix":"`+prefix+`"`) || !strings.Contains(got, `"shadowRules":{`) || strings.HasPrefix(got, `{"rules":`) {
				t.Errorf("%s on port %d: %s", action, port, got)
			}
		}
	}
}

// TestRBACAliases: an account of the mesh is meant by all its trust domain's names
// (EC-80).
func TestRBACAliases(t *testing.T) {
	t.Parallel()
	text := authorization("rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/curl, '*/ns/a/sa/b', other/x]}}]}]")
	got := strings.Join(filtersOf(t, webConfig(t, text, "{trustDomain: a.example, trustDomainAliases: [old]}"), 8080, "rbac"), "\n")
	for want, n := range map[string]int{
		`"spiffe://a.example/ns/shop/sa/curl"`: 1, `"spiffe://old/ns/shop/sa/curl"`: 1, `"spiffe://cluster.local/`: 0, `"spiffe://other/x"`: 1, "/ns/a/sa/b": 1,
	} {
		if strings.Count(got, want) != n {
			t.Errorf("%s is there %d times, want %d: %s", want, strings.Count(got, want), n, got)
		}
	}
}

// TestRBACCustom: a rule that asks somebody else is a shadow rule, whose mark the
// next filter looks for; where nobody can be asked it denies (EC-81, EC-81a).
func TestRBACCustom(t *testing.T) {
	t.Parallel()
	text := authorization("action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {paths: [/c]}}]}]")
	asks := webConfig(t, text, grpcProvider)
	rules := strings.Join(filtersOf(t, asks, 8080, "rbac"), "\n")
	if !strings.HasPrefix(rules, `{"shadowRules":{"action":"DENY","policies":{"istio-ext-authz-ext-ns[shop]-policy[p]-rule[0]":`) || !strings.HasSuffix(rules, `"shadowRulesStatPrefix":"istio_ext_authz_"}`) {
		t.Error(rules)
	}
	authorizer := strings.Join(filtersOf(t, asks, 8080, "ext_authz"), "\n")
	for _, want := range []string{`"key":"istio_ext_authz_shadow_effective_policy_id"`, `"prefix":"istio-ext-authz-ext"`, `"filter":"envoy.filters.http.rbac"`, `"timeout":"600s"`, `"clusterName":"outbound|9000||web.shop.svc.cluster.local"`} {
		if !strings.Contains(authorizer, want) {
			t.Errorf("no %s in %s", want, authorizer)
		}
	}
	if got := filtersOf(t, webConfig(t, text, httpProvider), 9000, "ext_authz"); got != nil {
		t.Errorf("bytes are asked about over HTTP: %s", got)
	}
	for _, port := range []uint32{8080, 9000} {
		got := strings.Join(filtersOf(t, webConfig(t, text, ""), port, "rbac"), "\n")
		if !strings.HasPrefix(got, `{"rules":{"action":"DENY","policies":{"istio-ext-authz-ext-ns[shop]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action":`) || strings.Contains(got, "shadowRulesStatPrefix") {
			t.Errorf("port %d: %s", port, got)
		}
		if denies := strings.Contains(got, "urlPath"); denies != (port == 8080) {
			t.Errorf("port %d: only some are denied: %t", port, denies)
		}
	}
}

// TestTokens: rules about tokens are sorted by issuer; one that is missing is let
// through, and keys that are not in the files are noted (EC-65, EC-66, EC-67,
// EC-68).
func TestTokens(t *testing.T) {
	t.Parallel()
	tokens := func(rules string) string {
		return "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: t, namespace: shop}\nspec: {jwtRules: [" + rules + "]}\n"
	}
	one := filtersOf(t, webConfig(t, tokens("{issuer: z, jwksUri: 'https://z.example/k', audiences: [a], fromHeaders: [{name: x, prefix: 'P '}], outputPayloadToHeader: o, forwardOriginalToken: true, spaceDelimitedClaims: [groups], outputClaimToHeaders: [{header: h, claim: c}]}"), ""), 8080, "jwt_authn")
	const want = `{"providers":{"origins-0":{"issuer":"z","audiences":["a"],"localJwks":{"inlineString":"keys of https://z.example/k"},"forward":true,` +
		`"fromHeaders":[{"name":"x","valuePrefix":"P "}],"forwardPayloadHeader":"o","payloadInMetadata":"payload",` +
		`"normalizePayloadInMetadata":{"spaceDelimitedClaims":["groups","permission","scope"]},"claimToHeaders":[{"headerName":"h","claimName":"c"}]}},` +
		`"rules":[{"match":{"prefix":"/"},"requires":{"requiresAny":{"requirements":[{"providerName":"origins-0"},{"allowMissing":{}}]}}}],"bypassCorsPreflight":true}`
	if got := strings.Join(one, "\n"); got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
	two := strings.Join(filtersOf(t, webConfig(t, tokens(`{issuer: z, jwks: '{"keys":[]}'}, {issuer: a, jwksUri: 'https://a.example/k'}`), ""), 8080, "jwt_authn"), "\n")
	for _, want := range []string{
		`"origins-0":{"issuer":"a"`, `"origins-1":{"issuer":"z","localJwks":{"inlineString":"{\"keys\":[]}"}`,
		`"requires":{"requiresAny":{"requirements":[{"providerName":"origins-0"},{"providerName":"origins-1"},{"requiresAll":{"requirements":[` +
			`{"requiresAny":{"requirements":[{"providerName":"origins-0"},{"allowMissing":{}}]}},{"requiresAny":{"requirements":[{"providerName":"origins-1"},{"allowMissing":{}}]}}]}}]}}`,
	} {
		if !strings.Contains(two, want) {
			t.Errorf("no %s in %s", want, two)
		}
	}
	if got := filtersOf(t, webConfig(t, tokens("{issuer: z}"), ""), 9000, "jwt_authn"); got != nil {
		t.Errorf("bytes have tokens: %s", got)
	}
}
