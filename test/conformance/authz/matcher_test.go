package authz

import (
	"net/netip"
	"strings"
	"testing"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// parse reads a protobuf in YAML.
func parse(t *testing.T, text string, m proto.Message) {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(asJSON, m); err != nil {
		t.Fatal(err)
	}
}

// requestWith is a plain request with changes.
func requestWith(changes ...change) *attributes {
	a := plain(true)
	for _, c := range changes {
		c(a)
	}
	a.settle()
	return a
}

// TestMatchers: what Envoy's matchers make of requests (DP-55, DP-60..DP-73,
// AP-23, AP-26, AP-36..AP-40).
func TestMatchers(t *testing.T) {
	t.Parallel()
	claims := func(keys string, value any) change { return setClaim(strings.Split(keys, "."), value) }
	jwt := func(keys, matcher string) string {
		return "metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: payload}, {key: " + strings.ReplaceAll(keys, ".", "}, {key: ") + "}], value: " + matcher + "}"
	}
	const list = "{orMatch: {valueMatchers: [{listMatch: {oneOf: {stringMatch: {exact: a}}}}, {stringMatch: {exact: a}}]}}"
	template := func(s string) string {
		return "uriTemplate: {name: t, typedConfig: {'@type': type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig, pathTemplate: '" + s + "'}}"
	}
	address := netip.MustParseAddr
	tests := []struct {
		matcher string
		change  change
		want    bool
	}{
		{"header: {name: ':method', stringMatch: {exact: GET}}", setHeader(":method")("GET"), true},
		{"header: {name: ':method', stringMatch: {exact: GET}}", setHeader(":method")("get"), false},
		{"header: {name: ':authority', stringMatch: {exact: A.com, ignoreCase: true}}", setHeader("host")("a.COM"), true},
		{"header: {name: ':authority', stringMatch: {exact: a.com, ignoreCase: true}}", setHeader("host")("a.com:80"), false},
		{"header: {name: ':authority', stringMatch: {suffix: .Com, ignoreCase: true}}", setHeader("host")("a.cOm"), true},
		{"header: {name: X-A, stringMatch: {prefix: b}}", setHeader("x-a")("bc"), true},
		{"header: {name: X-A, stringMatch: {contains: b}}", setHeader("x-a")("abc"), true},
		{"header: {name: X-A, presentMatch: true}", setHeader("x-a")(""), true},
		{"header: {name: X-A, presentMatch: true}", dropHeader("x-a"), false},
		{"header: {name: x-a, stringMatch: {exact: a}}", func(a *attributes) { a.headers["x-a"] = []string{"b", "a"} }, true},
		{"header: {name: x-a, stringMatch: {exact: 'b,a'}}", func(a *attributes) { a.headers["x-a"] = []string{"b", "a"} }, false},
		{"header: {name: x-a, stringMatch: {safeRegex: {regex: 'a|b'}}}", setHeader("x-a")("ab"), false},
		{"header: {name: x-a, stringMatch: {safeRegex: {regex: .+}}}", setHeader("x-a")(""), false},
		{"urlPath: {path: {exact: /a}}", setPath("/a?b=/c"), true},
		{"urlPath: {path: {exact: /a}}", setPath("/a#b"), true},
		{"urlPath: {path: {suffix: /c}}", setPath("/a?b=/c"), false},
		{"urlPath: {path: {safeRegex: {regex: .*}}}", dropHeader(":path"), false},
		{template("/api/*"), setPath("/api/%2F"), true},
		{template("/api/*"), setPath("/api/"), false},
		{template("/api/**"), setPath("/api/"), true},
		{template("/api/**"), setPath("/api"), false},
		{template("/*/x"), setPath("/a/b/x"), false},
		{template("/**/x"), setPath("/a/b/x"), true},
		{template("/**/x"), setPath("/x"), false},
		{template("/a.b/*"), setPath("/axb/c"), false},
		{template("/*"), setPath("/[a]"), false},
		{"destinationPort: 80", setPort("80"), true},
		{"destinationPort: 80", setPort("8080"), false},
		{"destinationPortRange: {start: 80, end: 90}", setPort("89"), true},
		{"destinationPortRange: {start: 80, end: 90}", setPort("90"), false},
		{"destinationIp: {addressPrefix: 10.0.0.9, prefixLen: 24}", setLocal(address("10.0.0.1")), true},
		{"destinationIp: {addressPrefix: 10.0.0.9, prefixLen: 24}", setLocal(address("10.0.1.1")), false},
		{"destinationIp: {addressPrefix: 10.0.0.9, prefixLen: 24}", setLocal(address("::ffff:10.0.0.1")), false},
		{"directRemoteIp: {addressPrefix: '2001:db8::', prefixLen: 32}", setDirect(address("2001:db8::1")), true},
		{"directRemoteIp: {addressPrefix: 10.0.0.0, prefixLen: 8}", setRemote(address("10.0.0.1")), false},
		{"remoteIp: {addressPrefix: 10.0.0.0, prefixLen: 8}", setRemote(address("10.0.0.1")), true},
		{"remoteIp: {addressPrefix: 10.0.0.0, prefixLen: 8}", setHeader(forwardedFor)("1.2.3.4, 10.0.0.1"), true},
		{"remoteIp: {addressPrefix: 10.0.0.0, prefixLen: 8}", setHeader(forwardedFor)("10.0.0.1, x"), false},
		{"requestedServerName: {exact: a.b}", setServerName("A.b"), true},
		{"requestedServerName: {safeRegex: {regex: .+}}", setServerName(""), false},
		{"authenticated: {principalName: {exact: spiffe://a/b}}", setIdentity("spiffe://a/b"), true},
		{"authenticated: {principalName: {safeRegex: {regex: .*}}}", setIdentity(""), false},
		{"authenticated: {}", setIdentity("spiffe://a/b"), true},
		{"authenticated: {}", setIdentity(""), false},
		{"filterState: {key: io.istio.peer_principal, stringMatch: {prefix: 'spiffe://a/'}}", setIdentity("spiffe://a/b"), true},
		{jwt("azp", list), claims("azp", "a"), true},
		{jwt("azp", list), claims("azp", []any{"b", "a"}), true},
		{jwt("azp", list), claims("azp", []any{[]any{"a"}}), false},
		{jwt("azp", list), claims("azp", 7.0), false},
		{jwt("azp", list), claims("azp", map[string]any{"a": "a"}), false},
		{jwt("azp", list), func(*attributes) {}, false},
		{jwt("r.s", list), claims("r.s", "a"), true},
		{jwt("r.s", list), claims("r", "a"), false},
		{"metadata: {filter: envoy.filters.a, path: [{key: b}], value: {stringMatch: {exact: c}}}", claims("b", "c"), false},
	}
	for _, tt := range tests {
		side := readEither(t, tt.matcher)
		if got := side.holds(requestWith(tt.change)); got != tt.want {
			t.Errorf("%s: matches %s: %t", tt.matcher, requestWith(tt.change), got)
		}
	}
}

// readEither reads a matcher that is a permission, or only a principal.
func readEither(t *testing.T, text string) *term {
	t.Helper()
	onlyPrincipal := strings.HasPrefix(text, "authenticated") || strings.HasPrefix(text, "filterState") || strings.Contains(text, "emoteIp")
	var side term
	var err error
	if onlyPrincipal {
		var p rbacv3.Principal
		parse(t, text, &p)
		side, err = readPrincipal(&p)
	} else {
		var p rbacv3.Permission
		parse(t, text, &p)
		side, err = readPermission(&p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &side
}

// TestUnknownMatchers: what is not known is an error, however deep it is.
func TestUnknownMatchers(t *testing.T) {
	t.Parallel()
	const anyone = "principals: [{any: true}]"
	for _, policy := range []string{
		anyone + "\npermissions: [{andRules: {rules: [{any: true}, {orRules: {rules: [{notRule: {matcher: {name: x}}}]}}]}}]",
		anyone + "\npermissions: [{header: {name: a, rangeMatch: {start: 1, end: 2}}}]",
		anyone + "\npermissions: [{header: {name: a, stringMatch: {exact: b}, invertMatch: true}}]",
		anyone + "\npermissions: [{header: {name: a, stringMatch: {exact: b}, treatMissingHeaderAsEmpty: true}}]",
		anyone + "\npermissions: [{header: {name: a, presentMatch: false}}]",
		anyone + "\npermissions: [{requestedServerName: {safeRegex: {regex: '('}}}]",
		anyone + "\npermissions: [{requestedServerName: {}}]",
		anyone + "\npermissions: [{destinationIp: {addressPrefix: a, prefixLen: 1}}]",
		anyone + "\npermissions: [{destinationIp: {addressPrefix: 1.2.3.4, prefixLen: 33}}]",
		anyone + "\npermissions: [{metadata: {filter: a, path: [{key: b}], value: {doubleMatch: {exact: 1}}}}]",
		anyone + "\npermissions: [{metadata: {filter: a, path: [{key: b}], value: {stringMatch: {exact: a}}, invert: true}}]",
		anyone + "\npermissions: [{}]",
		"permissions: [{any: true}]\nprincipals: [{sourceIp: {addressPrefix: 1.2.3.4, prefixLen: 32}}]",
		"permissions: [{any: true}]\nprincipals: [{filterState: {key: other, stringMatch: {exact: a}}}]",
		"permissions: [{any: true}]\nprincipals: [{any: true}]\ncondition: {constExpr: {boolValue: true}}",
	} {
		r := &rbacv3.RBAC{Policies: map[string]*rbacv3.Policy{"p": {}}}
		parse(t, policy, r.Policies["p"])
		if _, err := readTable(r); err == nil {
			t.Errorf("%s: no error", policy)
		}
	}
}

// TestSamples: what is made of a pattern matches it.
func TestSamples(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{`spiffe://.+/ns/a-b/(.+/|)sa/c(/.+)?`, `.*/ns/.*x\.y.*/.*`, `[^/]*a{2}[0-9]+`, `a|b|`} {
		m, err := regexText(pattern)
		if err != nil || len(m.samples) < 2 {
			t.Fatalf("%s: %d samples (%v)", pattern, len(m.samples), err)
		}
		for _, s := range m.samples {
			if !m.holds(s) {
				t.Errorf("%s does not match %q", pattern, s)
			}
		}
	}
}

// TestSent: only what reaches the filters as it is counts as sent.
func TestSent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		why    string
		change change
		want   bool
	}{
		{"plain", func(*attributes) {}, true},
		{"a normal path", setPath("/a;b=c/d.e/..f?q=/../x"), true},
		{"a path with dot segments", setPath("/a/../b"), false},
		{"a path with a disguised dot segment", setPath("/a/..;x/b"), false},
		{"a path with an escape", setPath("/%61"), false},
		{"a path with two slashes", setPath("/a//b"), false},
		{"a method that is no token", setHeader(":method")("rule[0]"), false},
		{"an odd method", setHeader(":method")("get"), true},
		{"no host", setHeader(":authority")(""), false},
		{"a header line", setHeader("x-a")("b"), true},
		{"a header that the connection manager changes", setHeader("te")("b"), false},
		{"blanks around a value", setHeader("x-a")(" b"), false},
		{"an identity", setIdentity("spiffe://a/b"), true},
		{"an identity without a path", setIdentity("spiffe://a"), false},
		{"a server name without TLS", setServerName("a.b"), false},
		{"a port that is none", setPort("0"), false},
	}
	for _, tt := range tests {
		a := requestWith(tt.change)
		r, got := a.request()
		if got != tt.want {
			t.Errorf("%s: sent: %t", tt.why, got)
		}
		if got && (r.To.Port != a.port || r.HTTP.Path != a.headers[":path"][0]) {
			t.Errorf("%s: another request: %+v", tt.why, r)
		}
	}
}
