package envoy

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// Secret is what may be told of a secret. Keys are not kept.
type Secret struct {
	Name         string        `json:"name"`
	Kind         string        `json:"kind"`              // Cert Chain, CA, or another
	Warming      bool          `json:"warming,omitempty"` // not in use yet
	Certificates []Certificate `json:"certificates,omitempty"`
}

// Certificate is what a certificate says of itself.
type Certificate struct {
	Serial      string    `json:"serial"`
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	Names       []string  `json:"names,omitempty"` // SANs: URIs, then DNS names
	Fingerprint string    `json:"fingerprint"`     // SHA-256 of the certificate
	Raw         []byte    `json:"-"`               // the certificate in DER
}

func newSecret(m *tlsv3.Secret) Secret {
	s := Secret{Name: m.Name}
	switch kind := m.Type.(type) {
	case *tlsv3.Secret_TlsCertificate:
		s.Kind, s.Certificates = "Cert Chain", certificates(kind.TlsCertificate.GetCertificateChain())
	case *tlsv3.Secret_ValidationContext:
		s.Kind, s.Certificates = "CA", certificates(kind.ValidationContext.GetTrustedCa())
	case *tlsv3.Secret_SessionTicketKeys:
		s.Kind = "Session Ticket Keys"
	default:
		s.Kind = "Generic"
	}
	return s
}

// certificates reads what stands inline. What is elsewhere, or no certificate,
// is left out.
func certificates(source *corev3.DataSource) []Certificate {
	text := source.GetInlineBytes()
	if text == nil {
		text = []byte(source.GetInlineString())
	}
	var all []Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			continue
		}
		sum := sha256.Sum256(c.Raw)
		one := Certificate{
			Serial: c.SerialNumber.Text(16), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Fingerprint: hex.EncodeToString(sum[:]), Raw: c.Raw,
		}
		for _, uri := range c.URIs {
			one.Names = append(one.Names, uri.String())
		}
		one.Names = append(one.Names, c.DNSNames...)
		all = append(all, one)
	}
}
