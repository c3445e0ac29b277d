package main

import (
	"fmt"
	"strings"
)

// list makes a JSON list of texts.
func list(texts ...string) []any {
	all := make([]any, len(texts))
	for i, t := range texts {
		all[i] = t
	}
	return all
}

func policyObject(kind, namespace, name string, spec object) object {
	return object{
		"apiVersion": "security.istio.io/v1", "kind": kind,
		"metadata": object{"name": name, "namespace": namespace}, "spec": spec,
	}
}

// authorization is a random AuthorizationPolicy.
func (d dice) authorization(namespace, name, action string) object {
	spec := object{}
	if action != "" {
		spec["action"] = action
	}
	if action == "CUSTOM" {
		spec["provider"] = object{"name": d.one("ext-grpc", "ext-grpc", "ext-http", "ext-http", "ext-open", "nobody")}
	}
	if d.percent(35) {
		spec["selector"] = object{"matchLabels": []object{{"app": "app"}, {"version": "v1"}, {"app": "other"}, {"app": "app", "version": "v1"}}[d.IntN(4)]}
	}
	var rules []any
	for range d.IntN(4) {
		rules = append(rules, d.rule(action))
	}
	if rules != nil || d.percent(50) {
		spec["rules"] = append([]any{}, rules...)
	}
	p := policyObject("AuthorizationPolicy", namespace, name, spec)
	if d.percent(30) && action != "CUSTOM" {
		p["metadata"].(object)["annotations"] = object{"istio.io/dry-run": d.one("true", "true", "true", "false")}
	}
	return p
}

func (d dice) rule(action string) object {
	r := object{}
	if d.percent(55) {
		var from []any
		for range 1 + d.IntN(2) {
			from = append(from, object{"source": d.source(action)})
		}
		r["from"] = from
	}
	if d.percent(60) {
		var to []any
		for range 1 + d.IntN(2) {
			to = append(to, object{"operation": d.operation()})
		}
		r["to"] = to
	}
	if d.percent(40) {
		var when []any
		for range 1 + d.IntN(2) {
			when = append(when, d.condition(action))
		}
		r["when"] = when
	}
	return r
}

// field adds values, or their negation, or both.
func (d dice) field(o object, name string, values ...string) {
	negative := "not" + strings.ToUpper(name[:1]) + name[1:]
	switch d.IntN(5) {
	case 0, 1, 2:
		o[name] = d.some(values...)
	case 3:
		o[negative] = d.some(values...)
	default:
		o[name], o[negative] = d.some(values...), d.some(values...)
	}
}

// Values of policies. Requests are made of the same words.
func principals() []string {
	return []string{"cluster.local/ns/shop/sa/curl", "cluster.local/ns/other/*", "*/sa/curl", "*", "my-td/ns/shop/sa/web", "*/ns/shop/*", "cluster.local/*", "old-td/ns/shop/sa/curl", "spiffe://cluster.local/ns/shop/sa/curl", "*/curl/extra"}
}

func namespaces() []string {
	return []string{"shop", "other", "team-*", "*-a", "s*p", "*", "istio-system", "sh.p"}
}

func pathValues() []string {
	return []string{
		"/", "/api", "/api/*", "/api/v1", "*/items", "*", "/admin*", "/a/b", "/api/", "/%2f", "/a%2Fb", "*.html", "/API", "/api/v1/items", "/a*b*", "/*",
		"/api/{*}", "/api/{**}", "/{*}/items", "/{**}", "/api/{*}/items/{**}", "/{*}.html", "/shop.Cart/{*}", "/shop.Cart/Add", "//", "/caf%C3%A9",
	}
}

func hostValues() []string {
	return []string{"app.example.com", "*.example.com", "app.*", "APP.example.com", "*", "app.example.com:8080", "app", "*:8080", "[::1]*", "other.example.com"}
}

func methodValues() []string {
	return []string{"GET", "POST", "DELETE", "HEAD", "get", "P*", "*", "OPTIONS", "FOO", "*ET"}
}

func blocks() []string {
	return []string{"127.0.1.0/24", "127.0.1.5", "127.0.2.0/24", "10.0.0.0/8", "10.1.2.3", "127.0.0.0/8", "0.0.0.0/0", "::/0", "fe80::/10", "2001:db8::1", "1.2.3.4/31", "127.0.3.9/32"}
}

func portValues() []string { return []string{"8080", "9000", "7000", "9090", "80", "7777", "1234"} }

func requestPrincipals() []string {
	return []string{"issuer-a/alice", "issuer-a/*", "*/alice", "*", "issuer-b/bob", "*/bob", "issuer-*", "*b", "issuer-a/a/b", "issuer-a", "/alice"}
}

func (d dice) source(action string) object {
	s := object{}
	for range 1 + d.IntN(2) {
		switch d.IntN(8) {
		case 0, 1:
			d.field(s, "principals", principals()...)
		case 2:
			d.field(s, "namespaces", namespaces()...)
		case 3:
			d.field(s, "serviceAccounts", "curl", "shop/curl", "other/curl", "web", "team-a/batch", "istio-system/curl")
		case 4:
			d.field(s, "trustDomains", "cluster.local", "my-td", "*", "old-*", "*.local", "c*l")
		case 5:
			d.field(s, "ipBlocks", blocks()...)
		case 6:
			d.field(s, "remoteIpBlocks", blocks()...)
		default:
			if action != "CUSTOM" || d.percent(20) {
				d.field(s, "requestPrincipals", requestPrincipals()...)
			}
		}
	}
	return s
}

func (d dice) operation() object {
	o := object{}
	for range 1 + d.IntN(2) {
		switch d.IntN(8) {
		case 0, 1, 2:
			d.field(o, "paths", pathValues()...)
		case 3, 4:
			d.field(o, "methods", methodValues()...)
		case 5:
			d.field(o, "hosts", hostValues()...)
		default:
			d.field(o, "ports", portValues()...)
		}
	}
	return o
}

