package diff_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/envoy/diff"
)

// TestOrigins: what changes for clusters, routes, endpoints and ports names the
// object that makes it so, and says it in words where it is about who gets in.
func TestOrigins(t *testing.T) {
	t.Parallel()
	const (
		rule  = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r, namespace: prod}\nspec: {host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}\n"
		route = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: prod}\nspec: {hosts: [reviews], http: [{timeout: 7s, route: [{destination: {host: reviews}}]}]}\n"
		entry = "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e, namespace: prod}\nspec: {hosts: [x.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}\n"
	)
	edit := func(old, now string) func(string) string {
		return func(text string) string { return strings.Replace(text, old, now, 1) }
	}
	for _, tt := range []struct {
		name, objects string
		change        func(string) string
		want          []string
	}{
		{"destination rule", rule, edit("maxConnections: 7", "maxConnections: 8"), []string{
			"routing: cluster outbound|9080||reviews.prod.svc.cluster.local has changed: circuitBreakers.thresholds, because DestinationRule prod/r, deploy.yaml:11",
			"routing: cluster inbound|9080|| has changed: circuitBreakers.thresholds, because DestinationRule prod/r, deploy.yaml:11",
		}},
		{"virtual service", route + rule, edit("timeout: 7s", "timeout: 8s"), []string{
			`routing: route {"prefix":"/"} has changed: route.maxGrpcTimeout, route.timeout (routes 9080 / virtual host reviews.prod.svc.cluster.local:9080), because VirtualService prod/v, deploy.yaml:11`,
		}},
		{"service entry", entry, edit("hosts: [x.example]", "hosts: [y.example]"), []string{
			"routing: cluster outbound|80||x.example is gone, because ServiceEntry prod/e that is gone, deploy.yaml:11",
			"routing: cluster outbound|80||y.example is new, because ServiceEntry prod/e, deploy.yaml:11",
		}},
		{"service account", "", edit("serviceAccountName: reviews", "serviceAccountName: other"), []string{
			"looser: prod/reviews takes spiffe://cluster.local/ns/prod/sa/other at reviews.prod.svc.cluster.local:9080 (was spiffe://cluster.local/ns/prod/sa/reviews), because Deployment prod/reviews, deploy.yaml:6",
		}},
		{"name of a port", "", edit("name: http", "name: tcp"), []string{
			"looser: inbound :9080 of prod/reviews is now taken as TCP (was HTTP), because Service prod/reviews, deploy.yaml:1",
		}},
		{"gRPC", "", edit("name: http", "name: grpc"), nil},
		{"target port", "", edit("port: 9080", "port: 9080, targetPort: 7"), []string{
			"looser: inbound :7 of prod/reviews is now a declared port, and taken as HTTP (was HTTP or TCP), because Service prod/reviews, deploy.yaml:1",
			"looser: inbound :9080 of prod/reviews is no longer a declared port, and taken as HTTP or TCP (was HTTP), because Service prod/reviews, deploy.yaml:1",
		}},
		{"selector", "", edit("selector: {app: reviews}", "selector: {app: none}"), []string{
			"looser: inbound :9080 of prod/reviews is no longer a declared port, and taken as HTTP or TCP (was HTTP), because Service prod/reviews, deploy.yaml:1",
			"looser: prod/reviews takes any server of the mesh at reviews.prod.svc.cluster.local:9080 (was spiffe://cluster.local/ns/prod/sa/reviews), because Service prod/reviews, deploy.yaml:1",
		}},
	} {
		text := base + tt.objects
		r := diff.Compare(sideOf(t, text, ""), sideOf(t, tt.change(text), ""))
		all := told(r)
		for _, want := range tt.want {
			if !slices.Contains(all, want) {
				t.Errorf("%s: %s\nis not in\n%s", tt.name, want, strings.Join(all, "\n"))
			}
		}
		var looser, wanted []string
		for _, line := range all {
			if strings.HasPrefix(line, "looser: ") {
				looser = append(looser, line)
			}
			if !strings.Contains(line, ", because ") {
				t.Errorf("%s: no cause: %s", tt.name, line)
			}
		}
		for _, line := range tt.want {
			if strings.HasPrefix(line, "looser: ") {
				wanted = append(wanted, line)
			}
		}
		if d := cmp.Diff(wanted, looser); d != "" {
			t.Errorf("%s: looser (-want +got):\n%s", tt.name, d)
		}
	}
}
