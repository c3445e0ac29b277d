package inspect

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/jwt"
)

// Target is a form to convert to.
type Target string

// The targets.
const (
	ToPEM       Target = "pem"
	ToDER       Target = "der"
	ToPKCS12    Target = "pkcs12"
	ToJWKS      Target = "jwks"
	ToSecret    Target = "secret"
	ToConfigMap Target = "configmap"
)

// Targets are all of them.
func Targets() []Target {
	return []Target{ToPEM, ToDER, ToPKCS12, ToJWKS, ToSecret, ToConfigMap}
}

// Conversion says what to make of a group.
type Conversion struct {
	To Target
	// Keys lets private keys go where the form has room for them.
	Keys bool
	// Password protects PKCS #12, and the key of PEM if there is one.
	Password string
	// Name, Namespace and Type are those of the Secret or ConfigMap. Type is
	// kubernetes.io/tls unless it is istio.io/key-and-cert.
	Name, Namespace, Type string
}

// Types of Secrets.
const (
	TypeTLS   = "kubernetes.io/tls"
	TypeIstio = "istio.io/key-and-cert"
)

// HoldsKey tells whether Convert writes a private key.
func (c *Conversion) HoldsKey(g *Group) bool {
	m := materialOf(g)
	switch c.To {
	case ToSecret:
		return true
	case ToPEM, ToPKCS12, ToDER:
		return c.Keys && m.key != nil
	}
	return false
}

// Convert writes a group in another form. Nothing is left out without a word:
// what has no room there is an error.
func Convert(g *Group, c Conversion) ([]byte, error) {
	m := materialOf(g)
	if m.keys > 1 {
		return nil, fmt.Errorf("%s: %d private keys: expected one at most", g.Name, m.keys)
	}
	if !c.Keys {
		m.key = nil
	}
	switch c.To {
	case ToPEM:
		return m.pem(c.Password)
	case ToDER:
		return m.der()
	case ToPKCS12:
		return m.pkcs12(c.Password)
	case ToJWKS:
		return m.jwks()
	case ToSecret:
		return m.secret(&c)
	case ToConfigMap:
		return m.configMap(&c)
	}
	return nil, fmt.Errorf("form %q: expected one of %v", c.To, Targets())
}

// material is a group sorted by what it is for.
type material struct {
	key      crypto.Signer
	keys     int
	publics  []crypto.PublicKey
	chain    []*x509.Certificate // the leaf first
	roots    []*x509.Certificate
	requests []*x509.CertificateRequest
}

// materialOf sorts a group. Certificates that sign themselves are roots wherever
// they stand, unless there is nothing else.
func materialOf(g *Group) *material {
	m := &material{}
	for i := range g.Entries {
		switch e := &g.Entries[i]; {
		case e.Key != nil && (m.key == nil || !samePublic(m.key.Public(), e.Public)):
			m.key, m.keys = e.Key, m.keys+1
		case e.Request != nil:
			m.requests = append(m.requests, e.Request)
		case e.Public != nil && e.Key == nil:
			m.publics = append(m.publics, e.Public)
		}
	}
	roots := g.Roots()
	for _, c := range unique(g.All()) {
		if certs.RoleOf(c) == certs.RootRole || slices.ContainsFunc(roots, c.Equal) {
			m.roots = append(m.roots, c)
		} else {
			m.chain = append(m.chain, c)
		}
	}
	slices.SortStableFunc(m.chain, func(a, b *x509.Certificate) int { return m.rank(a) - m.rank(b) })
	return m
}

// rank puts leaves before those who signed them.
func (m *material) rank(c *x509.Certificate) int {
	above := 0
	for issuer := certs.IssuerAmong(c, m.chain); issuer != nil && above < len(m.chain); issuer = certs.IssuerAmong(issuer, m.chain) {
		above++
	}
	return -above
}

// pem is key, chain, roots and requests, in this order. With a password the key is
// encrypted (CA-56).
func (m *material) pem(password string) ([]byte, error) {
	var out []byte
	if m.key != nil {
		text, err := certs.EncodeKey(m.key)
		if password != "" {
			text, err = certs.EncryptKey(rand.Reader, m.key, []byte(password))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, text...)
	}
	out = append(out, certs.EncodeCertificates(slices.Concat(m.chain, m.roots)...)...)
	for _, r := range m.requests {
		out = append(out, certs.EncodeRequest(r)...)
	}
	if len(out) == 0 {
		return nil, errors.New("nothing that PEM is written of: expected certificates, requests or, with --keys, a private key")
	}
	return out, nil
}

// der has room for one thing.
func (m *material) der() ([]byte, error) {
	all := slices.Concat(m.chain, m.roots)
	switch n := len(all) + len(m.requests); {
	case n == 0 && m.key != nil:
		return x509.MarshalPKCS8PrivateKey(m.key)
	case n != 1 || m.key != nil:
		return nil, fmt.Errorf("DER is for one certificate, request or key, and there are %d: give one only, or convert to pem or pkcs12", n+m.keys)
	case len(all) == 1:
		return all[0].Raw, nil
	}
	return m.requests[0].Raw, nil
}

