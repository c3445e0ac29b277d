// Package vm makes the files that Istio's agent needs on a machine outside of the
// cluster, from the WorkloadGroup that the machine registers with.
//
//	groups, err := mesh.WorkloadGroups(objects)
//	bundle, err := vm.New(groups[0], vm.Options{TrustDomain: "cluster.local", ClusterID: "Kubernetes"})
//
// A bundle is a function of the group, the mesh config and the options. The
// certificate that goes with it comes from elsewhere: it is for Identity, and
// stands in for the token of a service account.
//
// Rules are cited as in the reference: INJ.
package vm
