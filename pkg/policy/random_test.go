package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// dice makes random policies and requests that have something to do with each
// other. The same seed makes the same.
type dice struct{ *rand.Rand }

func roll(seed, stream uint64) dice { return dice{rand.New(rand.NewPCG(seed, stream))} }

func (d dice) pick(choices ...string) string { return choices[d.IntN(len(choices))] }

// some picks up to most of the choices, at least one.
func (d dice) some(most int, choices ...string) string {
	var picked []string
	for range 1 + d.IntN(most) {
		picked = append(picked, d.pick(choices...))
	}
	return strings.Join(picked, ", ")
}

// randomConfig has the external authorizers that random policies ask.
const randomConfig = `trustDomainAliases: [old-td]
extensionProviders:
- {name: ext, envoyExtAuthzGrpc: {service: app.shop.svc.cluster.local, port: 80}}
- {name: busy, envoyExtAuthzGrpc: {service: app.shop.svc.cluster.local, port: 80, statusOnError: "429"}}
- {name: open, envoyExtAuthzHttp: {service: app.shop.svc.cluster.local, port: 80, failOpen: true}}
`

// Blocks and the addresses that tell them apart.
const randomBlock = "10.0.0.0/24 10.0.0.0/8 192.0.2.0/24 10.0.0.9 2001:db8::/32 ::/0"

func randomAddresses() []string {
	return []string{"10.0.0.1", "10.0.0.9", "10.9.9.9", "192.0.2.1", "203.0.113.1", "2001:db8::1", "fe80::1"}
}

func (d dice) source() string {
	block := strings.Fields(randomBlock)
	for i := range block {
		block[i] = "'" + block[i] + "'"
	}
	field := func() string {
		switch d.IntN(8) {
		case 0:
			return d.pick("namespaces", "notNamespaces") + ": [" + d.some(2, "shop", "other", "s*", "'*'") + "]"
		case 1:
			return d.pick("principals", "notPrincipals") + ": [" + d.some(2, "cluster.local/ns/shop/sa/curl", "old-td/ns/other/sa/curl", "'*/sa/curl'", "'cluster.local/*'", "'*'") + "]"
		case 2:
			return d.pick("serviceAccounts", "notServiceAccounts") + ": [" + d.some(2, "curl", "other/curl") + "]"
		case 3:
			return d.pick("trustDomains", "notTrustDomains") + ": [" + d.some(2, "cluster.local", "old-td", "'*'") + "]"
		case 4:
			return d.pick("requestPrincipals", "notRequestPrincipals") + ": [" + d.some(2, "a/ann", "'*'", "'a/*'") + "]"
		case 5:
			return d.pick("remoteIpBlocks", "notRemoteIpBlocks") + ": [" + d.some(2, block...) + "]"
		}
		return d.pick("ipBlocks", "notIpBlocks") + ": [" + d.some(2, block...) + "]"
	}
	return "{source: {" + d.distinct(field) + "}}"
}

func (d dice) operation() string {
	field := func() string {
		switch d.IntN(4) {
		case 0:
			return d.pick("methods", "notMethods") + ": [" + d.some(2, "GET", "POST", "'P*'") + "]"
		case 1:
			return d.pick("paths", "notPaths") + ": [" + d.some(2, "/x", "'/x*'", "'*/y'", "'/{*}/y'", "/admin") + "]"
		case 2:
			return d.pick("hosts", "notHosts") + ": [" + d.some(2, "app.shop", "'*.shop'", "other") + "]"
		}
		return d.pick("ports", "notPorts") + ": [" + d.some(2, "'8080'", "'9000'", "'7000'") + "]"
	}
	return "{operation: {" + d.distinct(field) + "}}"
}

