package certs_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// noon is when the certificates of tests are made.
var noon = time.Date(2030, time.January, 2, 12, 0, 0, 0, time.UTC)

func mintAt(now time.Time) *certs.Mint {
	return &certs.Mint{Now: func() time.Time { return now }, Random: rand.Reader}
}

func newKey(t testing.TB, a certs.KeyAlgorithm) crypto.Signer {
	t.Helper()
	key, err := certs.GenerateKey(a)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRoot(t testing.TB, key crypto.Signer, o certs.RootOptions) *certs.Issuer {
	t.Helper()
	root, err := mintAt(noon).Root(key, "cluster.local", o)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func webID(t testing.TB) certs.ID {
	t.Helper()
	id, err := certs.WorkloadID("cluster.local", "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// extension finds an extension by the last number of its OID.
func extension(c *x509.Certificate, last int) (critical, there bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal([]int{2, 5, 29, last}) {
			return e.Critical, true
		}
	}
	return false, false
}

// TestLeaf: the profile of a workload's certificate (CA-7..CA-17).
func TestLeaf(t *testing.T) {
	t.Parallel()
	root := newRoot(t, newKey(t, certs.P384), certs.RootOptions{})
	leaf, err := mintAt(noon).Leaf(root, newKey(t, certs.P256).Public(), webID(t), certs.LeafOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const san, usage, constraints = 17, 15, 19
	sanCritical, _ := extension(leaf, san)
	usageCritical, _ := extension(leaf, usage)
	constraintsCritical, constrained := extension(leaf, constraints)
	for rule, ok := range map[string]bool{
		"CA-7 one URI, no other name":   len(leaf.URIs) == 1 && leaf.URIs[0].String() == "spiffe://cluster.local/ns/shop/sa/web" && len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) == 0,
		"CA-8 no subject, critical SAN": leaf.Subject.String() == "" && sanCritical,
		"CA-9 digitalSignature only":    usageCritical && leaf.KeyUsage == x509.KeyUsageDigitalSignature,
		"CA-10 server and client":       fmt.Sprint(leaf.ExtKeyUsage) == fmt.Sprint([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}),
		"CA-11 no CA, and says so":      constrained && constraintsCritical && leaf.BasicConstraintsValid && !leaf.IsCA,
		"CA-12 key identifiers":         len(leaf.SubjectKeyId) == 20 && bytes.Equal(leaf.AuthorityKeyId, root.Certificate().SubjectKeyId),
		"CA-14 backdated by 2 minutes":  leaf.NotBefore.Equal(noon.Add(-2 * time.Minute)),
		"CA-14 24 hours":                leaf.NotAfter.Equal(noon.Add(24 * time.Hour)),
		"CA-17 the issuer's algorithm":  leaf.SignatureAlgorithm == x509.ECDSAWithSHA384,
	} {
		if !ok {
			t.Error(rule)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(root.Root())
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: noon, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
			t.Error(err)
		}
	}
}

// TestRoot: the profile of a root (CA-20, CA-21).
func TestRoot(t *testing.T) {
	t.Parallel()
	root := newRoot(t, newKey(t, certs.P256), certs.RootOptions{}).Root()
	for rule, ok := range map[string]bool{
		"CA-20 the day in its name":     root.Subject.String() == "CN=cluster.local root 2030-01-02,O=cluster.local",
		"CA-20 CA, any length of paths": root.IsCA && root.MaxPathLen == -1 && !root.MaxPathLenZero,
		"CA-20 ten years":               root.NotAfter.Equal(noon.Add(3650 * 24 * time.Hour)),
		"CA-20 a key identifier":        len(root.SubjectKeyId) == 20,
		"CA-20 the trust domain's ID":   len(root.URIs) == 1 && root.URIs[0].String() == "spiffe://cluster.local",
		"CA-21 signs CRLs too":          root.KeyUsage == x509.KeyUsageCertSign|x509.KeyUsageCRLSign,
		"it signs itself":               root.CheckSignatureFrom(root) == nil,
	} {
		if !ok {
			t.Error(rule)
		}
	}
	if plain := newRoot(t, newKey(t, certs.P256), certs.RootOptions{OmitID: true, TTL: time.Hour}).Root(); len(plain.URIs) > 0 || !plain.NotAfter.Equal(noon.Add(time.Hour)) {
		t.Errorf("without an ID, for an hour: %v, %s", plain.URIs, plain.NotAfter)
	}
	long := strings.Repeat("a", 60)
	if other, err := mintAt(noon).Root(newKey(t, certs.P256), long, certs.RootOptions{}); err != nil || other.Root().Subject.CommonName != "root 2030-01-02" {
		t.Errorf("a long trust domain: %v", err)
	}
}

// TestLifetimes: nothing outlives what is above it, and more than the limit is
// refused (CA-14, CA-15).
func TestLifetimes(t *testing.T) {
	t.Parallel()
	root := newRoot(t, newKey(t, certs.P256), certs.RootOptions{TTL: 36 * time.Hour})
	for _, tt := range []struct {
		at   time.Time
		ttl  time.Duration
		want string
	}{
		{noon, time.Hour, "1h0m0s"},
		{noon, -time.Hour, "24h0m0s"},
		{noon, 90 * 24 * time.Hour, "36h0m0s"},
		{noon, 90*24*time.Hour + 1, "lifetime of 2160h0m0.000000001s: at most 2160h0m0s are allowed"},
		{noon.Add(30 * time.Hour), 24 * time.Hour, "6h0m0s"},
		{noon.Add(36 * time.Hour), time.Hour, `issuer "CN=cluster.local root 2030-01-02,O=cluster.local" expired at 2030-01-04T00:00:00Z`},
	} {
		leaf, err := mintAt(tt.at).Leaf(root, newKey(t, certs.P256).Public(), webID(t), certs.LeafOptions{TTL: tt.ttl})
		got := fmt.Sprint(err)
		if err == nil {
			got = leaf.NotAfter.Sub(tt.at).String()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.ttl, got, tt.want)
		}
	}
}

// TestKeys: each kind makes a root and a leaf whose usages fit it (CA-9, CA-16,
// CA-17), which TLS accepts on both sides.
func TestKeys(t *testing.T) {
	t.Parallel()
	signature := x509.KeyUsageDigitalSignature
	both := signature | x509.KeyUsageKeyEncipherment
	for _, tt := range []struct {
		algorithm certs.KeyAlgorithm
		signs     x509.SignatureAlgorithm
		usage     x509.KeyUsage
	}{
		{"", x509.ECDSAWithSHA256, signature},
		{certs.P256, x509.ECDSAWithSHA256, signature},
		{certs.P384, x509.ECDSAWithSHA384, signature},
		{certs.RSA2048, x509.SHA256WithRSA, both},
		{certs.Ed25519, x509.PureEd25519, signature},
	} {
		t.Run(string(tt.algorithm), func(t *testing.T) {
			t.Parallel()
			key := newKey(t, tt.algorithm)
			root := newRoot(t, key, certs.RootOptions{})
			leaf, err := mintAt(noon).Leaf(root, key.Public(), webID(t), certs.LeafOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if leaf.SignatureAlgorithm != tt.signs || leaf.KeyUsage != tt.usage {
				t.Errorf("%s, usage %b", leaf.SignatureAlgorithm, leaf.KeyUsage)
			}
			shakeHands(t, root.Root(), tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key})
		})
	}
	if _, err := certs.GenerateKey("P-224"); err == nil || !strings.Contains(err.Error(), "expected one of [P-256") {
		t.Error(err)
	}
}

// shakeHands connects a client and a server of the same identity.
func shakeHands(t *testing.T, root *x509.Certificate, own tls.Certificate) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(root)
	clock := func() time.Time { return noon }
	a, b := net.Pipe()
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, Time: clock, MinVersion: tls.VersionTLS12})
	client := tls.Client(b, &tls.Config{Certificates: []tls.Certificate{own}, Time: clock, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, CurrentTime: noon})
		return err
	}})
	failed := make(chan error, 1)
	go func() { failed <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Error("client:", err)
	}
	if err := <-failed; err != nil {
		t.Error("server:", err)
	}
}

