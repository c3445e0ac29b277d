package diff_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/diff"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

const base = `apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: prod}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: prod}
spec: {template: {metadata: {labels: {app: reviews}}, spec: {serviceAccountName: reviews, containers: [{name: c, image: x}]}}}
`

// side renders reviews with these objects beside it.
func side(tb testing.TB, objects, meshConfig string) diff.Side {
	tb.Helper()
	return sideOf(tb, base+objects, meshConfig)
}

func sideOf(tb testing.TB, manifests, meshConfig string) diff.Side {
	tb.Helper()
	stream, err := manifest.Read("deploy.yaml", []byte(manifests))
	if err != nil {
		tb.Fatal(err)
	}
	config, err := mesh.ParseConfig([]byte(meshConfig))
	if err != nil {
		tb.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{Config: config})
	if err != nil {
		tb.Fatal(err)
	}
	simulator := policy.NewSimulator(s)
	w := s.Workload("prod", "reviews")
	c, err := envoy.NewGenerator(s, simulator).Config(w)
	if err != nil {
		tb.Fatal(err)
	}
	return diff.Side{Dumps: []*envoy.Dump{{Config: *c}}, Models: map[string]*policy.Model{c.Workload: simulator.Model(w)}, Snapshot: s}
}

func peers(mode string) string {
	return "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: prod}\nspec: {mtls: {mode: " + mode + "}}\n"
}

func authz(action, rules string) string {
	return "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: prod}\nspec: {action: " + action + ", rules: " + rules + "}\n"
}

func tokens(issuers ...string) string {
	var rules []string
	for _, i := range issuers {
		rules = append(rules, fmt.Sprintf(`{issuer: %s, jwks: '{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0"}]}'}`, i))
	}
	return "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: t, namespace: prod}\nspec: {jwtRules: [" + strings.Join(rules, ", ") + "]}\n"
}

