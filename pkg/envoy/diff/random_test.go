package diff_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// dice make random policies, and requests that have something to do with them.
type dice struct{ *rand.Rand }

func (d dice) of(options ...string) string { return options[d.IntN(len(options))] }

// some is a list of one or two of the options.
func (d dice) some(options ...string) string {
	if d.IntN(2) == 0 {
		return "[" + d.of(options...) + "]"
	}
	return "[" + d.of(options...) + ", " + d.of(options...) + "]"
}

func (d dice) source() string {
	switch d.IntN(6) {
	case 0, 1:
		return d.of("principals: ", "principals: ", "notPrincipals: ") + d.some("cluster.local/ns/prod/sa/x", "'*'", "cluster.local/ns/prod/*", "cluster.local/ns/prod/sa/*", "'*/sa/y'", "'*/y'")
	case 2:
		return d.of("namespaces: ", "notNamespaces: ") + d.some("prod", "data", "'pr*'", "'*'")
	case 3:
		return d.of("requestPrincipals: ", "notRequestPrincipals: ") + d.some("'*'", "iss/sub", "'iss/*'", "'*/sub'")
	case 4:
		return d.of("ipBlocks: ", "notIpBlocks: ") + d.some("10.0.0.0/8", "10.1.0.0/16", "10.1.0.1", "0.0.0.0/0")
	}
	return "remoteIpBlocks: " + d.some("10.0.0.0/8", "10.1.0.0/30")
}

func (d dice) operation() string {
	var all []string
	if d.IntN(3) > 0 {
		all = append(all, d.of("paths: ", "paths: ", "notPaths: ")+d.some("/a", "'/a*'", "'/a/*'", "'*/b'", "/c", "'/t/{*}'", "'/t/{**}'", "'/{*}/b'", "'*'", "'/*'"))
	}
	if d.IntN(3) == 0 {
		all = append(all, d.of("methods: ", "notMethods: ")+d.some("GET", "POST", "DELETE", "'P*'", "'*'"))
	}
	if d.IntN(5) == 0 {
		all = append(all, d.of("ports: ", "notPorts: ")+d.some("'9080'", "'9000'"))
	}
	if len(all) == 0 || d.IntN(5) == 0 {
		all = append(all, d.of("hosts: ", "notHosts: ")+d.some("web", "'*.x'", "'w*'", "WEB"))
	}
	return strings.Join(all, ", ")
}

func (d dice) condition() string {
	switch d.IntN(4) {
	case 0:
		return "key: 'request.headers[x-h]', " + d.of("values: ", "notValues: ") + d.some("a", "'a*'", "b", "'*'", "'*b'")
	case 1:
		return "key: 'request.auth.claims[g]', " + d.of("values: ", "notValues: ") + d.some("u", "'u*'", "'*'", "v")
	case 2:
		return "key: source.namespace, " + d.of("values: ", "notValues: ") + d.some("prod", "data")
	}
	return "key: destination.port, " + d.of("values: ", "notValues: ") + d.some("'9080'", "'9000'")
}

