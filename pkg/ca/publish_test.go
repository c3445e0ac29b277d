package ca_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// TestPlugged: what istiod gets signs leaves that verify with what proxies get,
// in both layouts (CA-24).
func TestPlugged(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{Passphrase: passphrase(), Intermediate: certs.IntermediateOptions{Istio: true}})
	b, err := a.Plugged()
	must(t, err)
	for form, want := range map[ca.PluggedForm]string{ca.PEMLayout: "ca-cert.pem ca-key.pem cert-chain.pem root-cert.pem Opaque", ca.TLSLayout: "ca.crt tls.crt tls.key kubernetes.io/tls"} {
		files, err := ca.PluggedFiles(form, b, nil)
		must(t, err)
		text, err := ca.PluggedSecret(form, files, "istio-system")
		must(t, err)
		var s struct {
			Type     string
			Metadata struct{ Name, Namespace string }
			Data     map[string][]byte
		}
		must(t, yaml.UnmarshalStrict(text, &struct {
			APIVersion, Kind, Type string
			Metadata               map[string]any
			Data                   map[string][]byte
		}{}))
		must(t, yaml.Unmarshal(text, &s))
		for _, name := range strings.Fields(want)[:len(files)] {
			if !bytes.Equal(s.Data[name], files[name]) || len(files[name]) == 0 {
				t.Errorf("%s: %s", form, name)
			}
		}
		if s.Type != strings.Fields(want)[len(files)] || s.Metadata.Name != "cacerts" {
			t.Errorf("%+v", s.Metadata)
		}
	}
	chain, err := certs.ParseCertificates(b.Chain)
	must(t, err)
	if len(chain) != 2 || !chain[0].Equal(a.Signer()) || keyFits(chain, b.Key) != nil {
		t.Errorf("%d certificates", len(chain))
	}
	if _, err := ca.PluggedFiles(ca.TLSLayout, b, []byte("crl")); err == nil || !strings.Contains(err.Error(), "istiod reads no CRL") {
		t.Error(err)
	}
}

// TestBundles: go-spiffe reads the JWK set (CA-50); the other forms hold the same
// roots.
func TestBundles(t *testing.T) {
	t.Parallel()
	for _, key := range []certs.KeyAlgorithm{certs.P256, certs.P384, certs.RSA4096} {
		a := initialize(t, newClock(), ca.InitOptions{Key: key})
		text, err := a.Bundle(ca.SPIFFEBundle, "")
		must(t, err)
		b, err := spiffebundle.Parse(spiffeid.RequireTrustDomainFromString("cluster.local"), text)
		must(t, err)
		if n, ok := b.SequenceNumber(); !ok || n != 1 || len(b.X509Authorities()) != 1 || !b.X509Authorities()[0].Equal(a.Roots()[0]) {
			t.Errorf("%s", text)
		}
		pem := string(certs.EncodeCertificates(a.Roots()...))
		var config struct {
			CACertificates []struct {
				PEM          string
				TrustDomains []string
			}
		}
		text, err = a.Bundle(ca.MeshConfigBundle, "")
		must(t, err)
		must(t, yaml.UnmarshalStrict(text, &config))
		if config.CACertificates[0].PEM != pem || config.CACertificates[0].TrustDomains[0] != "cluster.local" {
			t.Errorf("%s", text)
		}
		var m struct{ Data map[string]string }
		text, err = a.Bundle(ca.ConfigMapBundle, "shop")
		must(t, err)
		must(t, yaml.Unmarshal(text, &m))
		if m.Data["root-cert.pem"] != pem {
			t.Errorf("%s", text)
		}
	}
}

// TestSecrets: names, types and contents (CA-47, CA-48); what an earlier text has
// is kept, byte for byte (CA-74).
func TestSecrets(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{})
	requests := []ca.Request{request(t, "shop", "web"), request(t, "shop", "db")}
	for form, want := range map[ca.SecretForm]string{ca.IstioSecret: "istio.web istio.io/key-and-cert key.pem cert-chain.pem", ca.TLSSecret: "web-tls kubernetes.io/tls tls.key tls.crt"} {
		text, _, err := a.Secrets(context.Background(), form, requests, nil, ca.PlanOptions{})
		must(t, err)
		first, _, _ := strings.Cut(string(text), "\n---\n")
		var s struct {
			Type     string
			Metadata struct {
				Name, Namespace     string
				Labels, Annotations map[string]string
			}
			Data map[string][]byte
		}
		must(t, yaml.Unmarshal([]byte(first), &s))
		f := strings.Fields(want)
		chain, err := certs.ParseCertificates(s.Data[f[3]])
		must(t, err)
		if s.Metadata.Name != f[0] || s.Metadata.Namespace != "shop" || s.Type != f[1] || keyFits(chain, s.Data[f[2]]) != nil || s.Metadata.Annotations["istio.io/service-account.name"] != "web" {
			t.Errorf("%s", first)
		}
		again, done, err := a.Secrets(context.Background(), form, requests, text, ca.PlanOptions{})
		must(t, err)
		if !bytes.Equal(again, text) || done[0].Result != ca.Kept {
			t.Errorf("%+v", done)
		}
	}
	id, err := certs.ParseID("spiffe://cluster.local/other")
	must(t, err)
	if _, _, err := a.Secrets(context.Background(), ca.IstioSecret, []ca.Request{{ID: id}}, nil, ca.PlanOptions{}); err == nil || !strings.Contains(err.Error(), "a Secret is for a service account") {
		t.Error(err)
	}
}

