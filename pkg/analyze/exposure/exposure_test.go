package exposure_test

import (
	"context"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/exposure"
	"github.com/meshctl/meshctl/pkg/manifest"
)

const app = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders, namespace: shop}
spec:
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders}}
    spec: {containers: [{name: orders, image: orders, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
`

func gateway(host string) string {
	return "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\nspec: {selector: {istio: gw}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['" + host + "'], tls: {mode: SIMPLE, credentialName: a}}]}\n---\n"
}

func route(match, to string) string {
	return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: orders, namespace: shop}\nspec: {hosts: [a.example], gateways: [edge], http: [{match: [{uri: " + match + "}], " + to + "}]}\n---\n"
}

func access(namespace, annotations, spec string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: " + namespace + ", annotations: {" + annotations + "}}\nspec: " + spec + "\n---\n"
}

// TestExposure: what is found, and where nothing is.
func TestExposure(t *testing.T) {
	t.Parallel()
	const orders, rules = "route: [{destination: {host: orders}}]", "{selector: {matchLabels: {app: orders}}, action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}]}"
	admin := app + gateway("a.example") + route("{prefix: /admin}", orders)
	for name, tt := range map[string]struct{ text, want string }{
		"an internal path":                      {admin, "MSH0404 no AuthorizationPolicy"},
		"below it":                              {app + gateway("a.example") + route("{exact: /Admin/users}", orders), "MSH0404 /Admin/users"},
		"a name that begins like one":           {app + gateway("a.example") + route("{prefix: /managers}", orders), ""},
		"a redirect":                            {app + gateway("a.example") + route("{prefix: /admin}", "redirect: {uri: /}"), ""},
		"a policy at the workload":              {admin + access("shop", "", rules), ""},
		"one that is only tried":                {admin + access("shop", "istio.io/dry-run: 'true'", rules), "MSH0404 /admin"},
		"one that only logs":                    {admin + access("shop", "", "{action: AUDIT, rules: [{}]}"), "MSH0404 /admin"},
		"one of another workload":               {admin + access("shop", "", "{selector: {matchLabels: {app: other}}}"), "MSH0404 /admin"},
		"one of the mesh":                       {admin + access("istio-system", "", "{}"), ""},
		"one at the gateway, wherever it is":    {admin + access("edge", "", "{selector: {matchLabels: {istio: gw}}, action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}]}"), ""},
		"one of a namespace that is not theirs": {admin + access("edge", "", "{}"), "MSH0404 /admin"},
		"every host":                            {gateway("*"), "MSH0401 any namespace"},
		"every host of all namespaces":          {gateway("*/*"), "MSH0401 any namespace"},
		"every host of one namespace":           {gateway("shop/*"), "MSH0401 of the namespace"},
		"a host of one namespace":               {gateway("shop/a.example"), ""},
		"hosts of a domain":                     {gateway("*.example.com"), ""},
	} {
		s, err := manifest.Read("a.yaml", []byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		findings, err := analyze.Analyze(context.Background(), exposure.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{Profile: analyze.Strict})
		if err != nil {
			t.Fatal(err)
		}
		code, words, _ := strings.Cut(tt.want, " ")
		switch {
		case tt.want == "" && len(findings) > 0:
			t.Errorf("%s: %s %s", name, findings[0].Code, findings[0].Message)
		case tt.want != "" && (len(findings) != 1 || findings[0].Code != code || !strings.Contains(findings[0].Message, words)):
			t.Errorf("%s: expected %s once, got %+v", name, tt.want, findings)
		}
	}
}
