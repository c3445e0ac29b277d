package policy_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// webYAML calls what workloadYAML serves.
const webYAML = `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: web, containers: [{name: web, image: web:1}]}}}
`

// asWeb is a question of web's about a port of the Service app.
func asWeb(s *mesh.Snapshot, port int, h *policy.HTTP) *policy.Question {
	q := &policy.Question{From: policy.Caller{Workload: s.Workload("shop", "web")}, To: policy.Callee{Service: s.Service("shop", "app")}, HTTP: h}
	q.To.Port = q.To.Service.Ports[port]
	return q
}

// TestDetours: where a VirtualService that the caller's sidecar follows may make
// something else of a request, the answer is unknown and says why; where it only
// chooses among the workloads of the Service, it is what it was (EC-113).
func TestDetours(t *testing.T) {
	t.Parallel()
	const rule = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: app, namespace: shop}
spec:
  host: app
  subsets:
  - {name: same, labels: {version: v1}}
  - {name: plain, labels: {version: v1}, trafficPolicy: {tls: {mode: DISABLE}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
`
	virtual := func(spec string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: app, namespace: shop}\nspec: {hosts: [app], " + spec + "}\n"
	}
	to := func(destination string) string { return "http: [{route: [{destination: {" + destination + "}}]}]" }
	for _, tt := range []struct {
		name, objects, subset string
		tcp                   bool
		want                  policy.Outcome
		why                   string
	}{
		{name: "no route", want: policy.Allow},
		{name: "the Service itself", objects: virtual(to("host: app")), want: policy.Allow},
		{name: "a subset that is called alike", objects: virtual(to("host: app, subset: same")), want: policy.Allow},
		{name: "a subset that is called in plaintext", objects: virtual(to("host: app, subset: plain")), want: policy.Unknown, why: "subset plain"},
		{name: "that subset, asked about", objects: virtual(to("host: app, subset: plain")), subset: "plain", want: policy.Refused},
		{name: "a subset that is not there", objects: virtual(to("host: app, subset: x")), want: policy.Unknown, why: "no DestinationRule has"},
		{name: "another host", objects: virtual(to("host: other")), want: policy.Unknown, why: "other.shop.svc"},
		{name: "another port", objects: virtual(to("host: app, port: {number: 7000}")), want: policy.Unknown, why: "port 7000"},
		{name: "a redirect", objects: virtual("http: [{redirect: {uri: /x}}]"), want: policy.Unknown, why: "answer the request itself"},
		{name: "a rewrite", objects: virtual("http: [{rewrite: {uri: /x}, route: [{destination: {host: app}}]}]"), want: policy.Unknown, why: "change the request"},
		{name: "a fault", objects: virtual("http: [{fault: {abort: {httpStatus: 500, percentage: {value: 1}}}, route: [{destination: {host: app}}]}]"), want: policy.Unknown, why: "fault"},
		{name: "for a gateway", objects: virtual("gateways: [edge], " + to("host: other")), want: policy.Allow},
		{name: "for others", objects: virtual("exportTo: [other], " + to("host: other")), want: policy.Allow},
		{name: "bytes to another host", objects: virtual("tcp: [{route: [{destination: {host: other}}]}]"), tcp: true, want: policy.Unknown, why: "other.shop.svc"},
		{name: "bytes on HTTP routes", objects: virtual(to("host: other")), tcp: true, want: policy.Allow},
	} {
		s := snapshot(t, workloadYAML+webYAML+rule+tt.objects, "")
		q := asWeb(s, 0, &policy.HTTP{Method: "GET", Path: "/", Authority: "app"})
		if tt.tcp {
			q = asWeb(s, 1, nil)
		}
		q.Subset = tt.subset
		a, err := policy.NewSimulator(s).Ask(q)
		if err != nil || a.Outcome != tt.want || !strings.Contains(a.Reason, tt.why) {
			t.Errorf("%s: %s (%s) %v, want %s (%s)", tt.name, a.Outcome, a.Reason, err, tt.want, tt.why)
		}
	}
}

// TestForwardedScheme: a caller's own sidecar says which protocol the calling
// program spoke, or says it spoke, and not which one the connection to the server
// has; the server's sidecar takes it for the scheme (DP-69).
func TestForwardedScheme(t *testing.T) {
	t.Parallel()
	const rules = `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: plain, namespace: shop}
spec:
  selector: {matchLabels: {app: app}}
  rules: [{when: [{key: "request.headers[:scheme]", values: [http]}]}]
`
	line := func(said string) policy.Lines { return policy.Lines{{Name: "X-Forwarded-Proto", Value: said}} }
	for _, tt := range []struct {
		name    string
		outside bool
		version string
		said    policy.Lines
		want    policy.Outcome
	}{
		{name: "nothing said", want: policy.Allow},
		{name: "nothing said in HTTP/2", version: "2", want: policy.Allow},
		{name: "https said", said: line("https"), want: policy.Deny},
		{name: "in capitals", said: line("HTTPS"), want: policy.Deny},
		{name: "no protocol of the web, so that of the connection", said: line("ftp"), want: policy.Deny},
		{name: "no sidecar between", outside: true, version: "2", want: policy.Deny},
	} {
		s := snapshot(t, workloadYAML+webYAML+rules, "")
		q := asWeb(s, 0, &policy.HTTP{Method: "GET", Path: "/", Authority: "app", Version: tt.version, Headers: tt.said})
		if tt.outside {
			q.From = policy.Caller{Principal: "spiffe://cluster.local/ns/shop/sa/web"}
		}
		a, err := policy.NewSimulator(s).Ask(q)
		if err != nil || a.Outcome != tt.want {
			t.Errorf("%s: %s (%s) %v, want %s", tt.name, a.Outcome, a.Reason, err, tt.want)
		}
		if len(q.HTTP.Headers) != len(tt.said) || q.HTTP.Scheme != "" {
			t.Errorf("%s: the question was changed: %v", tt.name, q.HTTP)
		}
	}
}

// TestServerNameOfRequest: where a rule asks for TLS and names no server, the
// name is the request's host; bytes have none (DR-17, DP-62). What the rule lets
// through is TLS, of which the application makes nothing: that is refused.
func TestServerNameOfRequest(t *testing.T) {
	t.Parallel()
	const named = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: named, namespace: shop}
spec:
  selector: {matchLabels: {app: app}}
  rules: [{when: [{key: connection.sni, values: [app.shop, other]}]}]
`
	for _, tt := range []struct {
		name, settings, authority string
		want                      policy.Outcome
	}{
		{"the host", "mode: SIMPLE", "app.shop", policy.Refused},
		{"its port is not part of it", "mode: SIMPLE", "APP.shop:80", policy.Refused},
		{"another host", "mode: SIMPLE", "app", policy.Deny},
		{"an address is no name", "mode: SIMPLE", "10.0.0.1:80", policy.Deny},
		{"nor one of IPv6", "mode: SIMPLE", "[fe80::1]", policy.Deny},
		{"the rule's own", "mode: SIMPLE, sni: other", "app", policy.Refused},
		{"mTLS has one of its own", "mode: ISTIO_MUTUAL", "app.shop", policy.Deny},
		{"bytes", "mode: SIMPLE", "", policy.Deny},
	} {
		s := snapshot(t, workloadYAML+webYAML+named+"---\n"+dr("app", "shop", "host: app, trafficPolicy: {tls: {"+tt.settings+"}}"), "")
		q := asWeb(s, 2, nil)
		if tt.authority != "" {
			q.HTTP = &policy.HTTP{Method: "GET", Path: "/", Authority: tt.authority}
		}
		a, err := policy.NewSimulator(s).Ask(q)
		if err != nil || a.Outcome != tt.want {
			t.Errorf("%s: %s (%s) %v, want %s", tt.name, a.Outcome, a.Reason, err, tt.want)
		}
	}
}
