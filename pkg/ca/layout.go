package ca

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/meshctl/meshctl/pkg/certs"
)

// Layout is a set of files that a workload reads, in a folder of its own.
type Layout string

// The layouts.
const (
	// Files are cert-chain.pem, key.pem and root-cert.pem, as Istio's agent reads
	// them (CA-47).
	Files Layout = "files"
	// SPIFFE is one file with key and chain, and one with the bundle (CA-46).
	SPIFFE Layout = "spiffe"
	// PKCS12 is a key store and a trust store for Java (CA-49).
	PKCS12 Layout = "p12"
	// SDS is two files that Envoy reads as secrets default and ROOTCA.
	SDS Layout = "sds"
)

// Layouts are all of them.
func Layouts() []Layout { return []Layout{Files, SPIFFE, PKCS12, SDS} }

// Names of files.
const (
	keyFile        = "key.pem"
	chainFile      = "cert-chain.pem"
	rootFile       = "root-cert.pem"
	spiffeFile     = "credential-bundle.private-key.pem"
	keyStoreFile   = "keystore.p12"
	trustStoreFile = "truststore.p12"
	sdsFile        = "default.yaml"
	sdsRootFile    = "ROOTCA.yaml"
)

// file of a layout. Whoever reads a folder file by file finds the key before the
// certificate for it.
type file struct {
	name string
	data []byte
}

// material is what a workload has, as PEM.
type material struct {
	key, chain, roots []byte
}

func (i *Issued) material() (material, error) {
	m := material{chain: certs.EncodeCertificates(i.Chain...), roots: certs.EncodeCertificates(i.Roots...)}
	if i.Key == nil {
		return m, nil
	}
	var err error
	m.key, err = certs.EncodeKey(i.Key)
	return m, err
}

// secretName is the file with the key.
func (l Layout) secretName() string {
	return map[Layout]string{Files: keyFile, SPIFFE: spiffeFile, PKCS12: keyStoreFile, SDS: sdsFile}[l]
}

// names are those of an identity's files.
func (l Layout) names(id certs.ID) []string {
	return append([]string{l.secretName()}, map[Layout][]string{
		Files: {chainFile, rootFile}, SPIFFE: {trustBundleFile(id)}, PKCS12: {trustStoreFile}, SDS: {sdsRootFile},
	}[l]...)
}

// files are those of an identity.
func (l Layout) files(i *Issued, password string) ([]file, error) {
	m, err := i.material()
	if err != nil {
		return nil, err
	}
	switch l {
	case Files:
		return []file{{keyFile, m.key}, {rootFile, m.roots}, {chainFile, m.chain}}, nil
	case SPIFFE:
		both := append(m.key[:len(m.key):len(m.key)], m.chain...)
		return []file{{spiffeFile, both}, {trustBundleFile(i.ID), m.roots}}, nil
	case PKCS12:
		return stores(i, password)
	case SDS:
		return sdsFiles(m)
	}
	return nil, fmt.Errorf("layout %q: expected one of %v", l, Layouts())
}

func trustBundleFile(id certs.ID) string { return id.TrustDomain() + ".spiffe-trust-bundle.pem" }

// stores are made by us, since a trust store of openssl's is empty to Java
// (CA-49).
func stores(i *Issued, password string) ([]file, error) {
	keys, err := pkcs12.Modern2023.Encode(i.Key, i.Leaf(), i.Chain[1:], password)
	if err != nil {
		return nil, err
	}
	trusted, err := pkcs12.Modern2023.EncodeTrustStore(i.Roots, password)
	return []file{{keyStoreFile, keys}, {trustStoreFile, trusted}}, err
}

// sdsSecret is a secret as Envoy reads it from a file.
type sdsSecret struct {
	Type        string          `json:"@type"`
	Name        string          `json:"name"`
	Certificate *sdsCertificate `json:"tls_certificate,omitempty"`
	Validation  *sdsValidation  `json:"validation_context,omitempty"`
}

type (
	sdsCertificate struct {
		Chain inline `json:"certificate_chain"`
		Key   inline `json:"private_key"`
	}
	sdsValidation struct {
		Roots inline `json:"trusted_ca"`
	}
	inline struct {
		Text string `json:"inline_string"`
	}
	sdsResponse struct {
		Resources []sdsSecret `json:"resources"`
	}
)

