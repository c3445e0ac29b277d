package mesh_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

func workloadGroups(t *testing.T, text string) ([]*mesh.WorkloadGroup, error) {
	t.Helper()
	stream, err := manifest.Read("mesh.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := mesh.ReadObjects([]*manifest.Stream{stream}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return mesh.WorkloadGroups(objects)
}

// TestWorkloadGroups: groups are found in documents and Lists; what is wrong with
// other objects is no matter.
func TestWorkloadGroups(t *testing.T) {
	t.Parallel()
	groups, err := workloadGroups(t, `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: a, namespace: other}
spec: {template: {serviceAccount: x}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: broken}
spec: {egres: 5}
---
apiVersion: v1
kind: List
items:
- {apiVersion: networking.istio.io/v1alpha3, kind: WorkloadGroup, metadata: {name: b}, spec: {template: {}}}
- {apiVersion: example.org/v1, kind: WorkloadGroup, metadata: {name: c}, spec: {odd: true}}
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range groups {
		got = append(got, fmt.Sprintf("%s/%s %s", g.Namespace, g.Name, g.Spec.Template.ServiceAccount))
	}
	if diff := cmp.Diff([]string{"other/a x", "shop/b "}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWorkloadGroupsRefused: every fault of every group is told, with its place.
func TestWorkloadGroupsRefused(t *testing.T) {
	t.Parallel()
	head := "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: a}\n"
	for _, tt := range []struct{ text, want string }{
		{head + "spec: {template: {serviceAccount: 5}}\n", "mesh.yaml:4:35: WorkloadGroup shop/a: spec.template.serviceAccount: expected text, found a number"},
		{head + "spec:\n  template:\n    ports: [80]\n", "mesh.yaml:6:12: WorkloadGroup shop/a: spec.template.ports: expected a mapping (key: value), found a list"},
		{head + "spec: {template: {ports: {http: web}}}\n", `mesh.yaml:4:33: WorkloadGroup shop/a: spec.template.ports.http: expected a whole number, found "web"`},
		{head + "spec: {metadata: {labels: {version: 3}}}\n", "mesh.yaml:4:37: WorkloadGroup shop/a: spec.metadata.labels.version: expected text, found a number"},
		{head + "spec: {templat: {}}\n", `mesh.yaml:4:17: WorkloadGroup shop/a: unknown field "spec.templat"`},
		{head + "spec: {probe: {tcpSocket: {port: 80}, exec: {command: [a]}}}\n", "mesh.yaml:4:"},
		{"apiVersion: networking.istio.io/v2\nkind: WorkloadGroup\nmetadata: {name: a}\n", `mesh.yaml:1:13: WorkloadGroup shop/a: unknown version "networking.istio.io/v2"`},
		{head + "---\n" + head, "mesh.yaml:7:18: WorkloadGroup shop/a: it stands at mesh.yaml:1:1 too"},
	} {
		groups, err := workloadGroups(t, tt.text)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s\n%v, %v\nwant %s", tt.text, groups, err, tt.want)
		}
	}
}
