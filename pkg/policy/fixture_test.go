package policy_test

import (
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// workloadYAML is the workload of most tests: HTTP on 8080, TCP on 9000, and
// 7000 sniffed.
const workloadYAML = `apiVersion: v1
kind: Service
metadata: {name: app, namespace: shop}
spec:
  selector: {app: app}
  ports:
  - {name: http-web, port: 80, targetPort: 8080}
  - {name: tcp-raw, port: 9000}
  - {name: weird, port: 7000}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: shop}
spec:
  template:
    metadata: {labels: {app: app, version: v1}}
    spec:
      serviceAccountName: app
      containers: [{name: app, image: app:1}]
`

// snapshot builds a mesh of manifests.
func snapshot(t testing.TB, manifests, meshConfig string) *mesh.Snapshot {
	t.Helper()
	stream, err := manifest.Read("mesh.yaml", []byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	config, err := mesh.ParseConfig([]byte(meshConfig))
	if err != nil {
		t.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// model compiles the workload with these policies beside it.
func model(t testing.TB, policies, meshConfig string) *policy.Model {
	t.Helper()
	s := snapshot(t, workloadYAML+"---\n"+policies, meshConfig)
	return policy.Compile(s, s.Workload("shop", "app"))
}

// change makes a request of the usual one.
type change func(*policy.Request)

const curl = "spiffe://cluster.local/ns/shop/sa/curl"

// request is GET /x over mTLS from shop/curl to port 8080.
func request(changes ...change) *policy.Request {
	id := curl
	r := &policy.Request{
		To:   policy.Destination{Namespace: "shop", Workload: "app", Port: 8080, IP: "10.0.0.9"},
		From: policy.Client{Identity: &id, IP: "10.0.0.1", ALPN: []string{"istio-http/1.1", "istio", "http/1.1"}},
		HTTP: &policy.HTTP{Method: "GET", Path: "/x", Authority: "app.shop"},
	}
	for _, c := range changes {
		c(r)
	}
	return r
}

func plaintext(r *policy.Request) { r.From.Identity, r.From.ALPN = nil, nil }

func from(identity string) change { return func(r *policy.Request) { r.From.Identity = &identity } }
func sni(name string) change      { return func(r *policy.Request) { r.From.SNI = name } }
func alpn(list ...string) change  { return func(r *policy.Request) { r.From.ALPN = list } }
func method(m string) change      { return func(r *policy.Request) { r.HTTP.Method = m } }
func path(p string) change        { return func(r *policy.Request) { r.HTTP.Path = p } }
func host(h string) change        { return func(r *policy.Request) { r.HTTP.Authority = h } }
func custom(answer string) change { return func(r *policy.Request) { r.Custom = answer } }

func header(name string, values ...string) change {
	return func(r *policy.Request) {
		for _, v := range values {
			r.HTTP.Headers = append(r.HTTP.Headers, policy.Line{Name: name, Value: v})
		}
	}
}

func token(t policy.Token) change {
	return func(r *policy.Request) { r.HTTP.Tokens = append(r.HTTP.Tokens, t) }
}

// bytesTo are raw bytes to a TCP port.
func bytesTo(port uint32) change {
	return func(r *policy.Request) {
		r.To.Port, r.HTTP = port, nil
		if r.From.Identity != nil {
			r.From.ALPN = []string{"istio-peer-exchange", "istio"}
		}
	}
}

// to is a request to another port.
func to(port uint32) change { return func(r *policy.Request) { r.To.Port = port } }