// TestRefusedKeys: what verifiers let pass is refused here (CA-16).
func TestRefusedKeys(t *testing.T) {
	t.Parallel()
	weak := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	odd := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(t, newKey(t, certs.P256), certs.RootOptions{})
	for _, tt := range []struct {
		key  crypto.PublicKey
		want string
	}{
		{weak, "RSA key of 1024 bits: at least 2048 are needed"},
		{odd, "RSA key with the exponent 3: only 65537 is accepted"},
		{p224.Public(), "P-224 key: TLS does not take it; use P-256"},
		{"key", "key of type string: expected RSA, ECDSA or Ed25519"},
	} {
		if _, err := mintAt(noon).Leaf(root, tt.key, webID(t), certs.LeafOptions{}); fmt.Sprint(err) != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// TestSerials: 128 random bits, never zero (CA-13).
func TestSerials(t *testing.T) {
	t.Parallel()
	root := newRoot(t, newKey(t, certs.Ed25519), certs.RootOptions{})
	public := newKey(t, certs.Ed25519).Public()
	mint := mintAt(noon)
	seen := map[string]bool{}
	for range 100 {
		leaf, err := mint.Leaf(root, public, webID(t), certs.LeafOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if n := leaf.SerialNumber; n.Sign() <= 0 || n.BitLen() > 128 || seen[n.String()] {
			t.Errorf("serial number %s", n)
		}
		seen[leaf.SerialNumber.String()] = true
	}
	given := append(make([]byte, 16), bytes.Repeat([]byte{0xff}, 16)...)
	mint.Random = bytes.NewReader(given)
	leaf, err := mint.Leaf(root, public, webID(t), certs.LeafOptions{})
	if err != nil || leaf.SerialNumber.Text(16) != strings.Repeat("f", 32) {
		t.Errorf("after zeros: %v", err)
	}
	mint.Random = bytes.NewReader(make([]byte, 64))
	if _, err := mint.Leaf(root, public, webID(t), certs.LeafOptions{}); err == nil || !strings.Contains(err.Error(), "zeros only") {
		t.Error(err)
	}
	for _, random := range []*certs.Mint{{Now: mint.Now}, {Now: mint.Now, Random: iotest.ErrReader(fmt.Errorf("broken"))}} {
		if _, err := random.Leaf(root, public, webID(t), certs.LeafOptions{}); err == nil || !strings.HasPrefix(err.Error(), "serial number: ") {
			t.Error(err)
		}
	}
}

// TestOptions: what Istio's CA does, and old software wants (CA-9, CA-18).
func TestOptions(t *testing.T) {
	t.Parallel()
	key := newKey(t, certs.P256)
	root := newRoot(t, key, certs.RootOptions{})
	leaf, err := mintAt(noon).Leaf(root, key.Public(), webID(t), certs.LeafOptions{IstioCompat: true, DualUse: true})
	if err != nil {
		t.Fatal(err)
	}
	critical, _ := extension(leaf, 17)
	if leaf.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment || leaf.Subject.CommonName != webID(t).String() || !critical {
		t.Errorf("usage %b, name %q, critical %v", leaf.KeyUsage, leaf.Subject, critical)
	}
	long, err := certs.WorkloadID("cluster.local", "shop", strings.Repeat("a", 40))
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err := mintAt(noon).Leaf(root, key.Public(), long, certs.LeafOptions{DualUse: true}); err != nil || leaf.Subject.CommonName != "" {
		t.Errorf("an identity over 64 characters: %v", err)
	}
}

// TestWhoGetsNone: a trust domain's ID is no workload's (CA-4), and a root needs
// a trust domain (CA-2).
func TestWhoGetsNone(t *testing.T) {
	t.Parallel()
	key := newKey(t, certs.P256)
	id, err := certs.ParseID("spiffe://cluster.local")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mintAt(noon).Leaf(newRoot(t, key, certs.RootOptions{}), key.Public(), id, certs.LeafOptions{}); err == nil || !strings.Contains(err.Error(), "a workload's has a path") {
		t.Error(err)
	}
	if _, err := mintAt(noon).Root(key, "Cluster.Local", certs.RootOptions{}); err == nil || !strings.Contains(err.Error(), `did you mean "cluster.local"`) {
		t.Error(err)
	}
}

// TestPEM: what is written can be read, and is PKCS #8 (CA-19).
func TestPEM(t *testing.T) {
	t.Parallel()
	key := newKey(t, certs.P256)
	root := newRoot(t, key, certs.RootOptions{}).Root()
	text := certs.EncodeCertificates(root, root)
	if all, err := certs.ParseCertificates(append(text, "\n \n"...)); err != nil || len(all) != 2 || !all[1].Equal(root) {
		t.Errorf("%d certificates, %v", len(all), err)
	}
	secret, err := certs.EncodeKey(key)
	if err != nil || !bytes.HasPrefix(secret, []byte("-----BEGIN PRIVATE KEY-----\n")) {
		t.Errorf("key: %v", err)
	}
	if _, err := tls.X509KeyPair(text, secret); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct{ text, want string }{
		{"", "no certificate"},
		{"x" + string(text), "text that is no PEM block"},
		{string(text) + "x", "text that is no PEM block"},
		{string(text) + string(secret), `PEM block "PRIVATE KEY": expected CERTIFICATE`},
		{strings.Replace(string(text), "MII", "MIE", 1), "certificate 1: "},
	} {
		if _, err := certs.ParseCertificates([]byte(tt.text)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	if _, err := certs.EncodeKey(elsewhere{key}); err == nil || !strings.HasPrefix(err.Error(), "private key: ") {
		t.Error(err)
	}
}

// elsewhere is a key that only signs.
type elsewhere struct{ crypto.Signer }
