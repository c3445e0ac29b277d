package vm_test

import (
	"fmt"
	"net/netip"

	"github.com/meshctl/meshctl/pkg/inject/vm"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

func Example() {
	stream, err := manifest.Read("ledger.yaml", []byte("apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: ledger, namespace: bank}\nspec: {template: {serviceAccount: clerk}}\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	objects, err := mesh.ReadObjects([]*manifest.Stream{stream}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	groups, err := mesh.WorkloadGroups(objects)
	if err != nil {
		fmt.Println(err)
		return
	}
	bundle, err := vm.New(groups[0], vm.Options{TrustDomain: "cluster.local", ClusterID: "Kubernetes", Ingress: netip.MustParseAddr("203.0.113.7")})
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := vm.Identity(groups[0], "cluster.local")
	fmt.Println(id, err)
	fmt.Print(string(bundle.Files[vm.HostsFile]))
	// Output:
	// spiffe://cluster.local/ns/bank/sa/clerk <nil>
	// 203.0.113.7 istiod.istio-system.svc
}
