package envoy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// dice make random manifests.
type dice struct{ *rand.Rand }

func (d dice) of(options ...string) string { return options[d.IntN(len(options))] }

// some are up to n of the options, with commas.
func (d dice) some(n int, options ...string) string {
	var all []string
	for range d.IntN(n + 1) {
		all = append(all, d.of(options...))
	}
	return strings.Join(all, ", ")
}

func (d dice) namespace() string { return d.of("shop", "other", "istio-system") }

func (d dice) host() string {
	return d.of("web", "api", "web.shop.svc.cluster.local", "api.other.svc.cluster.local", "x.example", "'*.example'", "'*'", "'*.shop.svc.cluster.local'", "10.1.1.1")
}

func (d dice) ports(form string) string {
	ports := map[string]string{}
	for range 1 + d.IntN(3) {
		number := d.of("80", "81", "443", "3306", "9000", "15001")
		ports[number] = fmt.Sprintf(form, number, d.of("http", "tcp", "tls", "https", "grpc", "grpc-web", "mysql", "mongo", "udp", "odd"))
	}
	var all []string
	for _, number := range sortedKeys(ports) {
		all = append(all, ports[number])
	}
	return strings.Join(all, ", ")
}

func (d dice) exportTo() string {
	return d.of("", "exportTo: ['*'], ", "exportTo: [.], ", "exportTo: [shop], ", "exportTo: ['~'], ")
}

func (d dice) destination() string {
	return "{host: " + d.of("web", "api", "x.example", "api.other.svc.cluster.local") + d.of("", ", subset: v1", ", port: {number: 81}") + "}"
}

func (d dice) object(i int) string {
	head := func(group, kind string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: ", group, kind, d.of("web", "api", fmt.Sprint("o", i)), d.namespace())
	}
	const istio = "networking.istio.io/v1"
	selected := d.of("", "workloadSelector: {labels: {app: web}}, ")
	switch d.IntN(7) {
	case 0:
		return head("v1", "Service") + "{clusterIP: " + d.of("10.96.0.7", "None", "''") + ", selector: {app: " + d.of("web", "api", "none") + "}, ports: [" + d.ports("{port: %[1]s, name: %[2]s-%[1]s}") + "]}"
	case 1:
		return head("v1", "Service") + "{type: ExternalName, externalName: " + d.of("x.example", "web.shop.svc.cluster.local") + ", ports: [" + d.ports("{port: %[1]s, name: %[2]s-%[1]s}") + "]}"
	case 2:
		return head("apps/v1", "Deployment") + "{replicas: " + d.of("0", "1", "2") + ", template: {metadata: {labels: {app: " + d.of("web", "api") + ", version: " + d.of("v1", "v2") + "}}, spec: {containers: [{name: c, image: x}]}}}"
	case 3:
		return head(istio, "ServiceEntry") + "{hosts: [" + d.of("x.example", "z.example", "'*.example'", "web.shop.svc.cluster.local") + "], " + d.exportTo() + "location: " + d.of("MESH_EXTERNAL", "MESH_INTERNAL") + ", resolution: " + d.of("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN") +
			", addresses: [" + d.some(2, "1.1.1.1", "10.0.0.0/8", "10.96.0.7") + "], endpoints: [" + d.some(2, "{address: 9.9.9.9}", "{address: e.example, serviceAccount: a}") + "], ports: [" + d.ports("{number: %[1]s, name: p%[1]s, protocol: %[2]s}") + "]}"
	case 4:
		return head(istio, "DestinationRule") + "{host: " + d.host() + ", " + d.exportTo() + "trafficPolicy: {" + d.of("", "tls: {mode: "+d.of("DISABLE", "SIMPLE", "ISTIO_MUTUAL")+"}, ") + d.of("", "loadBalancer: {simple: "+d.of("RANDOM", "PASSTHROUGH")+"}") + "}, subsets: [{name: v1, labels: {version: v1}}]}"
	case 5:
		http := "{" + d.of("", "match: [{uri: {prefix: /a}, sourceLabels: {app: web}}, {headers: {h: {exact: v}}, port: 80}], ") + "route: [{destination: " + d.destination() + ", weight: 1}, {destination: " + d.destination() + ", weight: 2}]}"
		return head(istio, "VirtualService") + "{hosts: [" + d.host() + ", " + d.host() + "], " + d.exportTo() + "http: [" + d.some(3, http) + "], tls: [" + d.some(2, "{match: [{sniHosts: [x.example], port: 443}], route: [{destination: "+d.destination()+"}]}") +
			"], tcp: [" + d.some(2, "{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: "+d.destination()+"}]}", "{route: [{destination: "+d.destination()+"}]}") + "]}"
	}
	return head(istio, "Sidecar") + "{" + selected + "egress: [" + d.of("", "{port: {number: 80, protocol: "+d.of("HTTP", "TCP", "TLS", "HTTP_PROXY")+", name: p}"+d.of("", ", bind: 127.0.0.9", ", captureMode: NONE")+", hosts: ['*/*']}, ") + "{hosts: [" + d.of("'*/*'", "./*", "shop/*, other/web.other.svc.cluster.local") + "]}]" +
		d.of("", ", ingress: [{port: {number: 7, protocol: HTTP, name: i}, defaultEndpoint: '127.0.0.1:8'}]") + "}"
}

// TestRandomMeshes: whatever the objects say, what comes out are messages that
// Envoy takes, without names, matches or domains that are there twice.
func TestRandomMeshes(t *testing.T) {
	t.Parallel()
	meshes := 300
	if testing.Short() {
		meshes = 30
	}
	configs := 0
	for seed := range meshes {
		d := dice{rand.New(rand.NewPCG(uint64(seed), 7))}
		objects := []string{strings.TrimSuffix(shopYAML, "---\n")}
		for i := range 1 + d.IntN(14) {
			objects = append(objects, d.object(i))
		}
		s := buildMesh(t, strings.Join(objects, "\n---\n"), "defaultConfig: {interceptionMode: "+d.of("REDIRECT", "NONE")+"}\noutboundTrafficPolicy: {mode: "+d.of("ALLOW_ANY", "REGISTRY_ONLY")+"}")
		g := envoy.NewGenerator(s, policy.NewSimulator(s))
		for _, w := range s.Workloads {
			c, err := g.Config(w)
			if err != nil {
				t.Fatal(err)
			}
			checkLaws(t, c)
			configs++
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(objects, "\n---\n"))
		}
	}
	if configs < meshes {
		t.Errorf("only %d configurations", configs)
	}
}
