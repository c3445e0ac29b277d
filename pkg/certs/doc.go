// Package certs makes X.509 certificates for the workloads of a mesh, by
// SPIFFE's profile and Istio's habits.
//
// A Mint makes a root, and leaves for the identities of workloads:
//
//	mint := certs.Mint{Now: time.Now, Random: rand.Reader}
//	root, err := mint.Root(rootKey, "cluster.local", certs.RootOptions{})
//	leaf, err := mint.Leaf(root, key.Public(), id, certs.LeafOptions{})
//
// Keys stay where they are: whatever is a crypto.Signer can sign. Time and
// randomness are handed in, so that tests can choose them.
//
// Rules are cited as in the reference: CA.
package certs
