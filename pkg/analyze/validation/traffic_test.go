package validation_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	extensions "istio.io/api/extensions/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	beta "istio.io/api/networking/v1beta1"
	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/meshctl/meshctl/pkg/analyze/validation"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// verdictOf is verdict for kinds that a snapshot need not hold.
func verdictOf(t *testing.T, apiVersion, kind, spec string, into proto.Message) string {
	t.Helper()
	text := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: a, namespace: shop}\nspec: %s\n", apiVersion, kind, spec)
	s, err := manifest.Read("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	objects := mesh.Survey([]*manifest.Stream{s}, mesh.Options{}).Objects
	if len(objects) != 1 {
		t.Fatalf("%s: %d objects", text, len(objects))
	}
	if _, err := mesh.DecodeSpec(objects[0], into); err != nil {
		t.Fatalf("%s %s: %v", kind, spec, err)
	}
	result := "ok"
	for _, p := range validation.Check(objects[0], into) {
		if p.Text == "" || len(p.Path) == 0 || p.Path[0] != "spec" {
			t.Errorf("%s %s: %+v says nothing, or points nowhere", kind, spec, p)
		}
		if !p.Warning {
			return "refused"
		}
		result = "warned"
	}
	return result
}

type traffic struct{ spec, want string }

func checkKind(t *testing.T, apiVersion, kind string, empty func() proto.Message, rows []traffic) {
	t.Helper()
	for _, r := range rows {
		if got := verdictOf(t, apiVersion, kind, r.spec, empty()); got != r.want {
			t.Errorf("%s %s: %s, want %s", kind, r.spec, got, r.want)
		}
	}
}

func TestVirtualService(t *testing.T) {
	t.Parallel()
	to := "route: [{destination: {host: a}}]"
	http := func(what string) string { return "{hosts: [a], http: [{" + what + "}]}" }
	checkKind(t, "networking.istio.io/v1", "VirtualService", func() proto.Message { return &networking.VirtualService{} }, []traffic{
		{"{hosts: [a], http: [{" + to + "}]}", "ok"},
		{"{hosts: [a]}", "refused"},
		{"{http: [{" + to + "}]}", "ok"}, // a delegate
		{"{gateways: [g], http: [{" + to + "}]}", "refused"},
		{"{hosts: ['*'], http: [{" + to + "}]}", "refused"},
		{"{hosts: ['*'], gateways: [istio-system/g], http: [{" + to + "}]}", "ok"},
		{"{hosts: ['*'], gateways: [istio-system/g, mesh], http: [{" + to + "}]}", "refused"},
		{"{hosts: [a], gateways: [a/b/c], http: [{" + to + "}]}", "refused"},
		{"{hosts: [10.0.0.1], http: [{" + to + "}]}", "ok"},
		{"{hosts: [a, a], http: [{" + to + "}]}", "refused"},
		{"{hosts: ['*.b', x.b], http: [{" + to + "}]}", "refused"},
		{"{hosts: [a.b, x.b], http: [{" + to + "}]}", "ok"},
		{"{hosts: [a], exportTo: ['~'], http: [{" + to + "}]}", "refused"},
		{http("route: []"), "refused"},
		{http(to + ", redirect: {uri: /a}"), "refused"},
		{http("redirect: {uri: /a, redirectCode: 200}"), "refused"},
		{http("redirect: {uri: /a, redirectCode: 308}"), "ok"},
		{http("redirect: {uri: /a}, fault: {abort: {httpStatus: 400}}"), "refused"},
		{http("directResponse: {status: 99}"), "refused"},
		{http("directResponse: {status: 503}"), "ok"},
		{http(to + ", match: [{uri: {regex: '('}}]"), "refused"},
		{http(to + ", match: [{uri: {regex: 'a.*'}, port: 80}]"), "ok"},
		{http(to + ", match: [{port: 70000}]"), "refused"},
		{http(to + ", timeout: 0s"), "ok"},
		{http(to + ", timeout: 0.0001s"), "refused"},
		{http(to + ", retries: {attempts: 2, retryOn: '5xx,reset, 503'}"), "ok"},
		{http(to + ", retries: {attempts: 2, retryOn: 6xx}"), "refused"},
		{http(to + ", retries: {attempts: 0, perTryTimeout: 1s}"), "refused"},
		{http(to + ", retries: {attempts: 0}"), "ok"},
		{http(to + ", retries: {attempts: -1}"), "refused"},
		{http(to + ", rewrite: {}"), "refused"},
		{http(to + ", rewrite: {uri: /b}"), "ok"},
		{http(to + ", fault: {}"), "refused"},
		{http(to + ", fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}"), "refused"},
		{http(to + ", fault: {abort: {httpStatus: 700}}"), "refused"},
		{http(to + ", mirror: {host: b}, mirrors: [{destination: {host: c}}]"), "refused"},
		{http("route: [{destination: {host: '*.a'}}]"), "refused"},
		{http("route: [{destination: {host: a, port: {number: 0}}}]"), "refused"},
		{http("route: [{destination: {host: a, subset: v_1}}]"), "refused"},
		{http("route: [{destination: {host: a}}, {destination: {host: b}}]"), "refused"},
		{http("route: [{destination: {host: a}, weight: 1}, {destination: {host: b}}]"), "ok"},
		{http("route: [{destination: {host: a}, weight: -1}]"), "refused"},
		{"{hosts: [a.b], tls: [{match: [{sniHosts: [a.b]}], " + to + "}]}", "ok"},
		{"{hosts: ['*.b'], tls: [{match: [{sniHosts: [x.b]}], " + to + "}]}", "ok"},
		{"{hosts: [a.b], tls: [{match: [{sniHosts: [c.b]}], " + to + "}]}", "refused"},
		{"{hosts: [a.b], tls: [{" + to + "}]}", "refused"},
		{"{hosts: [a], tcp: [{" + to + "}]}", "ok"},
		{"{hosts: [a], tcp: [{match: [{port: 80}]}]}", "refused"},
		{"{hosts: [a], tcp: [{match: [{destinationSubnets: [10.0.0.0/40]}], " + to + "}]}", "refused"},
	})
}