// pkcs12 is a key store, or a trust store where there is no key (CA-49).
func (m *material) pkcs12(password string) ([]byte, error) {
	if password == "" {
		return nil, errors.New("PKCS #12 needs a password: Java reads no store without one")
	}
	if m.key == nil {
		all := m.roots
		if len(all) == 0 {
			all = m.chain
		}
		if len(all) == 0 {
			return nil, errors.New("no certificate for a trust store")
		}
		return pkcs12.Modern2023.EncodeTrustStore(all, password)
	}
	if err := m.match(); err != nil {
		return nil, err
	}
	return pkcs12.Modern2023.Encode(m.key, m.chain[0], m.chain[1:], password)
}

// match wants the key to be that of the leaf.
func (m *material) match() error {
	switch {
	case len(m.chain) == 0 && len(m.roots) == 1:
		m.chain, m.roots = m.roots, nil // a certificate that signs itself
	case len(m.chain) == 0:
		return errors.New("no certificate for the private key")
	}
	if !samePublic(m.chain[0].PublicKey, m.key.Public()) {
		return errors.New("the private key is not that of the first certificate: give the chain of its own certificate")
	}
	return nil
}

// jwks is a bundle of SPIFFE for authorities, and public keys for tokens
// otherwise (CA-50).
func (m *material) jwks() ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	authorities := m.roots
	if len(authorities) == 0 {
		authorities = slices.DeleteFunc(slices.Clone(m.chain), func(c *x509.Certificate) bool { return certs.RoleOf(c) == certs.LeafRole })
	}
	for _, c := range authorities {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: c.PublicKey, Use: "x509-svid", Certificates: []*x509.Certificate{c}})
	}
	if len(authorities) == 0 {
		publics := m.publics
		if m.key != nil {
			publics = append(publics, m.key.Public())
		}
		for _, public := range publics {
			key, err := jwt.KeyID(public)
			if err != nil {
				return nil, err
			}
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: public, Use: "sig", KeyID: key})
		}
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("nothing for a JWKS: expected certificates of authorities, public keys or, with --keys, the private key whose public half is written")
	}
	text, err := json.MarshalIndent(set, "", "  ")
	return append(text, '\n'), err
}

// secret holds a key, its chain and the roots (CA-47).
func (m *material) secret(c *Conversion) ([]byte, error) {
	if m.key == nil {
		return nil, errors.New("a Secret is for a private key: give --keys and a key; for roots alone convert to configmap")
	}
	if err := m.match(); err != nil {
		return nil, err
	}
	key, err := certs.EncodeKey(m.key)
	if err != nil {
		return nil, err
	}
	names := [3]string{"ca.crt", "tls.crt", "tls.key"}
	if c.Type == TypeIstio {
		names = [3]string{certs.BundleRoot, certs.BundleChain, "key.pem"}
	}
	data := map[string][]byte{names[0]: certs.EncodeCertificates(m.roots...), names[1]: certs.EncodeCertificates(m.chain...), names[2]: key}
	if len(m.roots) == 0 {
		delete(data, names[0])
	}
	name, namespace := c.named(m.chain[0])
	if name == "" {
		return nil, errors.New("the Secret has no name: give --name")
	}
	var out strings.Builder
	out.WriteString("apiVersion: v1\ndata:\n")
	for _, part := range sortedKeys(data) {
		fmt.Fprintf(&out, "  %s: %s\n", part, base64.StdEncoding.EncodeToString(data[part]))
	}
	fmt.Fprintf(&out, "kind: Secret\nmetadata:\n  labels:\n    app.kubernetes.io/managed-by: meshctl\n  name: %q\n", name)
	if namespace != "" {
		fmt.Fprintf(&out, "  namespace: %q\n", namespace)
	}
	fmt.Fprintf(&out, "type: %s\n", c.Type)
	return []byte(out.String()), nil
}

// named is the name that was given, or the one by which Istio finds the Secret of
// a workload.
func (c *Conversion) named(leaf *x509.Certificate) (name, namespace string) {
	name, namespace = c.Name, c.Namespace
	of, account, ok := certs.IdentityOf(leaf).Workload()
	if !ok {
		return name, namespace
	}
	if namespace == "" {
		namespace = of
	}
	if name == "" && c.Type == TypeIstio {
		name = "istio." + account
	}
	if name == "" {
		name = account + "-tls"
	}
	return name, namespace
}

// configMap holds roots, as Istio publishes its own.
func (m *material) configMap(c *Conversion) ([]byte, error) {
	roots := m.roots
	if len(roots) == 0 {
		roots = m.chain
	}
	if len(roots) == 0 {
		return nil, errors.New("no certificate for a ConfigMap")
	}
	name := c.Name
	if name == "" {
		name = "istio-ca-root-cert"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "apiVersion: v1\ndata:\n  %s: |\n", certs.BundleRoot)
	for line := range strings.Lines(string(certs.EncodeCertificates(roots...))) {
		out.WriteString("    " + line)
	}
	fmt.Fprintf(&out, "kind: ConfigMap\nmetadata:\n  labels:\n    app.kubernetes.io/managed-by: meshctl\n  name: %q\n", name)
	if c.Namespace != "" {
		fmt.Fprintf(&out, "  namespace: %q\n", c.Namespace)
	}
	return []byte(out.String()), nil
}

func sortedKeys(data map[string][]byte) []string {
	var all []string
	for key := range data {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}
