package routing_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/analyze"
)

const ingress = `
Pod ingress edge
labels: {istio: ingress, tier: edge}
spec: {containers: [{name: istio-proxy}]}
---
Service ingress edge
spec: {selector: {istio: ingress}, ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443}]}
---
`

// server is a Gateway with one server.
func server(name, selector string, port int, protocol, hosts, more string) string {
	return fmt.Sprintf("Gateway %s edge\nspec: {selector: {%s}, servers: [{port: {number: %d, name: p, protocol: %s}, hosts: [%s]%s}]}\n---\n", name, selector, port, protocol, hosts, more)
}

func TestGatewayPorts(t *testing.T) {
	t.Parallel()
	run(t, []example{
		{"the Service's port", "", ingress + server("g", "istio: ingress", 80, "HTTP", "'*'", ""), nil},
		{"its target", "", ingress + server("g", "istio: ingress", 8080, "HTTP", "'*'", ""), nil},
		{"neither", "", ingress + server("g", "istio: ingress", 81, "HTTP", "'*'", ""), []string{"IST0162 warning Gateway edge/g"}},
		{"a Service that does not select the pods", "", "Pod p edge\nlabels: {a: b}\nspec: {containers: []}\n---\nService s edge\nspec: {selector: {a: c}, ports: [{name: http, port: 80}]}\n---\n" + server("g", "a: b", 80, "HTTP", "'*'", ""), []string{"IST0162 warning Gateway edge/g"}},
		{"a Service of another namespace", "", "Pod p edge\nlabels: {a: b}\nspec: {containers: []}\n---\nService s other\nspec: {selector: {a: b}, ports: [{name: http, port: 80}]}\n---\n" + server("g", "a: b", 80, "HTTP", "'*'", ""), []string{"IST0162 warning Gateway edge/g"}},
		{"Istio's own pods, left out", "", server("g", "istio: ingressgateway", 443, "HTTPS", "'*'", ""), nil},
		{"a port that those lack", "", server("g", "istio: ingressgateway", 8004, "HTTP", "'*'", ""), []string{"IST0162 info Gateway edge/g"}},
		{"nothing selected", "", ingress + server("g", "istio: ingres", 80, "HTTP", "'*'", ""), []string{"IST0101 warning Gateway edge/g"}},
		{"no workloads in the files", "", server("g", "istio: typo", 80, "HTTP", "'*'", ""), []string{"IST0101 info Gateway edge/g"}},
		{"a Deployment's pods", "", "Deployment d edge\nspec: {template: {metadata: {labels: {a: b}}, spec: {containers: []}}}\n---\nService s edge\nspec: {selector: {a: b}, ports: [{name: http, port: 80}]}\n---\n" + server("g", "a: b", 80, "HTTP", "'*'", ""), nil},
	})
}

func TestConflictingGateways(t *testing.T) {
	t.Parallel()
	both := []string{"IST0145 error Gateway edge/a", "IST0145 error Gateway edge/b"}
	run(t, []example{
		{"TCP and HTTP", "", ingress + server("a", "istio: ingress", 80, "TCP", "x.example.com", "") + server("b", "istio: ingress", 80, "HTTP", "x.example.com", ""), both},
		{"HTTP twice", "", ingress + server("a", "istio: ingress", 80, "HTTP", "x.example.com", "") + server("b", "istio: ingress", 80, "HTTP", "x.example.com", ""), []string{
			"IST0145 warning Gateway edge/a", "IST0145 warning Gateway edge/b",
		}},
		{"a part of the selector", "", ingress + server("a", "istio: ingress", 80, "TCP", "x.example.com", "") + server("b", "istio: ingress, tier: edge", 80, "HTTP", "x.example.com", ""), both},
		{"different labels of the same pod", "", ingress + server("a", "istio: ingress", 80, "TCP", "x.example.com", "") + server("b", "tier: edge", 80, "HTTP", "x.example.com", ""), both},
		{"other hosts", "", ingress + server("a", "istio: ingress", 80, "HTTP", "x.example.com", "") + server("b", "istio: ingress", 80, "HTTP", "y.example.com", ""), nil},
		{"other ports", "", ingress + server("a", "istio: ingress", 80, "HTTP", "x.example.com", "") + server("b", "istio: ingress", 8080, "HTTP", "x.example.com", ""), nil},
		{"other addresses", "", ingress + server("a", "istio: ingress", 80, "HTTP", "x.example.com", ", bind: 10.0.0.1") + server("b", "istio: ingress", 80, "HTTP", "x.example.com", ", bind: 10.0.0.2"), nil},
		{"other pods", "", ingress + server("a", "istio: ingress", 80, "HTTP", "x.example.com", "") + server("b", "istio: ingressgateway", 80, "HTTP", "x.example.com", ""), nil},
		{"certificates in files", "", ingress + server("a", "istio: ingress", 443, "HTTPS", "x.example.com", ", tls: {mode: SIMPLE, serverCertificate: c, privateKey: k}") +
			server("b", "istio: ingress", 443, "HTTPS", "y.example.com", ", tls: {mode: SIMPLE, serverCertificate: c, privateKey: k}"), []string{"IST0138 warning Gateway edge/a", "IST0138 warning Gateway edge/b"}},
		{"one file, another key", "", ingress + server("a", "istio: ingress", 443, "HTTPS", "x.example.com", ", tls: {mode: SIMPLE, serverCertificate: c, privateKey: k}") +
			server("b", "istio: ingress", 443, "HTTPS", "y.example.com", ", tls: {mode: SIMPLE, serverCertificate: c, privateKey: l}"), nil},
	})
}

