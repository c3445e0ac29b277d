package authorization_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// findings are those of MSH01xx in the world with more text.
func findings(t *testing.T, text, config string, complete bool) []report.Finding {
	t.Helper()
	s, err := manifest.Read("a.yaml", []byte(world+text))
	if err != nil {
		t.Fatal(err)
	}
	in := analyze.Input{Streams: []*manifest.Stream{s}, Complete: complete}
	if config != "" {
		parsed, err := mesh.ParseConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		in.Options.Config, in.ConfigGiven = parsed, true
	}
	all, err := analyze.Analyze(context.Background(), catalog.Rules(), in, analyze.Options{Profile: analyze.Strict})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(f report.Finding) bool { return !strings.HasPrefix(f.Code, "MSH01") || f.Code == "MSH0130" })
}

func rule(action, rule string) string {
	return object("AuthorizationPolicy", "shop", "a", "{selector: {matchLabels: {app: orders}}, action: "+action+", rules: ["+rule+"]}")
}

// TestFound: what is wrong is found, and the message says what happens.
func TestFound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, code, message string }{
		"a path with a star at both ends (AP-22)":                             {rule("DENY", "{to: [{operation: {paths: ['*/admin/*'], ports: ['8080']}}]}"), "MSH0112", "plain star"},
		"a principal with a star at both ends (AP-22)":                        {access("principals: ['*/ns/shop/*']"), "MSH0114", "plain star"},
		"a namespace that is excluded (AP-16)":                                {access("principals: [cluster.local/ns/edge/sa/gate], notNamespaces: [edge]"), "MSH0104", "this source never matches"},
		"a prefix within an excluded one (AP-16)":                             {rule("ALLOW", "{to: [{operation: {paths: ['/a/b/*'], notPaths: ['/a/*'], ports: ['8080']}}]}"), "MSH0104", "this operation never matches"},
		"a block within an excluded one (AP-16)":                              {access("ipBlocks: [10.1.0.0/16], notIpBlocks: [10.0.0.0/8]"), "MSH0104", "this source never matches"},
		"two conditions on one key (AP-19)":                                   {rule("DENY", "{when: [{key: source.namespace, values: [a]}, {key: source.namespace, values: [b]}]}"), "MSH0104", "the rule never matches"},
		"an exception in another condition (AP-19)":                           {rule("DENY", "{when: [{key: source.namespace, values: [a]}, {key: source.namespace, notValues: [a]}]}"), "MSH0104", "the rule never matches"},
		"a wildcard over namespaces":                                          {access("principals: ['*/sa/gate']"), "MSH0118", "namespace"},
		"a suffix of hosts (DP-60)":                                           {rule("DENY", "{to: [{operation: {hosts: ['*.example.com'], ports: ['8080']}}]}"), "MSH0136", "no value takes"},
		"a host whose dot is forgotten (DP-60)":                               {rule("DENY", "{to: [{operation: {hosts: [a.example, 'a.example:*'], ports: ['8080']}}]}"), "MSH0136", "a.example."},
		"an identity on a port without mTLS (PA-7)":                           {object("PeerAuthentication", "shop", "p", "{selector: {matchLabels: {app: orders}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}") + "---\n" + access("namespaces: [edge]"), "MSH0124", "8080"},
		"cluster.local as a trust domain that the mesh does not have (AP-77)": {rule("ALLOW", "{from: [{source: {trustDomains: [cluster.local]}}]}"), "MSH0117", "prod.example"},
		"a selector of the root namespace that nothing has":                   {object("PeerAuthentication", "istio-system", "p", "{selector: {matchLabels: {app: nothing}}, mtls: {mode: STRICT}}"), "MSH0127", "of the mesh"},
		"a label that is nearly one":                                          {object("PeerAuthentication", "shop", "p", "{selector: {matchLabels: {app: ordres}}, mtls: {mode: STRICT}}"), "MSH0127", "app=orders"},
		"a target of tokens that is not there":                                {"apiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: shop}\n---\n" + object("RequestAuthentication", "shop", "r", "{targetRefs: [{kind: Service, name: othr}]}"), "MSH0129", "othr"},
		"a provider that is not there (AP-60)":                                {object("AuthorizationPolicy", "shop", "a", "{action: CUSTOM, provider: {name: nope}, rules: [{}]}"), "MSH0131", "it has none that can"},
		"a provider that only counts (AP-60)":                                 {object("AuthorizationPolicy", "shop", "a", "{action: CUSTOM, provider: {name: prometheus}, rules: [{}]}"), "MSH0131", `"prometheus" does not decide`},
		"a principal with a blank":                                            {access("principals: ['cluster.local/ns/edge/sa/gate ']"), "MSH0141", "has a blank"},
		"a namespace with a blank":                                            {access("namespaces: [' edge']"), "MSH0141", "has a blank"},
		"a host with a scheme":                                                {rule("ALLOW", "{to: [{operation: {hosts: ['https://a.example'], ports: ['8080']}}]}"), "MSH0141", "without a scheme"},
		"a host with a path":                                                  {rule("DENY", "{to: [{operation: {hosts: [a.example/b], ports: ['8080']}}]}"), "MSH0141", "a path"},
		"a trust domain of nobody":                                            {rule("ALLOW", "{from: [{source: {trustDomains: [other.example]}}]}"), "MSH0117", "other.example"},
	} {
		all := findings(t, tt.text, "trustDomain: prod.example\n", true)
		if !slices.ContainsFunc(all, func(f report.Finding) bool {
			return f.Code == tt.code && strings.Contains(f.Message, tt.message) && f.Line > 0
		}) {
			t.Errorf("%s: expected %s with %q, got %+v", name, tt.code, tt.message, all)
		}
	}
}

