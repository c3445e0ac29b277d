package inspect

import (
	"crypto"
	"crypto/x509"
	"path"
	"strings"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// Form is how a thing was written.
type Form string

// The forms.
const (
	PEM       Form = "pem"
	DER       Form = "der"
	PKCS12    Form = "pkcs12"
	JWKS      Form = "jwks"
	Secret    Form = "secret"
	ConfigMap Form = "configmap"
	SDS       Form = "sds"
	Dump      Form = "envoy"
	Live      Form = "live"
)

// Entry is one thing that was found: it has a certificate, a request, or a key.
type Entry struct {
	Place Place
	Form  Form
	// Part is the name of the file, or the key of the Secret, that says what the
	// thing is for.
	Part string

	Certificate *x509.Certificate
	Request     *x509.CertificateRequest
	Public      crypto.PublicKey
	// Key is the private key of Public; nil if only that is known.
	Key crypto.Signer
	// Encrypted tells a private key that cannot be read.
	Encrypted bool
	// Trusted tells a certificate that stands where roots do.
	Trusted bool
}

// Place is where something stands: in a file, or in an object of a file.
type Place struct {
	report.Location
	Subject string // such as "Secret shop/istio.web: tls.crt"; empty in a file
}

// String is "file:line: subject".
func (p Place) String() string {
	if p.Subject == "" {
		return p.Location.String()
	}
	return p.Location.String() + ": " + p.Subject
}

// Group is what belongs together: files that were named together, a folder, a
// Secret.
type Group struct {
	Name    string
	Entries []Entry
	// Findings are what is wrong with how things are written.
	Findings []Finding
}

// Certificates are those that are not roots, in their order.
func (g *Group) Certificates() []*x509.Certificate {
	return g.certificates(func(e *Entry) bool { return !e.Trusted })
}

// Roots are the certificates that stand where roots do.
func (g *Group) Roots() []*x509.Certificate {
	return g.certificates(func(e *Entry) bool { return e.Trusted })
}

// All are the certificates in their order.
func (g *Group) All() []*x509.Certificate {
	return g.certificates(func(*Entry) bool { return true })
}

func (g *Group) certificates(wanted func(*Entry) bool) []*x509.Certificate {
	var all []*x509.Certificate
	for i := range g.Entries {
		if e := &g.Entries[i]; e.Certificate != nil && wanted(e) {
			all = append(all, e.Certificate)
		}
	}
	return all
}

// Merge puts groups together as one.
func Merge(name string, all ...Group) Group {
	merged := Group{Name: name}
	for _, g := range all {
		merged.Entries = append(merged.Entries, g.Entries...)
		merged.Findings = append(merged.Findings, g.Findings...)
	}
	return merged
}

// isRootPart tells whether a file or a key of a Secret holds roots, by its name
// (CA-24, CA-46, CA-47).
func isRootPart(name string) bool {
	switch base := path.Base(strings.ReplaceAll(name, `\`, "/")); base {
	case certs.BundleRoot, "ca.crt", "cacert", "ca_certificates.pem", "ROOTCA", "roots.pem", "root.pem", "root.crt":
		return true
	default:
		return strings.HasSuffix(base, ".spiffe-trust-bundle.pem")
	}
}

// isChainPart tells whether only certificates belong into a part.
func isChainPart(name string) bool {
	switch path.Base(strings.ReplaceAll(name, `\`, "/")) {
	case certs.BundleChain, certs.BundleCert, "tls.crt", "cert", "certificates.pem", "cert.pem", "chain.pem":
		return true
	}
	return isRootPart(name)
}