func TestRouteGateways(t *testing.T) {
	t.Parallel()
	follow := func(ns, host, gateway string) string {
		return fmt.Sprintf("VirtualService v %s\nspec: {hosts: [%q], gateways: [%q]}\n---\n", ns, host, gateway)
	}
	offer := func(host string) string { return ingress + server("g", "istio: ingress", 80, "HTTP", "'"+host+"'", "") }
	lost := []string{"IST0132 warning VirtualService shop/v"}
	run(t, []example{
		{"the host", "", offer("x.example.com") + follow("shop", "x.example.com", "edge/g"), nil},
		{"another host", "", offer("x.example.com") + follow("shop", "y.example.com", "edge/g"), lost},
		{"a wildcard", "", offer("*.example.com") + follow("shop", "a.b.example.com", "edge/g"), nil},
		{"a wider route", "", offer("x.example.com") + follow("shop", "*.example.com", "edge/g"), nil},
		{"its own namespace only", "", offer("./x.example.com") + follow("shop", "x.example.com", "edge/g"), lost},
		{"its own namespace", "", offer("./x.example.com") + follow("edge", "x.example.com", "g"), nil},
		{"a named namespace", "", offer("shop/*") + follow("shop", "x.example.com", "edge/g"), nil},
		{"a name alone", "", offer("*") + follow("shop", "x.example.com", "g"), []string{"IST0101 warning VirtualService shop/v", "IST0132 info VirtualService shop/v"}},
		{"the old form", "", offer("*") + follow("shop", "x.example.com", "g.edge.svc.cluster.local"), nil},
		{"a Kubernetes Gateway", "", "KubernetesGateway k edge\nspec: {gatewayClassName: istio, listeners: [{name: a, hostname: x.example.com}]}\n---\n" + follow("shop", "y.example.com", "edge/k"), lost},
		{"one for all hosts", "", "KubernetesGateway k edge\nspec: {gatewayClassName: istio, listeners: [{name: a}]}\n---\n" + follow("shop", "y.example.com", "edge/k"), nil},
	})
}

func TestClaimRoutes(t *testing.T) {
	t.Parallel()
	const route = "VirtualService v shop\nspec: {hosts: [x.example.com], gateways: [edge/g], http: [{match: [{withoutHeaders: {'@request.auth.claims.sub': {}}}]}]}\n---\n"
	without := []string{"IST0149 warning VirtualService shop/v"}
	own := server("g", "istio: ingress", 80, "HTTP", "'*'", "")
	run(t, []example{
		{"none", "", ingress + own + route, without},
		{"of Istio's own pods", "", server("g", "istio: ingressgateway", 80, "HTTP", "'*'", "") + route, without},
		{"in the pods' namespace", "", ingress + own + route + "RequestAuthentication r edge\nspec: {}", nil},
		{"in the root namespace", "", ingress + own + route + "RequestAuthentication r istio-system\nspec: {selector: {matchLabels: {tier: edge}}}", nil},
		{"of other pods", "", ingress + own + route + "RequestAuthentication r edge\nspec: {selector: {matchLabels: {tier: back}}}", without},
		{"elsewhere", "", ingress + own + route + "RequestAuthentication r shop\nspec: {}", without},
	})
}

// pair is a certificate that is valid for a day, and its key, in PEM.
func pair(t *testing.T, from time.Time, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.Add(24 * time.Hour), DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func TestGatewaySecrets(t *testing.T) {
	t.Parallel()
	from := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	cert, key := pair(t, from)
	_, other := pair(t, from)
	data := func(entries ...string) string {
		var all []string
		for i := 0; i < len(entries); i += 2 {
			all = append(all, entries[i]+": "+base64.StdEncoding.EncodeToString([]byte(entries[i+1])))
		}
		return "data: {" + strings.Join(all, ", ") + "}\n---\n"
	}
	broken, missing := []string{"IST0161 error Gateway edge/g"}, []string{"IST0101 warning Gateway edge/g"}
	for _, c := range []struct {
		name, secret string
		after        time.Duration
		want         []string
	}{
		{"good", "Secret c edge\n" + data("tls.crt", cert, "tls.key", key), time.Hour, nil},
		{"the other names", "Secret c edge\n" + data("cert", cert, "key", key), time.Hour, nil},
		{"expired", "Secret c edge\n" + data("tls.crt", cert, "tls.key", key), 25 * time.Hour, broken},
		{"too early", "Secret c edge\n" + data("tls.crt", cert, "tls.key", key), -time.Hour, broken},
		{"no key", "Secret c edge\n" + data("tls.crt", cert), time.Hour, broken},
		{"no certificate", "Secret c edge\n" + data("tls.key", key), time.Hour, broken},
		{"another key", "Secret c edge\n" + data("tls.crt", cert, "tls.key", other), time.Hour, broken},
		{"no PEM", "Secret c edge\n" + data("tls.crt", "x", "tls.key", key), time.Hour, broken},
		{"in the Gateway's place, not its pods'", "Secret c shop\n" + data("tls.crt", cert, "tls.key", key), time.Hour, missing},
		{"no Secrets in the files", "", time.Hour, nil},
		{"made by a controller", "Certificate c edge\nspec: {secretName: c}\n---\nSecret d edge\n" + data("a", "b"), time.Hour, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := ingress + c.secret + server("g", "istio: ingress", 443, "HTTPS", "x.example.com", ", tls: {mode: SIMPLE, credentialName: c}")
			check(t, find(t, analyze.Input{Time: from.Add(c.after)}, manifests(text)), c.want)
		})
	}
}
