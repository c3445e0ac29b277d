package policytest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

// TestNamesOfTheMesh: names that the mesh does not have are told together, each
// once, where the file has them, with those that are near.
func TestNamesOfTheMesh(t *testing.T) {
	t.Parallel()
	_, err := run(t, snapshot(t, shop), `identities:
  unused: {workload: deploy/raeder.shop}
  account: {serviceAccount: shop/raeder}
cases:
- {name: a, from: [account, shop/wbe, deploy/web], to: [svc/wbe.shop:80, svc/web.shop:81, svc/web.shop, deploy/web.shop:metrics], path: [/a, /b], expect: allow}
- {name: b, from: plaintext, to: svc/web.shop, port: [http, grpc], expect: allow, by: shop/raeders}
- {name: c, from: plaintext, to: web, expect: allow, by: shop/readers#2}
- {name: d, from: plaintext, to: svc/web.shop:80, expect: allow, by: "ns[shop]-policy[no-admin]-rule[1]"}
`, policytest.Options{})
	want := `t.meshtest.yaml:4:22: PolicyTest: identities.unused.workload: no workload deploy/raeder.shop in the manifests; there are deployment/reader.shop, deployment/web.shop
t.meshtest.yaml:5:29: PolicyTest: identities.account.serviceAccount: no service account shop/raeder in the manifests; there are shop/reader, shop/web, shop/default
t.meshtest.yaml:7:29: PolicyTest: cases.0.from.1: no service account shop/wbe in the manifests; there are shop/web, shop/reader, shop/default
t.meshtest.yaml:7:39: PolicyTest: cases.0.from.2: no workload deploy/web in the manifests; there are deployment/web.shop, deployment/reader.shop
t.meshtest.yaml:7:57: PolicyTest: cases.0.to.0: no Service wbe.shop in the manifests; there are web.shop
t.meshtest.yaml:7:74: PolicyTest: cases.0.to.1: Service shop/web has no port 81; it has 80 (http), 9000 (tcp-raw)
t.meshtest.yaml:7:91: PolicyTest: cases.0.to.2: Service shop/web has several ports, name one: 80 (http), 9000 (tcp-raw)
t.meshtest.yaml:7:105: PolicyTest: cases.0.to.3: Deployment shop/web has no port metrics: Services declare 8080, 9000
t.meshtest.yaml:8:61: PolicyTest: cases.1.port.1: Service shop/web has no port grpc; it has 80 (http), 9000 (tcp-raw)
t.meshtest.yaml:8:87: PolicyTest: cases.1.by: no AuthorizationPolicy shop/raeders in the manifests; there are shop/readers, shop/no-admin
t.meshtest.yaml:9:34: PolicyTest: cases.2.to: destination "web": expected svc/NAME.NAMESPACE:PORT, or a workload such as deploy/web.shop:8080
t.meshtest.yaml:9:58: PolicyTest: cases.2.by: AuthorizationPolicy shop/readers has no rule 2: it has 2, numbered from 0
t.meshtest.yaml:10:70: PolicyTest: cases.3.by: AuthorizationPolicy shop/no-admin has no rule 1: it has one, number 0`
	if diff := cmp.Diff(want, faults(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSubset: one that no DestinationRule has is told where the file has it.
func TestSubset(t *testing.T) {
	t.Parallel()
	_, err := run(t, snapshot(t, shop), `cases:
- {name: a, from: shop/reader, to: svc/web.shop:80, subset: v2, expect: allow}
`, policytest.Options{})
	want := `t.meshtest.yaml:4:61: PolicyTest: cases.0.subset: no DestinationRule that applies to web.shop.svc.cluster.local has a subset "v2"`
	if diff := cmp.Diff(want, faults(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