// sdsFiles are two, since Envoy wants one secret a file.
func sdsFiles(m material) ([]file, error) {
	const kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	var all []file
	for _, f := range []struct {
		name   string
		secret sdsSecret
	}{
		{sdsFile, sdsSecret{Type: kind, Name: "default", Certificate: &sdsCertificate{inline{string(m.chain)}, inline{string(m.key)}}}},
		{sdsRootFile, sdsSecret{Type: kind, Name: "ROOTCA", Validation: &sdsValidation{inline{string(m.roots)}}}},
	} {
		text, err := yaml.Marshal(sdsResponse{[]sdsSecret{f.secret}})
		if err != nil {
			return nil, err
		}
		all = append(all, file{f.name, text})
	}
	return all, nil
}

// errNothing is a folder in which a layout has nothing that can be kept.
var errNothing = errors.New("nothing to keep")

// read takes in what a folder has; an error is one with nothing to keep, whatever
// the reason.
func (l Layout) read(dir string, id certs.ID, password string) (*Issued, error) {
	switch l {
	case PKCS12:
		return readStores(dir, id, password)
	case Files:
		return readMaterial(id, filepath.Join(dir, keyFile), filepath.Join(dir, chainFile), filepath.Join(dir, rootFile))
	case SPIFFE:
		name := filepath.Join(dir, spiffeFile)
		return readMaterial(id, name, name, filepath.Join(dir, trustBundleFile(id)))
	}
	var m material
	for _, name := range []string{sdsFile, sdsRootFile} {
		text, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the user names the folder
		if err != nil {
			return nil, err
		}
		var r sdsResponse
		if err := yaml.Unmarshal(text, &r); err != nil || len(r.Resources) != 1 {
			return nil, errNothing
		}
		if c := r.Resources[0].Certificate; c != nil {
			m.chain, m.key = []byte(c.Chain.Text), []byte(c.Key.Text)
		}
		if v := r.Resources[0].Validation; v != nil {
			m.roots = []byte(v.Roots.Text)
		}
	}
	return m.issued(id)
}

func readMaterial(id certs.ID, key, chain, roots string) (*Issued, error) {
	var texts [3][]byte
	for i, name := range []string{key, chain, roots} {
		var err error
		if texts[i], err = os.ReadFile(name); err != nil { //nolint:gosec // the user names the folder
			return nil, err
		}
	}
	m := material{texts[0], texts[1], texts[2]}
	if key == chain {
		const end = "-----END PRIVATE KEY-----\n"
		first, rest, ok := strings.Cut(string(m.key), end)
		if !ok {
			return nil, errNothing
		}
		m.key, m.chain = []byte(first+end), []byte(rest)
	}
	return m.issued(id)
}

// issued reads it back.
func (m material) issued(id certs.ID) (*Issued, error) {
	key, err := certs.ParseKey(m.key)
	if err != nil {
		return nil, err
	}
	return held(id, key, m.chain, m.roots)
}

func held(id certs.ID, key crypto.Signer, chain, roots []byte) (*Issued, error) {
	i := &Issued{ID: id, Key: key}
	var err error
	if i.Chain, err = certs.ParseCertificates(chain); err != nil {
		return nil, err
	}
	if i.Roots, err = certs.ParseCertificates(roots); err != nil {
		return nil, err
	}
	return i, i.match()
}

// match wants the key to be the leaf's.
func (i *Issued) match() error {
	if !certs.EqualKeys(i.Key.Public(), i.Leaf().PublicKey) {
		return errNothing
	}
	return nil
}

func readStores(dir string, id certs.ID, password string) (*Issued, error) {
	keys, err := os.ReadFile(filepath.Join(dir, keyStoreFile)) //nolint:gosec // the user names the folder
	if err != nil {
		return nil, err
	}
	trusted, err := os.ReadFile(filepath.Join(dir, trustStoreFile)) //nolint:gosec // the user names the folder
	if err != nil {
		return nil, err
	}
	key, leaf, above, err := pkcs12.DecodeChain(keys, password)
	if err != nil {
		return nil, err
	}
	roots, err := pkcs12.DecodeTrustStore(trusted, password)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errNothing
	}
	i := &Issued{ID: id, Key: signer, Chain: append([]*x509.Certificate{leaf}, above...), Roots: roots}
	return i, i.match()
}

// same tells whether two are the same certificates.
func same(a, b []*x509.Certificate) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}
