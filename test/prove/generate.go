package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshctl/meshctl/pkg/policy"
)

// generator makes random cases.
type generator struct {
	seed     uint64
	requests int // of a case
	signer   *signer
	now      time.Time
}

// workload has ports of all kinds; 7777 is one that only policies name.
const workload = `apiVersion: v1
kind: Service
metadata: {name: app, namespace: shop}
spec:
  selector: {app: app}
  ports:
  - {name: http-web, port: 80, targetPort: 8080}
  - {name: tcp-raw, port: 9000}
  - {name: weird, port: 7000}
  - {name: grpc-api, port: 9090}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: shop}
spec:
  template:
    metadata: {labels: {app: app, version: v1}}
    spec: {serviceAccountName: app, containers: [{name: app, image: app:1}]}
---
apiVersion: v1
kind: Service
metadata: {name: authorizer, namespace: ext}
spec: {ports: [{name: grpc, port: 9000}, {name: http, port: 8000}]}
`

// make is the n-th case.
func (g *generator) make(n int) (*testCase, error) {
	d := newDice(g.seed, uint64(n))
	c := &testCase{name: fmt.Sprintf("seed %d, case %d", g.seed, n), meshConfig: d.meshConfig()}
	var err error
	if c.objects, err = parseObjects(workload); err != nil {
		return nil, err
	}
	custom := d.percent(25)
	policies, err := d.policies(g.signer, custom)
	if err != nil {
		return nil, err
	}
	c.objects = append(c.objects, policies...)
	domain, _ := c.meshConfig["trustDomain"].(string)
	for i := range g.requests {
		r, err := d.request(g, domain, custom)
		if err != nil {
			return nil, err
		}
		r.ID = fmt.Sprintf("%s, request %d", c.name, i)
		c.requests = append(c.requests, r)
	}
	return c, nil
}

