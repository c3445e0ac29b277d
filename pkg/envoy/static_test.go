package envoy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// staticMesh has all that the static form rewrites: mTLS, tokens with and
// without keys, all actions, an external authorizer.
const staticMesh = shopYAML + `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec: {jwtRules: [{issuer: a, jwksUri: "https://a.example/keys"}, {issuer: b, jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: custom, namespace: shop}
spec: {action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {ports: ["8080", "9000"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: audit, namespace: shop}
spec: {action: AUDIT, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: shop}
spec: {action: DENY, rules: [{to: [{operation: {ports: ["1"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow, namespace: shop}
spec: {rules: [{}]}
`

const (
	grpcProvider = "extensionProviders: [{name: ext, envoyExtAuthzGrpc: {service: web.shop.svc.cluster.local, port: 9000}}]\n"
	httpProvider = "extensionProviders: [{name: ext, envoyExtAuthzHttp: {service: web.shop.svc.cluster.local, port: 80}}]\n"
)

func staticPlace(t testing.TB, meshConfig, workload string) envoy.Place {
	t.Helper()
	return envoy.Place{
		Config: configOf(t, buildMesh(t, staticMesh, meshConfig), workload), Address: netip.MustParseAddr("127.64.0.2"),
		Certificate: "/c/cert.pem", Key: "/c/key.pem", Roots: "/c/root.pem",
		Applications: map[uint32]netip.AddrPort{0: netip.MustParseAddrPort("127.0.0.1:1000"), 9000: netip.MustParseAddrPort("127.0.0.1:1001")},
		Authorizers:  envoy.Authorizers{HTTP: netip.MustParseAddrPort("127.0.0.1:2000"), GRPC: netip.MustParseAddrPort("127.0.0.1:2001")},
	}
}

func staticOptions() envoy.StaticOptions {
	return envoy.StaticOptions{
		Form: envoy.ProxyProtocol, Admin: netip.MustParseAddrPort("127.0.0.1:0"), AccessLog: "/c/access.log", JWK: `{"kty":"oct","k":"eA"}`,
	}
}

// everything is the text of a message and of all that is packed in it.
func everything(t testing.TB, m proto.Message) string {
	t.Helper()
	text := prototext.Format(m)
	eachAny(m.ProtoReflect(), func(a *anypb.Any) {
		inner, err := a.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		text += everything(t, inner)
	})
	return text
}

// leads are the clusters that a message and what is packed in it lead to.
func leads(m protoreflect.Message, found map[string]bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if (f.Name() == "cluster" || f.Name() == "cluster_name") && f.Kind() == protoreflect.StringKind {
			found[v.String()] = true
		}
		return true
	})
	eachMessage(m, func(inner protoreflect.Message) { leads(inner, found) })
}

// eachMessage visits the messages in a message, unpacked.
func eachMessage(m protoreflect.Message, visit func(protoreflect.Message)) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() == nil || f.IsMap() {
			return true
		}
		all := []protoreflect.Message{}
		if f.IsList() {
			for i := range v.List().Len() {
				all = append(all, v.List().Get(i).Message())
			}
		} else {
			all = append(all, v.Message())
		}
		for _, one := range all {
			if a, ok := one.Interface().(*anypb.Any); ok {
				if inner, err := a.UnmarshalNew(); err == nil {
					one = inner.ProtoReflect()
				}
			}
			visit(one)
		}
		return true
	})
}

// TestStatic: the static form is valid, asks no control plane for anything,
// leads nowhere but to clusters that are there, and leaves the configuration
// that it was made of as it was (EC-142, DP-2, DP-3).
func TestStatic(t *testing.T) {
	t.Parallel()
	for _, config := range []string{grpcProvider, httpProvider} {
		for _, form := range []envoy.StaticForm{envoy.ProxyProtocol, envoy.OwnAddresses} {
			one, other := staticPlace(t, config, "shop/web-v1"), staticPlace(t, config, "shop/curl")
			for _, places := range [][]envoy.Place{{one}, {one, other}} {
				before := everything(t, &bootstrapv3.Bootstrap_StaticResources{Listeners: one.Config.Listeners, Clusters: one.Config.Clusters})
				o := staticOptions()
				o.Form = form
				b, err := envoy.Static(places, o)
				if err != nil {
					t.Fatal(err)
				}
				checkValid(t, b)
				text := everything(t, b)
				for _, live := range []string{"ads:", "api_config_source", "sds_config", "rds:", "original_dst", "keys of "} {
					if strings.Contains(text, live) {
						t.Errorf("%s, %d places: %s is left", form, len(places), live)
					}
				}
				names, wanted := map[string]bool{}, map[string]bool{}
				for _, c := range b.StaticResources.Clusters {
					if names[c.Name] {
						t.Errorf("cluster %s is there twice", c.Name)
					}
					names[c.Name] = true
				}
				for _, l := range b.StaticResources.Listeners {
					leads(l.ProtoReflect(), wanted)
				}
				if len(wanted) < 6 {
					t.Errorf("only %d clusters are led to", len(wanted))
				}
				for name := range wanted {
					if !names[name] {
						t.Errorf("cluster %s is not there", name)
					}
				}
				if len(names) != len(wanted) {
					t.Errorf("%d clusters, %d led to", len(names), len(wanted))
				}
				after := everything(t, &bootstrapv3.Bootstrap_StaticResources{Listeners: one.Config.Listeners, Clusters: one.Config.Clusters})
				if before != after {
					t.Error("the configuration has changed")
				}
			}
		}
	}
}

