package mesh_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// twoNamespaces have a web each, an account of their own, and a host of a
// ServiceEntry.
const twoNamespaces = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {spec: {serviceAccountName: web, containers: [{name: c, image: x}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web.v2, namespace: shop}
spec: {template: {spec: {serviceAccountName: web, containers: [{name: c, image: x}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: lab}
spec: {template: {spec: {containers: [{name: c, image: x}]}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: lab}
spec: {address: 10.0.0.1}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: batch, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: lab}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: edge}
spec: {hosts: [api.example.com], ports: [{number: 443, name: tls, protocol: TLS}]}
`

// TestAccounts: an account is there if it is declared, or if a workload runs as
// it; every namespace with an account has the default one (DR-22).
func TestAccounts(t *testing.T) {
	t.Parallel()
	s, err := build(t, twoNamespaces)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, ns := range s.Namespaces() {
		got[ns] = strings.Join(s.Accounts(ns), " ")
	}
	// A WorkloadEntry without an account has none, not the default one.
	if diff := cmp.Diff(map[string]string{"edge": "", "lab": "default", "shop": "batch default web"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for account, want := range map[string]string{"shop/web": "web web.v2", "shop/batch": "", "lab/default": "web", "lab/web": ""} {
		ns, name, _ := strings.Cut(account, "/")
		var names []string
		for _, w := range s.RunsAs(ns, name) {
			names = append(names, w.Name)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("as %s run %v, want %s", account, names, want)
		}
	}
	for account, want := range map[string]string{
		"shop/batch": "", "shop/default": "", "lab/default": "",
		"shop/bach": "no service account shop/bach in the manifests; there are shop/batch, shop/web, shop/default, lab/default",
	} {
		ns, name, _ := strings.Cut(account, "/")
		if err := s.FindAccount(ns, name); fmt.Sprint(err) != want && (err != nil || want != "") {
			t.Errorf("%s: %v, want %s", account, err, want)
		}
	}
}

// TestFind: workloads and Services by the names that people write, and what is
// near if there is none.
func TestFind(t *testing.T) {
	t.Parallel()
	s, err := build(t, twoNamespaces)
	if err != nil {
		t.Fatal(err)
	}
	workload := func(reference, namespace string) string {
		w, err := s.FindWorkload(reference, namespace)
		if err != nil {
			return err.Error()
		}
		return w.String()
	}
	service := func(name, namespace string) string {
		v, err := s.FindService(name, namespace)
		if err != nil {
			return err.Error()
		}
		return v.Hostname
	}
	for _, tt := range []struct {
		find                  func(name, namespace string) string
		name, namespace, want string
	}{
		{workload, "deploy/web.shop", "", "Deployment shop/web"},
		{workload, "Deployments/web", "lab", "Deployment lab/web"},
		{workload, "shop/web", "", "Deployment shop/web"},
		{workload, "sts/web.v2.shop", "", "StatefulSet shop/web.v2"},
		{workload, "sts/web.v2", "", "StatefulSet shop/web.v2"},
		{workload, "workloadentry/vm.lab", "", "WorkloadEntry lab/vm"},
		{workload, "deploy/web", "", "workload deploy/web is in several namespaces, name one: web.lab, web.shop"},
		{workload, "deploy/wep.shop", "", "no workload deploy/wep.shop in the manifests; there are deployment/web.shop, "},
		{workload, "sts/web", "lab", "no workload sts/web in the manifests; there are "},
		{workload, "web", "shop", `workload "web": expected NAMESPACE/NAME or KIND/NAME.NAMESPACE, such as shop/web or deploy/web.shop`},
		{service, "web.shop", "", "web.shop.svc.cluster.local"},
		{service, "web.shop.svc", "", "web.shop.svc.cluster.local"},
		{service, "web.shop.svc.cluster.local", "", "web.shop.svc.cluster.local"},
		{service, "web", "lab", "web.lab.svc.cluster.local"},
		{service, "cart", "", "cart.shop.svc.cluster.local"},
		{service, "api.example.com", "", "api.example.com"},
		{service, "web", "", "Service web is in several namespaces, name one: web.lab, web.shop"},
		{service, "card", "shop", "no Service card in the manifests; there are cart.shop, "},
	} {
		if got := tt.find(tt.name, tt.namespace); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s in %q: %s\nwant %s", tt.name, tt.namespace, got, tt.want)
		}
	}
	empty, err := build(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.FindService("web", "shop"); err == nil || err.Error() != "no Service web in the manifests, which have none" {
		t.Errorf("of nothing: %v", err)
	}
}

// TestKindNames: kinds are named as kubectl names them.
func TestKindNames(t *testing.T) {
	t.Parallel()
	for asked, kind := range map[string]string{
		"deploy": "Deployment", "Deployments": "Deployment", "deployment": "Deployment", "sts": "StatefulSet", "po": "Pod",
		"serviceentries": "ServiceEntry", "workloadentry": "WorkloadEntry", "svc": "Service", "SA": "ServiceAccount",
	} {
		if !mesh.IsKind(asked, kind) || mesh.IsKind(asked, "Job") {
			t.Errorf("%s is not only %s", asked, kind)
		}
	}
}