func TestIntents(t *testing.T) {
	t.Parallel()
	const get, post = `[{to: [{operation: {methods: [GET]}}]}]`, `[{to: [{operation: {methods: [POST]}}, {operation: {methods: [GET]}}]}]`
	for _, tt := range []struct {
		name                  string
		before, after         string
		meshBefore, meshAfter string
		want                  []string
	}{
		{name: "same", before: peers("STRICT"), after: peers("STRICT")},
		{name: "strict", after: peers("STRICT"), want: []string{
			"tighter: inbound ports of prod/reviews that no Service declares now require mTLS (was mTLS or plaintext), because PeerAuthentication prod/default, deploy.yaml:14",
			"tighter: inbound :9080 of prod/reviews now requires mTLS (was mTLS or plaintext), because PeerAuthentication prod/default, deploy.yaml:14",
		}},
		{name: "gone", before: peers("DISABLE"), want: []string{
			"looser: inbound ports of prod/reviews that no Service declares now take mTLS and plaintext (was plaintext), because no PeerAuthentication sets it",
			"looser: inbound :9080 of prod/reviews now takes mTLS and plaintext (was plaintext), because no PeerAuthentication sets it",
			"tighter: prod/reviews now calls reviews.prod.svc.cluster.local:9080 by mTLS where the endpoint has it (was plaintext), because PeerAuthentication prod/default that is gone, deploy.yaml:11",
			"tighter: endpoint prod/reviews:9080 now offers mTLS (endpoints outbound|9080||reviews.prod.svc.cluster.local), because PeerAuthentication prod/default that is gone, deploy.yaml:11",
		}},
		{name: "permissive", before: peers("STRICT"), after: peers("PERMISSIVE"), want: []string{
			"looser: inbound ports of prod/reviews that no Service declares now take mTLS and plaintext (was mTLS), because PeerAuthentication prod/default, deploy.yaml:14",
			"looser: inbound :9080 of prod/reviews now takes mTLS and plaintext (was mTLS), because PeerAuthentication prod/default, deploy.yaml:14",
		}},
		{name: "first allow", after: authz("ALLOW", get), want: []string{
			"tighter: HTTP to prod/reviews is now denied where no ALLOW rule matches",
			"tighter: TCP to prod/reviews is now denied where no ALLOW rule matches",
			`tighter: ALLOW rule prod/p#0 is new on HTTP to prod/reviews: method "GET", from anything, because AuthorizationPolicy prod/p rule 0, deploy.yaml:14`,
		}},
		{name: "allow more", before: authz("ALLOW", get), after: authz("ALLOW", post), want: []string{
			`looser: ALLOW rule prod/p#0 on HTTP to prod/reviews now matches operations method "POST", because AuthorizationPolicy prod/p rule 0, deploy.yaml:14`,
		}},
		{name: "deny less", before: authz("DENY", post), after: authz("DENY", get), want: []string{
			`looser: DENY rule prod/p#0 on HTTP to prod/reviews no longer matches operations method "POST", because AuthorizationPolicy prod/p rule 0, deploy.yaml:14`,
		}},
		{name: "deny", after: authz("DENY", `[{from: [{source: {namespaces: [x]}}]}]`), want: []string{
			`tighter: DENY rule prod/p#0 is new on HTTP to prod/reviews: anything, from identity matching ".*/ns/x/.*", because AuthorizationPolicy prod/p rule 0, deploy.yaml:14`,
			`tighter: DENY rule prod/p#0 is new on TCP to prod/reviews: anything, from identity matching ".*/ns/x/.*", because AuthorizationPolicy prod/p rule 0, deploy.yaml:14`,
		}},
		{name: "audit", after: authz("AUDIT", get), want: []string{
			`cosmetic: AUDIT rule prod/p#0 is new on HTTP to prod/reviews: method "GET", from anything, because AuthorizationPolicy prod/p rule 0, deploy.yaml:14`,
			`cosmetic: AUDIT rule prod/p#0 is new on TCP to prod/reviews: anything, from anything, because AuthorizationPolicy prod/p rule 0, deploy.yaml:14`,
		}},
		{name: "issuer", before: tokens("m"), after: tokens("m", "a"), want: []string{
			`looser: tokens of issuer "a" now count at prod/reviews, because RequestAuthentication prod/t, deploy.yaml:14`,
		}},
		{name: "issuer gone", before: tokens("a", "m"), after: tokens("m"), want: []string{
			`tighter: tokens of issuer "a" no longer count at prod/reviews, because RequestAuthentication prod/t, deploy.yaml:14`,
		}},
		{name: "first issuer", after: tokens("a"), want: []string{
			`tighter: tokens sent to prod/reviews are now verified, and those of issuer "a" count, because RequestAuthentication prod/t, deploy.yaml:14`,
		}},
		{name: "paths", meshAfter: "pathNormalization: {normalization: MERGE_SLASHES}", want: []string{
			"tighter: prod/reviews now normalizes paths by MERGE_SLASHES (was BASE)",
		}},
		{name: "trust", meshAfter: "trustDomainAliases: [old]", want: []string{
			"looser: clients of prod/reviews may now be of the trust domains cluster.local, old (were cluster.local)",
			"looser: prod/reviews takes spiffe://cluster.local/ns/prod/sa/reviews or spiffe://old/ns/prod/sa/reviews at reviews.prod.svc.cluster.local:9080 (was spiffe://cluster.local/ns/prod/sa/reviews)",
		}},
	} {
		result := diff.Compare(side(t, tt.before, tt.meshBefore), side(t, tt.after, tt.meshAfter))
		var got []string
		for _, w := range result.Workloads {
			for _, i := range w.Intents {
				got = append(got, string(i.Tag)+": "+i.String())
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		text, err := json.Marshal(result)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(text), "c2VjcmV0") {
			t.Errorf("%s: a key is shown", tt.name)
		}
	}
}

// What only tightens is not looser, and the other way round.
func TestLooser(t *testing.T) {
	t.Parallel()
	a, b := side(t, "", ""), side(t, peers("STRICT")+authz("DENY", `[{}]`), "")
	for _, c := range diff.Compare(a, b).Workloads[0].Changes {
		if slices.Contains(c.Tags, diff.Looser) {
			t.Errorf("tightening is taken for loosening: %+v", c)
		}
	}
	if diff.Compare(a, b).Looser() || !diff.Compare(b, a).Looser() {
		t.Error("loosening is not told from tightening")
	}
}

// The order of what has keys means nothing, where Envoy gives it no meaning
// (EC-5).
func TestOrder(t *testing.T) {
	t.Parallel()
	objects := tokens("m", "a") + authz("ALLOW", `[{to: [{operation: {methods: [GET, POST], paths: [/a, /b]}}]}, {}]`)
	a, b := side(t, objects, ""), side(t, strings.NewReplacer("GET, POST", "POST, GET", "/a, /b", "/b, /a").Replace(objects), "")
	c := &b.Dumps[0].Config
	for i, l := range c.Listeners {
		l = proto.CloneOf(l)
		slices.Reverse(l.FilterChains)
		for _, x := range l.FilterChains {
			slices.Reverse(x.GetFilterChainMatch().GetApplicationProtocols())
		}
		c.Listeners[i] = l
	}
	slices.Reverse(c.Clusters)
	slices.Reverse(c.Listeners)
	slices.Reverse(c.Routes)
	slices.Reverse(c.Endpoints)
	if result := diff.Compare(a, b); !result.Same() {
		t.Errorf("%+v", result.Workloads[0].Changes)
	}
}

// A filter that is not known is looser, come or gone (EC-130).
func TestUnknownFilter(t *testing.T) {
	t.Parallel()
	read := func(filters string) diff.Side {
		all, err := envoy.ParseConfig("l.json", []byte(`[{"name": "in", "trafficDirection": "INBOUND", "filterChains": [{"filters": [`+filters+`]}]}]`))
		if err != nil {
			t.Fatal(err)
		}
		return diff.Side{Dumps: all}
	}
	const magic = `{"name": "magic", "typedConfig": {"@type": "type.googleapis.com/corp.Magic", "level": %d}}`
	none, one, two := read(""), read(fmt.Sprintf(magic, 1)), read(fmt.Sprintf(magic, 2))
	for _, tt := range []struct {
		a, b diff.Side
		want string
	}{
		{none, one, "filter magic is new (inbound listener in / chain :*)"},
		{one, none, "filter magic is gone (inbound listener in / chain :*)"},
		{one, two, "filter magic has changed: typedConfig.value (inbound listener in / chain :*)"},
	} {
		r := diff.Compare(tt.a, tt.b)
		if r.Same() || !r.Looser() || r.Workloads[0].Intents[0].Text != tt.want {
			t.Errorf("%+v, want %s", r, tt.want)
		}
	}
}

// Keys in TLS contexts are compared, and not shown.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	read := func(key string) diff.Side {
		all, err := envoy.ParseConfig("l.json", []byte(`[{"name": "in", "trafficDirection": "INBOUND", "filterChains": [{"transportSocket": {"name": "tls", "typedConfig": {
"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "commonTlsContext": {"tlsCertificates": [{"privateKey": {"inlineString": "`+key+`"}}]}}}}]}]`))
		if err != nil {
			t.Fatal(err)
		}
		return diff.Side{Dumps: all}
	}
	r := diff.Compare(read("hush-one"), read("hush-two"))
	if text := fmt.Sprintf("%+v", r); r.Same() || strings.Contains(text, "hush") {
		t.Error(text)
	}
}

