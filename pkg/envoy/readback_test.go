package envoy_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// pick is one of several texts.
func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// randomPolicies are policies of all kinds for shop/cart.
func randomPolicies(r *rand.Rand) string {
	var docs []string
	object := func(kind, name, spec string, annotations ...string) {
		docs = append(docs, fmt.Sprintf("apiVersion: security.istio.io/v1\nkind: %s\nmetadata: {name: %s, namespace: shop, annotations: {%s}}\nspec: %s\n", kind, name, strings.Join(annotations, ""), spec))
	}
	if r.IntN(3) > 0 {
		object("PeerAuthentication", "p", fmt.Sprintf("{selector: {matchLabels: {app: cart}}, mtls: {mode: %s}, portLevelMtls: {%s: {mode: %s}}}",
			pick(r, "STRICT", "PERMISSIVE", "DISABLE"), pick(r, "8080", "9000", "7000", "6000"), pick(r, "STRICT", "PERMISSIVE", "DISABLE")))
	}
	for i := range r.IntN(3) {
		extra := pick(r, "", ", fromHeaders: [{name: x-token, prefix: 'T '}]", ", fromParams: [token], audiences: [web]", ", forwardOriginalToken: true, outputPayloadToHeader: x-payload", ", outputClaimToHeaders: [{header: x-sub, claim: sub}]")
		object("RequestAuthentication", fmt.Sprintf("t%d", i), fmt.Sprintf(`{jwtRules: [{issuer: %s, jwks: '{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0"}]}'%s}]}`, pick(r, "a", "b"), extra))
	}
	for i := range r.IntN(5) {
		var rules []string
		for range r.IntN(3) {
			rules = append(rules, randomRule(r))
		}
		dry := pick(r, "", "", "", "istio.io/dry-run: 'true'")
		action := pick(r, "ALLOW", "ALLOW", "DENY", "AUDIT", "CUSTOM, provider: {name: asked}")
		if r.IntN(8) == 0 {
			action = "CUSTOM, provider: {name: nobody}"
		}
		object("AuthorizationPolicy", fmt.Sprintf("a%d", i), fmt.Sprintf("{action: %s, rules: [%s]}", action, strings.Join(rules, ", ")), dry)
	}
	return strings.Join(docs, "---\n")
}

