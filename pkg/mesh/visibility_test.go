package mesh_test

import (
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestHosts: which host names cover or meet each other, and how short ones are
// completed (EC-17).
func TestHosts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cover, host   string
		covers, meets bool
	}{
		{"a.b", "a.b", true, true},
		{"a.b", "c.b", false, false},
		{"*", "a.b", true, true},
		{"*.b", "a.b", true, true},
		{"*.b", "b", false, false},
		{"*.b", "*.a.b", true, true},
		{"*.a.b", "*.b", false, true},
		{"a.b", "*.b", false, true},
		{"*.b", "*.c", false, false},
	}
	for _, tt := range tests {
		if mesh.HostCovers(tt.cover, tt.host) != tt.covers || mesh.HostsMeet(tt.cover, tt.host) != tt.meets || mesh.HostsMeet(tt.host, tt.cover) != tt.meets {
			t.Errorf("%s and %s", tt.cover, tt.host)
		}
	}
	s, err := build(t, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"web": "web.shop.svc.cluster.local", "web.other": "web.other", "*": "*", "::1": "::1", "": ""} {
		if got := s.FullHost(name, "shop"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestSidecarRoutes: which VirtualServices a namespace follows, in which order,
// with host names complete.
func TestSidecarRoutes(t *testing.T) {
	t.Parallel()
	virtual := func(name, namespace, spec string) string {
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {" + spec + "}\n---\n"
	}
	s, err := build(t, virtual("public", "other", "hosts: [web], http: [{route: [{destination: {host: web}}], mirror: {host: m}, mirrors: [{destination: {host: o}}]}], tcp: [{route: [{destination: {host: t}}]}], tls: [{match: [{sniHosts: [a]}], route: [{destination: {host: u}}]}]")+
		virtual("own", "shop", "hosts: [a], exportTo: [., third]")+virtual("given", "other", "hosts: [b], exportTo: [shop]")+
		virtual("hidden", "shop", "hosts: [c], exportTo: ['~']")+virtual("gateway", "shop", "hosts: [d], gateways: [gw]")+
		virtual("both", "shop", "hosts: [e], gateways: [gw, mesh]")+virtual("elsewhere", "other", "hosts: [f], exportTo: [.]"))
	if err != nil {
		t.Fatal(err)
	}
	routes := mesh.NewSidecarRoutes(s)
	for namespace, want := range map[string]string{
		"shop": "own given both public", "other": "elsewhere both public", "third": "own both public", "fourth": "both public",
	} {
		var got []string
		for _, r := range routes.For(namespace) {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", namespace, got, want)
		}
	}
	spec := routes.For("fourth")[1].Spec
	h := spec.Http[0]
	for got, want := range map[string]string{
		spec.Hosts[0]: "web", h.Route[0].Destination.Host: "web", h.Mirror.Host: "m", h.Mirrors[0].Destination.Host: "o",
		spec.Tcp[0].Route[0].Destination.Host: "t", spec.Tls[0].Route[0].Destination.Host: "u",
	} {
		if got != want+".other.svc.cluster.local" {
			t.Errorf("%s is not complete", got)
		}
	}
	if own := s.VirtualServices("other")[0].Spec; own.Hosts[0] != "b" && own.Hosts[0] != "f" && own.Hosts[0] != "web" {
		t.Errorf("the snapshot was changed: %v", own)
	}
	private, err := build(t, virtual("v", "other", "hosts: [web]"))
	if err != nil {
		t.Fatal(err)
	}
	private.Config.DefaultVirtualServiceExportTo = []string{"."}
	if got := mesh.NewSidecarRoutes(private); len(got.For("shop")) != 0 || len(got.For("other")) != 1 {
		t.Error("the mesh's default does not hold")
	}
}

// TestDelegates: routes of a delegate stand where they are called for, under
// the conditions of both.
func TestDelegates(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, root, delegate, want string }{
		{"without conditions", "{timeout: 1s, delegate: {name: d}}", "{route: [{destination: {host: x}}]}", "[] 1s;"},
		{"its own settings hold", "{name: r, timeout: 1s, delegate: {name: d}}", "{name: m, timeout: 2s, route: [{destination: {host: x}}]}", "r-m [] 2s;"},
		{"the root's condition", "{match: [{uri: {prefix: /a}}], delegate: {name: d}}", "{route: [{destination: {host: x}}]}", "[prefix:/a] ;"},
		{"both conditions", "{match: [{uri: {prefix: /a}, name: p}], delegate: {name: d}}", "{match: [{uri: {prefix: /a/b}, headers: {h: {exact: v}}, name: q}], route: [{destination: {host: x}}]}", "[p-q prefix:/a/b h] ;"},
		{"outside of the root's", "{match: [{uri: {prefix: /a}}], delegate: {name: d}}", "{match: [{uri: {prefix: /b}}], route: [{destination: {host: x}}]}", ""},
		{"exact within a prefix", "{match: [{uri: {prefix: /a}}], delegate: {name: d}}", "{match: [{uri: {exact: /ab}}], route: [{destination: {host: x}}]}", "[exact:/ab] ;"},
		{"a prefix within exact", "{match: [{uri: {exact: /a}}], delegate: {name: d}}", "{match: [{uri: {prefix: /a}}], route: [{destination: {host: x}}]}", ""},
		{"expressions do not mix", "{match: [{uri: {regex: a}}], delegate: {name: d}}", "{match: [{uri: {exact: a}}], route: [{destination: {host: x}}]}", ""},
		{"another port", "{match: [{port: 80}], delegate: {name: d}}", "{match: [{port: 81}], route: [{destination: {host: x}}]}", ""},
		{"another label", "{match: [{sourceLabels: {a: b}}], delegate: {name: d}}", "{match: [{sourceLabels: {a: c}}], route: [{destination: {host: x}}]}", ""},
		{"one of two conditions fits", "{match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}], delegate: {name: d}}", "{match: [{uri: {prefix: /b/c}}], route: [{destination: {host: x}}]}", "[prefix:/b/c] ;"},
		{"nobody there", "{delegate: {name: other}}, {timeout: 3s, route: [{destination: {host: z}}]}", "{route: [{destination: {host: x}}]}", "[] 3s;"},
		{"not exported", "{delegate: {name: d, namespace: far}}", "{route: [{destination: {host: x}}]}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := build(t, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: root, namespace: shop}\nspec: {hosts: [web], http: ["+tt.root+"]}\n---\n"+
				"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: d, namespace: shop}\nspec: {http: ["+tt.delegate+"]}\n---\n"+
				"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: d, namespace: far}\nspec: {exportTo: [.], http: ["+tt.delegate+"]}\n")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, h := range mesh.NewSidecarRoutes(s).For("shop")[0].Spec.Http {
				got += routeWords(h)
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestProxies: how a workload's proxy is set up, and which Sidecar shapes it.
func TestProxies(t *testing.T) {
	t.Parallel()
	pod := func(name, annotations string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: shop, labels: {app: " + name + "}, annotations: {" + annotations + "}}\nspec: {containers: [{name: c, image: x}]}\n---\n"
	}
	sidecar := func(name, namespace, selector string) string {
		return "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {" + selector + "}\n---\n"
	}
	s, err := build(t, pod("plain", "")+pod("none", "sidecar.istio.io/interceptionMode: NONE")+pod("tproxy", "proxy.istio.io/config: 'interceptionMode: TPROXY'")+
		pod("odd", "sidecar.istio.io/interceptionMode: ODD")+pod("idle", `proxy.istio.io/config: "proxyMetadata: {ISTIO_META_IDLE_TIMEOUT: 5s}"`)+pod("broken", "proxy.istio.io/config: '['")+
		sidecar("b", "shop", "")+sidecar("a", "shop", "workloadSelector: {labels: {app: idle}}")+sidecar("c", "shop", "")+sidecar("root", "istio-system", "")+
		"apiVersion: v1\nkind: Pod\nmetadata: {name: far, namespace: other}\nspec: {containers: [{name: c, image: x}]}\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"shop/plain": "REDIRECT 0s b", "shop/none": "NONE 0s b", "shop/tproxy": "TPROXY 0s b", "shop/odd": "REDIRECT 0s b", "shop/idle": "REDIRECT 5s a", "shop/broken": "REDIRECT 0s b", "other/far": "REDIRECT 0s root",
	} {
		ns, pod, _ := strings.Cut(name, "/")
		w := s.Workload(ns, pod)
		if got := string(s.Interception(w)) + " " + s.IdleTimeout(w).String() + " " + s.SidecarFor(w).Name; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	none, err := build(t, pod("plain", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := none.SidecarFor(none.Workload("shop", "plain")); got != nil {
		t.Errorf("a Sidecar out of nowhere: %s", got.Name)
	}
}

// TestReplicas: how many pods a workload runs.
func TestReplicas(t *testing.T) {
	t.Parallel()
	deployment := func(name, replicas string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: shop}\nspec: {" + replicas + "template: {spec: {containers: [{name: c, image: x}]}}}\n---\n"
	}
	s, err := build(t, deployment("one", "")+deployment("three", "replicas: 3, ")+deployment("none", "replicas: 0, ")+deployment("odd", "replicas: -1, ")+
		"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm, namespace: shop}\nspec: {address: 1.2.3.4, locality: eu/a, weight: 7}\n---\n"+
		"apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: group, namespace: shop}\nspec: {template: {}}\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"one": 1, "three": 3, "none": 0, "odd": 1, "vm": 1, "group": 0} {
		if got := s.Workload("shop", name).Replicas; got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if vm := s.Workload("shop", "vm"); vm.Locality != "eu/a" || vm.Weight != 7 {
		t.Errorf("%+v", vm)
	}
}

// routeWords are the name, conditions and time limit of a route.
func routeWords(h *networking.HTTPRoute) string {
	text := ""
	if h.Name != "" {
		text = h.Name + " "
	}
	text += "["
	for i, m := range h.Match {
		if i > 0 {
			text += ", "
		}
		var words []string
		if m.Name != "" {
			words = append(words, m.Name)
		}
		if exact := m.GetUri().GetExact(); exact != "" {
			words = append(words, "exact:"+exact)
		}
		if prefix := m.GetUri().GetPrefix(); prefix != "" {
			words = append(words, "prefix:"+prefix)
		}
		for name := range m.Headers {
			words = append(words, name)
		}
		text += strings.Join(words, " ")
	}
	text += "] "
	if h.Timeout != nil {
		text += h.Timeout.AsDuration().String()
	}
	return text + ";"
}
