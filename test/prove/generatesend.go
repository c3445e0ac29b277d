package main

import (
	"fmt"

	"github.com/meshctl/meshctl/pkg/policy"
)

// callers is a mesh with two versions of an application, one that has no
// sidecar, and two workloads that call them.
const callers = `apiVersion: v1
kind: Service
metadata: {name: app, namespace: shop}
spec:
  selector: {app: app}
  ports:
  - {name: http-web, port: 8000, targetPort: 8080}
  - {name: tcp-raw, port: 9000}
  - {name: weird, port: 7000}
  - {name: grpc-api, port: 9090}
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: shop}
spec:
  selector: {app: plain}
  ports:
  - {name: http-web, port: 8000, targetPort: 8080}
  - {name: tcp-raw, port: 9000}
  - {name: weird, port: 7000}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app-v1, namespace: shop}
spec: {template: {metadata: {labels: {app: app, version: v1}}, spec: {serviceAccountName: app, containers: [{name: app, image: app:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app-v2, namespace: shop}
spec: {template: {metadata: {labels: {app: app, version: v2}}, spec: {serviceAccountName: app2, containers: [{name: app, image: app:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain, namespace: shop}
spec: {template: {metadata: {labels: {app: plain}, annotations: {sidecar.istio.io/inject: "false"}}, spec: {containers: [{name: app, image: app:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl, namespace: shop}
spec: {template: {metadata: {labels: {app: curl}}, spec: {serviceAccountName: curl, containers: [{name: app, image: app:1}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: other}
spec: {template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: curl, containers: [{name: app, image: app:1}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: authorizer, namespace: ext}
spec: {ports: [{name: grpc, port: 9000}, {name: http, port: 8000}]}
`

// makeSends is the n-th case of requests through the sender's own sidecar.
func (g *generator) makeSends(n int) (*testCase, error) {
	const apart = 1 << 40 // from the seeds of the other cases
	d := newDice(g.seed+apart, uint64(n))
	c := &testCase{name: fmt.Sprintf("seed %d, sending case %d", g.seed, n), meshConfig: d.meshConfig()}
	if d.percent(20) {
		c.meshConfig["enableAutoMtls"] = false
	}
	var err error
	if c.objects, err = parseObjects(callers); err != nil {
		return nil, err
	}
	asked := d.percent(25)
	if asked {
		c.custom = d.one("allow", "deny", "error")
	}
	policies, err := d.policies(g.signer, asked)
	if err != nil {
		return nil, err
	}
	c.objects = append(c.objects, policies...)
	domain, _ := c.meshConfig["trustDomain"].(string)
	for i := range d.IntN(3) {
		c.objects = append(c.objects, d.destinationRule(fmt.Sprintf("rule-%d", i), domain))
	}
	if d.percent(50) {
		c.objects = append(c.objects, d.destinationRuleFor(appHost, appNamespace, "versions", domain), d.virtualService())
	}
	if d.percent(40) {
		c.redirected = "shop/curl"
	}
	for range g.requests {
		s, err := d.send(g)
		if err != nil {
			return nil, err
		}
		c.sends = append(c.sends, s)
	}
	return c, nil
}

// Hosts of the services that are called.
const (
	appHost   = "app.shop.svc.cluster.local"
	plainHost = "plain.shop.svc.cluster.local"
)

// destinationRule says how services are called.
func (d dice) destinationRule(name, domain string) object {
	host, namespace := d.one(appHost, appHost, plainHost, "*.shop.svc.cluster.local"), d.one("shop", "shop", "other", "istio-system")
	return d.destinationRuleFor(host, namespace, name, domain)
}

// destinationRuleFor is one for a host, with both versions as subsets.
func (d dice) destinationRuleFor(host, namespace, name, domain string) object {
	subset := func(version string) object {
		return object{"name": version, "labels": object{"version": version}, "trafficPolicy": d.trafficPolicy(domain)}
	}
	return object{
		"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": object{"name": name, "namespace": namespace},
		"spec": object{"host": host, "trafficPolicy": d.trafficPolicy(domain), "subsets": []any{subset("v1"), subset("v2")}},
	}
}

