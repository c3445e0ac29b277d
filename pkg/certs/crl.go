package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
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

// ParseCRLs reads revocation lists: PEM, and nothing beside them, or the DER of
// one.
func ParseCRLs(text []byte) ([]*x509.RevocationList, error) {
	if list, err := x509.ParseRevocationList(text); err == nil {
		return []*x509.RevocationList{list}, nil
	}
	blocks, faults := ScanBlocks(text)
	if len(faults) > 0 {
		return nil, faults[0]
	}
	if len(blocks) == 0 {
		return nil, errors.New("no revocation list: expected PEM blocks " + crlBlock + ", or DER")
	}
	all := make([]*x509.RevocationList, len(blocks))
	for i, b := range blocks {
		if b.Kind != crlBlock {
			return nil, fmt.Errorf("line %d: block %s: expected %s", b.Line, b.Kind, crlBlock)
		}
		var err error
		if all[i], err = x509.ParseRevocationList(b.Data); err != nil {
			return nil, fmt.Errorf("line %d: the list cannot be decoded: %s", b.Line, trimmedError(err))
		}
	}
	return all, nil
}
