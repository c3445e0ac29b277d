package certs_test

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

func Example() {
	mint := certs.Mint{Now: time.Now, Random: rand.Reader}
	rootKey, _ := certs.GenerateKey(certs.P256)
	root, _ := mint.Root(rootKey, "cluster.local", certs.RootOptions{})

	key, _ := certs.GenerateKey(certs.P256)
	id, _ := certs.WorkloadID("cluster.local", "shop", "web")
	leaf, err := mint.Leaf(root, key.Public(), id, certs.LeafOptions{TTL: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(leaf.URIs[0], leaf.NotAfter.Sub(leaf.NotBefore))
	// Output: spiffe://cluster.local/ns/shop/sa/web 1h2m0s
}
