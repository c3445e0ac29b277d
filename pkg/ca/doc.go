// Package ca is a certificate authority in a directory: a root whose key is
// encrypted, an intermediate that signs, and a log of all that was issued.
//
//	authority, err := ca.Init("ca", ca.InitOptions{TrustDomain: "cluster.local"}, env)
//	defer authority.Close()
//	id, err := certs.WorkloadID("cluster.local", "shop", "web")
//	issued, err := authority.Issue(ctx, []ca.Request{{ID: id}})
//
// Whatever changes the directory does so in the order keys, log, certificates,
// state: the state is replaced in one step, and nothing counts that it does not
// name. A record of the log is on the disk before what it is about leaves. So a
// crash at any moment leaves the state before or the state after, and no serial
// number is lost.
//
// Rules are cited as in the reference: CA.
package ca
