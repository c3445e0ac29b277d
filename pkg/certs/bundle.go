package certs

// Bundle is a plugged-in CA as istiod reads it: ca-cert.pem, ca-key.pem,
// root-cert.pem and cert-chain.pem, as PEM (CA-24).
type Bundle struct {
	Cert, Key, Root, Chain []byte
}

// Problem is something that is wrong with a certificate or a bundle.
type Problem struct {
	Code, Severity, File string // Severity is error or warning
	Message, Fix         string
}

// The names of a bundle's parts, as a Secret cacerts has them.
const (
	BundleCert  = "ca-cert.pem"
	BundleKey   = "ca-key.pem"
	BundleRoot  = "root-cert.pem"
	BundleChain = "cert-chain.pem"
	BundleCRL   = "ca-crl.pem"
)
