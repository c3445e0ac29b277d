package envoy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// Of certificates in a dump everything public is kept, and shown.
func TestSecrets(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabc), NotBefore: begin, NotAfter: begin.Add(24 * time.Hour),
		URIs: []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/shop/sa/cart"}}, DNSNames: []string{"cart"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	all, err := envoy.ParseConfig("b.json", []byte(fmt.Sprintf(`{"static_resources": {"secrets": [
{"name": "default", "tls_certificate": {"certificate_chain": {"inline_string": %s}}}, {"name": "ROOTCA", "validation_context": {"trusted_ca": {"inline_string": %[1]s}}},
{"name": "tickets", "session_ticket_keys": {}}, {"name": "other", "generic_secret": {}}]}}`, text)))
	if err != nil {
		t.Fatal(err)
	}
	if names := all[0].Secrets[0].Certificates[0].Names; !cmp.Equal(names, []string{"spiffe://cluster.local/ns/shop/sa/cart", "cart"}) {
		t.Errorf("names %v", names)
	}
	for now, valid := range map[time.Time]string{begin.Add(time.Hour): "true", begin.Add(-time.Hour): "false", begin.Add(48 * time.Hour): "false"} {
		tables := all[0].Tables(now)
		want := [][]string{
			{"ROOTCA", "CA", "ACTIVE", valid, "abc", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"},
			{"default", "Cert Chain", "ACTIVE", valid, "abc", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"},
			{"other", "Generic", "ACTIVE", "-", "-", "-", "-"},
			{"tickets", "Session Ticket Keys", "ACTIVE", "-", "-", "-", "-"},
		}
		if d := cmp.Diff(want, tables[len(tables)-1].Rows); d != "" {
			t.Errorf("at %v (-want +got):\n%s", now, d)
		}
	}
}
