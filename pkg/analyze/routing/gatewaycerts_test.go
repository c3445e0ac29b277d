package routing_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/analyze"
)

func TestGatewayCertificates(t *testing.T) {
	t.Parallel()
	from := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	cert, key := pair(t, from, "x.example.com", "*.shop.example.com")
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	secret := func(more string) string {
		return "Secret c edge\ndata: {tls.crt: " + encoded(cert) + ", tls.key: " + encoded(key) + more + "}\n---\n"
	}
	gateway := func(host, mode, more string) string {
		return server("g", "istio: ingress", 443, "HTTPS", host, ", tls: {mode: "+mode+", credentialName: c"+more+"}")
	}
	made := func(names string) string {
		return "Certificate c edge\nspec: {secretName: c" + names + "}\n---\nSecret d edge\ndata: {a: Yg==}\n---\n"
	}
	ca := "Secret c-cacert edge\ndata: {cacert: " + encoded(cert) + "}\n---\n"
	mutual, other := []string{"IST0161 warning Gateway edge/g"}, []string{"MSH0335 warning Gateway edge/g"}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"for the host", secret("") + gateway("x.example.com", "SIMPLE", ""), nil},
		{"for a label of its star", secret("") + gateway("a.shop.example.com", "SIMPLE", ""), nil},
		{"for its star", secret("") + gateway("'*.shop.example.com'", "SIMPLE", ""), nil},
		{"for two labels", secret("") + gateway("a.b.shop.example.com", "SIMPLE", ""), other},
		{"for another host", secret("") + gateway("y.example.com", "SIMPLE", ""), other},
		{"for another host of a namespace", secret("") + gateway("'shop/y.example.com'", "SIMPLE", ""), other},
		{"for more than it is for", secret("") + gateway("'*.example.com'", "SIMPLE", ""), other},
		{"for all hosts", secret("") + gateway("'*'", "SIMPLE", ""), nil},
		{"made for the host", made(", dnsNames: [y.example.com]") + gateway("y.example.com", "SIMPLE", ""), nil},
		{"made for another", made(", dnsNames: [x.example.com]") + gateway("y.example.com", "SIMPLE", ""), other},
		{"made for nobody knows what", made("") + gateway("y.example.com", "SIMPLE", ""), nil},
		{"clients without an authority", secret("") + gateway("x.example.com", "MUTUAL", ""), mutual},
		{"some clients without an authority", secret("") + gateway("x.example.com", "OPTIONAL_MUTUAL", ""), mutual},
		{"clients with one in the Secret", secret(", ca.crt: "+encoded(cert)) + gateway("x.example.com", "MUTUAL", ""), nil},
		{"clients with one in a Secret beside it", secret("") + ca + gateway("x.example.com", "MUTUAL", ""), nil},
		{"clients with one in a Secret of another name", secret("") + ca + gateway("x.example.com", "MUTUAL", ", caCertCredentialName: c-cacert"), nil},
		{"clients of what a controller makes", made(", dnsNames: [x.example.com]") + gateway("x.example.com", "MUTUAL", ""), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, find(t, analyze.Input{Time: from.Add(time.Hour)}, manifests(ingress+c.text)), c.want)
		})
	}
}