func (d dice) condition() string {
	key := d.pick("source.ip", "remote.ip", "destination.ip", "request.headers[x-a]", "connection.sni", "request.auth.claims[group]", "destination.port", "source.namespace")
	values := map[string][]string{
		"request.headers[x-a]": {"b", "'*'", "c"}, "connection.sni": {"'*.shop'", "app.shop"}, "request.auth.claims[group]": {"dev", "ops"},
		"destination.port": {"'8080'", "'9000'"}, "source.namespace": {"shop", "other"},
	}[key]
	if values == nil {
		values = strings.Fields("'" + strings.ReplaceAll(randomBlock, " ", "' '") + "'")
	}
	return "{key: '" + key + "', " + d.pick("values", "notValues") + ": [" + d.some(2, values...) + "]}"
}

// distinct joins one or two fields of different names.
func (d dice) distinct(field func() string) string {
	first := field()
	second := field()
	name, _, _ := strings.Cut(first, ":")
	other, _, _ := strings.Cut(second, ":")
	if d.IntN(2) == 0 || name == other {
		return first
	}
	return first + ", " + second
}

// rule is a rule in flow style; each of its parts may be missing.
func (d dice) rule() string {
	var parts []string
	add := func(name string, one func() string) {
		if d.IntN(2) == 0 {
			return
		}
		items := []string{one()}
		if d.IntN(3) == 0 {
			items = append(items, one())
		}
		parts = append(parts, name+": ["+strings.Join(items, ", ")+"]")
	}
	add("from", d.source)
	add("to", d.operation)
	add("when", d.condition)
	return "{" + strings.Join(parts, ", ") + "}"
}

func (d dice) rules() string {
	var all []string
	for range 1 + d.IntN(3) {
		all = append(all, d.rule())
	}
	return "rules: [" + strings.Join(all, ", ") + "]"
}

// policies are up to most of one action, some of them of the root namespace.
func (d dice) policies(action string, most int) []string {
	var all []string
	for i := range d.IntN(most + 1) {
		text := ap(fmt.Sprintf("%s-%d", strings.ToLower(action), i), "action: "+action+", "+d.rules())
		if action == "CUSTOM" {
			text = ap(fmt.Sprintf("custom-%d", i), "action: CUSTOM, provider: {name: "+d.pick("ext", "ext", "busy", "open")+"}, "+d.rules())
		}
		if d.IntN(4) == 0 {
			text = strings.Replace(text, "namespace: shop", "namespace: istio-system", 1)
		}
		all = append(all, text)
	}
	return all
}

// asDryRun makes a policy one that only shows what it would do.
func asDryRun(text string) string {
	return strings.Replace(text, "metadata: {", "metadata: {annotations: {istio.io/dry-run: 'true'}, ", 1)
}

// more are other policies that any mesh may have.
func (d dice) more() []string {
	return []string{
		moded(policy.Mode(d.pick("PERMISSIVE", "PERMISSIVE", "STRICT", "DISABLE"))),
		jwtPolicy("issuer: a, jwks: '{}'"),
	}
}

func (d dice) request() *policy.Request {
	var changes []change
	maybe := func(c ...change) {
		if i := d.IntN(len(c) + 1); i < len(c) {
			changes = append(changes, c[i])
		}
	}
	good := policy.Token{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: true, Claims: map[string]any{"iss": "a", "sub": "ann", "group": d.pick("dev", "qa")}}
	bad := good
	bad.Valid, bad.Why = false, "expired"
	maybe(plaintext, from("spiffe://cluster.local/ns/other/sa/curl"), from("spiffe://old-td/ns/other/sa/curl"), from("spiffe://foreign/ns/shop/sa/curl"))
	maybe(method("POST"), method("PUT"), method("FOO"))
	maybe(path("/admin"), path("/y"), path("/x/y"), path("/a/../x"))
	maybe(header("x-a", "b"), header("x-a", "c", "d"), header("content-type", "application/grpc"))
	maybe(header("x-forwarded-for", "192.0.2.1"), header("x-forwarded-for", "nonsense"))
	maybe(host("other"), host("app.shop:80"))
	maybe(sni("app.shop"), sni("outbound_.80_._.app.shop"))
	maybe(token(good), token(bad))
	maybe(custom("allow"), custom("deny"), custom("error"))
	maybe(to(7000), bytesTo(9000), to(1234))
	r := request(changes...)
	r.From.IP = randomAddresses()[d.IntN(len(randomAddresses()))]
	return r
}
