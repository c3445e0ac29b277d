package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The last numbers of the OIDs of extensions, below 2.5.29.
const (
	oidKeyUsage         = 15
	oidAlternativeNames = 17
	oidConstraints      = 19
)

// leafFaults says how a certificate differs from that of a workload (CA-1..CA-16).
// It knows nothing of who signed it.
func leafFaults(c *x509.Certificate) []fault {
	l := &faults{cert: c}
	l.checkName()
	l.checkUsage()
	l.checkSerial()
	l.checkKey()
	if life := c.NotAfter.Sub(c.NotBefore); life > MaxLeafTTL+backdating {
		l.warn(codeLongLife, fmt.Sprintf("the certificate is valid for %s; a workload's is for %s at most", days(life), days(MaxLeafTTL)), "issue it for less, such as 24h, and renew it")
	}
	return l.all
}

// faults collects what is wrong with one certificate.
type faults struct {
	cert *x509.Certificate
	all  []fault
}

func (l *faults) add(severity, code, message, fix string) {
	l.all = append(l.all, fault{Problem{Code: code, Severity: severity, Message: message, Fix: fix}, l.cert})
}

func (l *faults) fail(code, message, fix string) { l.add(SeverityError, code, message, fix) }
func (l *faults) warn(code, message, fix string) { l.add(SeverityWarning, code, message, fix) }

// checkName wants one URI, a workload's SPIFFE ID (CA-1..CA-4, CA-7, CA-8).
func (l *faults) checkName() {
	const reissue = "issue the certificate with one URI name, such as spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT"
	uris := rawURIs(l.cert)
	switch len(uris) {
	case 0:
		l.fail(codeNoID, "the certificate has no URI among its alternative names, so it is for no workload", reissue)
		return
	case 1:
	default:
		l.fail(codeSeveralURIs, fmt.Sprintf("the certificate has %d URIs among its alternative names; a workload has one", len(uris)), reissue)
		return
	}
	id, err := ParseID(uris[0])
	switch {
	case err != nil:
		l.fail(codeBadID, err.Error(), reissue)
	case id.Path() == "":
		l.fail(codeBadID, fmt.Sprintf("identity %q is that of a trust domain: a workload's has a path", id), reissue)
	case strings.Contains(id.TrustDomain(), "_"):
		l.warn(codeUnderscore, fmt.Sprintf("trust domain %q has an underscore: some software takes it for no host name", id.TrustDomain()), "use a dash in its place")
	}
	if critical, _ := findExtension(l.cert, oidAlternativeNames); !critical && emptySubject(l.cert) {
		l.fail(codeSANNotCritical, "there is no subject, and the alternative names are not marked critical: Java cannot read the certificate", "mark the names critical")
	}
}

// checkUsage wants a key that signs handshakes of servers and clients, and no
// certificates (CA-9..CA-11).
func (l *faults) checkUsage() {
	c := l.cert
	critical, there := findExtension(c, oidKeyUsage)
	signs := c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0
	const fix = "issue the certificate with the critical key usage digitalSignature"
	switch {
	case !there:
		l.fail(codeKeyUsage, "the certificate has no key usage", fix)
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		l.fail(codeKeyUsage, "the key usage lacks digitalSignature: TLS cannot use the key", fix)
	case signs && !c.IsCA:
		l.fail(codeKeyUsage, "the key usage has keyCertSign or cRLSign, which a workload must not have", fix)
	case !critical:
		l.fail(codeKeyUsage, "the key usage is not marked critical", fix)
	}
	l.checkPurpose(c.ExtKeyUsage, len(c.UnknownExtKeyUsage))
	_, constrained := findExtension(c, oidConstraints)
	switch {
	case c.IsCA:
		l.fail(codeLeafIsCA, "the certificate is a certificate authority's: no workload may have one", "issue a leaf with this authority, and use that")
	case !constrained:
		l.warn(codeNoConstraints, "the certificate does not say that it is no certificate authority", "issue it with basicConstraints CA:FALSE, marked critical")
	}
}