func staticListener(t testing.TB, p envoy.Place, o envoy.StaticOptions) (*listenerv3.Listener, []*clusterv3.Cluster) {
	t.Helper()
	b, err := envoy.Static([]envoy.Place{p}, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.StaticResources.Listeners[0], b.StaticResources.Clusters
}

// TestStaticForms: how a client says where it wants to go (DP-4, DP-6).
func TestStaticForms(t *testing.T) {
	t.Parallel()
	p := staticPlace(t, grpcProvider, "shop/web-v1")
	for form, want := range map[envoy.StaticForm]string{
		envoy.ProxyProtocol: "127.64.0.2:15006 [] proxy_protocol tls_inspector http_inspector",
		envoy.OwnAddresses:  "127.64.0.2:15006 [7000 8080 9000] tls_inspector http_inspector",
	} {
		o := staticOptions()
		o.Form = form
		l, _ := staticListener(t, p, o)
		at := l.Address.GetSocketAddress()
		ports := []uint32{}
		for _, a := range l.AdditionalAddresses {
			if a.Address.GetSocketAddress().Address != at.Address {
				t.Errorf("additional address %v", a)
			}
			ports = append(ports, a.Address.GetSocketAddress().GetPortValue())
		}
		got := fmt.Sprintf("%s:%d %v", at.Address, at.GetPortValue(), ports)
		for _, f := range l.ListenerFilters {
			got += " " + strings.TrimPrefix(f.Name, "envoy.filters.listener.")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", form, got, want)
		}
	}
}

// TestStaticClusters: they lead to the application, or where the client wanted
// to go, and to the stand-ins of external authorizers (DP-6).
func TestStaticClusters(t *testing.T) {
	t.Parallel()
	text := func(clusters []*clusterv3.Cluster) string {
		var all []string
		for _, c := range clusters {
			to := c.GetType().String()
			for _, g := range c.GetLoadAssignment().GetEndpoints() {
				a := g.LbEndpoints[0].GetEndpoint().GetAddress().GetSocketAddress()
				to += fmt.Sprintf(" %s:%d", a.GetAddress(), a.GetPortValue())
			}
			all = append(all, c.Name+" "+to)
		}
		slices.Sort(all)
		return strings.Join(all, "\n")
	}
	const alike = "BlackHoleCluster STATIC\nInboundPassthroughCluster STATIC 127.0.0.1:1000\ninbound|7000|| STATIC 127.0.0.1:1000\ninbound|8080|| STATIC 127.0.0.1:1000\ninbound|9000|| STATIC 127.0.0.1:1001\n"
	for config, want := range map[string]string{
		grpcProvider: alike + "outbound|9000||web.shop.svc.cluster.local STATIC 127.0.0.1:2001",
		httpProvider: alike + "outbound|80||web.shop.svc.cluster.local STATIC 127.0.0.1:2000",
	} {
		if _, clusters := staticListener(t, staticPlace(t, config, "shop/web-v1"), staticOptions()); text(clusters) != want {
			t.Errorf("%s, want %s", text(clusters), want)
		}
	}
	p := staticPlace(t, grpcProvider, "shop/web-v1")
	p.Applications = nil
	_, clusters := staticListener(t, p, staticOptions())
	if got := text(clusters); !strings.Contains(got, "inbound|8080|| ORIGINAL_DST\n") || !strings.Contains(got, "InboundPassthroughCluster ORIGINAL_DST\n") {
		t.Errorf("without applications: %s", got)
	}
}

// TestStaticContents: certificates are in files beside the names that are
// expected, keys stand in for those that nobody has, and the log tells what
// matched.
func TestStaticContents(t *testing.T) {
	t.Parallel()
	p := staticPlace(t, httpProvider, "shop/web-v1")
	l, _ := staticListener(t, p, staticOptions())
	text := strings.Join(strings.Fields(everything(t, l)), " ")
	for what, want := range map[string]string{
		"certificate":          `certificate_chain: { filename: "/c/cert.pem" } private_key: { filename: "/c/key.pem" }`,
		"root":                 `trusted_ca: { filename: "/c/root.pem" }`,
		"expected names":       `match_subject_alt_names: { prefix: "spiffe://cluster.local/" }`,
		"keys that are there":  `inline_string: "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}"`,
		"keys that are not":    `inline_string: "{\"keys\":[{\"kty\":\"oct\",\"k\":\"eA\"}]}"`,
		"notes of ALLOW":       `rules_stat_prefix: "allow_"`,
		"notes of DENY":        `rules_stat_prefix: "deny_"`,
		"notes of AUDIT":       `rules_stat_prefix: "audit_"`,
		"of streams":           `shadow_rules_stat_prefix: "allow_"`,
		"who asks, over HTTP":  `key: "x-meshctl-peer" value: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"`,
		"log of requests":      `key: "scope" value: { string_value: "request" }`,
		"log of connections":   `key: "scope" value: { string_value: "connection" }`,
		"whose lines they are": `key: "workload" value: { string_value: "shop/web-v1" }`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %s", what, want)
		}
	}
	o := staticOptions()
	o.AddJWK = true
	l, _ = staticListener(t, p, o)
	for _, want := range []string{`inline_string: "{\"keys\":[{\"k\":\"c2VjcmV0\",\"kty\":\"oct\"},{\"kty\":\"oct\",\"k\":\"eA\"}]}"`, `inline_string: "{\"keys\":[{\"kty\":\"oct\",\"k\":\"eA\"}]}"`} {
		if text := strings.Join(strings.Fields(everything(t, l)), " "); !strings.Contains(text, want) {
			t.Errorf("with a key of our own: no %s", want)
		}
	}
	o = staticOptions()
	o.AccessLog = ""
	l, _ = staticListener(t, p, o)
	if text := everything(t, l); strings.Contains(text, "access_log") || strings.Contains(text, `shadow_rules_stat_prefix: "allow_"`) {
		t.Error("a log without a file")
	}
}