// trafficPolicy says which TLS is spoken, or nothing.
func (d dice) trafficPolicy(domain string) object {
	tls := func() object {
		t := object{"mode": d.one("ISTIO_MUTUAL", "ISTIO_MUTUAL", "ISTIO_MUTUAL", "DISABLE", "DISABLE", "SIMPLE")}
		if t["mode"] == "ISTIO_MUTUAL" && d.percent(25) {
			t["subjectAltNames"] = list("spiffe://" + domain + d.one("/ns/shop/sa/app", "/ns/shop/sa/app2", "/ns/shop/sa/nobody"))
		}
		return t
	}
	p := object{}
	if d.percent(40) {
		p["tls"] = tls()
	}
	if d.percent(20) {
		p["portLevelSettings"] = []any{object{"port": object{"number": []int{8000, 9000, 7000, 9090}[d.IntN(4)]}, "tls": tls()}}
	}
	return p
}

// virtualService routes some requests to versions, or elsewhere.
func (d dice) virtualService() object {
	to := func(host, subset string, weight int) object {
		o := object{"host": host}
		if subset != "" {
			o["subset"] = subset
		}
		if host == plainHost {
			o["port"] = object{"number": []int{8000, 7000}[d.IntN(2)]}
		}
		return object{"destination": o, "weight": weight}
	}
	var routes []any
	for range 1 + d.IntN(3) {
		r := object{"route": [][]any{
			{to(appHost, "v1", 100)},
			{to(appHost, "v2", 100)},
			{to(appHost, "", 100)},
			{to(plainHost, "", 100)},
			{to(appHost, "v1", 50), to(appHost, "v2", 50)},
			{to(appHost, "v2", 50), to(plainHost, "", 50)},
		}[d.IntN(6)]}
		if d.percent(80) {
			var match []any
			for range 1 + d.IntN(2) {
				match = append(match, d.routeMatch())
			}
			r["match"] = match
		}
		routes = append(routes, r)
	}
	if d.percent(60) {
		routes = append(routes, object{"route": []any{to(appHost, "", 100)}})
	}
	return object{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": object{"name": "routes", "namespace": appNamespace},
		"spec": object{"hosts": list(appHost), "http": routes},
	}
}

func (d dice) routeMatch() object {
	m := object{}
	switch d.IntN(4) {
	case 0:
		m["uri"] = object{"prefix": d.one("/api", "/a", "/items")}
	case 1:
		m["uri"] = object{"exact": d.one("/api", "/", "/admin")}
	case 2:
		m["headers"] = object{"x-env": object{"exact": d.one("prod", "dev")}}
	default:
		m["method"] = object{"exact": d.one("GET", "POST")}
	}
	if d.percent(25) {
		m["port"] = []int{8000, 7000}[d.IntN(2)]
	}
	if d.percent(25) {
		m["sourceNamespace"] = d.one("shop", "other")
	}
	if d.percent(15) {
		m["sourceLabels"] = object{"app": d.one("curl", "web")}
	}
	return m
}

// send is a random request of a workload.
func (d dice) send(g *generator) (send, error) {
	service := d.one("app", "app", "app", "plain")
	ports := []int32{8000, 8000, 8000, 9000, 7000, 7000, 9090}
	if service == "plain" {
		ports = ports[:6]
	}
	s := send{From: d.one("shop/curl", "shop/curl", "other/web"), Service: service + ".shop.svc.cluster.local", Port: ports[d.IntN(len(ports))]}
	if s.Port == 9000 || s.Port == 7000 && d.percent(25) {
		return s, nil
	}
	h := &policy.HTTP{
		Method: d.one("GET", "GET", "GET", "POST", "DELETE", "HEAD", "PUT", "OPTIONS"), Authority: s.Service + d.one("", "", ":80", "."),
		Path: d.one("/", "/api", "/api/v1", "/api/v1/items", "/admin", "/items", "/a/b", "/index.html", "/shop.Cart/Add") + d.one("", "", "?x=1"),
	}
	if s.Port == 9090 || d.percent(30) {
		h.Version = "2"
	}
	if s.Port == 9090 && d.percent(70) {
		s.Lines = append(s.Lines, policy.Line{Name: "content-type", Value: "application/grpc"})
	}
	for _, l := range []policy.Line{{Name: "x-token", Value: "secret"}, {Name: "x-env", Value: "prod"}, {Name: "x-env", Value: "dev"}} {
		if d.percent(25) {
			s.Lines = append(s.Lines, l)
		}
	}
	if d.percent(40) {
		t, err := d.placed(g)
		if err != nil {
			return s, err
		}
		h.Tokens = append(h.Tokens, t)
	}
	s.HTTP = h
	return s, nil
}
