package envoy_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const webHost = "web.shop.svc.cluster.local"

// TestDomains: under which names a service is known (EC-111).
func TestDomains(t *testing.T) {
	t.Parallel()
	full := webHost + " " + webHost + "."
	tests := []struct{ name, manifests, client, host, want string }{
		{"in its namespace", "", "shop/curl", webHost, full + " web web.shop.svc web.shop"},
		{"in another", "", "other/far", webHost, full + " web.shop web.shop.svc"},
		{
			"headless", "apiVersion: v1\nkind: Service\nmetadata: {name: hl, namespace: shop}\nspec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 80}]}\n", "other/far", "hl.shop.svc.cluster.local",
			"hl.shop.svc.cluster.local hl.shop.svc.cluster.local. hl.shop hl.shop.svc *.hl.shop.svc.cluster.local *.hl.shop.svc.cluster.local. *.hl.shop *.hl.shop.svc",
		},
		{"of a ServiceEntry", entry("location: MESH_EXTERNAL, resolution: DNS, addresses: [1.2.3.4]"), "shop/curl", "api.example", "api.example api.example. 1.2.3.4"},
		{
			"that another Service stands for", "apiVersion: v1\nkind: Service\nmetadata: {name: alias, namespace: shop}\nspec: {type: ExternalName, externalName: web.shop.svc.cluster.local, ports: [{name: http, port: 80}]}\n", "shop/curl", webHost,
			full + " web web.shop.svc web.shop alias.shop.svc.cluster.local alias.shop.svc.cluster.local. alias alias.shop.svc alias.shop",
		},
		{"a short name that is somebody's full name is his", serviceEntry("web.shop", "resolution: DNS, ports: [{name: http, number: 80, protocol: HTTP}]"), "shop/curl", webHost, full + " web web.shop.svc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := configOf(t, buildMesh(t, shopYAML+tt.manifests, ""), tt.client)
			if got := domainText(virtualHost(c, "80", tt.host+":80")); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestSniffedRoutes: what is for one service takes all requests, and nothing
// catches others (EC-98, EC-114).
func TestSniffedRoutes(t *testing.T) {
	t.Parallel()
	r := routesOf(shopConfig(t, ""), webHost+":7000")
	if len(r.GetVirtualHosts()) != 1 || domainText(r.VirtualHosts[0]) != "*" || hostText(r.VirtualHosts[0]) != "/* -> outbound|7000||"+webHost {
		t.Errorf("%v", r)
	}
}

// TestVirtualServices: where requests to web go (EC-113).
func TestVirtualServices(t *testing.T) {
	t.Parallel()
	to := func(host string) string { return "/* -> outbound|80||" + host + ".shop.svc.cluster.local" }
	tests := []struct{ name, spec, want string }{
		{"none", "", to("web")},
		{
			"by header, then by weight", "http: [{match: [{headers: {user: {exact: a}}}], route: [{destination: {host: web, subset: v2}}]}, {route: [{destination: {host: web, subset: v1}, weight: 90}, {destination: {host: web, subset: v2}, weight: 10}, {destination: {host: web, subset: v3}}]}]",
			"/* user -> outbound|80|v2|" + webHost + "; /* -> outbound|80|v1|" + webHost + ":90,outbound|80|v2|" + webHost + ":10",
		},
		{"nothing after what takes all", "http: [{route: [{destination: {host: a}}]}, {route: [{destination: {host: b}}]}]", to("a")},
		{"nor after a match that does", "http: [{match: [{uri: {prefix: /}}, {uri: {exact: /x}}], route: [{destination: {host: a}}]}, {route: [{destination: {host: b}}]}]", to("a")},
		{"an expression for all takes all", "http: [{match: [{uri: {regex: '.*'}}], route: [{destination: {host: a}}]}, {route: [{destination: {host: b}}]}]", "~.* -> outbound|80||a.shop.svc.cluster.local"},
		{"other ports are left out", "http: [{match: [{port: 81}], route: [{destination: {host: a}}]}, {route: [{destination: {host: b}}]}]", to("b")},
		{"other clients are left out", "http: [{match: [{sourceLabels: {app: wget}}], route: [{destination: {host: a}}]}, {match: [{sourceNamespace: other}], route: [{destination: {host: a}}]}, {match: [{sourceLabels: {app: curl}, sourceNamespace: shop}], route: [{destination: {host: b}}]}]", to("b")},
		{"gateways are left out", "gateways: [mesh, gw], http: [{match: [{gateways: [gw]}], route: [{destination: {host: a}}]}, {match: [{gateways: [mesh], uri: {exact: /x}}], route: [{destination: {host: b}}]}]", "/x -> outbound|80||b.shop.svc.cluster.local"},
		{"not for sidecars", "gateways: [gw], http: [{route: [{destination: {host: a}}]}]", to("web")},
		{"none applies: as without", "http: [{match: [{port: 81}], route: [{destination: {host: a}}]}]", to("web")},
		{"a port of the destination", "http: [{route: [{destination: {host: a.example, port: {number: 8443}}}]}]", "/* -> outbound|8443||a.example"},
		{"redirect and answer", "http: [{match: [{uri: {exact: /r}}], redirect: {uri: /}}, {directResponse: {status: 418}}]", "/r redirect; /* answer 418"},
		{"exported elsewhere", "exportTo: [other], http: [{route: [{destination: {host: a}}]}]", to("web")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			manifests := ""
			if tt.spec != "" {
				manifests = virtualService("web", tt.spec)
			}
			if got := hostText(virtualHost(shopConfig(t, manifests), "80", webHost+":80")); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestVirtualServiceHosts: hosts that are no services are routed on port 80, or
// beside some that are; a wildcard is for the services that nothing fits better
// (EC-113).
func TestVirtualServiceHosts(t *testing.T) {
	t.Parallel()
	const route = "http: [{route: [{destination: {host: web}}]}]"
	c := shopConfig(t, virtualService("shop.example", route)+strings.Replace(virtualService("'*.svc.cluster.local'", "http: [{route: [{destination: {host: wild}}]}]"), "name: route", "name: wild", 1))
	if got := domainText(virtualHost(c, "80", "shop.example:80")); got != "shop.example" {
		t.Errorf("domains %q", got)
	}
	if got := hostText(virtualHost(c, "80", webHost+":80")); got != "/* -> outbound|80||wild.shop.svc.cluster.local" {
		t.Errorf("by wildcard: %s", got)
	}
	if virtualHost(c, webHost+":7000", "shop.example:7000") != nil {
		t.Error("a host that is no service, beside port 80")
	}
	c = shopConfig(t, virtualService("web, shop.example", route)+strings.Replace(virtualService("'*.shop.svc.cluster.local'", "http: [{route: [{destination: {host: wild}}]}]"), "name: route", "name: wild", 1)+service("odd", "10.96.0.9", "{name: http, port: 81}"))
	if got := hostText(virtualHost(c, "80", webHost+":80")); got != "/* -> outbound|80||"+webHost {
		t.Errorf("beside a wildcard: %s", got)
	}
	if got := hostText(virtualHost(c, "81", "odd.shop.svc.cluster.local:81")); got != "/* -> outbound|81||wild.shop.svc.cluster.local" {
		t.Errorf("of the wildcard: %s", got)
	}
}

// TestRouteDetails: all that a route may do beside leading somewhere (EC-112,
// EC-113). Fields are compared as JSON.
func TestRouteDetails(t *testing.T) {
	t.Parallel()
	const dest = "route: [{destination: {host: web}}]"
	tests := []struct{ name, http, want string }{
		{"usual retries", dest, `"retryPolicy":{"retryOn":"connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes","numRetries":2,"retryHostPredicate":[{"name":"envoy.retry_host_predicates.previous_hosts","typedConfig":{"@type":"type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}],"hostSelectionRetryMaxAttempts":"5"}`},
		{"own retries", dest + ", retries: {attempts: 3, perTryTimeout: 2s, retryOn: '5xx, 503', retryIgnorePreviousHosts: false, backoff: 1s}", `"retryPolicy":{"retryOn":"5xx,retriable-status-codes","numRetries":3,"perTryTimeout":"2s","hostSelectionRetryMaxAttempts":"5","retriableStatusCodes":[503],"retryBackOff":{"baseInterval":"1s"}}`},
		{"no time limit", dest, `"timeout":"0s"`},
		{"a time limit, of gRPC too", dest + ", timeout: 3s", `"maxGrpcTimeout":"3s"`},
		{"rewritten", dest + ", rewrite: {uri: /new, authority: b}", `"prefixRewrite":"/new","hostRewriteLiteral":"b"`},
		{"rewritten by expression", dest + ", rewrite: {uriRegexRewrite: {match: a, rewrite: b}}", `"regexRewrite":{"pattern":{"regex":"a"},"substitution":"b"}`},
		{"mirrored", dest + ", mirror: {host: copy}, mirrorPercentage: {value: 12.5}", `"requestMirrorPolicies":[{"cluster":"outbound|80||copy.shop.svc.cluster.local","runtimeFraction":{"defaultValue":{"numerator":125000,"denominator":"MILLION"}},"traceSampled":false}]`},
		{"mirrored to several", dest + ", mirrors: [{destination: {host: copy}}, {destination: {host: none}, percentage: {value: 0}}]", `"requestMirrorPolicies":[{"cluster":"outbound|80||copy.shop.svc.cluster.local","runtimeFraction":{"defaultValue":{"numerator":100}},"traceSampled":false}]`},
		{"request headers", dest + ", headers: {request: {set: {b: '2', a: '1', host: h}, add: {c: '3'}, remove: [d, ':path']}}", `"requestHeadersToAdd":[{"header":{"key":"a","value":"1"},"appendAction":"OVERWRITE_IF_EXISTS_OR_ADD"},{"header":{"key":"b","value":"2"},"appendAction":"OVERWRITE_IF_EXISTS_OR_ADD"},{"header":{"key":"c","value":"3"}}],"requestHeadersToRemove":["d"]`},
		{"the host by a header", dest + ", headers: {request: {set: {host: h}}}", `"hostRewriteLiteral":"h"`},
		{"response headers", dest + ", headers: {response: {remove: [server]}}", `"responseHeadersToRemove":["server"]`},
		{"a redirect's port that goes without saying", "redirect: {scheme: https, port: 443, authority: a, redirectCode: 308}", `"redirect":{"schemeRedirect":"https","hostRedirect":"a","pathRedirect":"","responseCode":"PERMANENT_REDIRECT"}`},
		{"a redirect's port of the request", "redirect: {scheme: https, derivePort: FROM_REQUEST_PORT}", `"redirect":{"schemeRedirect":"https","portRedirect":80,"pathRedirect":""}`},
		{"an answer with a body", "directResponse: {status: 503, body: {string: gone}}", `"directResponse":{"status":503,"body":{"inlineString":"gone"}}`},
		{"path in any case", "match: [{uri: {prefix: /A}, ignoreUriCase: true}], " + dest, `"match":{"prefix":"/A","caseSensitive":false}`},
		{"method, host, scheme, query", "match: [{method: {exact: GET}, authority: {prefix: a}, scheme: {regex: 'h.*'}, queryParams: {q: {exact: '1'}, p: {}}}], " + dest, `"headers":[{"name":":method","stringMatch":{"exact":"GET"}},{"name":":authority","stringMatch":{"prefix":"a"}},{"name":":scheme","stringMatch":{"safeRegex":{"regex":"h.*"}}}],"queryParameters":[{"name":"p","presentMatch":true},{"name":"q","stringMatch":{"exact":"1"}}]`},
		{"headers that are there, and are not", "match: [{headers: {a: {}, b: {regex: '*'}}, withoutHeaders: {c: {}, d: {exact: x}}}], " + dest, `"headers":[{"name":"a","presentMatch":true},{"name":"b","presentMatch":true},{"name":"c","presentMatch":true,"invertMatch":true},{"name":"d","stringMatch":{"exact":"x"},"invertMatch":true,"treatMissingHeaderAsEmpty":true}]`},
		{"claims", "match: [{headers: {'@request.auth.claims.a.b': {exact: x}}, withoutHeaders: {'@request.auth.claims[c][d]': {prefix: z}}}], " + dest, `"dynamicMetadata":[{"filter":"envoy.filters.http.jwt_authn","path":[{"key":"payload"},{"key":"a"},{"key":"b"}],"value":{"orMatch":{"valueMatchers":[{"listMatch":{"oneOf":{"stringMatch":{"exact":"x"}}}},{"stringMatch":{"exact":"x"}}]}}},{"filter":"envoy.filters.http.jwt_authn","path":[{"key":"payload"},{"key":"c"},{"key":"d"}],"value":{"orMatch":{"valueMatchers":[{"listMatch":{"oneOf":{"stringMatch":{"prefix":"z"}}}},{"stringMatch":{"prefix":"z"}}]}},"invert":true}]`},
		{"named by route and match", "name: r, match: [{name: m}], " + dest, `"name":"r.m"`},
		{"what made it", dest, `"metadata":{"filterMetadata":{"istio":{"config":"/apis/networking.istio.io/v1/namespaces/shop/virtual-service/route"}}}`},
		{"what traces call it", "match: [{uri: {exact: /x}}], " + dest, `"decorator":{"operation":"web.shop.svc.cluster.local:80/x"}`},
		{"and call several", "route: [{destination: {host: web}, weight: 1}, {destination: {host: b}, weight: 1}]", `"decorator":{"operation":"route:80/*"}`},
		{"headers of one of several", "route: [{destination: {host: web}, weight: 1, headers: {request: {set: {a: b, host: h}}}}, {destination: {host: b}, weight: 1}]", `"weightedClusters":{"clusters":[{"name":"outbound|80||web.shop.svc.cluster.local","weight":1,"requestHeadersToAdd":[{"header":{"key":"a","value":"b"},"appendAction":"OVERWRITE_IF_EXISTS_OR_ADD"}],"hostRewriteLiteral":"h"},{"name":"outbound|80||b.shop.svc.cluster.local","weight":1}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := virtualHost(shopConfig(t, virtualService("web", "http: [{"+tt.http+"}]")), "80", webHost+":80")
			if got := compactJSON(t, h.Routes[0]); !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestRouteFilters: faults and CORS (EC-113).
func TestRouteFilters(t *testing.T) {
	t.Parallel()
	c := shopConfig(t, virtualService("web", `http: [{fault: {delay: {fixedDelay: 5s, percentage: {value: 0.1}}, abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}},
  corsPolicy: {allowOrigins: [{prefix: 'https://a'}], allowMethods: [GET, PUT], allowHeaders: [x], exposeHeaders: [z], maxAge: 60s, allowCredentials: true, unmatchedPreflights: IGNORE}, route: [{destination: {host: web}}]}]`))
	filters := virtualHost(c, "80", webHost+":80").Routes[0].TypedPerFilterConfig
	fault := compactJSON(t, unpack[*faultv3.HTTPFault](t, filters["envoy.filters.http.fault"]))
	if want := `{"delay":{"fixedDelay":"5s","percentage":{"numerator":1000,"denominator":"MILLION"}},"abort":{"grpcStatus":14,"percentage":{"numerator":1000000,"denominator":"MILLION"}}}`; fault != want {
		t.Errorf("fault %s\nwant  %s", fault, want)
	}
	cors := compactJSON(t, unpack[*corsv3.CorsPolicy](t, filters["envoy.filters.http.cors"]))
	if want := `{"allowOriginStringMatch":[{"prefix":"https://a"}],"allowMethods":"GET,PUT","allowHeaders":"x","exposeHeaders":"z","maxAge":"60","allowCredentials":true,"filterEnabled":{"defaultValue":{"numerator":100}},"forwardNotMatchingPreflights":false}`; cors != want {
		t.Errorf("cors %s\nwant %s", cors, want)
	}
}

// TestHashPolicies: requests are balanced by what the rule of their destination
// says, the nearest first; they are then tried again at the same host (EC-91).
func TestHashPolicies(t *testing.T) {
	t.Parallel()
	by := func(name string) string {
		return "loadBalancer: {consistentHash: {httpHeaderName: " + name + "}}"
	}
	rule := destinationRule("trafficPolicy: {" + by("host") + ", portLevelSettings: [{port: {number: 80}, " + by("port") + "}]}, subsets: [{name: v1, trafficPolicy: {" + by("subset") + "}}, {name: v2}]")
	tests := []struct{ name, route, want string }{
		{"without a VirtualService", "", "port"},
		{"the host's", "{destination: {host: web}}", "host"},
		{"the port's", "{destination: {host: web, port: {number: 80}}}", "port"},
		{"the subset's", "{destination: {host: web, subset: v1, port: {number: 80}}}", "subset"},
		{"of a subset that says nothing", "{destination: {host: web, subset: v2}}", "host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			manifests := rule
			if tt.route != "" {
				manifests += virtualService("web", "http: [{route: ["+tt.route+"]}]")
			}
			action := virtualHost(shopConfig(t, manifests), "80", webHost+":80").Routes[0].GetRoute()
			if len(action.HashPolicy) != 1 || action.HashPolicy[0].GetHeader().GetHeaderName() != tt.want {
				t.Errorf("%v, want %s", action.HashPolicy, tt.want)
			}
			if again := len(action.RetryPolicy.RetryHostPredicate) == 0; again != (tt.route != "") {
				t.Errorf("retries %v", action.RetryPolicy)
			}
		})
	}
}

func compactJSON(t testing.TB, m proto.Message) string {
	t.Helper()
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer // protojson varies its blanks on purpose
	if err := json.Compact(&compact, text); err != nil {
		t.Fatal(err)
	}
	return compact.String()
}
