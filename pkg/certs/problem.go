package certs

import (
	"crypto/x509"
	"slices"
)

// Problem is one thing that is wrong with certificates or with what comes with
// them. Code is a stable slug of Codes, Severity is SeverityError or
// SeverityWarning, File names the part at fault. Neither Message nor Fix holds
// anything of a key.
type Problem struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	File     string `json:"file,omitempty"`
	Message  string `json:"message"`
	Fix      string `json:"fix,omitempty"`
}

// The severities. With an error somebody refuses the certificates, or should;
// with a warning some do.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// HasErrors tells whether one of the problems is an error.
func HasErrors(all []Problem) bool {
	return slices.ContainsFunc(all, func(p Problem) bool { return p.Severity == SeverityError })
}

// Rule is the rule of the reference that the problem breaks, such as CA-7; empty
// for what is not in the catalogue.
func (p Problem) Rule() string {
	for _, c := range Codes() {
		if c.Slug == p.Code {
			return c.Rule
		}
	}
	return ""
}

// Code is a kind of problem.
type Code struct {
	Slug    string
	Rule    string // of the reference
	Meaning string
}

// The slugs. They are never given another meaning.
const (
	codeMissing         = "missing"
	codeBadPEM          = "bad-pem"
	codeStrayText       = "stray-text"
	codeWrongBlock      = "wrong-block"
	codeMalformed       = "malformed"
	codeKeyInChain      = "key-in-chain"
	codeExtra           = "extra-certificates"
	codeBadKey          = "bad-key"
	codeEncryptedKey    = "encrypted-key"
	codeKeyMismatch     = "key-mismatch"
	codeWeakKey         = "weak-key"
	codeUnusualKey      = "unusual-key"
	codeWeakSignature   = "weak-signature"
	codeExpired         = "expired"
	codeNotYetValid     = "not-yet-valid"
	codeExpiresSoon     = "expires-soon"
	codeOutlivesIssuer  = "outlives-issuer"
	codeLongLife        = "long-life"
	codeUnknownIssuer   = "unknown-issuer"
	codeBadSignature    = "bad-signature"
	codeNotCA           = "not-a-ca"
	codeNoCertSign      = "no-cert-sign"
	codeNoKeyUsage      = "no-key-usage"
	codePathLength      = "path-length"
	codeNameConstraint  = "name-constraint"
	codeKeyID           = "key-id"
	codePurpose         = "extended-key-usage"
	codeKeyUsage        = "key-usage"
	codeChainEmpty      = "chain-empty"
	codeChainLacksCA    = "chain-lacks-ca"
	codeChainOrder      = "chain-order"
	codePartialAnchor   = "partial-anchor"
	codeTrialLeaf       = "trial-leaf"
	codeBadCRL          = "bad-crl"
	codeCRLMissing      = "crl-missing"
	codeCRLStale        = "crl-stale"
	codeRevoked         = "revoked"
	codeNoCRLSign       = "no-crl-sign"
	codeNoID            = "no-spiffe-id"
	codeSeveralURIs     = "several-uris"
	codeBadID           = "spiffe-id"
	codeUnderscore      = "underscore"
	codeCAIdentity      = "ca-identity"
	codeSANNotCritical  = "san-not-critical"
	codeLeafIsCA        = "leaf-is-ca"
	codeNoConstraints   = "no-basic-constraints"
	codeSerial          = "serial-number"
	codeWrongIdentity   = "wrong-identity"
	codeWrongDomain     = "wrong-trust-domain"
	codeRefused         = "refused"
	codeLoosePermission = "loose-permissions"
)