// Each side comes and goes as a whole.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	one := side(t, "", "")
	two := diff.Side{Dumps: []*envoy.Dump{one.Dumps[0], {Config: envoy.Config{Workload: "prod/other", Listeners: []*listenerv3.Listener{{Name: "x"}}}}}}
	if r := diff.Compare(one, two); len(r.Workloads) != 1 || r.Looser() || r.Workloads[0].Intents[0].Text != "prod/other is new" {
		t.Errorf("%+v", r)
	}
	if r := diff.Compare(two, one); len(r.Workloads) != 1 || !r.Looser() || r.Workloads[0].Op != diff.Removed {
		t.Errorf("%+v", r)
	}
}

// Istio's own filters are not rendered, so they are no difference to what is; to
// another dump they are (EC-131, EC-140).
func TestOwnExtensions(t *testing.T) {
	t.Parallel()
	read := func(filters string) []*envoy.Dump {
		all, err := envoy.ParseConfig("l.json", []byte(`[{"name": "in", "trafficDirection": "INBOUND", "filterChains": [{"filters": [`+filters+`]}]}]`))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	with, without := read(`{"name": "istio.alpn", "typedConfig": {"@type": "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"}}`), read("")
	if r := diff.Compare(diff.Side{Dumps: with}, diff.Side{Dumps: without, Models: map[string]*policy.Model{"": {}}}); !r.Same() {
		t.Errorf("%+v", r)
	}
	if r := diff.Compare(diff.Side{Dumps: with}, diff.Side{Dumps: without}); r.Same() {
		t.Error("no difference between two dumps")
	}
}

// What loosens is told, whatever tightens beside it: a rule that goes while all
// chains change their keys, a filter, an inspector that chains need.
func TestLooserBesideTighter(t *testing.T) {
	t.Parallel()
	deny := authz("DENY", `[{to: [{operation: {paths: [/admin]}}]}]`)
	if !diff.Compare(side(t, peers("DISABLE")+deny, ""), side(t, peers("STRICT"), "")).Looser() {
		t.Error("a DENY rule is gone, and nobody told")
	}
	named := strings.Replace(base, "name: http", "name: tcp", 1)
	if r := diff.Compare(side(t, "", ""), side(t, peers("STRICT"), "")); r.Looser() {
		t.Errorf("nothing is looser: %+v", r.Workloads[0].Changes)
	}
	if !diff.Compare(side(t, "", ""), sideOf(t, named+peers("STRICT"), "")).Looser() {
		t.Error("requests are seen as bytes, and nobody told")
	}
	read := func(listenerFilters, match, filters, socket string) diff.Side {
		all, err := envoy.ParseConfig("l.json", []byte(`[{"name": "in", "trafficDirection": "INBOUND", "listenerFilters": [`+listenerFilters+`], "filterChains": [
{"filterChainMatch": {"destinationPort": 80, `+match+`}, "filters": [`+filters+`]`+socket+`}]}]`))
		if err != nil {
			t.Fatal(err)
		}
		return diff.Side{Dumps: all}
	}
	const (
		inspector = `{"name": "envoy.filters.listener.tls_inspector", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}`
		raw, tls  = `"transportProtocol": "raw_buffer"`, `"transportProtocol": "tls"`
		magic     = `{"name": "magic", "typedConfig": {"@type": "type.googleapis.com/corp.Magic"}}`
		mutual    = `, "transportSocket": {"name": "tls", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "requireClientCertificate": true}}`
	)
	plain := read(inspector, raw, magic, "")
	mode := []string{
		"looser: mTLS to inbound :80 of  is no longer refused, and brings identities (was plaintext)",
		"tighter: inbound :80 of  now requires mTLS (was plaintext)",
	}
	if d := cmp.Diff(mode, told(diff.Compare(plain, read(inspector, tls, magic, mutual)))); d != "" {
		t.Errorf("only the mode has changed (-want +got):\n%s", d)
	}
	if all := told(diff.Compare(plain, read(inspector, tls, "", mutual))); !slices.Contains(all, "looser: chain :80 plaintext is gone (inbound listener in)") {
		t.Errorf("a filter is gone, and nobody told: %q", all)
	}
	if all := told(diff.Compare(plain, read("", tls, magic, mutual))); !slices.Contains(all, "looser: listener filter envoy.filters.listener.tls_inspector is gone (inbound listener in)") {
		t.Errorf("the inspector that the chain needs is gone, and nobody told: %q", all)
	}
}
