//go:build oracle

package oracle

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// TestRandom: identities and options at random, by authorities at random: whatever
// is issued is good to go-spiffe, to both ends of a TLS connection, to openssl for
// both purposes, to zlint, and to our own verification (CA-72).
func TestRandom(t *testing.T) {
	const authorities, leaves = 6, 8
	dice := rand.New(rand.NewPCG(72, 1))
	for n := range authorities {
		domain := label(dice) + "." + label(dice)
		dir := t.TempDir()
		o := ca.InitOptions{
			TrustDomain: domain, Key: pick(dice, certs.P256, certs.P384, certs.P256), Root: certs.RootOptions{OmitID: dice.IntN(2) == 0},
			Intermediate: certs.IntermediateOptions{Istio: dice.IntN(2) == 0, Unconstrained: dice.IntN(3) == 0, TTL: time.Duration(1+dice.IntN(1000)) * time.Hour},
		}
		a, err := ca.Init(filepath.Join(dir, "ca"), o, ca.Env{Now: time.Now, Random: cryptorand.Reader})
		must(t, err)
		for range leaves {
			r := randomRequest(t, dice, domain)
			t.Run(fmt.Sprintf("%d %.40s %s", n, r.ID, r.Key), func(t *testing.T) {
				issued, err := a.Issue(context.Background(), []ca.Request{r})
				must(t, err)
				own := t.TempDir()
				for name, all := range map[string][]*x509.Certificate{"cert-chain.pem": issued[0].Chain, "root-cert.pem": issued[0].Roots} {
					must(t, os.WriteFile(filepath.Join(own, name), certs.EncodeCertificates(all...), 0o600))
				}
				asked(t, own)
				opinions(t, &issued[0], domain)
			})
		}
		must(t, a.Close())
	}
}

func pick[T any](dice *rand.Rand, all ...T) T { return all[dice.IntN(len(all))] }

// label is a part of a trust domain or of a name.
func label(dice *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, 1+dice.IntN(12))
	for i := range text {
		text[i] = letters[dice.IntN(len(letters))]
	}
	return "a" + string(text)
}

func randomRequest(t *testing.T, dice *rand.Rand, domain string) ca.Request {
	t.Helper()
	id, err := certs.WorkloadID(domain, label(dice), label(dice)+"-"+label(dice))
	if dice.IntN(3) == 0 { // the longest that there may be, sometimes
		const most = 2048
		id, err = certs.ParseID("spiffe://" + domain + "/" + label(dice) + "/A.b_" + strings.Repeat("x", dice.IntN(most-100)))
	}
	must(t, err)
	r := ca.Request{ID: id, Key: pick(dice, certs.P256, certs.P256, certs.P384, certs.RSA2048, certs.RSA3072)}
	r.Options = certs.LeafOptions{
		TTL: time.Duration(dice.IntN(90*24)) * time.Hour, IstioCompat: dice.IntN(2) == 0, DualUse: dice.IntN(2) == 0,
	}
	for range dice.IntN(3) {
		r.Options.DNSNames = append(r.Options.DNSNames, label(dice)+"."+label(dice)+".svc")
	}
	if dice.IntN(3) == 0 {
		r.Options.IPs = []netip.Addr{netip.MustParseAddr(pick(dice, "10.0.0.1", "fd00::1"))}
	}
	return r
}

// asked asks openssl and zlint.
func asked(t *testing.T, dir string) {
	t.Helper()
	for _, purpose := range []string{"sslserver", "sslclient"} {
		if out, err := openssl(dir, "-purpose", purpose); err != nil {
			t.Errorf("openssl, %s: %v: %s", purpose, err, out)
		}
	}
	lint(t, filepath.Join(dir, "cert-chain.pem"))
}

// opinions are those of libraries.
func opinions(t *testing.T, i *ca.Issued, domain string) {
	t.Helper()
	secret, err := certs.EncodeKey(i.Key)
	must(t, err)
	svid, err := x509svid.Parse(certs.EncodeCertificates(i.Chain...), secret)
	if err != nil || svid.ID.String() != i.ID.String() {
		t.Errorf("go-spiffe: %v", err)
	}
	bundle := x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(domain), i.Roots)
	if _, _, err := x509svid.Verify(i.Chain, bundle); err != nil {
		t.Errorf("go-spiffe: %v", err)
	}
	if err := handshake(i); err != nil {
		t.Errorf("TLS: %v", err)
	}
	v := certs.NewVerifier(i.Roots, certs.VerifyOptions{At: time.Now(), Peers: []certs.ID{i.ID}, TrustDomains: []string{domain}})
	if found := v.Verify(i.Chain); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

// handshake has a leaf be both ends of a connection, each of which asks for the
// other's certificate.
func handshake(i *ca.Issued) error {
	own := tls.Certificate{PrivateKey: i.Key}
	for _, c := range i.Chain {
		own.Certificate = append(own.Certificate, c.Raw)
	}
	roots := x509.NewCertPool()
	for _, root := range i.Roots {
		roots.AddCert(root)
	}
	verify := func(s tls.ConnectionState) error { // a SPIFFE ID is no host name
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
	a, b := net.Pipe()
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MinVersion: tls.VersionTLS12})
	client := tls.Client(b, &tls.Config{Certificates: []tls.Certificate{own}, InsecureSkipVerify: true, VerifyConnection: verify, MinVersion: tls.VersionTLS12})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	err := client.Handshake()
	if err == nil {
		err = <-done
	}
	return err
}