// TestStaticFaults: what cannot be run, and why.
func TestStaticFaults(t *testing.T) {
	t.Parallel()
	unintercepted := strings.Replace(shopYAML, "metadata: {labels: {app: curl}}", "metadata: {labels: {app: curl}, annotations: {sidecar.istio.io/interceptionMode: NONE}}", 1)
	nothing := envoy.Place{Config: configOf(t, buildMesh(t, unintercepted, ""), "shop/curl"), Address: netip.MustParseAddr("127.0.0.2")}
	lost := staticPlace(t, grpcProvider, "shop/web-v1")
	config := *lost.Config
	config.Clusters = nil
	lost.Config = &config
	spoilt := func(old, text string) []envoy.Place {
		manifests := strings.Replace(staticMesh, old, text, 1)
		return []envoy.Place{{Config: configOf(t, buildMesh(t, manifests, grpcProvider), "shop/web-v1"), Address: netip.MustParseAddr("127.0.0.2")}}
	}
	for _, tt := range []struct {
		places []envoy.Place
		want   string
	}{
		{nil, "no workload to run"},
		{
			spoilt("spec: {rules: [{}]}", "spec: {rules: [{to: [{operation: {notPaths: ['{**}/x']}}]}]}"),
			`shop/web-v1: listener virtualInbound: filter envoy.filters.network.http_connection_manager: filter envoy.filters.http.rbac: rule ns[shop]-policy[allow]-rule[0]: path template "**/x": it does not begin with a slash; Envoy ends itself when it reads one`,
		},
		{
			spoilt(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, `{"keys":[]}`),
			`shop/web-v1: listener virtualInbound: filter envoy.filters.network.http_connection_manager: filter envoy.filters.http.jwt_authn: tokens of issuer "b": its jwks has no keys; Envoy takes no listener with such a rule`,
		},
		{[]envoy.Place{nothing}, "shop/curl: it has no inbound listener"},
		{[]envoy.Place{lost}, "shop/web-v1: filters lead to clusters that are not there: BlackHoleCluster, InboundPassthroughCluster, inbound|7000||, inbound|8080||, inbound|9000||, outbound|9000||web.shop.svc.cluster.local"},
	} {
		if _, err := envoy.Static(tt.places, staticOptions()); fmt.Sprint(err) != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// TestLogEntries: what RBAC filters leave is found where the kind of chain
// leaves it (AP-60, AP-69).
func TestLogEntries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, want string }{
		{`{"scope":"request","http":{"allow_enforced_effective_policy_id":"r","istio_dry_run_allow_shadow_engine_result":"denied","istio_dry_run_deny_shadow_engine_result":"denied","istio_dry_run_deny_shadow_effective_policy_id":"d"},"tcp":{"x":"y"},"code":200}`, "r denied  denied d  "},
		{`{"scope":"connection","tcp":{"allow_shadow_effective_policy_id":"r","istio_ext_authz_shadow_effective_policy_id":"c","istio_ext_authz_shadow_engine_result":"denied"},"http":null}`, "r     denied c"},
		{`{"scope":"request","http":null,"details":null,"tcp":null}`, "      "},
	} {
		e, err := envoy.ParseLogEntry([]byte(tt.line))
		if err != nil {
			t.Fatal(err)
		}
		allowed, allowRule := e.DryRunAllow()
		denied, denyRule := e.DryRunDeny()
		asked, customRule := e.Custom()
		if got := strings.Join([]string{e.Allowed(), allowed, allowRule, denied, denyRule, asked, customRule}, " "); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if _, err := envoy.ParseLogEntry([]byte("x")); err == nil || !strings.HasPrefix(err.Error(), "access log: ") {
		t.Error(err)
	}
}
