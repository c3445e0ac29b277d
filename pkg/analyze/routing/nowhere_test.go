package routing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/routing"
	"github.com/meshctl/meshctl/pkg/manifest"
)

func TestNowhere(t *testing.T) {
	t.Parallel()
	sidecar := func(host string) string {
		return "Namespace billing\n---\nSidecar a shop\nspec: {egress: [{hosts: ['" + host + "']}]}\n---\n"
	}
	entry := func(more string) string {
		return "ServiceEntry e shop\nspec: {hosts: [x.example.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: " + more + "}\n---\n"
	}
	none := []string{"MSH0337 warning ServiceEntry shop/e"}
	run(t, []example{
		{"a namespace of the files", "", sidecar("billing/*"), nil},
		{"nearly one", "", sidecar("biling/*"), []string{"MSH0336 info Sidecar shop/a"}},
		{"one of others", "", sidecar("payments/*"), nil},
		{"its own", "", sidecar("./*"), nil},
		{"any", "", sidecar("*/*"), nil},
		{"no endpoints", "", entry("STATIC"), none},
		{"endpoints", "", entry("STATIC, endpoints: [{address: 10.0.0.1}]"), nil},
		{"workloads", "", entry("STATIC, workloadSelector: {labels: {a: b}}"), nil},
		{"endpoints by DNS", "", entry("DNS"), nil},
	})
	for host, want := range map[string][]string{"payments/*": {"MSH0336 warning Sidecar shop/a"}, "billing/*": nil} {
		check(t, find(t, analyze.Input{Complete: true}, manifests(sidecar(host))), want)
	}
}

// TestMeantHosts: the full name of a Service that is nearly one, or of nearly its
// namespace, is told with what was meant; a policy in the wrong namespace with the
// right one.
func TestMeantHosts(t *testing.T) {
	t.Parallel()
	route := func(host string) string {
		return "VirtualService v web\nspec: {hosts: [x], http: [{route: [{destination: {host: " + host + "}}]}]}"
	}
	for text, want := range map[string]string{
		route("oders.shop.svc.cluster.local"):                                              "did you mean orders.shop.svc.cluster.local?",
		route("orders.shp.svc.cluster.local"):                                              "did you mean orders.shop.svc.cluster.local?",
		"AuthorizationPolicy a web\nspec: {selector: {matchLabels: {app: orders}}}\n---\n": "namespace shop has such workloads",
	} {
		s, err := manifest.Read("mesh.yaml", []byte(manifests(orders+text)))
		if err != nil {
			t.Fatal(err)
		}
		findings, err := analyze.Analyze(context.Background(), routing.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(findings) != 1 || !strings.Contains(findings[0].Message, want) {
			t.Errorf("found %+v, expected one with %q", findings, want)
		}
	}
}