// headerConditions are names of headers, with values that requests have.
func headerConditions() [][]string {
	return [][]string{
		{"x-token", "secret", "other", "sec*", "*ret", "*", "a,b", "a, b"},
		{"X-Env", "prod", "dev", "*", "pr*"},
		{":method", "GET", "POST"},
		{":path", "/api?x=1", "/api*", "*x=1", "/"},
		{":scheme", "http", "https"},
		{"host", "app.example.com", "*"},
		{":authority", "app.example.com", "*:8080"},
		{"accept", "a,b", "text/html", "*"},
		{"cookie", "a=1", "a=1; b=2", "*b=2", "*"},
		{"user-agent", "curl/8", "curl*", "*"},
		{"x-forwarded-for", "10.1.2.3", "*10.1.2.3", "*"},
		{"content-type", "application/grpc", "application/*", "*"},
		{"authorization", "Bearer*", "*", "Basic abc"},
		{"x-payload", "*", "ey*"},
		{"x-sub", "alice", "*"},
		{"referer", "*", "http://a*"},
		{"te", "trailers", "*"},
		{"x-forwarded-proto", "http", "https", "*"},
		{"connection", "*"},
		{"x_under", "1"},
		{"origin", "*", "http://a"},
		{"x-request-id", "*", "abc"},
	}
}

func (d dice) condition(action string) object {
	when := func(key string, values ...string) object {
		c := object{"key": key}
		d.field(c, "values", values...)
		return c
	}
	kinds := 12
	if action == "CUSTOM" && d.percent(80) {
		kinds = 7 // those that a webhook accepts
	}
	switch d.IntN(kinds) {
	case 0, 1, 2:
		h := headerConditions()[d.IntN(len(headerConditions()))]
		return when("request.headers["+h[0]+"]", h[1:]...)
	case 3:
		return when(d.one("source.ip", "remote.ip"), blocks()...)
	case 4:
		return when("destination.port", portValues()...)
	case 5:
		return when("destination.ip", "10.0.0.9", "10.0.0.0/8", "127.0.0.0/8", "10.0.1.0/24")
	case 6:
		return when("connection.sni", "app.example.com", "*.example.com", "outbound_.80_._.*", "*", "app.*")
	case 7:
		return when("source.principal", principals()...)
	case 8:
		return when(d.one("source.namespace", "source.namespace", "source.trustDomain"), namespaces()...)
	case 9:
		return when("request.auth.principal", requestPrincipals()...)
	case 10:
		return when(d.one("request.auth.audiences", "request.auth.presenter"), "web", "api", "*", "w*", "https://web/", "cli")
	}
	claim := d.one("groups", "scope", "realm][roles", "sub", "iss", "scp", "groups][0", "missing")
	return when("request.auth.claims["+claim+"]", "admin", "dev", "read", "read write", "*", "ad*", "*ev", "alice", "issuer-a", "7", "true")
}

// authentication is a random RequestAuthentication.
func (d dice) authentication(s *signer, namespace, name string) (object, error) {
	var rules []any
	for range 1 + d.IntN(2) {
		r := object{"issuer": d.one("issuer-a", "issuer-a", "issuer-b", "")}
		keys := [][]int{{0}, {0, 1}, {2}, {1, 2, 3}, {0, 2, 3, 4}, {3, 0}}[d.IntN(6)]
		jwks, err := s.jwks(keys...)
		if err != nil {
			return nil, err
		}
		r["jwks"] = jwks
		may := func(percent int, field string, value any) {
			if d.percent(percent) {
				r[field] = value
			}
		}
		may(30, "audiences", d.some("web", "api", "https://web"))
		may(35, "fromHeaders", []any{object{"name": d.one("x-jwt", "Authorization", "x-jwt"), "prefix": d.one("", "Bearer ", "Token ", "jwt")}, object{"name": "x-second"}}[:1+d.IntN(2)])
		may(25, "fromParams", d.some("token", "access_token", "Token"))
		may(20, "fromCookies", d.some("session", "jwt"))
		may(40, "forwardOriginalToken", d.percent(70))
		may(25, "outputPayloadToHeader", "x-payload")
		may(25, "outputClaimToHeaders", []any{object{"header": "x-sub", "claim": d.one("sub", "realm.roles", "groups", "aud")}})
		may(15, "spaceDelimitedClaims", list("scp"))
		rules = append(rules, r)
	}
	spec := object{"jwtRules": rules}
	if d.percent(20) {
		spec["selector"] = object{"matchLabels": object{"app": d.one("app", "app", "other")}}
	}
	p := policyObject("RequestAuthentication", namespace, name, spec)
	p["metadata"].(object)["creationTimestamp"] = fmt.Sprintf("2024-01-%02dT00:00:00Z", 1+d.IntN(28))
	return p, nil
}

// peerAuthentication is a random PeerAuthentication, of a namespace or, if
// selects, of the workload.
func (d dice) peerAuthentication(namespace, name string, selects bool) object {
	mode := func() object { return object{"mode": d.one("STRICT", "PERMISSIVE", "PERMISSIVE", "DISABLE", "UNSET")} }
	spec := object{"mtls": mode()}
	if selects {
		spec["selector"] = object{"matchLabels": object{"app": "app"}}
		if d.percent(60) {
			ports := object{}
			for range 1 + d.IntN(2) {
				ports[d.one("8080", "9000", "7000", "9090", "7777")] = mode()
			}
			spec["portLevelMtls"] = ports
		}
	}
	return policyObject("PeerAuthentication", namespace, name, spec)
}
