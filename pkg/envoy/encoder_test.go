package envoy_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// TestEncoder: what is written is what the configurations are, one as its
// document and several as a List; the same ones always give the same bytes
// (EC-173), and files have the parts.
func TestEncoder(t *testing.T) {
	t.Parallel()
	s := buildMesh(t, shopYAML, "")
	configs := func() []*envoy.Config {
		g := envoy.NewGenerator(s, policy.NewSimulator(s))
		var all []*envoy.Config
		for _, w := range s.Workloads {
			c, err := g.Config(w)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		return all
	}
	all := configs()
	for _, list := range [][]*envoy.Config{all[:1], all, {}} {
		var first, again, marshalled bytes.Buffer
		if err := envoy.NewEncoder().Write(&first, list); err != nil {
			t.Fatal(err)
		}
		if err := envoy.NewEncoder().Write(&again, configs()[:len(list)]); err != nil || !bytes.Equal(first.Bytes(), again.Bytes()) {
			t.Errorf("%d configurations come out differently, %v", len(list), err)
		}
		var want any = struct {
			Kind  string          `json:"kind"`
			Items []*envoy.Config `json:"items"`
		}{"List", list}
		if len(list) == 1 {
			want = list[0]
		}
		e := json.NewEncoder(&marshalled)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(marshalled.String(), first.String()); diff != "" {
			t.Errorf("%d configurations: %s", len(list), diff)
		}
	}
	files, err := envoy.NewEncoder().Files(all[0])
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]json.RawMessage
	text, err := json.Marshal(all[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"listeners", "clusters", "routes", "endpoints"} {
		var compact bytes.Buffer
		if err := json.Compact(&compact, files[part+".json"]); err != nil || compact.String() != string(document[part]) {
			t.Errorf("%s: %s, %v", part, files[part+".json"], err)
		}
	}
	if len(files) != 4 {
		t.Errorf("%d files", len(files))
	}
}

// TestSharing: sidecars of one namespace that no rule tells apart share what
// they are told of others (EC-162).
func TestSharing(t *testing.T) {
	t.Parallel()
	s := buildMesh(t, shopYAML, "")
	g := envoy.NewGenerator(s, policy.NewSimulator(s))
	one, err := g.Config(s.Workload("shop", "curl"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := g.Config(s.Workload("shop", "web-v1"))
	if err != nil {
		t.Fatal(err)
	}
	far, err := g.Config(s.Workload("other", "far"))
	if err != nil {
		t.Fatal(err)
	}
	const web = "outbound|80||web.shop.svc.cluster.local"
	if clusterOf(one, web) != clusterOf(other, web) || clusterOf(one, web) != clusterOf(far, web) || endpointsOf(one, web) != endpointsOf(far, web) {
		t.Error("a cluster that is the same for all is made more than once")
	}
	if routesOf(one, "80") != routesOf(other, "80") || listenerOf(one, "0.0.0.0_80") != listenerOf(other, "0.0.0.0_80") {
		t.Error("routes and listeners of one namespace are made more than once")
	}
	if routesOf(one, "80") == routesOf(far, "80") {
		t.Error("routes of another namespace are the same")
	}
}

// TestLabelsTellApart: clients that a rule tells apart by their labels are told
// different things.
func TestLabelsTellApart(t *testing.T) {
	t.Parallel()
	s := buildMesh(t, shopYAML+destinationRule("workloadSelector: {matchLabels: {version: v1}}, trafficPolicy: {tls: {mode: DISABLE}}")+virtualService("web", "http: [{match: [{sourceLabels: {app: curl}}], route: [{destination: {host: special}}]}, {route: [{destination: {host: web}}]}]"), "")
	const web = "outbound|80||web.shop.svc.cluster.local"
	for workload, want := range map[string][2]string{
		"shop/curl":   {"per endpoint", "/* -> outbound|80||special.shop.svc.cluster.local"},
		"shop/web-v1": {"never", "/* -> " + web}, "shop/web-v2": {"per endpoint", "/* -> " + web},
	} {
		c := configOf(t, s, workload)
		tls := "never"
		if len(clusterOf(c, web).TransportSocketMatches) > 0 {
			tls = "per endpoint"
		}
		if got := [2]string{tls, hostText(virtualHost(c, "80", webHost+":80"))}; got != want {
			t.Errorf("%s: %v, want %v", workload, got, want)
		}
	}
}

// TestGateways are no sidecars.
func TestGateways(t *testing.T) {
	t.Parallel()
	s := buildMesh(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gw, namespace: shop}\nspec: {template: {metadata: {annotations: {inject.istio.io/templates: gateway}}, spec: {containers: [{name: istio-proxy, image: auto}]}}}\n", "")
	_, err := envoy.NewGenerator(s, policy.NewSimulator(s)).Config(s.Workload("shop", "gw"))
	if err == nil || err.Error() != "Deployment shop/gw is a gateway: only sidecars have a configuration here" {
		t.Errorf("%v", err)
	}
}

// TestTooManyPods: a mesh that has more pods than there are addresses is
// refused, not configured wrongly.
func TestTooManyPods(t *testing.T) {
	t.Parallel()
	s := buildMesh(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: many, namespace: shop}\nspec: {replicas: 2000000000, template: {spec: {containers: [{name: c, image: x}]}}}\n", "")
	_, err := envoy.NewGenerator(s, policy.NewSimulator(s)).Config(s.Workload("shop", "many"))
	if err == nil || err.Error() != "pods of Deployment shop/many: more than there are addresses in 10.244.0.0/16" {
		t.Errorf("%v", err)
	}
}
