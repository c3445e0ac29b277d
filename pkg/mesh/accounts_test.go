package mesh_test

import (
	"fmt"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestDeclaredAndUsedAccounts: declared, used, and "default" where none is named (CA-73).
func TestDeclaredAndUsedAccounts(t *testing.T) {
	t.Parallel()
	stream, err := manifest.Read("accounts.yaml", []byte(`apiVersion: v1
kind: ServiceAccount
metadata: {name: idle, namespace: shop}
---
apiVersion: v1
kind: List
items:
- apiVersion: batch/v1
  kind: CronJob
  metadata: {name: nightly, namespace: shop}
  spec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: {serviceAccountName: nightly, containers: [{name: a, image: a}]}}}}}
- apiVersion: v1
  kind: Pod
  metadata: {name: one, namespace: shop}
  spec: {containers: [{name: a, image: a}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: machines, namespace: legacy}
spec: {template: {serviceAccount: machine}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := mesh.Survey([]*manifest.Stream{stream}, mesh.Options{}).Accounts()
	want := "[{legacy machine false WorkloadGroup legacy/machines} {shop default true Pod shop/one} {shop idle true } {shop nightly false CronJob shop/nightly}]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v", got)
	}
}