func (d dice) rule() string {
	var parts []string
	if d.IntN(2) == 0 {
		parts = append(parts, "from: [{source: {"+d.source()+"}}]")
	}
	if d.IntN(3) > 0 {
		to := "{operation: {" + d.operation() + "}}"
		if d.IntN(4) == 0 {
			to += ", {operation: {" + d.operation() + "}}"
		}
		parts = append(parts, "to: ["+to+"]")
	}
	if d.IntN(4) == 0 {
		parts = append(parts, "when: [{"+d.condition()+"}]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// valuesOfOneField makes rules that differ in the values of one field only.
func (d dice) valuesOfOneField() func() string {
	fields := [][]string{
		{"to: [{operation: {%s: %s}}]", "paths", "notPaths", "/a", "'/a*'", "'/a/*'", "'*/b'", "/a/b", "'/t/{*}'", "'/t/{**}'", "'/{*}/b'", "/t/1", "'*'"},
		{"to: [{operation: {%s: %s}}]", "methods", "notMethods", "GET", "POST", "'P*'", "'*'", "'*T'"},
		{"to: [{operation: {%s: %s}}]", "hosts", "notHosts", "web", "WEB", "'w*'", "'*.x'", "q.x", "'*'"},
		{"to: [{operation: {%s: %s}}]", "ports", "notPorts", "'9080'", "'9000'"},
		{"from: [{source: {%s: %s}}]", "principals", "notPrincipals", "cluster.local/ns/prod/sa/x", "cluster.local/ns/prod/*", "'*/sa/y'", "'*'", "'*/y'"},
		{"from: [{source: {%s: %s}}]", "namespaces", "notNamespaces", "prod", "data", "'pr*'", "'*a'", "'*'"},
		{"from: [{source: {%s: %s}}]", "requestPrincipals", "notRequestPrincipals", "iss/sub", "'iss/*'", "'*/sub'", "'*'", "iss/bob"},
		{"from: [{source: {%s: %s}}]", "ipBlocks", "notIpBlocks", "10.0.0.0/8", "10.1.0.0/16", "10.1.0.1", "0.0.0.0/0", "'::/0'"},
		{"when: [{key: 'request.headers[x-h]', %s: %s}]", "values", "notValues", "a", "'a*'", "'*b'", "ab", "'*'"},
		{"when: [{key: 'request.auth.claims[g]', %s: %s}]", "values", "notValues", "u", "'u*'", "v", "'*v'", "'*'"},
	}
	f := fields[d.IntN(len(fields))]
	return func() string { return fmt.Sprintf(f[0], d.of(f[1], f[1], f[2]), d.some(f[3:]...)) }
}

// randomPolicy is an AuthorizationPolicy that can be changed.
type randomPolicy struct {
	name, action string
	dry          bool
	rules        []string
}

func (d dice) policy(name string) randomPolicy {
	p := randomPolicy{name: name, action: d.of("ALLOW", "DENY", "ALLOW", "DENY", "AUDIT", "CUSTOM"), dry: d.IntN(8) == 0}
	for range d.IntN(3) {
		p.rules = append(p.rules, d.rule())
	}
	return p
}

func (p randomPolicy) String() string {
	text := strings.Replace(named(p.name, authz(p.action, "["+strings.Join(p.rules, ", ")+"]")), "action: CUSTOM,", "action: CUSTOM, provider: {name: ext},", 1)
	if p.dry && p.action != "AUDIT" && p.action != "CUSTOM" {
		text = dryRun(text)
	}
	return text
}

// randomMesh are the objects beside a workload.
type randomMesh struct {
	mode     string // "" for no PeerAuthentication
	tokens   string // the rule of a RequestAuthentication, "" for none
	policies []randomPolicy
}

// jwtRule is what a rule has beside its issuer and keys; a blank for nothing.
func (d dice) jwtRule() string {
	if d.IntN(3) == 0 {
		return ""
	}
	return d.of(" ", "audiences: [a], ", "audiences: [a, b], ", "audiences: [b], ") + d.of("", "", "fromHeaders: [{name: x-t}], ", "fromParams: [t], ", "fromHeaders: [{name: x-t}, {name: authorization, prefix: 'Bearer '}], ") +
		d.of("", "", "outputClaimToHeaders: [{header: x-h, claim: g}], ", "forwardOriginalToken: true, ")
}

func (d dice) mesh() randomMesh {
	m := randomMesh{mode: d.of("", "STRICT", "PERMISSIVE", "DISABLE"), tokens: d.jwtRule()}
	for i := range d.IntN(4) {
		m.policies = append(m.policies, d.policy(fmt.Sprint("p", i)))
	}
	return m
}

func (m randomMesh) String() string {
	var text strings.Builder
	if m.mode != "" {
		text.WriteString(peers(m.mode))
	}
	if m.tokens != "" {
		text.WriteString(strings.Replace(tokens("iss"), "issuer: iss,", "issuer: iss, "+m.tokens, 1))
	}
	for _, p := range m.policies {
		text.WriteString(p.String())
	}
	return text.String()
}

// changed is a mesh with one or two differences.
func (d dice) changed(m randomMesh) randomMesh {
	m.policies = slices.Clone(m.policies)
	for range 1 + d.IntN(4)/3 {
		m = d.change(m)
	}
	return m
}

func (d dice) change(m randomMesh) randomMesh {
	if len(m.policies) == 0 {
		m.policies = append(m.policies, d.policy("new"))
		return m
	}
	p := &m.policies[d.IntN(len(m.policies))]
	p.rules = slices.Clone(p.rules)
	switch d.IntN(9) {
	case 0:
		p.action = d.of("ALLOW", "DENY", "AUDIT", "CUSTOM")
	case 1:
		p.rules = append(p.rules, d.rule())
	case 2:
		p.rules = p.rules[:len(p.rules)/2]
	case 3:
		p.name += "r"
	case 4:
		p.dry = !p.dry
	case 5:
		m.mode = d.of("", "STRICT", "PERMISSIVE", "DISABLE")
	case 6:
		m.tokens = d.jwtRule()
	case 7:
		slices.Reverse(p.rules)
	default:
		for i := range p.rules {
			p.rules[i] = d.rule()
		}
	}
	return m
}

func (d dice) request() *policy.Request {
	r := &policy.Request{
		To:     policy.Destination{Namespace: "prod", Workload: "reviews", Port: []uint32{9080, 9000, 7}[d.IntN(3)]},
		From:   policy.Client{IP: d.of("10.1.0.1", "10.2.0.1", "1.1.1.1")},
		Custom: d.of("allow", "deny"),
	}
	if d.IntN(4) > 0 {
		id := "spiffe://cluster.local/ns/" + d.of("prod/sa/x", "prod/sa/y", "data/sa/y", "data/sa/x/y")
		r.From.Identity, r.From.ALPN = &id, []string{"istio-http/1.1", "istio", "http/1.1"}
	}
	if r.To.Port == 9000 || d.IntN(8) == 0 {
		r.From.ALPN = []string{"istio-peer-exchange", "istio"}
		return r
	}
	r.HTTP = &policy.HTTP{
		Method: d.of("GET", "POST", "PUT"), Path: d.of("/a", "/ab", "/a/b", "/c", "/t/1", "/t/1/2", "/z", "/b", "/t/", "/"), Authority: d.of("web", "q.x", "o", "w"),
	}
	for range d.IntN(3) {
		r.HTTP.Headers = append(r.HTTP.Headers, policy.Line{Name: "x-h", Value: d.of("a", "ab", "b", "c", "")})
	}
	if d.IntN(2) == 0 {
		r.HTTP.Tokens = []policy.Token{{
			In: "header", Name: "authorization", Prefix: "Bearer ", Valid: d.IntN(5) > 0, Why: "expired",
			Claims: map[string]any{"iss": "iss", "sub": d.of("sub", "bob"), "g": d.of("u", "uv", "v", "a"), "aud": []any{d.of("a", "b", "c")}},
		}}
		if d.IntN(3) == 0 {
			r.HTTP.Tokens[0].Name, r.HTTP.Tokens[0].Prefix = "x-t", ""
		}
	}
	return r
}
