package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"
)

// Lifetimes (CA-14, CA-20).
const (
	DefaultLeafTTL = 24 * time.Hour
	MaxLeafTTL     = 90 * 24 * time.Hour
	DefaultRootTTL = 3650 * 24 * time.Hour
)

// backdating allows for clocks that are behind (CA-14).
const backdating = 2 * time.Minute

// maxCommonName is what X.520 allows.
const maxCommonName = 64

// LeafOptions are what may vary between leaves. The zero value is the profile's.
type LeafOptions struct {
	TTL time.Duration // 0 is DefaultLeafTTL; more than MaxLeafTTL is refused
	// IstioCompat allows key encipherment for all kinds of keys, as Istio's CA
	// does; otherwise it is for RSA only (CA-9).
	IstioCompat bool
	// DualUse names the identity in the subject as well, if it is short enough
	// for a common name (CA-18).
	DualUse bool
	// DNSNames and IPs are names beside the identity, for clients that know no
	// SPIFFE (CA-7).
	DNSNames []string
	IPs      []netip.Addr
}

// RootOptions are what may vary between roots. The zero value is the profile's.
type RootOptions struct {
	TTL time.Duration // 0 is DefaultRootTTL
	// Generation tells roots of one day apart; 2 and more are in the name.
	Generation int
	// OmitID leaves the trust domain's own ID out of the alternative names
	// (CA-20).
	OmitID bool
}

// lifetime is how long a leaf lasts. What is asked for beyond the limit is
// refused and not cut down (CA-14).
func (o LeafOptions) lifetime() (time.Duration, error) {
	switch {
	case o.TTL <= 0:
		return DefaultLeafTTL, nil
	case o.TTL > MaxLeafTTL:
		return 0, fmt.Errorf("lifetime of %s: at most %s are allowed", o.TTL, MaxLeafTTL)
	}
	return o.TTL, nil
}

// leafTemplate is a workload's certificate (CA-7..CA-12).
func leafTemplate(id ID, public crypto.PublicKey, o LeafOptions) (*x509.Certificate, error) {
	if id.Path() == "" {
		return nil, fmt.Errorf("identity %q: a workload's has a path (CA-4)", id)
	}
	names, err := alternativeName(id, o.DNSNames, o.IPs)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{names},
	}
	if _, isRSA := public.(*rsa.PublicKey); isRSA || o.IstioCompat {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	if text := id.String(); o.DualUse && len(text) <= maxCommonName {
		t.Subject.CommonName = text
	}
	return t, nil
}

// rootTemplate is a self-signed root. It has no limit on the length of paths,
// and its name differs from day to day, so that generations can be told apart
// (CA-20, CA-21).
func rootTemplate(domain string, now time.Time, o RootOptions) (*x509.Certificate, error) {
	t := authorityTemplate(domain, "root", o.Generation, now)
	if o.OmitID {
		return t, nil
	}
	names, err := alternativeName(ID{domain: domain}, nil, nil)
	t.ExtraExtensions = []pkix.Extension{names}
	return t, err
}

// alternativeName is the one URI that a certificate is for, then other names. It
// is critical whatever the subject says, since Java and SPIFFE want it so without
// one (CA-7, CA-8).
func alternativeName(id ID, dns []string, ips []netip.Addr) (pkix.Extension, error) {
	const dnsName, uri, ipAddress = 2, 6, 7 // GeneralName's tags
	names := []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: uri, Bytes: []byte(id.String())}}
	for _, name := range dns {
		if err := checkDNSName(name); err != nil {
			return pkix.Extension{}, err
		}
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: dnsName, Bytes: []byte(name)})
	}
	for _, ip := range ips {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: ipAddress, Bytes: ip.Unmap().AsSlice()})
	}
	value, err := asn1.Marshal(names)
	return pkix.Extension{Id: alternativeNames(), Critical: true, Value: value}, err
}

func alternativeNames() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }

// checkDNSName wants a host name without wildcards (CA-64).
func checkDNSName(name string) error {
	const most, mostLabel = 253, 63
	ok := len(name) <= most
	for label := range strings.SplitSeq(name, ".") {
		ok = ok && label != "" && len(label) <= mostLabel && !strings.HasPrefix(label, "-") && !strings.HasSuffix(label, "-")
		for _, r := range label {
			ok = ok && (isLower(r) || isDigit(r) || r == '-')
		}
	}
	if !ok {
		return fmt.Errorf("DNS name %q: expected a host name in lower case, without wildcards", name)
	}
	return nil
}

// keyID names a key in the certificates that it signs (CA-12; RFC 7093, method
// 1).
func keyID(public crypto.PublicKey) ([]byte, error) {
	var bits []byte // of the public key's bit string
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		var err error
		if bits, err = k.Bytes(); err != nil {
			return nil, err
		}
	case *rsa.PublicKey:
		bits = x509.MarshalPKCS1PublicKey(k)
	case ed25519.PublicKey:
		bits = k
	default:
		return nil, fmt.Errorf("key of type %T has no identifier", public)
	}
	const size = 20
	sum := sha256.Sum256(bits)
	return sum[:size], nil
}

// serial reads 128 random bits. Zero is no serial number, and none is used twice
// (CA-13).
func (m *Mint) serial() (*big.Int, error) {
	const bytes, attempts = 16, 4
	data := make([]byte, bytes)
	for range attempts {
		if err := readFull(m.Random, data); err != nil {
			return nil, fmt.Errorf("serial number: %w", err)
		}
		if n := new(big.Int).SetBytes(data); n.Sign() > 0 && (m.Taken == nil || !m.Taken(n)) {
			return n, nil
		}
	}
	return nil, errors.New("serial number: the source of randomness gives zeros only, or numbers in use")
}
