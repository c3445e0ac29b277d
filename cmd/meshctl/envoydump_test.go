//go:build envoy

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// dumpMesh has ports of all kinds, tokens and rules.
const dumpMesh = `apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http-web, port: 80, targetPort: 8080}, {name: tcp-raw, port: 9000}, {name: weird, port: 7000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart}}, spec: {serviceAccountName: cart, containers: [{name: c, image: x}]}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: t, namespace: shop}
spec: {jwtRules: [{issuer: here, jwks: '{"keys":[{"kty":"oct","kid":"k","k":"aHVzaC1oZXJl"}]}'}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: viewer, namespace: shop}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}], to: [{operation: {methods: [GET], paths: ["/items/*"]}}]}]}
`

// meshctl runs a command line.
func meshctl(t *testing.T, args ...string) (out, errOut string, status exitCode) {
	t.Helper()
	var o, e bytes.Buffer
	status = execute(t.Context(), genericiooptions.IOStreams{In: strings.NewReader(""), Out: &o, ErrOut: &e}, "meshctl", args)
	return o.String(), e.String(), status
}

// dumping is a folder with an Envoy that tells its own configuration.
type dumping struct {
	dir                     string
	certificate, key, roots string
	secret                  string // a line of the key
	address                 netip.Addr
	process                 *live.Process
}

