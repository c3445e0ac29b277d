package routing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/routing"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// find runs all rules of the package over manifests that are a part of a mesh.
// A finding is "CODE severity origin LINE".
func find(t *testing.T, in analyze.Input, text string) []string {
	t.Helper()
	s, err := manifest.Read("mesh.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	in.Streams = []*manifest.Stream{s}
	findings, err := analyze.Analyze(context.Background(), routing.Rules(), in, analyze.Options{Profile: analyze.Strict})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range findings {
		found = append(found, fmt.Sprintf("%s %s %s %d", f.Code, f.Severity, f.Origin, f.Line))
	}
	return found
}

// manifests writes objects in short: "KIND NAME [NAMESPACE]", then the rest of
// the object; "---" is between them.
func manifests(short string) string {
	versions := map[string]string{
		"Pod": "v1", "Service": "v1", "Namespace": "v1", "Node": "v1", "Secret": "v1", "Deployment": "apps/v1", "Telemetry": "telemetry.istio.io/v1",
		"AuthorizationPolicy": "security.istio.io/v1", "RequestAuthentication": "security.istio.io/v1", "WasmPlugin": "extensions.istio.io/v1alpha1",
		"KubernetesGateway": "gateway.networking.k8s.io/v1", "HTTPRoute": "gateway.networking.k8s.io/v1", "ReferenceGrant": "gateway.networking.k8s.io/v1beta1", "Certificate": "cert-manager.io/v1",
	}
	var all []string
	for object := range strings.SplitSeq(short+"\n", "---\n") {
		title, rest, _ := strings.Cut(strings.TrimSpace(object), "\n")
		if title == "" {
			continue // after the last separator
		}
		words := strings.Fields(title)
		version, kind := versions[words[0]], strings.TrimPrefix(words[0], "Kubernetes")
		if version == "" {
			version = "networking.istio.io/v1"
		}
		named := "name: " + words[1]
		if len(words) > 2 {
			named += ", namespace: " + words[2]
		}
		if labels, after, ok := strings.Cut(rest, "\n"); ok && strings.HasPrefix(labels, "labels: ") {
			named, rest = named+", "+labels, after
		} else if strings.HasPrefix(rest, "labels: ") {
			named, rest = named+", "+strings.TrimSpace(rest), ""
		}
		all = append(all, "apiVersion: "+version+"\nkind: "+kind+"\nmetadata: {"+named+"}\n"+rest)
	}
	return strings.Join(all, "\n---\n")
}

// check compares what is found with what is wanted, the places left out.
func check(t *testing.T, got, want []string) {
	t.Helper()
	var short []string
	for _, f := range got {
		short = append(short, f[:strings.LastIndex(f, " ")])
	}
	slices.Sort(short)
	slices.Sort(want)
	if !slices.Equal(short, want) {
		t.Errorf("found %s, expected %s", strings.Join(got, "; "), strings.Join(want, "; "))
	}
}

type example struct {
	name, config, text string
	want               []string
}

func run(t *testing.T, examples []example) {
	t.Helper()
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			in := analyze.Input{}
			if e.config != "" {
				config, err := mesh.ParseConfig([]byte(e.config))
				if err != nil {
					t.Fatal(err)
				}
				in.Options.Config = config
			}
			check(t, find(t, in, manifests(e.text)), e.want)
		})
	}
}

const orders = `
Service orders shop
spec: {selector: {app: orders}, ports: [{name: http, port: 80}]}
---
Deployment orders shop
spec: {selector: {matchLabels: {app: orders}}, template: {metadata: {labels: {app: orders, version: v1}}, spec: {containers: [{name: app}]}}}
---
`

