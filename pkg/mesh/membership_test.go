package mesh_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestMembership: who has a sidecar, what tells, and where. Every row is a pod
// template and the labels of its namespace; want is the answer, the reason and
// what stands at the place.
func TestMembership(t *testing.T) {
	t.Parallel()
	const container = "containers: [{name: c, image: x}]"
	label := func(pair string) string { return "metadata: {labels: {" + pair + "}}\n    spec: {" + container + "}" }
	const plain = "spec: {" + container + "}"
	tests := []struct{ name, namespace, template, want string }{
		{"nothing tells", "", plain, "true assumed "},
		{"the pod has the proxy", "istio-injection: disabled", "spec: {containers: [{name: istio-proxy, image: x}]}", "true carries-proxy [{name: istio-proxy"},
		{"as a native sidecar", "", "spec: {initContainers: [{name: istio-proxy, image: x}], " + container + "}", "true carries-proxy [{name: istio-proxy"},
		{"the host's network", "istio-injection: enabled", "spec: {hostNetwork: true, " + container + "}", "false host-network true"},
		{"the pod wants none", "istio-injection: enabled", label("sidecar.istio.io/inject: 'false'"), "false inject-label 'false'"},
		{"the pod wants one", "", label("sidecar.istio.io/inject: 'true'"), "true inject-label 'true'"},
		{"by annotation", "istio-injection: enabled", "metadata: {annotations: {sidecar.istio.io/inject: 'false'}}\n    " + plain, "false inject-label 'false'"},
		{"the label before the annotation", "", "metadata: {labels: {sidecar.istio.io/inject: 'true'}, annotations: {sidecar.istio.io/inject: 'false'}}\n    " + plain, "true inject-label 'true'"},
		{"the pod's TLS mode", "", label("security.istio.io/tlsMode: istio"), "true tls-mode-label istio"},
		{"the pod's TLS mode, none", "", label("security.istio.io/tlsMode: disabled"), "false tls-mode-label disabled"},
		{"the pod's revision", "", label("istio.io/rev: canary"), "true revision-label canary"},
		{"an ambient pod", "", label("istio.io/dataplane-mode: ambient"), "false ambient ambient"},
		{"the namespace's label", "istio-injection: enabled", plain, "true namespace-label enabled"},
		{"the namespace turns it off", "istio-injection: disabled", plain, "false namespace-label disabled"},
		{"also for pods that want it", "istio-injection: disabled", label("sidecar.istio.io/inject: 'true'"), "false namespace-label disabled"},
		{"the namespace's revision", "istio.io/rev: canary", plain, "true namespace-label canary"},
		{"a namespace that says nothing that counts", "istio-injection: maybe, istio.io/rev: canary", plain, "true assumed "},
		{"an ambient namespace", "istio.io/dataplane-mode: ambient", plain, "false ambient ambient"},
		{"a pod that wants one in an ambient namespace", "istio.io/dataplane-mode: ambient", label("sidecar.istio.io/inject: 'true'"), "true inject-label 'true'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n    " + tt.template +
				"\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {" + tt.namespace + "}}\n"
			s, err := build(t, text)
			if err != nil {
				t.Fatal(err)
			}
			m := s.Workloads[0].Membership
			got := fmt.Sprintf("%t %s ", m.Sidecar, m.Reason)
			if m.At.Line > 0 {
				got += strings.Split(text, "\n")[m.At.Line-1][m.At.Column-1:]
			}
			if !strings.HasPrefix(got, tt.want) || m.Reason == mesh.Assumed && got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if m.Describe() == "" {
				t.Error("the reason has no words")
			}
			if s.Workloads[0].ClaimsTLS() != m.Sidecar {
				t.Error("clients take it for something else (DR-11)")
			}
		})
	}
}

// TestAssumptions: what the files do not tell is assumed as one asks for, and
// Kubernetes' own namespaces have no sidecars.
func TestAssumptions(t *testing.T) {
	t.Parallel()
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: %s}\nspec: {containers: [{name: c, image: x}]}\n"
	for _, tt := range []struct {
		namespace string
		outside   bool
		want      mesh.Membership
	}{
		{"shop", false, mesh.Membership{Sidecar: true, Reason: mesh.Assumed}},
		{"shop", true, mesh.Membership{Reason: mesh.Assumed}},
		{"kube-system", false, mesh.Membership{Reason: mesh.SystemNamespace}},
	} {
		stream, err := manifest.Read("mesh.yaml", fmt.Appendf(nil, pod, tt.namespace))
		if err != nil {
			t.Fatal(err)
		}
		s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{AssumeOutside: tt.outside})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Workloads[0].Membership; got.Sidecar != tt.want.Sidecar || got.Reason != tt.want.Reason {
			t.Errorf("%s, outside %t: %+v, want %+v", tt.namespace, tt.outside, got, tt.want)
		}
	}
}

// TestGateways: a gateway is told by its label, its template or its proxy's
// arguments (PA-10).
func TestGateways(t *testing.T) {
	t.Parallel()
	for pod, want := range map[string]bool{
		"metadata: {name: p}\nspec: {containers: [{name: c, image: x}]}":                                                                      false,
		"metadata: {name: p, labels: {gateway.networking.k8s.io/gateway-name: g}}\nspec: {containers: [{name: c, image: x}]}":                 true,
		"metadata: {name: p, annotations: {inject.istio.io/templates: 'gateway'}}\nspec: {containers: [{name: istio-proxy, image: auto}]}":    true,
		"metadata: {name: p, annotations: {inject.istio.io/templates: 'a, gateway'}}\nspec: {containers: [{name: istio-proxy, image: auto}]}": true,
		"metadata: {name: p, annotations: {inject.istio.io/templates: sidecar}}\nspec: {containers: [{name: c, image: x}]}":                   false,
		"metadata: {name: p}\nspec: {containers: [{name: istio-proxy, image: x, args: [proxy, router]}]}":                                     true,
		"metadata: {name: p}\nspec: {containers: [{name: istio-proxy, image: x, args: [proxy, sidecar]}]}":                                    false,
		"metadata: {name: p}\nspec: {containers: [{name: router, image: x, args: [router]}]}":                                                 false,
	} {
		s, err := build(t, "apiVersion: v1\nkind: Pod\n"+pod+"\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Workloads[0].IsGateway(); got != want {
			t.Errorf("%s:\n%t, want %t", pod, got, want)
		}
	}
}