func TestGateway(t *testing.T) {
	t.Parallel()
	server := func(port, rest string) string { return "{servers: [{port: {" + port + "}, hosts: ['*']" + rest + "}]}" }
	http, https := "number: 80, name: http, protocol: HTTP", "number: 443, name: https, protocol: HTTPS"
	checkKind(t, "networking.istio.io/v1", "Gateway", func() proto.Message { return &networking.Gateway{} }, []traffic{
		{"{}", "refused"},
		{server(http, ""), "ok"},
		{server("number: 80, protocol: HTTP", ""), "refused"},
		{server("number: 80, name: a, protocol: HTPP", ""), "refused"},
		{server("number: 0, name: a, protocol: HTTP", ""), "refused"},
		{"{servers: [{port: {" + http + "}}]}", "refused"},
		{"{servers: [{port: {" + http + "}, hosts: [shop/a.b, ./c.d, '*/e.f']}]}", "ok"},
		{"{servers: [{port: {" + http + "}, hosts: [a_b/c.d]}]}", "refused"},
		{"{servers: [{port: {" + http + "}, hosts: [a.b]}, {port: {number: 81, name: http, protocol: HTTP}, hosts: [a.b]}]}", "refused"},
		{server(https, ""), "refused"},
		{server(https, ", tls: {mode: SIMPLE}"), "refused"},
		{server(https, ", tls: {mode: SIMPLE, credentialName: a}"), "ok"},
		{server(https, ", tls: {mode: SIMPLE, serverCertificate: a, privateKey: b}"), "ok"},
		{server(https, ", tls: {mode: MUTUAL, serverCertificate: a, privateKey: b}"), "refused"},
		{server(https, ", tls: {mode: ISTIO_MUTUAL}"), "ok"},
		{server(https, ", tls: {mode: ISTIO_MUTUAL, credentialName: a}"), "refused"},
		{server(https, ", tls: {mode: SIMPLE, credentialName: a, credentialNames: [a, b]}"), "refused"},
		{server(https, ", tls: {mode: PASSTHROUGH}"), "ok"},
		{server(https, ", tls: {mode: SIMPLE, credentialName: a, httpsRedirect: true}"), "warned"},
		{server(https, ", tls: {mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_0}"), "warned"},
		{server(http, ", tls: {httpsRedirect: true}"), "ok"},
		{server(http, ", tls: {mode: SIMPLE, credentialName: a}"), "refused"},
		{server("number: 1, name: a, protocol: TCP", ", tls: {mode: SIMPLE, credentialName: a}"), "refused"},
		{server(http, ", bind: nowhere"), "refused"},
		{server("number: 0, name: a, protocol: HTTP", ", bind: 'unix:///a'"), "ok"},
	})
}

