//go:build envoy

package live_test

import (
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/policy"
)

// pickedByClients are two workloads behind a Service without an address, of which the
// policies want different things, and a Service of which clients pick the address.
const pickedByClients = callers + `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec: {replicas: 2, template: {metadata: {labels: {app: db, role: main}}, spec: {serviceAccountName: db, containers: [{name: app, image: app:1}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: spare, namespace: shop}
spec: {template: {metadata: {labels: {app: db, role: spare}}, spec: {serviceAccountName: db, containers: [{name: app, image: app:1}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{name: tcp-sql, port: 5432}, {name: http-metrics, port: 9187}, {name: any, port: 7000}, {name: grpc-api, port: 9090}]
---
apiVersion: v1
kind: Service
metadata: {name: picked, namespace: shop}
spec: {selector: {role: spare}, ports: [{name: http-web, port: 8080, targetPort: 9187}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: picked, namespace: shop}
spec: {host: picked, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: spare, namespace: shop}
spec: {selector: {matchLabels: {role: spare}}, action: DENY, rules: [{from: [{source: {principals: ['*/sa/curl']}}]}]}
`

// db9187Plain is a port that takes no TLS, which clients of a headless Service do
// not see (DR-13).
const db9187Plain = `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: db, namespace: shop}
spec: {selector: {matchLabels: {app: db}}, mtls: {mode: STRICT}, portLevelMtls: {"9187": {mode: DISABLE}}}
`

// TestEnvoyHeadless: where clients pick the address, the sender's sidecar reaches
// the pods without a packet filter too, each at its own listener, by the TLS that
// istiod tells it (DP-6, EC-85, EC-98, DR-13).
func TestEnvoyHeadless(t *testing.T) {
	for what, manifests := range map[string]string{"mTLS": pickedByClients, "a port without TLS": pickedByClients + db9187Plain} {
		t.Run(what, func(t *testing.T) {
			f := newFixture(t, manifests)
			sidecars := start(t, f.workloads(t, "curl", "db", "spare"), live.Options{Form: envoy.OwnAddresses, Senders: true})
			curl := f.live(t, f.Workload("shop", "curl"))
			var sent []live.Sent
			var questions []*policy.Question
			var wanted []string // who has the address
			for _, service := range []string{"db", "picked"} {
				v, err := f.FindService(service, "shop")
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range v.Ports {
					for _, to := range []string{"shop/db", "shop/spare"} {
						one := live.Sent{From: "shop/curl", Port: uint32(p.Number), HTTP: aRequest(p.Protocol, v.Hostname)}
						if one.Address = curl.Config.PodAddress(v.Hostname, one.Port, to); one.Address == "" {
							to = ""
						}
						sent, wanted = append(sent, one), append(wanted, to)
						questions = append(questions, &policy.Question{From: policy.Caller{Workload: f.Workload("shop", "curl")}, To: policy.Callee{Service: v, Port: p}, HTTP: one.HTTP, SourceIP: "127.0.0.1"})
					}
				}
			}
			answers, err := sidecars.Send(t.Context(), sent)
			if err != nil {
				t.Fatal(err)
			}
			outcomes := map[policy.Outcome]int{}
			for i := range answers {
				outcomes[answers[i].Outcome]++
				compareSent(t, f, questions[i], &answers[i])
				if wanted[i] != "" && answers[i].Workload != wanted[i] {
					t.Errorf("%s of %s came to %q", questions[i].To, wanted[i], answers[i].Workload)
				}
			}
			if outcomes[policy.Allow] < 2 || outcomes[policy.Deny] < 2 {
				t.Errorf("outcomes %v: that says little", outcomes)
			}
		})
	}
}