// meshConfig varies what verdicts depend on.
func (d dice) meshConfig() object {
	authorizer := "authorizer.ext.svc.cluster.local"
	c := object{
		"trustDomain":       d.one("cluster.local", "cluster.local", "my-td"),
		"pathNormalization": object{"normalization": d.one("NONE", "BASE", "DEFAULT", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")},
		"extensionProviders": []any{
			object{"name": "ext-grpc", "envoyExtAuthzGrpc": object{"service": authorizer, "port": 9000}},
			object{"name": "ext-http", "envoyExtAuthzHttp": object{"service": authorizer, "port": 8000, "statusOnError": d.one("403", "503", "401")}},
			object{"name": "ext-open", "envoyExtAuthzGrpc": object{"service": authorizer, "port": 9000, "failOpen": true}},
		},
	}
	if d.percent(40) {
		c["trustDomainAliases"] = [][]any{list("old-td"), list("my-td"), list("old-td", "cluster.local")}[d.IntN(3)]
	}
	return c
}

// policies are of the workload's namespace and of the root namespace.
func (d dice) policies(s *signer, custom bool) ([]object, error) {
	var all []object
	add := func(o object) { all = append(all, o) }
	if d.percent(35) {
		add(d.peerAuthentication("istio-system", "mesh", false))
	}
	if d.percent(30) {
		add(d.peerAuthentication(appNamespace, "namespace", false))
	}
	if d.percent(40) {
		add(d.peerAuthentication(appNamespace, "workload", true))
	}
	if d.percent(55) {
		for i := range 1 + d.IntN(2) {
			p, err := d.authentication(s, d.one(appNamespace, appNamespace, "istio-system"), fmt.Sprintf("tokens-%d", i))
			if err != nil {
				return nil, err
			}
			add(p)
		}
	}
	for i := range d.IntN(6) {
		action := d.one("ALLOW", "ALLOW", "", "DENY", "DENY", "AUDIT")
		add(d.authorization(d.one(appNamespace, appNamespace, appNamespace, "istio-system", "other"), fmt.Sprintf("p%d", i), action))
	}
	if custom {
		for i := range 1 + d.IntN(2)*d.IntN(2) {
			add(d.authorization(appNamespace, fmt.Sprintf("custom-%d", i), "CUSTOM"))
		}
	}
	return all, nil
}

// request is a random request.
func (d dice) request(g *generator, domain string, custom bool) (policy.Request, error) {
	ports := []uint32{8080, 8080, 8080, 8080, 7000, 7000, 9090, 9000, 7777, 1234}
	r := policy.Request{
		To: policy.Destination{
			Namespace: appNamespace, Workload: appName, Port: ports[d.IntN(len(ports))], IP: d.one("10.0.0.9", "10.0.1.9", "127.9.9.9"),
		},
		From: d.client(domain),
	}
	if custom {
		r.Custom = d.one("allow", "allow", "deny", "error")
	}
	if d.percent(8) || r.To.Port == 9000 && d.percent(60) {
		d.offer(&r, "istio-peer-exchange", "istio")
		return r, nil
	}
	h := &policy.HTTP{Method: d.one("GET", "GET", "GET", "POST", "DELETE", "HEAD", "PUT", "OPTIONS", "get", "FOO", "PATCH", d.one("QUERY", "MSEARCH", "M-SEARCH", "CONNECT", "PROPFIND", "PURGE")), Path: d.path(), Authority: d.host()}
	if d.percent(30) || r.To.Port == 9090 && d.percent(60) {
		h.Version = "2"
	}
	for range d.IntN(4) {
		l := d.line()
		if h.Version == "2" && d.percent(90) {
			l.Name = strings.ToLower(l.Name)
		}
		h.Headers = append(h.Headers, l)
	}
	if d.percent(3) && h.Method == "OPTIONS" {
		h.Headers = append(h.Headers, policy.Line{Name: "origin", Value: "http://a"}, policy.Line{Name: "access-control-request-method", Value: "GET"})
	}
	if r.To.Port == 9090 && d.percent(60) {
		h.Headers = append(h.Headers, policy.Line{Name: "content-type", Value: d.one("application/grpc", "application/grpc+proto")})
	}
	for range []int{0, 0, 0, 1, 1, 1, 2}[d.IntN(7)] {
		t, err := d.placed(g)
		if err != nil {
			return r, err
		}
		h.Tokens = append(h.Tokens, t)
	}
	r.HTTP = h
	if h.Version == "2" {
		d.offer(&r, "istio-h2", "istio", "h2")
	} else {
		d.offer(&r, "istio-http/1.1", "istio", "http/1.1")
	}
	return r, nil
}

// placed is a token somewhere in a request.
func (d dice) placed(g *generator) (policy.Token, error) {
	text, err := d.token(g.signer, g.now)
	t := policy.Token{JWT: text, In: "header", Name: "authorization", Prefix: "Bearer "}
	if d.percent(60) {
		return t, err
	}
	switch d.IntN(4) {
	case 0:
		t.In, t.Name, t.Prefix = "param", d.one("token", "access_token", "Token", "other"), ""
	case 1:
		t.In, t.Name, t.Prefix = "cookie", d.one("session", "jwt", "other"), ""
	case 2:
		t.Name, t.Prefix = d.one("x-jwt", "x-second"), d.one("", "Token ", "jwt", "Bearer ")
	default:
		t.Prefix = d.one("bearer ", "", "Bearer  ", "Basic x, Bearer ", "Token ")
	}
	return t, err
}

// client is who calls; most have a certificate of the mesh.
func (d dice) client(domain string) policy.Client {
	c := policy.Client{IP: d.one("127.0.1.5", "127.0.2.7", "127.0.3.9")}
	if d.percent(25) {
		return c
	}
	if d.percent(30) {
		c.SNI = d.one("app.example.com", "outbound_.80_._.app.shop.svc.cluster.local", "APP.example.com", "app.other")
	}
	if d.percent(4) {
		c.TLS = true
		return c
	}
	if d.percent(12) {
		domain = d.one("old-td", "my-td", "cluster.local", "foreign.example", domain+".evil")
	}
	id := "spiffe://" + domain + d.one("/ns/shop/sa/curl", "/ns/shop/sa/curl", "/ns/shop/sa/web", "/ns/other/sa/curl", "/ns/team-a/sa/batch", "/ns/istio-system/sa/curl", "/ns/shop/sa/curl/extra", "/x")
	c.Identity = &id
	return c
}

// offer sets the protocols that a TLS client offers: usual ones, or others.
func (d dice) offer(r *policy.Request, usual ...string) {
	if r.From.Identity == nil && !r.From.TLS {
		return
	}
	r.From.ALPN = usual
	if d.percent(18) {
		r.From.ALPN = [][]string{
			nil,
			{"http/1.1"},
			{"h2"},
			{"foo"},
			{"istio"},
			{"istio-peer-exchange", "istio"},
			{"istio-http/1.1"},
			{"istio-h2", "istio"},
			{"istio-http/1.1", "istio-h2", "istio"},
			{"h2", "http/1.1"},
			{"istio-h2", "h2", "http/1.1"},
			{"istio-http/1.0", "istio", "http/1.0"},
		}[d.IntN(12)]
	}
}