func newDumping(t *testing.T, last byte) *dumping {
	t.Helper()
	pid := os.Getpid()
	d := &dumping{dir: t.TempDir(), address: netip.AddrFrom4([4]byte{127, byte(100 + pid%100), byte(1 + pid/100%250), last})}
	mint := certs.Mint{Now: time.Now, Random: rand.Reader}
	rootKey, err := certs.GenerateKey(certs.P256)
	if err != nil {
		t.Fatal(err)
	}
	root, err := mint.Root(rootKey, "cluster.local", certs.RootOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := certs.WorkloadID("cluster.local", "shop", "cart")
	if err != nil {
		t.Fatal(err)
	}
	key, err := certs.GenerateKey(certs.P256)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := mint.Leaf(root, key.Public(), id, certs.LeafOptions{})
	if err != nil {
		t.Fatal(err)
	}
	private, err := certs.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	d.secret = strings.Split(string(private), "\n")[1]
	d.certificate, d.key = d.write(t, "cert.pem", certs.EncodeCertificates(leaf)), d.write(t, "key.pem", private)
	d.roots = d.write(t, "root.pem", certs.EncodeCertificates(root.Root()))
	return d
}

// write puts a file into the folder.
func (d *dumping) write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (d *dumping) boot(t *testing.T, b *bootstrapv3.Bootstrap) {
	t.Helper()
	binary, err := live.Search{Getenv: os.Getenv, Folders: []string{filepath.Join("..", "..", ".tools", "bin")}}.Find()
	if err != nil {
		t.Fatal(err)
	}
	if d.process, err = live.Boot(t.Context(), binary, d.dir, b, 1, io.Discard); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.process.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// dump saves what the Envoy answers to /config_dump.
func (d *dumping) dump(t *testing.T, name, query string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.process.Admin+"/config_dump"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it is read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if keep := os.Getenv("KEEP_DUMPS"); keep != "" {
		if err := os.WriteFile(filepath.Join(keep, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d.write(t, name, text)
}

// A real Envoy runs the static form of a workload. What it tells of itself is
// read, decides as the generated form does, and differs from nothing (EC-142).
func TestEnvoyDumpStatic(t *testing.T) {
	t.Parallel()
	d := newDumping(t, 1)
	stream, err := manifest.Read("mesh.yaml", []byte(dumpMesh))
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := envoy.NewGenerator(snapshot, policy.NewSimulator(snapshot)).Config(snapshot.Workload("shop", "cart"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := envoy.Static([]envoy.Place{{
		Config: config, Address: d.address, Certificate: d.certificate, Key: d.key, Roots: d.roots,
	}}, envoy.StaticOptions{Form: envoy.ProxyProtocol, Admin: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	d.boot(t, b)
	text, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	generated := d.write(t, "static.json", text)
	plain, withEndpoints := d.dump(t, "dump.json", ""), d.dump(t, "eds.json", "?include_eds")
	for _, pair := range [][2]string{{plain, plain}, {withEndpoints, withEndpoints}, {plain, generated}} {
		if out, errOut, status := meshctl(t, "envoy", "diff", pair[0], pair[1], "--full"); status != 0 || out != "no difference\n" {
			t.Errorf("%v: status %d\n%s%s", pair, status, out, errOut)
		}
	}
	for _, query := range []string{"?resource=static_listeners", "?resource=static_clusters", "?mask=bootstrap", "?name_regex=.*"} {
		name := d.dump(t, "part.json", query)
		if out, errOut, status := meshctl(t, "envoy", "show", name); status != 0 || !strings.Contains(out, "ADDRESSES") {
			t.Errorf("%s: status %d\n%s%s", query, status, out, errOut)
		}
	}
	d.asks(t, plain, generated)
	d.asks(t, d.dump(t, "listeners.json", "?resource=static_listeners"), generated)
}

// dynamicBootstrap gets all from files, as a control plane would send it.
const dynamicBootstrap = `
node: {id: sidecar~10.0.0.1~cart-0.shop~shop.svc.cluster.local, cluster: cart}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  lds_config: {path_config_source: {path: DIR/lds.yaml}}
  cds_config: {path_config_source: {path: DIR/cds.yaml}}
static_resources:
  clusters:
  - name: nowhere
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
`

const dynamicClusters = `
resources:
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: app
  connect_timeout: 1s
  type: EDS
  eds_cluster_config: {eds_config: {path_config_source: {path: DIR/eds.yaml}}}
`

const dynamicEndpoints = `
resources:
- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: app
  endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9}}}}]}]
`

const dynamicRoutes = `
resources:
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: all
  virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]
`

const dynamicExtensions = `
resources:
- "@type": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
  name: guard
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      policies:
        readers:
          permissions: [{header: {name: ":method", string_match: {exact: GET}}}]
          principals: [{authenticated: {principal_name: {exact: spiffe://cluster.local/ns/shop/sa/web}}}]
`

const dynamicSecret = `
resources:
- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: default
  tls_certificate: {certificate_chain: {filename: DIR/cert.pem}, private_key: {inline_string: KEY}}
`

const dynamicRoots = `
resources:
- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: ROOTCA
  validation_context: {trusted_ca: {filename: DIR/root.pem}, match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: spiffe://cluster.local/}}]}
`

// A listener that is served, and one with a filter of a kind that is known to
// nobody here.
const dynamicListeners = `
resources:
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: in
  traffic_direction: INBOUND
  address: {socket_address: {address: ADDRESS, port_value: 18080}}
  filter_chains:
  - transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
        require_client_certificate: true
        common_tls_context:
          tls_certificate_sds_secret_configs: [{name: default, sds_config: {path_config_source: {path: DIR/sds.yaml}}}]
          combined_validation_context:
            default_validation_context: {match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: spiffe://cluster.local/}}]}
            validation_context_sds_secret_config: {name: ROOTCA, sds_config: {path_config_source: {path: DIR/roots.yaml}}}
    filters:
    - name: hcm
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: in
        rds: {route_config_name: all, config_source: {path_config_source: {path: DIR/rds.yaml}}}
        http_filters:
        - name: guard
          config_discovery: {config_source: {path_config_source: {path: DIR/ecds.yaml}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC]}
        - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: scripted
  traffic_direction: INBOUND
  address: {socket_address: {address: ADDRESS, port_value: 18081}}
  filter_chains:
  - filters:
    - name: hcm
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: scripted
        route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 204}}]}]}
        http_filters:
        - {name: cookies, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth, users: {inline_string: "u:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}}}
        - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
`

// waitingListener waits for routes that never come. It is sent once the others
// are served.
const waitingListener = `- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: waiting
  traffic_direction: INBOUND
  address: {socket_address: {address: ADDRESS, port_value: 18082}}
  filter_chains:
  - filters:
    - name: hcm
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: waiting
        rds: {route_config_name: nobody, config_source: {api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: nowhere}}]}, initial_fetch_timeout: 0s}}
        http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`

// An Envoy that a control plane told everything: listeners that are served and
// that wait, routes, endpoints, secrets, filters that are sent by themselves.
func TestEnvoyDumpDynamic(t *testing.T) {
	t.Parallel()
	d := newDumping(t, 2)
	private, err := os.ReadFile(d.key)
	if err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(string(private))
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("DIR", d.dir, "ADDRESS", d.address.String(), "KEY", string(quoted))
	for name, text := range map[string]string{
		"cds.yaml": dynamicClusters, "eds.yaml": dynamicEndpoints, "rds.yaml": dynamicRoutes, "ecds.yaml": dynamicExtensions, "sds.yaml": dynamicSecret, "roots.yaml": dynamicRoots, "lds.yaml": dynamicListeners,
	} {
		d.write(t, name, []byte(fill.Replace(text)))
	}
	text, err := yaml.YAMLToJSON([]byte(fill.Replace(dynamicBootstrap)))
	if err != nil {
		t.Fatal(err)
	}
	b := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(text, b); err != nil {
		t.Fatal(err)
	}
	d.boot(t, b)
	if err := os.Rename(d.write(t, "next.yaml", []byte(fill.Replace(dynamicListeners+waitingListener))), filepath.Join(d.dir, "lds.yaml")); err != nil {
		t.Fatal(err)
	}
	var dump string
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		dump = d.dump(t, "dynamic.json", "?include_eds")
		if text, err := os.ReadFile(dump); err != nil || bytes.Contains(text, []byte("warming_state")) || time.Now().After(deadline) {
			break
		}
	}
	for _, args := range [][]string{{"show", dump}, {"show", dump, "-o", "json"}, {"show", dump, "-o", "yaml"}, {"diff", dump, dump, "--full"}} {
		out, errOut, status := meshctl(t, append([]string{"envoy"}, args...)...)
		if status != 0 || strings.Contains(out+errOut, d.secret) {
			t.Errorf("%v: status %d\n%s%s", args, status, out, errOut)
		}
	}
	out, errOut, _ := meshctl(t, "envoy", "show", dump)
	for _, want := range []string{
		"18080", "Route: all", "inbound :18081 takes plaintext only", "127.0.0.1:9", "default", "ACTIVE", "inbound :18080 takes mTLS only", `ALLOW rule readers on HTTP: method "GET", from identity "spiffe://cluster.local/ns/shop/sa/web"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if !strings.Contains(errOut, `listener "waiting" is not in use yet, it is warming`) {
		t.Error(errOut)
	}
	for question, want := range map[string]exitCode{
		"--port 18080 --principal cluster.local/ns/shop/sa/web":               0,
		"--port 18080 --principal cluster.local/ns/shop/sa/web --method POST": 1,
		"--port 18080 --principal cluster.local/ns/shop/sa/other":             1,
		"--port 18080 --plaintext":                                            1,
		"--port 18081 --plaintext":                                            3,
		"--port 18082 --plaintext":                                            3,
	} {
		if out, errOut, status := meshctl(t, append([]string{"envoy", "eval", dump}, strings.Fields(question)...)...); status != want {
			t.Errorf("%s: status %d, want %d\n%s%s", question, status, want, out, errOut)
		}
	}
	for _, list := range []string{"dynamic_listeners", "dynamic_active_clusters", "dynamic_route_configs", "dynamic_active_secrets", "ecds_filters"} {
		if out, errOut, status := meshctl(t, "envoy", "show", d.dump(t, "part.json", "?resource="+list)); status != 0 {
			t.Errorf("%s: status %d\n%s%s", list, status, out, errOut)
		}
	}
}

// asks holds what a dump decides to what the generated form decides.
func (d *dumping) asks(t *testing.T, dump, generated string) {
	t.Helper()
	outcomes := map[exitCode]int{}
	for _, question := range []string{
		"--port 8080 --principal cluster.local/ns/shop/sa/web --path /items/1",
		"--port 8080 --principal cluster.local/ns/shop/sa/web --path /items/1 --method POST",
		"--port 8080 --principal cluster.local/ns/shop/sa/other --path /items/1",
		"--port 8080 --principal cluster.local/ns/shop/sa/web --path /items/1 --claim iss=here",
		"--port 8080 --plaintext --path /items/1",
		"--port 9000 --principal cluster.local/ns/shop/sa/web --tcp",
	} {
		args := strings.Fields(question)
		out, errOut, status := meshctl(t, append([]string{"envoy", "eval", dump}, args...)...)
		want, _, wantStatus := meshctl(t, append([]string{"envoy", "eval", generated}, args...)...)
		want, out = strings.ReplaceAll(want, " of shop/cart", ""), strings.NewReplacer(" of shop/cart", "", " of the workload", "").Replace(out) // a part does not tell whose it is
		if outcomes[status]++; out != want || status != wantStatus || status > 1 {
			t.Errorf("%s: status %d, %s%s\nwant %d, %s", question, status, out, errOut, wantStatus, want)
		}
	}
	if outcomes[0] == 0 || outcomes[1] == 0 {
		t.Errorf("not every outcome was seen: %v", outcomes)
	}
}