func TestDestinations(t *testing.T) {
	t.Parallel()
	run(t, []example{
		{"short, full and foreign names", "", orders + `
VirtualService a shop
spec: {hosts: [a.example.com], http: [{route: [{destination: {host: orders}}, {destination: {host: orders.shop.svc.cluster.local}}]}]}
---
VirtualService b web
spec: {hosts: [b.example.com], http: [{route: [{destination: {host: orders}}]}]}
---
VirtualService c shop
spec: {hosts: [c.example.com], http: [{route: [{destination: {host: orders.shop}}], mirror: {host: oders}}]}
---
VirtualService d shop
spec: {hosts: [d.example.com], tcp: [{route: [{destination: {host: orders, port: {number: 81}}}]}]}`, []string{
			"IST0101 info VirtualService web/b", "IST0101 info VirtualService shop/c", "IST0101 warning VirtualService shop/c", "IST0101 warning VirtualService shop/d",
		}},
		{"services are kept elsewhere", "", `
VirtualService a shop
spec: {hosts: [a.example.com], http: [{route: [{destination: {host: nowhere}}]}]}`, nil},
		{"exported to others only", "", `
ServiceEntry bank ops
spec: {hosts: [bank.example.com], exportTo: [web], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
---
VirtualService a shop
spec: {hosts: [a.example.com], http: [{route: [{destination: {host: bank.example.com}}]}]}
---
VirtualService b web
spec: {hosts: [b.example.com], http: [{route: [{destination: {host: bank.example.com}}]}]}`, []string{"IST0101 warning VirtualService shop/a"}},
		{"wildcard entry", "", `
ServiceEntry all shop
spec: {hosts: ["*.example.com"], ports: [{number: 443, name: tls, protocol: TLS}, {number: 80, name: http, protocol: HTTP}]}
---
VirtualService a shop
spec: {hosts: [a.example.com], http: [{route: [{destination: {host: x.example.com, port: {number: 80}}}]}]}
---
VirtualService b shop
spec: {hosts: [b.example.com], http: [{route: [{destination: {host: y.example.com}}]}]}`, []string{"IST0112 error VirtualService shop/b"}},
		{"subsets, mirrors too", "", orders + `
DestinationRule orders web
spec: {host: orders.shop.svc.cluster.local, subsets: [{name: v1, labels: {version: v1}}]}
---
VirtualService a shop
spec: {hosts: [a.example.com], http: [{route: [{destination: {host: orders, subset: v1}}], mirror: {host: orders, subset: v2}}]}
---
VirtualService b shop
spec: {hosts: [b.example.com], http: [{route: [{destination: {host: orders, subset: v3}}], mirrors: [{destination: {host: orders, subset: v4}}]}]}`, []string{
			"IST0101 warning VirtualService shop/a", "IST0101 warning VirtualService shop/b", "IST0101 warning VirtualService shop/b",
		}},
	})
}

func TestMeshHosts(t *testing.T) {
	t.Parallel()
	claim := func(name, ns, host, more string) string {
		return fmt.Sprintf("VirtualService %s %s\nspec: {hosts: [%q], http: [{route: [{destination: {host: x}}]}]%s}\n---\n", name, ns, host, more)
	}
	run(t, []example{
		{"three of a host are found once each", "", claim("a", "shop", "orders", "") + claim("b", "shop", "orders.shop.svc.cluster.local", "") + claim("c", "web", "orders.shop.svc.cluster.local", ""), []string{
			"IST0109 error VirtualService shop/a", "IST0109 error VirtualService shop/b", "IST0109 error VirtualService web/c",
		}},
		{"short names of different namespaces", "", claim("a", "shop", "orders", "") + claim("b", "web", "orders", ""), nil},
		{"gateways do not count", "", claim("a", "shop", "orders", "") + claim("b", "shop", "orders", ", gateways: [istio-autogenerated-k8s-gateway]"), []string{"IST0165 warning VirtualService shop/b"}},
		{"private ones", "", claim("a", "shop", "x.example.com", `, exportTo: ["."]`) + claim("b", "web", "x.example.com", `, exportTo: [web]`), nil},
		{"a private and a public one", "", claim("a", "shop", "x.example.com", `, exportTo: ["."]`) + claim("b", "web", "x.example.com", ""), []string{
			"IST0109 error VirtualService shop/a", "IST0109 error VirtualService web/b",
		}},
		{"an overlap", "", claim("a", "shop", "x.example.com", `, exportTo: ["."]`) + claim("b", "web", "*.example.com", ""), []string{
			"IST0109 info VirtualService shop/a", "IST0109 info VirtualService web/b",
		}},
		{"the mesh's default", "defaultVirtualServiceExportTo: ['.']", claim("a", "shop", "x.example.com", "") + claim("b", "web", "x.example.com", ""), nil},
	})
}