func (l *faults) checkPurpose(usages []x509.ExtKeyUsage, unknown int) {
	lacks := lackingPurposes(usages)
	const fix = "issue the certificate with the extended key usages serverAuth and clientAuth"
	switch {
	case len(usages)+unknown == 0:
		l.fail(codePurpose, "the certificate has no extended key usage: it is not limited to TLS", fix)
	case len(lacks) > 0:
		l.fail(codePurpose, fmt.Sprintf("the extended key usage lacks %s; a workload is server and client", strings.Join(lacks, " and ")), fix)
	}
}

// lackingPurposes are those of TLS that are not among the usages.
func lackingPurposes(usages []x509.ExtKeyUsage) []string {
	var lacks []string
	if slices.Contains(usages, x509.ExtKeyUsageAny) {
		return nil
	}
	if !slices.Contains(usages, x509.ExtKeyUsageServerAuth) {
		lacks = append(lacks, "serverAuth")
	}
	if !slices.Contains(usages, x509.ExtKeyUsageClientAuth) {
		lacks = append(lacks, "clientAuth")
	}
	return lacks
}

// checkSerial is CA-13.
func (l *faults) checkSerial() {
	const bytes, fix = 20, "issue the certificate with a random serial number of 128 bits"
	n := l.cert.SerialNumber
	switch {
	case n.Sign() <= 0:
		l.fail(codeSerial, "the serial number is not positive", fix)
	case n.BitLen() > bytes*8-1: // the sign takes one
		l.fail(codeSerial, fmt.Sprintf("the serial number has %d bytes; at most %d are allowed", n.BitLen()/8+1, bytes), fix)
	}
}

// checkKey is CA-16.
func (l *faults) checkKey() {
	const fix = "make a new key, P-256 unless something else is needed"
	if err := CheckKey(l.cert.PublicKey); err != nil {
		l.fail(codeWeakKey, err.Error(), fix)
		return
	}
	if name := unusualKey(l.cert.PublicKey); name != "" {
		l.warn(codeUnusualKey, name+" key: not all TLS software takes it", fix)
	}
}

func unusualKey(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P521() {
			return "P-521"
		}
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return ""
}

// KeyName is a key's kind in words, such as P-256 or RSA-2048.
func KeyName(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	case nil:
		return "unknown"
	}
	return fmt.Sprintf("%T", public)
}

// findExtension finds one of 2.5.29.
func findExtension(c *x509.Certificate, last int) (critical, there bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, last}) {
			return e.Critical, true
		}
	}
	return false, false
}

func emptySubject(c *x509.Certificate) bool {
	var sequence asn1.RawValue
	_, err := asn1.Unmarshal(c.RawSubject, &sequence)
	return err == nil && len(sequence.Bytes) == 0
}

// rawURIs are the URIs as they are written in the certificate: what package url
// makes of them may be another text.
func rawURIs(c *x509.Certificate) []string {
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, oidAlternativeNames}) {
			return uriNames(e.Value)
		}
	}
	return nil
}

// uriNames are the URIs of the value of an extension of alternative names.
func uriNames(value []byte) []string {
	const uri = 6 // GeneralName's tag
	var sequence asn1.RawValue
	if _, err := asn1.Unmarshal(value, &sequence); err != nil {
		return nil
	}
	var all []string
	for rest := sequence.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			break
		}
		if name.Class == asn1.ClassContextSpecific && name.Tag == uri {
			all = append(all, string(name.Bytes))
		}
	}
	return all
}

// days is a lifetime in words: days from two of them on.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Minute).String()
}

// octetString is what the first element of a text of DER holds, whatever
// follows.
func octetString(der []byte) []byte {
	var value asn1.RawValue
	if _, err := asn1.Unmarshal(der, &value); err != nil {
		return nil
	}
	return value.Bytes
}
