package inspect_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
)

// noon is when the certificates of tests are made.
var noon = time.Date(2030, time.January, 2, 12, 0, 0, 0, time.UTC)

// workload is a leaf with its key and what is above it.
type workload struct {
	key              crypto.Signer
	leaf, ca, root   *x509.Certificate
	keyPEM, chainPEM string
	rootPEM          string
}

func newWorkload(t testing.TB) *workload {
	t.Helper()
	mint := &certs.Mint{Now: func() time.Time { return noon }, Random: rand.Reader}
	key := func() crypto.Signer {
		k, err := certs.GenerateKey(certs.P256)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	root, err := mint.Root(key(), "cluster.local", certs.RootOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := mint.Intermediate(root, key(), "cluster.local", certs.IntermediateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := certs.WorkloadID("cluster.local", "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	w := &workload{key: key(), ca: ca.Certificate(), root: root.Root()}
	if w.leaf, err = mint.Leaf(ca, w.key.Public(), id, certs.LeafOptions{}); err != nil {
		t.Fatal(err)
	}
	text, err := certs.EncodeKey(w.key)
	if err != nil {
		t.Fatal(err)
	}
	w.keyPEM, w.chainPEM, w.rootPEM = string(text), string(certs.EncodeCertificates(w.leaf, w.ca)), string(certs.EncodeCertificates(w.root))
	return w
}

// secret is the workload's Secret, as text and in base64.
func (w *workload) secret() string {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	indent := strings.ReplaceAll(strings.TrimSpace(w.rootPEM), "\n", "\n    ")
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: other, namespace: shop}
data: {a: b}
---
apiVersion: v1
kind: Secret
metadata:
  name: istio.web
  namespace: shop
type: istio.io/key-and-cert
data:
  cert-chain.pem: %s
  key.pem: %s
stringData:
  root-cert.pem: |
    %s
`, encode(w.chainPEM), encode(w.keyPEM), indent)
}

func password(text string) inspect.Options {
	return inspect.Options{Password: func() ([]byte, error) { return []byte(text), nil }}
}

// roles are what was found, in short.
func roles(groups []inspect.Group) string {
	var all []string
	for _, item := range inspect.Describe(groups, inspect.View{At: noon}).Items {
		all = append(all, item.Role)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// findings are what is wrong, in short.
func findings(all []inspect.Finding) string {
	var found []string
	for _, f := range all {
		found = append(found, f.Severity[:1]+" "+f.Code)
	}
	return strings.Join(found, ", ")
}
