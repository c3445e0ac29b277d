package ca_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// TestImportRevoked: an authority that the list beside it revokes is refused, and a
// list of its root alone is not (CA-23, CA-29).
func TestImportRevoked(t *testing.T) {
	t.Parallel()
	c := newClock()
	root := foreignAuthority(t, c, "root", certs.P256, nil, nil)
	signer := foreignAuthority(t, c, "signer", certs.P256, root, func(x *x509.Certificate) { x.NotAfter = x.NotAfter.Add(-time.Hour) })
	for _, tt := range []struct {
		name    string
		revoked *big.Int
		want    []string
	}{
		{"the signer", signer.cert.SerialNumber, []string{"e revoked", "w crl-missing"}},
		{"the root", root.cert.SerialNumber, []string{"e revoked", "w crl-missing"}},
		{"another", big.NewInt(1), nil},
	} {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: c.now.Add(-time.Hour), NextUpdate: c.now.Add(time.Hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: tt.revoked, RevocationTime: c.now.Add(-time.Hour)}},
		}, root.cert, root.key)
		must(t, err)
		dir := filepath.Join(t.TempDir(), "ca")
		a, _, err := ca.Import(dir, ca.ImportOptions{Bundle: plugged(t, signer, root), CRL: pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})}, c.env())
		var refused *ca.RefusedError
		switch {
		case tt.want == nil:
			must(t, err)
			must(t, a.Close())
		case !errors.As(err, &refused) || !slices.Equal(slugs(refused.Problems), tt.want):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