// Codes is the catalogue of problems.
func Codes() []Code {
	return []Code{
		{codeMissing, "CA-23", "a part is not there"},
		{codeBadPEM, "CA-68", "a PEM block is cut off or damaged"},
		{codeStrayText, "CA-68", "there is text outside of the PEM blocks"},
		{codeWrongBlock, "CA-68", "a PEM block is of another kind than expected"},
		{codeMalformed, "CA-68", "a certificate cannot be decoded"},
		{codeKeyInChain, "CA-23", "a private key stands where only certificates belong"},
		{codeExtra, "CA-23", "there are certificates that nobody reads"},
		{codeBadKey, "CA-19", "the private key cannot be decoded"},
		{codeEncryptedKey, "CA-19", "the private key is encrypted, which istiod and Envoy do not read"},
		{codeKeyMismatch, "CA-23", "the private key is not the certificate's"},
		{codeWeakKey, "CA-16", "the key is too weak, or TLS does not take it"},
		{codeUnusualKey, "CA-16", "not everybody takes such a key"},
		{codeWeakSignature, "CA-23", "the signature uses SHA-1 or MD5"},
		{codeExpired, "CA-15", "the certificate is out of date"},
		{codeNotYetValid, "CA-14", "the certificate is not valid yet"},
		{codeExpiresSoon, "CA-69", "the certificate expires soon"},
		{codeOutlivesIssuer, "CA-15", "the certificate outlives one above it"},
		{codeLongLife, "CA-14", "a workload's certificate is valid for longer than 90 days"},
		{codeUnknownIssuer, "CA-23", "the chain does not lead to a root"},
		{codeBadSignature, "CA-23", "the signature is not by the key of the issuer that is given"},
		{codeNotCA, "CA-23", "an issuer is no certificate authority"},
		{codeNoCertSign, "CA-23", "an issuer may not sign certificates"},
		{codeNoKeyUsage, "CA-23", "an issuer does not say what its key may be used for"},
		{codePathLength, "CA-23", "there are more certificates between root and leaf than one above allows"},
		{codeNameConstraint, "CA-28", "a certificate above does not allow the name"},
		{codeKeyID, "CA-12", "the authority key identifier is not that of the issuer, or an issuer has no identifier"},
		{codePurpose, "CA-10", "the certificate is not for servers and clients both"},
		{codeKeyUsage, "CA-9", "the key usage is not that of a workload"},
		{codeChainEmpty, "CA-23", "the chain is empty"},
		{codeChainLacksCA, "CA-23", "the chain lacks the certificate that signs"},
		{codeChainOrder, "CA-23", "the chain does not go from the leaf to the root"},
		{codePartialAnchor, "CA-23", "a root is not self-signed"},
		{codeTrialLeaf, "CA-23", "a leaf that is signed for trial does not verify"},
		{codeBadCRL, "CA-29", "a revocation list cannot be decoded, or nobody above signed it"},
		{codeCRLMissing, "CA-29", "a certificate authority has no revocation list where another has"},
		{codeCRLStale, "CA-29", "a revocation list is out of date"},
		{codeRevoked, "CA-29", "a revocation list beside an authority revokes it, or one above it"},
		{codeNoCRLSign, "CA-21", "an issuer may not sign revocation lists"},
		{codeNoID, "CA-7", "the certificate has no URI among its names"},
		{codeSeveralURIs, "CA-7", "the certificate has several URIs among its names"},
		{codeBadID, "CA-3", "the URI is no SPIFFE ID of a workload"},
		{codeUnderscore, "CA-2", "the trust domain has an underscore, which some software refuses"},
		{codeCAIdentity, "CA-4", "an authority's SPIFFE ID has a path"},
		{codeSANNotCritical, "CA-8", "there is no subject, and the names are not critical"},
		{codeLeafIsCA, "CA-11", "the leaf is a certificate authority"},
		{codeNoConstraints, "CA-11", "the leaf does not say that it is no certificate authority"},
		{codeSerial, "CA-13", "the serial number is zero, negative or too long"},
		{codeWrongIdentity, "CA-43", "the identity is not one that was expected"},
		{codeWrongDomain, "CA-28", "the trust domain is not the authority's"},
		{codeRefused, "CA-72", "a library refuses the chain for another reason"},
		{codeLoosePermission, "CA-55", "others may read the file of a private key, or it is a symbolic link"},
	}
}

// fault is a problem of a certificate, before it is known in which file that is.
type fault struct {
	Problem
	cert *x509.Certificate
}