// TestSilent: a code is not found where its mistake is not made, whatever the
// profile and with all files there.
func TestSilent(t *testing.T) {
	t.Parallel()
	strict := object("PeerAuthentication", "istio-system", "default", "{mtls: {mode: STRICT}}") + "---\n"
	gateway := func(kind, name, class string) string {
		return "apiVersion: gateway.networking.k8s.io/v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: shop}\nspec: {gatewayClassName: " + class + ", listeners: [{name: a, port: 80, protocol: HTTP}]}\n---\n"
	}
	ingress := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: in, namespace: edge}\nspec:\n  selector: {matchLabels: {app: in}}\n  template:\n    metadata: {labels: {app: in, sidecar.istio.io/inject: 'true'}, annotations: {inject.istio.io/templates: gateway}}\n    spec: {containers: [{name: istio-proxy, image: auto, ports: [{containerPort: 15090}]}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: in, namespace: edge}\nspec: {selector: {app: in}, ports: [{name: https, port: 443, targetPort: 8443}, {name: tcp, port: 9000}]}\n---\n"
	stream := "apiVersion: v1\nkind: Service\nmetadata: {name: orders-tcp, namespace: shop}\nspec: {selector: {app: orders}, ports: [{name: tcp-peers, port: 9000}]}\n---\n"
	for name, tt := range map[string]struct{ code, text, config string }{
		"the account of a Gateway API gateway":                      {"MSH0115", strict + gateway("Gateway", "front", "istio") + access("principals: [cluster.local/ns/shop/sa/front-istio]"), ""},
		"the account of a waypoint":                                 {"MSH0115", strict + gateway("Gateway", "waypoint", "istio-waypoint") + access("principals: [cluster.local/ns/shop/sa/waypoint]"), ""},
		"a name that another authority gives":                       {"MSH0114", strict + access("principals: [partner.example/payments]"), ""},
		"a trust domain that the mesh config trusts":                {"MSH0117", strict + access("principals: [other.example/ns/a/sa/b]"), "caCertificates: [{pem: x, trustDomains: [other.example]}]\n"},
		"a wildcard within a namespace":                             {"MSH0118", strict + access("principals: ['cluster.local/ns/shop/*']"), ""},
		"HTTP at a gateway's port for TLS":                          {"MSH0122", ingress + object("AuthorizationPolicy", "edge", "a", "{selector: {matchLabels: {app: in}}, rules: [{to: [{operation: {paths: [/a]}}]}]}"), ""},
		"a port that a gateway opens":                               {"MSH0120", ingress + object("AuthorizationPolicy", "edge", "a", "{selector: {matchLabels: {app: in}}, rules: [{to: [{operation: {ports: ['31400']}}]}]}"), ""},
		"a TCP port that another rule allows":                       {"MSH0122", stream + rule("ALLOW", "{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {ports: ['9000']}}]}"), ""},
		"a TCP port that another policy allows":                     {"MSH0122", stream + rule("ALLOW", "{to: [{operation: {methods: [GET]}}]}") + "---\n" + object("AuthorizationPolicy", "shop", "b", "{rules: [{to: [{operation: {ports: ['9000']}}]}]}"), ""},
		"an identity on the port that has mTLS (PA-7)":              {"MSH0124", object("PeerAuthentication", "shop", "p", "{selector: {matchLabels: {app: orders}}, mtls: {mode: DISABLE}, portLevelMtls: {8080: {mode: STRICT}}}") + "---\n" + rule("ALLOW", "{from: [{source: {namespaces: [edge]}}], to: [{operation: {ports: ['8080']}}]}"), ""},
		"exceptions of those with a name":                           {"MSH0124", access("principals: ['*'], notPrincipals: [cluster.local/ns/edge/sa/gate]"), ""},
		"a DENY of every path":                                      {"MSH0109", strict + rule("DENY", "{from: [{source: {notNamespaces: [edge]}}], to: [{operation: {paths: ['/*', '*']}}]}"), ""},
		"hosts with all their forms (DP-60)":                        {"MSH0136", rule("DENY", "{to: [{operation: {hosts: [a.example, 'a.example:*', a.example., 'a.example.:*']}}]}"), ""},
		"an address where no gateway leads":                         {"MSH0125", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: edge}\nspec: {selector: {app: in}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example]}]}\n---\n" + access("ipBlocks: [10.0.0.0/8]"), ""},
		"clients' addresses behind a load balancer that keeps them": {"MSH0126", "apiVersion: v1\nkind: Service\nmetadata: {name: in, namespace: edge}\nspec: {selector: {app: in}, externalTrafficPolicy: Local, type: LoadBalancer, ports: [{name: http, port: 80}]}\n---\n" + access("remoteIpBlocks: [10.0.0.0/8]"), "trustDomain: cluster.local\n"},
		"requests of a sidecar in ambient mode":                     {"MSH0123", "apiVersion: v1\nkind: Namespace\nmetadata: {name: amb, labels: {istio.io/dataplane-mode: ambient}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: amb, labels: {app: x, sidecar.istio.io/inject: 'true'}}\nspec: {containers: [{name: x, image: x}, {name: istio-proxy, image: proxyv2}]}\n---\n" + object("AuthorizationPolicy", "amb", "a", "{selector: {matchLabels: {app: x}}, rules: [{to: [{operation: {methods: [GET]}}]}]}"), ""},
	} {
		for _, f := range findings(t, tt.text, tt.config, true) {
			if f.Code == tt.code {
				t.Errorf("%s: %s: %s", name, f.Code, f.Message)
			}
		}
	}
	// Without all files, the accounts of an installation may be elsewhere.
	addon := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: kiali, namespace: istio-system}\n---\n"
	for _, f := range findings(t, strict+addon+access("principals: [cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account]"), "", false) {
		if f.Code == "MSH0115" {
			t.Errorf("a gateway's account: %s", f.Message)
		}
	}
	// What a container does not declare it may still listen on.
	for _, f := range findings(t, rule("ALLOW", "{to: [{operation: {ports: ['9090']}}]}"), "", false) {
		if f.Code == "MSH0120" && f.Severity == report.Error {
			t.Errorf("a port that nothing declares: %s", f.Message)
		}
	}
}
