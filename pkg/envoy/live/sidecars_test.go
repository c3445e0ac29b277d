//go:build envoy

package live_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

func (f fixture) workloads(t *testing.T, names ...string) []live.Workload {
	t.Helper()
	g := envoy.NewGenerator(f.Snapshot, f.simulator)
	var all []live.Workload
	for _, name := range names {
		w := f.Workload("shop", name)
		config, err := g.Config(w)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, live.Workload{Config: config, Identity: w.Identity("cluster.local")})
	}
	return all
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := live.Search{Getenv: os.Getenv, Folders: []string{filepath.Join("..", "..", "..", ".tools", "bin")}}.Find()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// temporary are the folders that runs leave behind.
func temporary(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "meshctl-envoy-*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// requests are of all kinds, from clients with and without a certificate.
func requests(port uint32) []policy.Request {
	curl := "spiffe://cluster.local/ns/shop/sa/curl"
	token := []policy.Token{{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: true, Claims: map[string]any{"iss": "issuer", "sub": "alice"}}}
	expired := []policy.Token{{In: "header", Name: "authorization", Prefix: "Bearer ", Why: "expired", Claims: map[string]any{"iss": "issuer", "sub": "alice"}}}
	var all []policy.Request
	for _, id := range []*string{nil, &curl} {
		for _, h := range []*policy.HTTP{
			nil,
			{Method: "GET", Path: "/ok", Authority: "app"},
			{Method: "GET", Path: "/no", Authority: "app"},
			{Method: "GET", Path: "/no", Authority: "app", Version: "2"},
			{Method: "GET", Path: "/ok", Authority: "app", Version: "2"},
			{Method: "GET", Path: "/no", Authority: "app", Tokens: token},
			{Method: "GET", Path: "/ok", Authority: "app", Tokens: expired},
		} {
			r := policy.Request{To: policy.Destination{Namespace: "shop", Workload: "app", Port: port}, From: policy.Client{Identity: id, IP: "127.0.1.5"}, HTTP: h}
			if id != nil {
				r.From.ALPN = []string{"istio-http/1.1", "istio-h2", "istio"}
				if h == nil {
					r.From.ALPN = []string{"istio"}
				}
			}
			all = append(all, r)
		}
	}
	return all
}

// TestEnvoyAnswers: in both forms Envoy answers as the simulator does, tokens
// that are only described included; ports that nobody declares are there only
// in the one. Closing leaves nothing.
func TestEnvoyAnswers(t *testing.T) {
	f := newFixture(t, shop)
	for form, ports := range map[envoy.StaticForm][]uint32{envoy.ProxyProtocol: {8080, 9000, 7000, 9090, 1234}, envoy.OwnAddresses: {8080, 9000, 7000, 9090}} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		sidecars, err := live.Start(t.Context(), f.workloads(t, "app", "other"), live.Options{Binary: binary(t), Form: form, TrustDomain: "cluster.local", Now: time.Now, OwnKey: true})
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[policy.Outcome]int{}
		for _, port := range ports {
			asked := requests(port)
			answers, err := sidecars.Ask(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			for i, a := range answers {
				want := f.simulator.Model(f.Workload("shop", "app")).Evaluate(&asked[i])
				outcomes[want.Outcome]++
				if a.Err != nil {
					t.Errorf("%s, port %d, request %d: %v", form, port, i, a.Err)
				} else if differences := live.Differences(&want, &a.Verdict); differences != nil {
					t.Errorf("%s, port %d, request %d: %v", form, port, i, differences)
				}
			}
		}
		for _, o := range []policy.Outcome{policy.Allow, policy.Deny, policy.Unauthenticated, policy.Rejected} {
			if outcomes[o] == 0 {
				t.Errorf("%s: nothing was %s", form, o)
			}
		}
		if err := sidecars.Close(); err != nil {
			t.Error(err)
		}
		if err := sidecars.Close(); err != nil {
			t.Error("closed again:", err)
		}
		if left := temporary(t, dir); left != nil {
			t.Errorf("left: %v", left)
		}
	}
}

// TestEnvoyCannotAsk: what cannot be sent from here says why.
func TestEnvoyCannotAsk(t *testing.T) {
	f := newFixture(t, shop)
	sidecars, err := live.Start(t.Context(), f.workloads(t, "app"), live.Options{Binary: binary(t), TrustDomain: "cluster.local", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sidecars.Close(); err != nil {
			t.Error(err)
		}
	}()
	odd := "spiffe://cluster.local/ns/a b"
	asked := []policy.Request{
		{To: policy.Destination{Namespace: "shop", Workload: "nobody", Port: 80}},
		{To: policy.Destination{Namespace: "shop", Workload: "app", Port: 8080}, From: policy.Client{IP: "10.0.0.1"}},
		{To: policy.Destination{Namespace: "shop", Workload: "app", Port: 8080}, From: policy.Client{Identity: &odd}},
	}
	answers, err := sidecars.Ask(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"no sidecar of shop/nobody runs here",
		"source address 10.0.0.1: only addresses in 127.0.0.0/8 can be called from",
		`SPIFFE ID "spiffe://cluster.local/ns/a b": segment "a b": ' ' is not allowed; only letters, digits, dot, dash and underscore are`,
	} {
		if got := fmt.Sprint(answers[i].Err); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestEnvoyRefuses: a configuration that Envoy does not take fails with its
// reason, one that it dies of as well, and nothing is left.
func TestEnvoyRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for manifests, want := range map[string]string{
		strings.Replace(shop, `jwksUri: "https://issuer.example/keys"`, `jwks: '{"keys":[]}'`, 1):            `tokens of issuer "issuer": its jwks has no keys`,
		strings.Replace(shop, "paths: [/ok*]", "paths: ['{*}/x']", 1):                                        `rule ns[shop]-policy[a]-rule[0]: path template "*/x": it does not begin with a slash`,
		strings.Replace(shop, `jwksUri: "https://issuer.example/keys"`, `jwks: '{"keys":[{"kty":"x"}]}'`, 1): "envoy does not accept the configuration",
	} {
		f := newFixture(t, manifests)
		sidecars, err := live.Start(t.Context(), f.workloads(t, "app"), live.Options{Binary: binary(t), TrustDomain: "cluster.local", Now: time.Now})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if sidecars != nil {
			t.Error("there are sidecars all the same")
		}
	}
	if left := temporary(t, dir); left != nil {
		t.Errorf("left: %v", left)
	}
}

// TestEnvoySends: what goes through the sender's own sidecar comes out as the
// simulator says, whether the sidecars agree on mTLS, a DestinationRule is
// against it, or the other end has no sidecar (DP-7, DP-8).
func TestEnvoySends(t *testing.T) {
	outcomes := map[policy.Outcome]int{}
	for what, rule := range map[string]string{
		"auto mTLS":        "",
		"no TLS":           "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: app, namespace: shop}\nspec: {host: app, trafficPolicy: {tls: {mode: DISABLE}}}\n",
		"mTLS, no sidecar": "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: plain, namespace: shop}\nspec: {host: plain, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}\n",
	} {
		f := newFixture(t, callers+shop+rule)
		sidecars, err := live.Start(t.Context(), f.workloads(t, "app", "curl"), live.Options{
			Binary: binary(t), Form: envoy.OwnAddresses, TrustDomain: "cluster.local", Now: time.Now, OwnKey: true, Senders: true,
			Plain: map[string][]uint32{"shop/plain": {8080}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var sent []live.Sent
		var questions []*policy.Question
		for _, service := range []string{"app", "plain"} {
			v, err := f.FindService(service, "shop")
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range v.Ports {
				for _, h := range []*policy.HTTP{nil, {Method: "GET", Path: "/ok", Authority: v.Hostname}, {Method: "GET", Path: "/no", Authority: v.Hostname}, {Method: "GET", Path: "/ok", Authority: v.Hostname, Version: "2"}} {
					if h == nil && p.Protocol.Traffic() != mesh.TCPTraffic {
						continue
					}
					one := live.Sent{From: "shop/curl", Port: uint32(p.Number), HTTP: h}
					if p.Protocol.Traffic() != mesh.HTTPTraffic {
						one.Address = sidecars.ServiceAddress("shop/curl", v.Hostname, uint32(p.Number))
					}
					sent = append(sent, one)
					questions = append(questions, &policy.Question{From: policy.Caller{Workload: f.Workload("shop", "curl")}, To: policy.Callee{Service: v, Port: p}, HTTP: h, SourceIP: "127.0.0.1"})
				}
			}
		}
		answers, err := sidecars.Send(t.Context(), sent)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			want, err := f.simulator.Ask(questions[i])
			if err != nil {
				t.Fatal(err)
			}
			outcomes[want.Outcome]++
			at := fmt.Sprintf("%s: %s, %+v", what, questions[i].To, questions[i].HTTP)
			if a.Err != nil {
				t.Errorf("%s: %v", at, a.Err)
				continue
			}
			if differences := live.Differences(&want.Endpoints[0].Verdict, &a.Verdict); differences != nil {
				t.Errorf("%s: %v\n%+v", at, differences, a.Log)
			}
		}
		if err := sidecars.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, o := range []policy.Outcome{policy.Allow, policy.Deny, policy.Refused} {
		if outcomes[o] < 5 {
			t.Errorf("only %d were %s", outcomes[o], o)
		}
	}
}