func TestServiceEntry(t *testing.T) {
	t.Parallel()
	entry := func(rest string) string {
		return "{hosts: [a.b], ports: [{number: 80, name: http, protocol: HTTP}], " + rest + "}"
	}
	checkKind(t, "networking.istio.io/v1", "ServiceEntry", func() proto.Message { return &networking.ServiceEntry{} }, []traffic{
		{entry("resolution: DNS"), "ok"},
		{"{ports: [{number: 80, name: a, protocol: TCP}], resolution: DNS}", "refused"},
		{"{hosts: ['*'], resolution: NONE}", "refused"},
		{"{hosts: ['*.b'], resolution: NONE}", "ok"},
		{"{hosts: ['*.b'], resolution: DNS}", "refused"},
		{entry("resolution: NONE, endpoints: [{address: 10.0.0.1}]"), "refused"},
		{entry("resolution: STATIC, endpoints: [{address: 10.0.0.1}]"), "ok"},
		{entry("resolution: STATIC, endpoints: [{address: x.y}]"), "refused"},
		{entry("resolution: DNS, endpoints: [{address: x.y, ports: {http: 8080}}]"), "ok"},
		{entry("resolution: DNS, endpoints: [{address: x.y, ports: {other: 8080}}]"), "refused"},
		{entry("resolution: DNS_ROUND_ROBIN, endpoints: [{address: x.y}, {address: z.y}]"), "refused"},
		{entry("resolution: DNS, addresses: [10.0.0.0/8]"), "refused"},
		{entry("resolution: NONE, addresses: [10.0.0.0/8]"), "ok"},
		{entry("resolution: STATIC, workloadSelector: {labels: {a: b}}"), "ok"},
		{entry("resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: [{address: 10.0.0.1}]"), "refused"},
		{entry("resolution: DNS, exportTo: ['~']"), "ok"},
		{entry("resolution: DNS, exportTo: ['~', a]"), "refused"},
		{"{hosts: [a.b], ports: [{number: 80, name: a}, {number: 80, name: b}], resolution: DNS}", "refused"},
		{"{hosts: [a.b], ports: [{number: 80, name: a}, {number: 81, name: a}], resolution: DNS}", "refused"},
		{"{hosts: [a.b], ports: [{number: 80}], resolution: DNS}", "refused"},
	})
}

func TestSidecarsAndMachines(t *testing.T) {
	t.Parallel()
	checkKind(t, "networking.istio.io/v1", "Sidecar", func() proto.Message { return &networking.Sidecar{} }, []traffic{
		{"{}", "refused"},
		{"{egress: [{hosts: ['./*', istio-system/*]}]}", "ok"},
		{"{egress: [{hosts: [a.b]}]}", "refused"},
		{"{egress: [{}]}", "refused"},
		{"{egress: [{hosts: ['~/*']}]}", "ok"},
		{"{egress: [{hosts: ['./*']}, {hosts: ['*/*']}]}", "refused"},
		{"{egress: [{hosts: [./a.b, ./a.b]}]}", "warned"},
		{"{workloadSelector: {labels: {a: '*'}}, egress: [{hosts: ['./*']}]}", "refused"},
		{"{ingress: [{port: {number: 80, name: a, protocol: HTTP}, defaultEndpoint: '127.0.0.1:8080'}]}", "ok"},
		{"{ingress: [{port: {number: 80, name: a, protocol: HTTP}, defaultEndpoint: '10.0.0.1:8080'}]}", "refused"},
		{"{ingress: [{port: {number: 80, name: a, protocol: HTTP}, defaultEndpoint: '127.0.0.1'}]}", "refused"},
		{"{ingress: [{defaultEndpoint: '127.0.0.1:1'}]}", "refused"},
		{"{ingress: [{port: {number: 80, protocol: TCP}}, {port: {number: 80, protocol: TCP}}]}", "refused"},
	})
	checkKind(t, "networking.istio.io/v1", "WorkloadEntry", func() proto.Message { return &networking.WorkloadEntry{} }, []traffic{
		{"{address: 10.0.0.1}", "ok"},
		{"{address: a.b}", "ok"},
		{"{}", "refused"},
		{"{network: other}", "ok"},
		{"{address: 'unix:///a'}", "ok"},
		{"{address: 'unix://a'}", "refused"},
		{"{address: 'unix:///a', ports: {http: 80}}", "refused"},
		{"{address: 10.0.0.1, ports: {http: 0}}", "refused"},
		{"{address: 'a_b'}", "refused"},
	})
	checkKind(t, "networking.istio.io/v1", "WorkloadGroup", func() proto.Message { return &networking.WorkloadGroup{} }, []traffic{
		{"{template: {}}", "ok"},
		{"{}", "refused"},
		{"{template: {}, probe: {}}", "refused"},
		{"{template: {}, probe: {tcpSocket: {port: 80}}}", "ok"},
		{"{template: {}, probe: {tcpSocket: {port: 0}}}", "refused"},
		{"{template: {}, probe: {exec: {}}}", "refused"},
		{"{template: {}, probe: {periodSeconds: -1, tcpSocket: {port: 80}}}", "refused"},
	})
}