// TestPassphraseChange: the new one opens the root, the old one does not.
func TestPassphraseChange(t *testing.T) {
	t.Parallel()
	a := initialize(t, newClock(), ca.InitOptions{Passphrase: passphrase()})
	if err := a.ChangePassphrase(passphrase(), []byte("short")); err == nil || !strings.Contains(err.Error(), "at least 8") {
		t.Error(err)
	}
	if _, err := a.RotateRoot(ca.RotateOptions{Passphrase: passphrase()}); err != nil {
		t.Fatal(err)
	}
	fresh := []byte("another horse")
	must(t, a.ChangePassphrase(passphrase(), fresh))
	if _, err := a.CRLs(ca.CRLOptions{Passphrase: passphrase()}); err == nil || !strings.Contains(err.Error(), "the passphrase is not the one") {
		t.Error(err)
	}
	if lists, err := a.CRLs(ca.CRLOptions{Passphrase: fresh}); err != nil || len(lists) != 4 {
		t.Errorf("%d lists, %v", len(lists), err)
	}
	if found, _ := filepath.Glob(filepath.Join(a.Dir(), "*.age")); len(found) != 2 {
		t.Errorf("%v", found)
	}
}

// TestBackup: what age and tar bring back is a working authority.
func TestBackup(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{Passphrase: passphrase()})
	sealed, err := a.Backup(passphrase())
	must(t, err)
	identity, err := age.NewScryptIdentity(string(passphrase()))
	must(t, err)
	plain, err := age.Decrypt(bytes.NewReader(sealed), identity)
	must(t, err)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	r := tar.NewReader(plain)
	for h, err := r.Next(); err != io.EOF; h, err = r.Next() {
		must(t, err)
		data, err := io.ReadAll(r)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, h.Name), data, os.FileMode(h.Mode)))
	}
	must(t, with(dir, c.env(), func(a *ca.Authority) error {
		_, err := a.Issue(context.Background(), []ca.Request{request(t, "shop", "web")})
		return err
	}))
}

// TestCSR: possession is checked, and nothing but the key is taken (CA-32,
// CA-34, CA-63).
func TestCSR(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := initialize(t, c, ca.InitOptions{})
	key, err := certs.GenerateKey(certs.P256)
	must(t, err)
	basicConstraints := pkix.Extension{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}} // a CA
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "admin"}, DNSNames: []string{"*.example.com"}, ExtraExtensions: []pkix.Extension{basicConstraints},
	}, key)
	must(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	csr, err := ca.ParseCSR(text)
	must(t, err)
	issued, told, err := a.Sign(context.Background(), csr, request(t, "shop", "web").ID, certs.LeafOptions{})
	must(t, err)
	if want := "subject CN=admin, DNS name *.example.com, extension 2.5.29.19"; strings.Join(told, ", ") != want || issued.Leaf().IsCA || len(issued.Leaf().DNSNames) > 0 {
		t.Errorf("%v", told)
	}
	must(t, svidVerify(issued.Chain, issued.Roots, c.now))
	secret, err := certs.EncodeKey(key)
	must(t, err)
	for want, bad := range map[string][]byte{
		"a private key is no certificate request":                 secret,
		"text after the certificate request":                      append(text[:len(text):len(text)], 'x'),
		"expected a certificate request as PEM":                   []byte("x"),
		"at most 16384 are allowed":                               bytes.Repeat([]byte("x"), 16<<10+1),
		"PEM block \"CERTIFICATE\": expected CERTIFICATE REQUEST": certs.EncodeCertificates(a.Signer()),
	} {
		if _, err := ca.ParseCSR(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := a.Revoke(ca.Target{Serial: issued.Leaf().SerialNumber.Text(16)}, "keyCompromise"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Sign(context.Background(), csr, issued.ID, certs.LeafOptions{}); err == nil || !strings.Contains(err.Error(), "which was revoked: make a new key") {
		t.Error(err)
	}
}

// FuzzParseCSR: whatever comes, it is refused in words or belongs to its key.
func FuzzParseCSR(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if csr, err := ca.ParseCSR(text); err == nil && csr.CheckSignature() != nil {
			t.Error("not the key's")
		}
	})
}
