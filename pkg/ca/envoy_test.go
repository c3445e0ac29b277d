//go:build envoy

package ca_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/envoy/live"
)

// bootstrap is a datastore that only the backend may call. Certificate and roots
// are those of the layout for Envoy.
const bootstrap = `{
"node": {"id": "datastore", "cluster": "photos"},
"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
"static_resources": {"listeners": [{
  "name": "datastore", "address": {"socket_address": {"address": "127.0.0.1", "port_value": %[1]d}},
  "filter_chains": [{
    "filters": [{"name": "http", "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "in",
      "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "photos"}}}]}]},
      "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}],
    "transport_socket": {"name": "tls", "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "require_client_certificate": true,
      "common_tls_context": {
        "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": {"path_config_source": {"path": "%[2]s/default.yaml"}}}],
        "combined_validation_context": {
          "default_validation_context": {
            "crl": {"filename": "%[3]s"},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": "spiffe://cluster.local/ns/photos/sa/backend"}}]},
          "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": {"path_config_source": {"path": "%[2]s/ROOTCA.yaml"}}}}}}}}]}]}}`

// TestEnvoy: a real Envoy completes mTLS with issued leaves, and refuses a wrong
// name, a wrong trust domain, one that has expired and one that was revoked.
func TestEnvoy(t *testing.T) {
	t.Parallel()
	c := newClock()
	old := &clock{c.now.Add(-48 * time.Hour)}
	a := initialize(t, old, ca.InitOptions{Root: certs.RootOptions{OmitID: true}})
	expired := issue(t, a, request(t, "photos", "backend"))[0]
	must(t, a.Close())
	a, err := ca.Edit(a.Dir(), c.env())
	must(t, err)
	defer func() { must(t, a.Close()) }()
	leaves := issue(t, a, request(t, "photos", "backend"), request(t, "photos", "backend"), request(t, "photos", "frontend"))
	_, err = a.Revoke(ca.Target{Serial: leaves[1].Leaf().SerialNumber.Text(16)}, "keyCompromise")
	must(t, err)
	other := initialize(t, c, ca.InitOptions{TrustDomain: "other.local"})
	id, err := certs.WorkloadID("other.local", "photos", "backend")
	must(t, err)
	foreign := issue(t, other, ca.Request{ID: id})[0]

	relative := issue(t, below(t, c, a), ca.Request{ID: id})[0]

	address := bootDatastore(t, a)
	for name, tt := range map[string]struct {
		client *ca.Issued
		ok     bool
	}{
		"backend":              {&leaves[0], true},
		"backend, revoked":     {&leaves[1], false},
		"frontend":             {&leaves[2], false},
		"backend, expired":     {&expired, false},
		"another trust domain": {&foreign, false},
		"that, same root":      {&relative, false},
		"no certificate":       {nil, false},
	} {
		if err := call(address, tt.client, a.Roots()); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// below is an authority of another trust domain that has the same root: the chain
// of its leaves is good, and only their names tell them apart.
func below(t *testing.T, c *clock, a *ca.Authority) *ca.Authority {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(a.Dir(), "root-1.key.pem"))
	must(t, err)
	other, _ := importing(t, c, ca.ImportOptions{TrustDomain: "other.local", Bundle: certs.Bundle{Cert: certs.EncodeCertificates(a.Roots()[0]), Key: key}})
	return other
}

// bootDatastore runs Envoy with what the authority delivers.
func bootDatastore(t *testing.T, a *ca.Authority) string {
	t.Helper()
	dir := t.TempDir()
	_, err := a.Deliver(context.Background(), []ca.Request{request(t, "photos", "datastore")}, ca.DeliverOptions{Dir: dir, Layout: ca.SDS})
	must(t, err)
	lists, err := a.CRLs(ca.CRLOptions{})
	must(t, err)
	crl := filepath.Join(dir, "crl.pem")
	must(t, os.WriteFile(crl, certs.EncodeCRLs(lists...), 0o600))
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	must(t, l.Close())
	b := &bootstrapv3.Bootstrap{}
	must(t, protojson.Unmarshal(fmt.Appendf(nil, bootstrap, port, filepath.Join(dir, "photos", "datastore"), crl), b))
	binary, err := live.Search{Getenv: os.Getenv}.Find()
	must(t, err)
	p, err := live.Boot(context.Background(), binary, t.TempDir(), b, 1, io.Discard)
	must(t, err)
	t.Cleanup(func() { must(t, p.Stop()) })
	return fmt.Sprintf("https://127.0.0.1:%d/", port)
}

// call asks the datastore as a client that checks whom it calls.
func call(address string, client *ca.Issued, roots []*x509.Certificate) error {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		if got := s.PeerCertificates[0].URIs[0].String(); got != "spiffe://cluster.local/ns/photos/sa/datastore" {
			return fmt.Errorf("called %s", got)
		}
		return svidVerify(s.PeerCertificates, roots, time.Now())
	}}
	if client != nil {
		own := &tls.Certificate{PrivateKey: client.Key}
		for _, c := range client.Chain {
			own.Certificate = append(own.Certificate, c.Raw)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(address)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != "photos" {
		err = fmt.Errorf("answered %s %q", response.Status, body)
	}
	return err
}