func TestExtensions(t *testing.T) {
	t.Parallel()
	patch := func(what string) string { return "{configPatches: [{" + what + "}]}" }
	checkKind(t, "networking.istio.io/v1alpha3", "EnvoyFilter", func() proto.Message { return &networking.EnvoyFilter{} }, []traffic{
		{"{}", "ok"},
		{patch("applyTo: HTTP_FILTER, patch: {operation: REMOVE}"), "ok"},
		{patch("patch: {operation: REMOVE}"), "refused"},
		{patch("applyTo: CLUSTER"), "refused"},
		{patch("applyTo: CLUSTER, patch: {operation: MERGE}"), "refused"},
		{patch("applyTo: CLUSTER, patch: {value: {}}"), "refused"},
		{patch("applyTo: CLUSTER, patch: {operation: REMOVE}, match: {listener: {}}"), "refused"},
		{patch("applyTo: CLUSTER, patch: {operation: REMOVE}, match: {cluster: {}, proxy: {proxyVersion: '('}}"), "refused"},
		{"{workloadSelector: {labels: {}}}", "warned"},
		{"{workloadSelector: {labels: {a: b}}, targetRefs: [{kind: Service, name: a}]}", "refused"},
	})
	checkKind(t, "telemetry.istio.io/v1", "Telemetry", func() proto.Message { return &telemetry.Telemetry{} }, []traffic{
		{"{tracing: [{providers: [{name: a}], randomSamplingPercentage: 50}]}", "ok"},
		{"{tracing: [{providers: [{name: a}, {name: b}]}]}", "refused"},
		{"{tracing: [{randomSamplingPercentage: 101}]}", "refused"},
		{"{tracing: [{customTags: {a: {}}}]}", "refused"},
		{"{tracing: [{customTags: {a: {literal: {value: ''}}}}]}", "refused"},
		{"{tracing: [{customTags: {a: {literal: {value: b}}}}]}", "ok"},
		{"{metrics: [{overrides: [{tagOverrides: {a: {value: b}}}]}]}", "ok"},
		{"{metrics: [{overrides: [{tagOverrides: {a: {}}}]}]}", "refused"},
		{"{metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE, value: b}}}]}]}", "refused"},
		{"{metrics: [{reportingInterval: 0.0001s}]}", "refused"},
		{"{selector: {}}", "warned"},
	})
	checkKind(t, "extensions.istio.io/v1alpha1", "WasmPlugin", func() proto.Message { return &extensions.WasmPlugin{} }, []traffic{
		{"{url: 'oci://a/b'}", "ok"},
		{"{url: a/b:1}", "ok"},
		{"{url: 'ftp://a'}", "refused"},
		{"{}", "refused"},
		{"{url: 'oci://a', sha256: abc}", "refused"},
		{"{url: 'oci://a', vmConfig: {env: [{name: a, value: b}, {name: a, value: c}]}}", "refused"},
		{"{url: 'oci://a', vmConfig: {env: [{name: a, valueFrom: HOST, value: c}]}}", "refused"},
	})
	checkKind(t, "networking.istio.io/v1beta1", "ProxyConfig", func() proto.Message { return &beta.ProxyConfig{} }, []traffic{
		{"{concurrency: 0}", "ok"}, {"{concurrency: -1}", "refused"}, {"{selector: {matchLabels: {a: '*'}}}", "refused"},
	})
}