func TestMatches(t *testing.T) {
	t.Parallel()
	http := func(routes string) string {
		return "VirtualService a shop\nspec:\n  hosts: [a.example.com]\n  http:\n" + routes
	}
	to := ", route: [{destination: {host: x}}]}\n"
	run(t, []example{
		{"another method is no duplicate", "", http("  - {match: [{uri: {prefix: /a}, method: {exact: GET}}]" + to + "  - {match: [{uri: {prefix: /a}, method: {exact: POST}}]" + to), nil},
		{"a name makes no difference", "", http("  - {match: [{name: one, uri: {exact: /a}}]" + to + "  - {match: [{name: two, uri: {exact: /a}}]" + to), []string{"IST0130 warning VirtualService shop/a", "IST0131 info VirtualService shop/a"}},
		{"narrower first", "", http("  - {match: [{uri: {prefix: /a/b}}]" + to + "  - {match: [{uri: {prefix: /a}}]" + to), nil},
		{"one of two matches", "", http("  - {match: [{uri: {prefix: /a}}]" + to + "  - {match: [{uri: {prefix: /a/b}}, {uri: {prefix: /c}}]" + to), []string{"IST0131 info VirtualService shop/a"}},
		{"case does matter", "", http("  - {match: [{uri: {prefix: /a}}]" + to + "  - {match: [{uri: {prefix: /a}, ignoreUriCase: true}]" + to), nil},
		{"more headers", "", http("  - {match: [{headers: {x: {exact: a}}}]" + to + "  - {match: [{headers: {x: {exact: a}, y: {}}}]" + to), []string{"IST0130 warning VirtualService shop/a", "IST0131 info VirtualService shop/a"}},
		{"fewer absent headers", "", http("  - {match: [{withoutHeaders: {x: {}}}]" + to + "  - {match: [{uri: {prefix: /a}}]" + to), nil},
		{"a delegate need not take all", "", http("  - {match: [{uri: {prefix: /a}}], delegate: {name: b}}\n" + "  - {match: [{uri: {prefix: /a}}]" + to), nil},
		{"another gateway", "", http("  - {match: [{uri: {prefix: /a}, gateways: [mesh]}]"+to+"  - {match: [{uri: {prefix: /a}, gateways: [g]}]"+to) + "  gateways: [mesh, g]\n---\nGateway g shop\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}", nil},
		{"two without a match", "", http("  - {" + to[2:] + "  - {" + to[2:]), []string{"IST0130 warning VirtualService shop/a"}},
		{"all paths, then no match", "", http("  - {match: [{uri: {prefix: /}}]" + to + "  - {" + to[2:]), []string{"IST0130 info VirtualService shop/a"}},
		{"any path, then no match", "", http("  - {match: [{uri: {regex: .*}}]" + to + "  - {" + to[2:]), []string{"IST0130 info VirtualService shop/a"}},
		{"all paths with a header, then no match", "", http("  - {match: [{uri: {prefix: /}, headers: {x: {}}}]" + to + "  - {" + to[2:]), nil},
		{"all paths of one gateway, then no match", "", http("  - {match: [{uri: {prefix: /}, gateways: [mesh]}]"+to+"  - {"+to[2:]) + "  gateways: [mesh, g]\n---\nGateway g shop\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}", nil},
		{"server names", "", "VirtualService a shop\nspec: {hosts: ['*.example.com'], tls: [{match: [{port: 443, sniHosts: ['*.example.com']}]" + to[:len(to)-1] + ", {match: [{port: 443, sniHosts: [a.example.com]}]" + to[:len(to)-1] + "]}", []string{"IST0130 warning VirtualService shop/a", "IST0131 info VirtualService shop/a"}},
	})
}
