package mesh_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMachines: what WorkloadEntries and WorkloadGroups say of the machines
// outside of the cluster (EC-86, DR-22).
func TestMachines(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, kind, spec, want string }{
		{"an entry with an account", "WorkloadEntry", "{address: 10.0.0.1, serviceAccount: vm, labels: {app: vm}}", "10.0.0.1 spiffe://td/ns/default/sa/vm true names-account map[app:vm]"},
		{"an entry without one", "WorkloadEntry", "{address: 10.0.0.1, labels: {app: vm}}", "10.0.0.1 spiffe://td/ns/default/sa/ false names-no-account map[app:vm]"},
		{"its label counts more", "WorkloadEntry", "{address: 10.0.0.1, labels: {security.istio.io/tlsMode: istio}}", "10.0.0.1 spiffe://td/ns/default/sa/ true tls-mode-label map[security.istio.io/tlsMode:istio]"},
		{"in both ways", "WorkloadEntry", "{address: 10.0.0.1, serviceAccount: vm, labels: {security.istio.io/tlsMode: disabled}}", "10.0.0.1 spiffe://td/ns/default/sa/vm false tls-mode-label map[security.istio.io/tlsMode:disabled]"},
		{"a group: labels of its metadata go over those of its template", "WorkloadGroup", "{metadata: {labels: {app: vm, tier: a}}, template: {serviceAccount: vm, labels: {tier: b, more: c}}}", " spiffe://td/ns/default/sa/vm true registers-itself map[app:vm more:c tier:a]"},
		{"a group that says little", "WorkloadGroup", "{metadata: {labels: {app: vm}}}", " spiffe://td/ns/default/sa/default true registers-itself map[app:vm]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// A namespace's label is for pods only.
			s, err := build(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {istio-injection: disabled}}\n---\n"+
				"apiVersion: networking.istio.io/v1\nkind: "+tt.kind+"\nmetadata: {name: m}\nspec: "+tt.spec+"\n")
			if err != nil {
				t.Fatal(err)
			}
			w := s.Workload("default", "m")
			if w == nil {
				t.Fatal("no workload")
			}
			if got := fmt.Sprint(w.Address, " ", w.Identity("td"), " ", w.Membership.Sidecar, " ", w.Membership.Reason, " ", w.PodLabels); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestPortsOfMachines: a machine's own list of ports comes before the
// Service's target (EC-39).
func TestPortsOfMachines(t *testing.T) {
	t.Parallel()
	s, err := build(t, `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: m}
spec: {address: 10.0.0.1, labels: {app: vm}, ports: {http: 9090}}
---
apiVersion: v1
kind: Service
metadata: {name: vm}
spec: {selector: {app: vm}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 81, targetPort: 8081}, {name: lost, port: 82, targetPort: named}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range s.InboundPorts(s.Workload("default", "m")) {
		got = append(got, fmt.Sprintf("%s %d", p.Port.Name, p.Number))
	}
	if diff := cmp.Diff([]string{"tcp 8081", "http 9090"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
