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
`

// makeSends is the n-th case of requests through the sender's own sidecar.
func (g *generator) makeSends(n int) (*testCase, error) {
	const apart = 1 << 40                 // from the seeds of the other cases
	d := newDice(g.seed+apart, uint64(n)) //nolint:gosec // a count
	c := &testCase{name: fmt.Sprintf("seed %d, sending case %d", g.seed, n), meshConfig: object{
		"trustDomain":       d.one("cluster.local", "my-td"),
		"pathNormalization": object{"normalization": d.one("NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")},
	}}
	if d.percent(20) {
		c.meshConfig["enableAutoMtls"] = false
	}
	var err error
	if c.objects, err = parseObjects(callers); err != nil {
		return nil, err
	}
	policies, err := d.policies(g.signer, false)
	if err != nil {
		return nil, err
	}
	c.objects = append(c.objects, policies...)
	domain, _ := c.meshConfig["trustDomain"].(string)
	for i := range d.IntN(3) {
		c.objects = append(c.objects, d.destinationRule(fmt.Sprintf("rule-%d", i), domain))
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

// destinationRule says how a service is called.
func (d dice) destinationRule(name, domain string) object {
	tls := func() object {
		t := object{"mode": d.one("ISTIO_MUTUAL", "ISTIO_MUTUAL", "DISABLE")}
		if t["mode"] == "ISTIO_MUTUAL" && d.percent(25) {
			t["subjectAltNames"] = list("spiffe://" + domain + d.one("/ns/shop/sa/app", "/ns/shop/sa/app2", "/ns/shop/sa/nobody"))
		}
		return t
	}
	policy := object{}
	if d.percent(70) {
		policy["tls"] = tls()
	}
	if d.percent(30) {
		policy["portLevelSettings"] = []any{object{"port": object{"number": []int{8000, 9000, 7000, 9090}[d.IntN(4)]}, "tls": tls()}}
	}
	return object{
		"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
		"metadata": object{"name": name, "namespace": d.one("shop", "shop", "other", "istio-system")},
		"spec":     object{"host": d.one("app.shop.svc.cluster.local", "app.shop.svc.cluster.local", "plain.shop.svc.cluster.local", "*.shop.svc.cluster.local"), "trafficPolicy": policy},
	}
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
		Method: d.one("GET", "GET", "GET", "POST", "DELETE", "HEAD", "PUT", "OPTIONS"), Authority: s.Service,
		Path: d.one("/", "/api", "/api/v1", "/api/v1/items", "/admin", "/items", "/a/b", "/index.html", "/shop.Cart/Add") + d.one("", "", "?x=1"),
	}
	if s.Port == 9090 || d.percent(30) {
		h.Version = "2"
	}
	if s.Port == 9090 && d.percent(70) {
		h.Headers = append(h.Headers, policy.Line{Name: "content-type", Value: "application/grpc"})
	}
	for _, l := range []policy.Line{{Name: "x-token", Value: "secret"}, {Name: "x-env", Value: "prod"}, {Name: "x-env", Value: "dev"}} {
		if d.percent(25) {
			h.Headers = append(h.Headers, l)
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
