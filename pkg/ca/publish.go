package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/certs"
)

// Plugged is the authority's signer as istiod reads it: with its key, which
// istiod needs (CA-24).
func (a *Authority) Plugged() (certs.Bundle, error) {
	if err := a.checkRevoked(); err != nil {
		return certs.Bundle{}, err
	}
	signer, err := a.issuer(a.state.Signer, nil)
	if err != nil {
		return certs.Bundle{}, err
	}
	key, err := certs.EncodeKey(signer.Key)
	chain := append(a.between(), a.certs[a.rootOf(a.state.Signer)])
	return certs.Bundle{
		Cert: certs.EncodeCertificates(signer.Certificate()), Key: key,
		Root: certs.EncodeCertificates(a.Roots()...), Chain: certs.EncodeCertificates(chain...),
	}, err
}

// PluggedForm is a layout in which istiod reads an authority (CA-24).
type PluggedForm string

// The layouts.
const (
	PEMLayout PluggedForm = "pem" // ca-cert.pem and its like
	TLSLayout PluggedForm = "tls" // tls.crt, tls.key and ca.crt; istiod reads no CRL there
)

// PluggedFiles are the files of a layout. A CRL goes with those of PEMLayout.
func PluggedFiles(form PluggedForm, b certs.Bundle, crl []byte) (map[string][]byte, error) {
	switch form {
	case PEMLayout:
		files := map[string][]byte{certs.BundleCert: b.Cert, certs.BundleKey: b.Key, certs.BundleRoot: b.Root, certs.BundleChain: b.Chain}
		if crl != nil {
			files[certs.BundleCRL] = crl
		}
		return files, nil
	case TLSLayout:
		if crl != nil {
			return nil, fmt.Errorf("istiod reads no CRL from the layout %q: use %q", TLSLayout, PEMLayout)
		}
		return map[string][]byte{"tls.crt": withoutRoots(b), "tls.key": b.Key, "ca.crt": b.Root}, nil
	}
	return nil, fmt.Errorf("layout %q: expected %q or %q", form, PEMLayout, TLSLayout)
}

// withoutRoots is the chain without what istiod takes from ca.crt.
func withoutRoots(b certs.Bundle) []byte {
	chain, err := certs.ParseCertificates(b.Chain)
	if err != nil {
		return b.Chain
	}
	return certs.EncodeCertificates(slices.DeleteFunc(chain, func(c *x509.Certificate) bool {
		return bytes.Contains(b.Root, certs.EncodeCertificates(c))
	})...)
}

// PluggedSecret is the Secret cacerts of a namespace.
func PluggedSecret(form PluggedForm, files map[string][]byte, namespace string) ([]byte, error) {
	if !kubernetesName(namespace) {
		return nil, fmt.Errorf("namespace %q: lower case letters, digits and dashes only", namespace)
	}
	s := &secret{name: "cacerts", namespace: namespace, kind: "Opaque"}
	if form == TLSLayout {
		s.kind = tlsType
	}
	for name, data := range files {
		s.data = append(s.data, [2]string{name, string(data)})
	}
	slices.SortFunc(s.data, func(x, y [2]string) int { return strings.Compare(x[0], y[0]) })
	var out bytes.Buffer
	s.encode(&out)
	return out.Bytes(), nil
}

// BundleForm is a form of the trust bundle.
type BundleForm string

// The forms.
const (
	PEMBundle        BundleForm = "pem"
	SPIFFEBundle     BundleForm = "spiffe"     // a JWK set (CA-50)
	MeshConfigBundle BundleForm = "meshconfig" // caCertificates of a mesh config
	ConfigMapBundle  BundleForm = "configmap"  // istio-ca-root-cert
)

// BundleForms are all of them.
func BundleForms() []BundleForm {
	return []BundleForm{PEMBundle, SPIFFEBundle, MeshConfigBundle, ConfigMapBundle}
}

// Bundle writes the roots that peers have to trust. The namespace is for a
// ConfigMap.
func (a *Authority) Bundle(form BundleForm, namespace string) ([]byte, error) {
	roots := certs.EncodeCertificates(a.Roots()...)
	switch form {
	case PEMBundle:
		return roots, nil
	case SPIFFEBundle:
		return a.spiffeBundle()
	case MeshConfigBundle:
		var out bytes.Buffer
		out.WriteString("caCertificates:\n")
		for _, root := range a.Roots() {
			fmt.Fprintf(&out, "- pem: |\n%s  trustDomains:\n  - %q\n", indent(certs.EncodeCertificates(root), "    "), a.state.TrustDomain)
		}
		return out.Bytes(), nil
	case ConfigMapBundle:
		if !kubernetesName(namespace) {
			return nil, fmt.Errorf("namespace %q: lower case letters, digits and dashes only", namespace)
		}
		return fmt.Appendf(nil, "apiVersion: v1\ndata:\n  root-cert.pem: |\n%skind: ConfigMap\nmetadata:\n  labels:\n    app.kubernetes.io/managed-by: meshctl\n  name: istio-ca-root-cert\n  namespace: %q\n", indent(roots, "    "), namespace), nil
	}
	return nil, fmt.Errorf("bundle %q: expected one of %v", form, BundleForms())
}

func indent(text []byte, by string) string {
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		out.WriteString(by + line)
	}
	return out.String()
}

// jwk is a root in a SPIFFE bundle. It has no key ID (CA-50).
type jwk struct {
	Use   string   `json:"use"`
	Type  string   `json:"kty"`
	Curve string   `json:"crv,omitempty"`
	X     string   `json:"x,omitempty"`
	Y     string   `json:"y,omitempty"`
	N     string   `json:"n,omitempty"`
	E     string   `json:"e,omitempty"`
	Chain []string `json:"x5c"`
}

func (a *Authority) spiffeBundle() ([]byte, error) {
	const hint = 300 // seconds
	bundle := struct {
		Keys     []jwk  `json:"keys"`
		Sequence uint64 `json:"spiffe_sequence"`
		Refresh  int    `json:"spiffe_refresh_hint"`
	}{Sequence: a.state.Sequence, Refresh: hint}
	for _, root := range a.Roots() {
		k, err := jwkOf(root)
		if err != nil {
			return nil, err
		}
		bundle.Keys = append(bundle.Keys, k)
	}
	text, err := json.MarshalIndent(bundle, "", "  ")
	return append(text, '\n'), err
}

func jwkOf(c *x509.Certificate) (jwk, error) {
	k := jwk{Use: "x509-svid", Chain: []string{base64.StdEncoding.EncodeToString(c.Raw)}}
	number := base64.RawURLEncoding.EncodeToString
	switch p := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4, x, y
		if err != nil {
			return jwk{}, err
		}
		half := len(point) / 2
		k.Type, k.Curve, k.X, k.Y = "EC", p.Params().Name, number(point[1:1+half]), number(point[1+half:])
	case *rsa.PublicKey:
		k.Type, k.N, k.E = "RSA", number(p.N.Bytes()), number(big.NewInt(int64(p.E)).Bytes())
	case ed25519.PublicKey: // of an authority that was imported
		k.Type, k.Curve, k.X = "OKP", "Ed25519", number(p)
	default:
		return jwk{}, fmt.Errorf("%s: a key of type %T is not for a bundle", c.Subject, p)
	}
	return k, nil
}
