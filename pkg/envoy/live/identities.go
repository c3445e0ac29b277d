package live

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// identities makes the certificates of servers and clients, under a root that is
// gone when the process is.
type identities struct {
	mint certs.Mint
	root *certs.Issuer
	key  crypto.Signer // of all leaves: making keys is slow, and nobody keeps these

	mu      sync.Mutex
	clients map[string]*tls.Certificate
}

func newIdentities(trustDomain string, now func() time.Time) (*identities, error) {
	ids := &identities{mint: certs.Mint{Now: now, Random: rand.Reader}, clients: map[string]*tls.Certificate{}}
	rootKey, err := certs.GenerateKey(certs.P256)
	if err != nil {
		return nil, err
	}
	if ids.key, err = certs.GenerateKey(certs.P256); err != nil {
		return nil, err
	}
	ids.root, err = ids.mint.Root(rootKey, trustDomain, certs.RootOptions{})
	return ids, err
}

// client is the certificate of a SPIFFE ID, of whatever trust domain.
func (ids *identities) client(identity string) (*tls.Certificate, error) {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	if c := ids.clients[identity]; c != nil {
		return c, nil
	}
	leaf, err := ids.leaf(identity)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: ids.key, Leaf: leaf}
	ids.clients[identity] = c
	return c, nil
}

func (ids *identities) leaf(identity string) (*x509.Certificate, error) {
	id, err := certs.ParseID(identity)
	if err != nil {
		return nil, err
	}
	return ids.mint.Leaf(ids.root, ids.key.Public(), id, certs.LeafOptions{})
}

// Files are where the certificate, the key and the root of an identity are, in
// PEM.
type Files struct{ Certificate, Key, Roots string }

// write puts what an identity needs into a folder of its own, which only the
// user can read.
func (ids *identities) write(dir, identity string) (Files, error) {
	chain, secret, roots, err := ids.encode(identity)
	if err != nil {
		return Files{}, err
	}
	own := filepath.Join(dir, fileName(identity))
	const folder, private = 0o700, 0o600
	if err := os.MkdirAll(own, folder); err != nil {
		return Files{}, err
	}
	f := Files{filepath.Join(own, "cert.pem"), filepath.Join(own, "key.pem"), filepath.Join(own, "root.pem")}
	for path, text := range map[string][]byte{
		f.Certificate: chain, f.Key: secret, f.Roots: roots,
	} {
		if err := os.WriteFile(path, text, private); err != nil {
			return Files{}, err
		}
	}
	return f, nil
}

// encode makes a certificate of an identity, in PEM, with its key and its root.
func (ids *identities) encode(identity string) (chain, key, roots []byte, err error) {
	leaf, err := ids.leaf(identity)
	if err != nil {
		return nil, nil, nil, err
	}
	key, err = certs.EncodeKey(ids.key)
	return certs.EncodeCertificates(leaf), key, certs.EncodeCertificates(ids.root.Root()), err
}

// fileName makes one name of a valid identity: it has neither spaces nor dots
// between slashes.
func fileName(identity string) string {
	return strings.ReplaceAll(strings.TrimPrefix(identity, "spiffe://"), "/", "_")
}
