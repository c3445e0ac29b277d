package live_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
)

func (f fixture) standalone(t *testing.T, names ...string) []live.Standalone {
	t.Helper()
	roster := live.NewRoster(envoy.NewGenerator(f.Snapshot, f.simulator), "cluster.local")
	for _, name := range names {
		if _, err := roster.Add(f.Workload("shop", name)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := roster.Standalone(f.Snapshot, func(workload string) string { return filepath.Join("run", workload) })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestStandalone: a workload has the same address in every run, so that those of
// several runs can call each other, and the bootstrap names files only. It sets the
// limits that istiod's does, and requests offer what Istio's own filter would
// (EC-126, EC-132, EC-142).
func TestStandalone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, callers+shop)
	together, alone := f.standalone(t, "curl", "app"), f.standalone(t, "app")
	a, err := protojson.Marshal(together[1].Bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	b, err := protojson.Marshal(alone[0].Bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	var compactA, compactB bytes.Buffer // protojson's blanks differ from run to run
	if json.Compact(&compactA, a) != nil || json.Compact(&compactB, b) != nil || compactA.String() != compactB.String() {
		t.Error("together and alone, the bootstraps differ")
	}
	if together[0].Address == together[1].Address || !netip.MustParsePrefix("127.0.0.0/8").Contains(together[0].Address) {
		t.Errorf("addresses %s and %s", together[0].Address, together[1].Address)
	}
	text := compactA.String()
	for _, want := range []string{
		`"filename":"run/shop/app/key.pem"`, `"kid\":\"nobody\"`, `"re2.max_program_size.error_level":32768`, `"envoy.reloadable_features.http_reject_path_with_fragment":false`,
		`"alpnProtocols":["istio-http/1.1","istio","http/1.1"]`, `"address":"127.0.0.1","portValue":8080`, `"address":"` + alone[0].Address.String() + `","portValue":8080`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(text, "PRIVATE") {
		t.Error("there is a key in the bootstrap")
	}
}

// TestCertify: each sidecar gets a certificate of its own that goes with its key,
// and all have one root; only keys are secret.
func TestCertify(t *testing.T) {
	t.Parallel()
	all := newFixture(t, callers+shop).standalone(t, "curl", "app")
	public, secret, err := live.Certify("cluster.local", time.Now, all)
	if err != nil {
		t.Fatal(err)
	}
	if len(public) != 4 || len(secret) != 2 {
		t.Errorf("%d public and %d secret files", len(public), len(secret))
	}
	for _, s := range all {
		pair, err := tls.X509KeyPair(public[s.Files.Certificate], secret[s.Files.Key])
		if err != nil {
			t.Fatal(err)
		}
		if uris := pair.Leaf.URIs; len(uris) != 1 || uris[0].String() != "spiffe://cluster.local/ns/shop/sa/"+strings.TrimPrefix(s.Workload, "shop/") {
			t.Errorf("%s is %v", s.Workload, uris)
		}
	}
	if !bytes.Equal(public[all[0].Files.Roots], public[all[1].Files.Roots]) {
		t.Error("two roots")
	}
}

// TestNamesakes: endpoints lead to the pods that they are of, also where two
// workloads have one name.
func TestNamesakes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, shop+`---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: app, namespace: shop}
spec: {template: {metadata: {labels: {app: set}}, spec: {containers: [{name: app, image: app:1}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: set, namespace: shop}
spec: {selector: {app: set}, ports: [{name: tcp-raw, port: 5432}]}
`)
	roster := live.NewRoster(envoy.NewGenerator(f.Snapshot, f.simulator), "cluster.local")
	for _, w := range f.Workloads {
		if _, err := roster.Add(w); err != nil {
			t.Fatal(err)
		}
	}
	all, err := roster.Standalone(f.Snapshot, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for i := range all {
		at[all[i].Workload] = all[i].Address.String()
		alone := live.NewRoster(envoy.NewGenerator(f.Snapshot, f.simulator), "cluster.local")
		if _, err := alone.Add(f.Workloads[i]); err != nil {
			t.Fatal(err)
		}
		one, err := alone.Standalone(f.Snapshot, func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		if one[0].Address != all[i].Address {
			t.Errorf("%s is at %s, and alone at %s", all[i].Workload, all[i].Address, one[0].Address)
		}
	}
	for _, c := range all[1].Bootstrap.StaticResources.Clusters { // shop/other
		want, ok := map[string]string{"outbound|5432||set.shop.svc.cluster.local": "shop/app-2", "outbound|9000||app.shop.svc.cluster.local": "shop/app"}[c.Name]
		if !ok {
			continue
		}
		got := c.LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress().Address
		if got != at[want] || got == "" {
			t.Errorf("%s leads to %s, want %s at %s", c.Name, got, want, at[want])
		}
		delete(at, want)
	}
	if len(at) != 1 {
		t.Errorf("clusters to %v are not there", at)
	}
}

// TestRoster: workloads of one name do not run as one.
func TestRoster(t *testing.T) {
	t.Parallel()
	f := newFixture(t, shop+`---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: app, namespace: shop}
spec: {template: {metadata: {labels: {app: app}}, spec: {containers: [{name: app, image: app:1}]}}}
`)
	roster := live.NewRoster(envoy.NewGenerator(f.Snapshot, f.simulator), "cluster.local")
	var names []string
	for range 2 {
		for _, w := range f.Workloads {
			name, err := roster.Add(w)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, w.Kind+" "+name)
		}
	}
	got := strings.Join(names, ", ")
	const once = "Deployment app, Deployment other, StatefulSet app-2"
	if got != once+", "+once || len(roster.Workloads) != 3 || roster.Workloads[2].Config.Workload != "shop/app-2" {
		t.Errorf("%s; %d run", got, len(roster.Workloads))
	}
}