func randomRule(r *rand.Rand) string {
	var parts []string
	if r.IntN(2) == 0 {
		parts = append(parts, "from: [{source: {"+pick(r,
			`principals: ["cluster.local/ns/shop/sa/web"]`, `principals: ["*/sa/web", "cluster.local/ns/x/*"]`, `notPrincipals: ["*"]`, `namespaces: [shop]`, `notNamespaces: ["s*"]`,
			`requestPrincipals: ["a/alice"]`, `requestPrincipals: ["*"]`, `notRequestPrincipals: ["b/*"]`, `ipBlocks: [10.0.0.0/24]`, `remoteIpBlocks: [1.2.3.4]`,
			`serviceAccounts: [web]`, `trustDomains: ["cluster.*"]`)+"}}]")
	}
	if r.IntN(2) == 0 {
		parts = append(parts, "to: [{operation: {"+pick(r,
			`methods: [GET, POST]`, `paths: [/items/*, "*/end", /x]`, `paths: ["/a/{*}/b/{**}"]`, `notPaths: [/admin]`, `hosts: ["Cart.shop", "*.example"]`, `ports: ["8080"]`, `notPorts: ["9000"]`)+"}}]")
	}
	if r.IntN(2) == 0 {
		parts = append(parts, "when: [{key: "+pick(r,
			`"request.headers[x-role]", values: [admin, "v*"]`, `"request.headers[x-role]", notValues: ["*"]`, `"request.auth.claims[groups]", values: [ops, "dev*"]`,
			`"request.auth.claims[a][b]", notValues: [c]`, `request.auth.audiences, values: [web]`, `destination.port, values: ["8080"]`, `destination.ip, values: [10.0.0.9]`,
			`connection.sni, values: ["*.cart"]`, `source.ip, notValues: [10.0.0.1]`, `"experimental.envoy.filters.x.y[z]", values: [one]`, `source.namespace, values: [sh*p]`)+"}]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// randomRequest is one of all kinds to shop/cart.
func randomRequest(r *rand.Rand) *policy.Request {
	q := &policy.Request{To: policy.Destination{Namespace: "shop", Workload: "cart", Port: []uint32{8080, 8080, 9000, 7000, 6000, 5000}[r.IntN(6)], IP: pick(r, "", "10.0.0.9")}}
	q.From.IP = pick(r, "", "10.0.0.1", "10.0.0.7", "172.16.0.1")
	switch r.IntN(6) {
	case 0:
	case 1:
		q.From.TLS = true
	default:
		id := pick(r, "spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/x/sa/y", "spiffe://elsewhere/ns/shop/sa/web")
		q.From.Identity = &id
	}
	if q.From.TLS || q.From.Identity != nil {
		q.From.SNI = pick(r, "", "outbound_.80_._.cart")
		q.From.ALPN = [][]string{nil, {"istio-http/1.1", "istio", "http/1.1"}, {"istio-peer-exchange", "istio"}, {"istio-h2", "istio", "h2"}, {"http/1.1"}}[r.IntN(5)]
	}
	q.Custom = pick(r, "", "allow", "deny", "error")
	if r.IntN(8) == 0 {
		return q
	}
	h := &policy.HTTP{
		Method: pick(r, "GET", "POST", "DELETE", "OPTIONS"), Path: pick(r, "/x", "/items/7", "//items/7", "/a/b/../c", "/a/q/b/c/d", "/admin", "/%2fend", "/the/end?token=1"),
		Authority: pick(r, "cart.shop", "a.example", "cart"), Version: pick(r, "", "", "2"),
	}
	if r.IntN(2) == 0 {
		h.Headers = append(h.Headers, policy.Line{Name: "x-role", Value: pick(r, "admin", "viewer", "")})
	}
	if r.IntN(4) == 0 {
		h.Headers = append(h.Headers, policy.Line{Name: "x-forwarded-for", Value: pick(r, "1.2.3.4", "5.6.7.8, 1.2.3.4")})
	}
	if r.IntN(4) == 0 {
		h.Headers = append(h.Headers, policy.Line{Name: "content-type", Value: "application/grpc"})
	}
	for range r.IntN(3) {
		token := policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: true}
		if r.IntN(3) == 0 {
			token.Name, token.Prefix = "x-token", "T "
		}
		if r.IntN(4) == 0 {
			token = policy.Token{In: "param", Name: "token", Valid: true}
		}
		if token.Claims = map[string]any{"iss": pick(r, "a", "b", "c"), "sub": pick(r, "alice", "bob"), "aud": "web", "groups": []any{"ops", "x"}, "a": map[string]any{"b": "c"}}; r.IntN(4) == 0 {
			token.Valid, token.Why = false, pick(r, "signature", "expired", "malformed")
		}
		h.Tokens = append(h.Tokens, token)
	}
	q.HTTP = h
	return q
}

const authorizerConfig = `extensionProviders:
- name: asked
  envoyExtAuthzGrpc: {service: authz.shop.svc.cluster.local, port: 9000, failOpen: %v}
- name: other
  envoyExtAuthzHttp: {service: authz.shop.svc.cluster.local, port: 8000, statusOnError: "503"}
pathNormalization: {normalization: %s}
`

// What is rendered and read back decides as the model that it was rendered from,
// whatever the policies and the request (EC-143). TLS that is passed on is the
// one thing that a configuration does not tell: the application ends it, or not.
func TestReadBack(t *testing.T) {
	t.Parallel()
	meshes, requests := 400, 40
	if testing.Short() {
		meshes = 40
	}
	now := time.Unix(1_800_000_000, 0)
	counts := map[policy.Outcome]int{}
	for seed := range meshes {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		policies := randomPolicies(r)
		config := fmt.Sprintf(authorizerConfig, r.IntN(2) == 0, pick(r, "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"))
		s := buildCart(t, cartYAML+"---\n"+policies, config)
		simulator := policy.Options{Now: now}.NewSimulator(s)
		w := s.Workload("shop", "cart")
		c, err := envoy.NewGenerator(s, simulator).Config(w)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		e := envoy.NewEnforcement(&envoy.Dump{Config: *c}, now)
		for range requests {
			q := randomRequest(r)
			want := simulator.Model(w).Evaluate(q)
			got := e.Evaluate(q)
			if got.Outcome == policy.Unknown && strings.HasPrefix(got.Reason, "TLS is passed on") {
				if want.Outcome != policy.Refused && want.Outcome != policy.Allow {
					t.Fatalf("seed %d: passed on, but %+v", seed, want)
				}
				continue
			}
			counts[want.Outcome]++
			if got.Outcome != want.Outcome || got.HTTPStatus != want.HTTPStatus || !reflect.DeepEqual(got.GRPCStatus, want.GRPCStatus) ||
				got.By != want.By || got.Stage != want.Stage || got.Custom != want.Custom || !reflect.DeepEqual(got.DryRun, want.DryRun) {
				t.Fatalf("seed %d:\n%s\n%+v %+v\nwant %+v\ngot  %+v", seed, policies, q, q.HTTP, want, got)
			}
		}
	}
	for _, o := range []policy.Outcome{policy.Allow, policy.Deny, policy.Unauthenticated, policy.Refused, policy.Rejected, policy.Unknown} {
		if counts[o] == 0 {
			t.Errorf("no request came to %s: %v", o, counts)
		}
	}
	t.Log(counts)
}

// What is not understood leaves the verdict open, and says what it is.
func TestNotUnderstood(t *testing.T) {
	t.Parallel()
	const managerType = `"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x"`
	const route = `"route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]}`
	manager := func(filters string, more ...string) string {
		return `{"filters": [{"name": "hcm", "typed_config": {` + strings.Join(append([]string{managerType, `"http_filters": [` + filters + `]`}, more...), ", ") + `}}]}`
	}
	rbac := func(permission string) string {
		return `{"name": "rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": {"policies": {"p": {"permissions": [` + permission + `], "principals": [{"any": true}]}}}}}`
	}
	const lua = `{"name": "script", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}}`
	jwt := func(requires string) string {
		return `{"name": "jwt", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication", "bypass_cors_preflight": true,
 "providers": {"x": {"issuer": "i", "payload_in_metadata": "payload", "local_jwks": {"inline_string": "{}"}}}, "rules": [{"match": {"prefix": "/"}, "requires": ` + requires + `}]}}`
	}
	for _, tt := range []struct {
		name, chains, outcome, reason string
	}{
		{"plain", manager("", route), "allow", ""},
		{"understood rule", manager(rbac(`{"header": {"name": ":method", "string_match": {"exact": "GET"}}}`), route), "allow", ""},
		{"rule that does not match", manager(rbac(`{"destination_port": 81}`), route), "deny", ""},
		{"contains", manager(rbac(`{"url_path": {"path": {"contains": "items"}}}`), route), "allow", ""},
		{"script", manager(lua, route), "unknown", "not understood: filter script"},
		{"matcher", manager(rbac(`{"sourced_metadata": {}}`), route), "unknown", "it depends on a matcher that is not understood here"},
		{"negated matcher", manager(rbac(`{"not_rule": {"sourced_metadata": {}}}`), route), "unknown", "it depends on a matcher that is not understood here"},
		{"matcher beside one that does not match", manager(rbac(`{"and_rules": {"rules": [{"destination_port": 81}, {"sourced_metadata": {}}]}}`), route), "deny", ""},
		{"order", manager(rbac(`{"any": true}`)+", "+rbac(`{"any": true}`), route), "unknown", "not understood: filter rbac comes behind those that run after it here"},
		{"token wanted", manager(jwt(`{"provider_name": "x"}`), route), "unknown", "not understood: filter jwt requires tokens in another way than any, or none"},
		{"provider", manager(jwt(`{"requires_any": {"requirements": [{"provider_name": "x"}, {"allow_missing": {}}]}}`), route), "unknown", `not understood: filter jwt issuer "i": does not split the claims scope and permission`},
		{"server name", `{"filter_chain_match": {"server_names": ["a"]}, "filters": []}`, "unknown", "listener in, chain :* for a: is chosen by what is not looked at"},
		{"other port", `{"filter_chain_match": {"destination_port": 81}, "filters": []}`, "refused", "no filter chain takes such a connection to port 80"},
		{"routes", manager("", `"rds": {"route_config_name": "r"}`), "unknown", "not understood: routes r are not in the configuration"},
		{"own filters", manager("", strings.Replace(route, `"route":`, `"typed_per_filter_config": {"rbac": {"@type": "no/such"}}, "route":`, 1)), "unknown", "not understood: routes that have filters of their own, or several clusters"},
		{"several routes", manager("", strings.Replace(route, `"prefix": "/"`, `"prefix": "/a"`, 1)), "allow", "the filters let it pass; its routes are not looked at"},
		{
			"TLS of the web", strings.Replace(manager("", route), `{"filters"`, `{"transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"}}, "filters"`, 1),
			"unknown", "listener in, chain :*: ends TLS without asking for a client's certificate",
		},
		{"field of tomorrow", `{"tomorrow": 1, "filters": []}`, "unknown", "listener in has fields that are not known here"},
	} {
		all, err := envoy.ParseConfig("l.json", []byte(`[{"name": "in", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}}, "filter_chains": [`+tt.chains+`]}]`))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		q := &policy.Request{To: policy.Destination{Port: 80}, HTTP: &policy.HTTP{Method: "GET", Path: "/items", Authority: "a"}}
		a := envoy.NewEnforcement(all[0], time.Time{}).Evaluate(q)
		if string(a.Outcome) != tt.outcome || a.Reason != tt.reason {
			t.Errorf("%s: %s, %q; want %s, %q", tt.name, a.Outcome, a.Reason, tt.outcome, tt.reason)
		}
	}
}
