package authorization_test

import (
	"context"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

const world = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: orders, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: gate, namespace: edge}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gate, namespace: edge}
spec:
  selector: {matchLabels: {app: gate}}
  template:
    metadata: {labels: {app: gate}}
    spec: {serviceAccountName: gate, containers: [{name: gate, image: gate}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders, namespace: shop}
spec:
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders}}
    spec: {serviceAccountName: orders, containers: [{name: orders, image: orders, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop}
spec:
  selector: {app: orders}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
`

func object(kind, namespace, name, spec string) string {
	return "apiVersion: security.istio.io/v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: " + spec + "\n"
}

func access(source string) string {
	return object("AuthorizationPolicy", "shop", "a", "{selector: {matchLabels: {app: orders}}, rules: [{from: [{source: {"+source+"}}]}]}")
}

// TestNoFalseAlarm: what other linters report for nothing, by the complaints in
// their trackers, is not reported here as a warning or an error.
func TestNoFalseAlarm(t *testing.T) {
	t.Parallel()
	strict := object("PeerAuthentication", "istio-system", "default", "{mtls: {mode: STRICT}}")
	for name, tt := range map[string]struct{ text, config string }{
		"a principal with a star at the end":                {strict + "---\n" + access("principals: ['cluster.local/ns/shop/sa/*']"), ""},
		"a principal with a star in front":                  {strict + "---\n" + access("principals: ['*/ns/shop/sa/orders']"), ""},
		"an account of another namespace":                   {strict + "---\n" + access("principals: [cluster.local/ns/edge/sa/gate]"), ""},
		"an account that a machine or a remote cluster has": {strict + "---\n" + access("principals: [cluster.local/ns/machines/sa/db]"), ""},
		"an alias of the trust domain":                      {strict + "---\n" + access("principals: [old.example/ns/shop/sa/orders]"), "trustDomain: new.example\ntrustDomainAliases: [old.example]\n"},
		"cluster.local under another trust domain":          {strict + "---\n" + access("principals: [cluster.local/ns/shop/sa/orders]"), "trustDomain: new.example\n"},
		"identities under PERMISSIVE, which callers have":   {access("principals: [cluster.local/ns/shop/sa/orders]"), ""},
		"a namespace that a star stands for":                {strict + "---\n" + access("namespaces: ['sh*', '*ge']"), ""},
		"a namespace that a star within stands for":         {strict + "---\n" + access("principals: [cluster.local/ns/edge/sa/gate], namespaces: ['e*e']"), ""},
		"two RequestAuthentications, which are merged":      {object("RequestAuthentication", "shop", "a", "{jwtRules: [{issuer: a, jwksUri: 'https://a/keys'}]}") + "---\n" + object("RequestAuthentication", "shop", "b", "{jwtRules: [{issuer: b, jwksUri: 'https://b/keys'}]}") + "---\n" + access("requestPrincipals: ['*']"), ""},
		"a selector of the root namespace, for all others":  {object("AuthorizationPolicy", "istio-system", "a", "{selector: {matchLabels: {app: orders}}, rules: [{to: [{operation: {paths: [/a]}}]}]}"), ""},
		"a host of somebody outside":                        {object("AuthorizationPolicy", "shop", "a", "{selector: {matchLabels: {app: orders}}, rules: [{to: [{operation: {hosts: ['shop.example.com*']}}]}]}"), ""},
		"a method of an own protocol":                       {object("AuthorizationPolicy", "shop", "a", "{selector: {matchLabels: {app: orders}}, rules: [{to: [{operation: {methods: ['*']}}]}]}"), ""},
		"mTLS that clients find out by themselves":          {strict, ""},
		"a policy for the mesh with an exception by port":   {strict + "---\n" + object("PeerAuthentication", "shop", "a", "{selector: {matchLabels: {app: orders}}, portLevelMtls: {8080: {mode: PERMISSIVE}}}"), ""},
		"a policy of the namespace and one with a selector": {strict + "---\n" + object("PeerAuthentication", "shop", "a", "{mtls: {mode: PERMISSIVE}}") + "---\n" + object("PeerAuthentication", "shop", "b", "{selector: {matchLabels: {app: orders}}, mtls: {mode: STRICT}}"), ""},
		"a port that only a Service's name of it tells":     {object("AuthorizationPolicy", "shop", "a", "{selector: {matchLabels: {app: orders}}, rules: [{to: [{operation: {ports: ['8080']}}]}]}"), ""},
		"a gateway's workload that is not in the files":     {object("AuthorizationPolicy", "istio-system", "a", "{selector: {matchLabels: {istio: ingressgateway}}, action: DENY, rules: [{from: [{source: {notRemoteIpBlocks: [10.0.0.0/8]}}]}]}"), ""},
		"an allow-nothing policy beside ones that allow":    {object("AuthorizationPolicy", "shop", "nothing", "{}") + "---\n" + access("namespaces: [edge]"), ""},
	} {
		s, err := manifest.Read("a.yaml", []byte(world+tt.text))
		if err != nil {
			t.Fatal(err)
		}
		in := analyze.Input{Streams: []*manifest.Stream{s}}
		if tt.config != "" {
			config, err := mesh.ParseConfig([]byte(tt.config))
			if err != nil {
				t.Fatal(err)
			}
			in.Options.Config, in.ConfigGiven = config, true
		}
		findings, err := analyze.Analyze(context.Background(), catalog.Rules(), in, analyze.Options{Profile: analyze.Baseline})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if strings.HasPrefix(f.Code, "MSH") && f.Severity.String() != "info" {
				t.Errorf("%s: %s %s: %s", name, f.Code, f.Origin, f.Message)
			}
		}
	}
}
