package mesh_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestOwnedPods: what a controller made is not a workload of its own, and its
// pods show whether there is a sidecar.
func TestOwnedPods(t *testing.T) {
	t.Parallel()
	const dump = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: w}]}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-1, namespace: shop, ownerReferences: [{kind: Deployment, name: web, controller: true}]}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: w}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1-x, namespace: shop, labels: {app: web}, ownerReferences: [{kind: ReplicaSet, name: web-1, controller: true}]}
spec: {containers: [{name: web, image: w}PROXY]}
---
apiVersion: v1
kind: Pod
metadata: {name: alone, namespace: shop, ownerReferences: [{kind: ReplicaSet, name: elsewhere, controller: true}]}
spec: {containers: [{name: web, image: w}]}
`
	for proxy, want := range map[string]mesh.Reason{", {name: istio-proxy, image: p}": mesh.CarriesProxy, "": mesh.CarriesNone} {
		s, err := build(t, strings.Replace(dump, "PROXY", proxy, 1))
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Workloads) != 2 || s.Workload("shop", "web-1") != nil || s.Workload("shop", "alone") == nil {
			t.Fatalf("%d workloads, want web and alone", len(s.Workloads))
		}
		if m := s.Workload("shop", "web").Membership; m.Reason != want || m.Sidecar != (want == mesh.CarriesProxy) {
			t.Errorf("%+v, want %s", m, want)
		}
	}
}

// TestRolloutOfADeployment: a Rollout that refers to a Deployment has no pods of
// its own.
func TestRolloutOfADeployment(t *testing.T) {
	t.Parallel()
	s, err := build(t, "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec: {workloadRef: {kind: Deployment, name: d}}\n")
	if err != nil || len(s.Workloads) != 0 {
		t.Errorf("%v, %v", s, err)
	}
	if _, err = build(t, "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec: {replicas: 1}\n"); err == nil {
		t.Error("no error without a pod template")
	}
}

// TestSameNameTwice: the last one counts, as with kubectl apply, and a warning
// names both places.
func TestSameNameTwice(t *testing.T) {
	t.Parallel()
	policy := func(spec string) string {
		return "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: " + spec + "}}\n"
	}
	s, err := build(t, policy("STRICT")+"---\n"+policy("DISABLE"))
	if err != nil {
		t.Fatal(err)
	}
	found := s.PeerAuthentications("default")
	if len(found) != 1 || found[0].Spec.GetMtls().GetMode().String() != "DISABLE" {
		t.Errorf("%v, want the last", found)
	}
	want := "mesh.yaml:6:1: PeerAuthentication default/a stands at mesh.yaml:1:1 too: the last one counts, as with kubectl apply"
	if len(s.Warnings) != 1 || s.Warnings[0] != want {
		t.Errorf("%q, want %q", s.Warnings, want)
	}
}
