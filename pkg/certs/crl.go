package certs

import (
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"time"
)

// CRL lists what an authority has revoked. It counts until then; a client that
// has no newer one afterwards refuses everybody (CA-29).
func (m *Mint) CRL(i *Issuer, number *big.Int, revoked []x509.RevocationListEntry, until time.Time) (*x509.RevocationList, error) {
	algorithm, err := signatureAlgorithm(i.Key.Public())
	if err != nil {
		return nil, err
	}
	t := &x509.RevocationList{
		SignatureAlgorithm: algorithm, Number: number, RevokedCertificateEntries: revoked,
		ThisUpdate: m.Now().Add(-backdating), NextUpdate: until,
	}
	encoded, err := x509.CreateRevocationList(m.Random, t, i.Certificate(), i.Key)
	if err != nil {
		return nil, err
	}
	return x509.ParseRevocationList(encoded)
}

// EncodeCRLs writes revocation lists as PEM, in their order.
func EncodeCRLs(all ...*x509.RevocationList) []byte {
	var out []byte
	for _, l := range all {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: crlBlock, Bytes: l.Raw})...)
	}
	return out
}
