package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// scenario is a mesh of testdata/scenarios, by the names of its files.
func scenario(t *testing.T, names ...string) *mesh.Snapshot {
	t.Helper()
	var streams []*manifest.Stream
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "scenarios", name))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := manifest.Read(name, text)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	s, err := mesh.Build(streams, mesh.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// try is a question in words, and the answer: what the caller's program sees,
// and who decided.
//
//	from  a workload, such as deploy/curl.team-a
//	to    what it calls, such as svc/httpbin.team-a:8000
//	send  a method and a path; nothing for bytes
//	sees  an HTTP status, "open" or "closed" for bytes, "reset" if nothing
//	      answers
//	by    part of the rule, finding or reason that explains it
type try struct{ from, to, send, sees, by string }

// check asks every question.
func check(t *testing.T, s *mesh.Snapshot, tries []try, more ...func(*policy.HTTP)) {
	t.Helper()
	simulator := policy.NewSimulator(s)
	for _, tt := range tries {
		from, err := policy.ParseCaller(s, tt.from, "")
		if err != nil {
			t.Fatal(err)
		}
		to, err := policy.ParseCallee(s, tt.to, "")
		if err != nil {
			t.Fatal(err)
		}
		q := policy.Question{From: from, To: to}
		if method, path, isHTTP := strings.Cut(tt.send, " "); isHTTP {
			q.HTTP = &policy.HTTP{Method: method, Path: path, Authority: to.Authority()}
			for _, change := range more {
				change(q.HTTP)
			}
		}
		answer, err := simulator.Ask(&q)
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Endpoints) != 1 {
			t.Fatalf("%s: %d endpoints", tt.to, len(answer.Endpoints))
		}
		e := &answer.Endpoints[0]
		if got := seen(e); got != tt.sees {
			t.Errorf("%s to %s, %q: sees %s, want %s\n%s", tt.from, tt.to, tt.send, got, tt.sees, story(e))
		}
		if !strings.Contains(story(e), tt.by) {
			t.Errorf("%s to %s, %q: %q is not said of it:\n%s", tt.from, tt.to, tt.send, tt.by, story(e))
		}
	}
}

// seen is what the caller's program gets.
func seen(e *policy.EndpointAnswer) string {
	switch {
	case e.HTTPStatus != 0:
		return fmt.Sprint(e.HTTPStatus)
	case e.Outcome == policy.Allow:
		return "open"
	case e.Outcome == policy.Deny:
		return "closed"
	case e.Outcome == policy.Refused:
		return "reset"
	}
	return string(e.Outcome)
}

// story is all that is said of an answer.
func story(e *policy.EndpointAnswer) string {
	lines := []string{fmt.Sprintf("%s by %s: %s", e.Outcome, e.By, e.Reason)}
	for _, s := range e.Trace {
		lines = append(lines, fmt.Sprintf("%s: %s", s.Stage, s.Finding))
		for _, c := range s.By {
			lines = append(lines, "  "+c.String())
		}
		if s.Nearest != nil {
			lines = append(lines, "  nearest "+s.Nearest.Rule.String())
			for _, m := range s.Nearest.Misses {
				lines = append(lines, "    "+m.String())
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestModesScenario: mTLS by mesh, namespace, workload and port.
func TestModesScenario(t *testing.T) {
	t.Parallel()
	const in, out = "deploy/client.shop", "deploy/cron.outside"
	check(t, scenario(t, "modes.yaml"), []try{
		{in, "svc/cart.shop:80", "GET /", "200", "port 8080 (HTTP) is STRICT"},
		{out, "svc/cart.shop:80", "GET /", "reset", "PeerAuthentication istio-system/mesh (modes.yaml:"},
		{in, "svc/orders.legacy:80", "GET /", "200", "mTLS as spiffe://cluster.local/ns/shop/sa/client"},
		{out, "svc/orders.legacy:80", "GET /", "200", "PeerAuthentication legacy/namespace (modes.yaml:"},
		{in, "svc/billing.legacy:80", "GET /", "200", "port 8080 (HTTP) is STRICT"},
		{out, "svc/billing.legacy:80", "GET /", "reset", "PeerAuthentication legacy/billing (modes.yaml:"},
		{in, "svc/billing.legacy:9090", "GET /metrics", "200", "plaintext: the endpoint's port is DISABLE"},
		{out, "svc/billing.legacy:9090", "GET /metrics", "200", "port 9090 (HTTP) is DISABLE"},
		{in, "deploy/billing.legacy:7777", "GET /", "reset", "port 7777 (no Service declares it, sniffed) is STRICT"},
	})
}

// TestDetailsScenario: all is denied, then the page may read details.
func TestDetailsScenario(t *testing.T) {
	t.Parallel()
	const page, reviews, details = "deploy/productpage.bookinfo", "deploy/reviews.bookinfo", "svc/details.bookinfo:9080"
	const nothing = "AuthorizationPolicy bookinfo/deny-all (details.yaml:"
	check(t, scenario(t, "details.yaml"), []try{
		{page, details, "GET /details/0", "403", nothing},
		{reviews, details, "GET /details/0", "403", nothing},
	})
	const rule = "AuthorizationPolicy bookinfo/details-viewer rule 0 (details-viewer.yaml:9:5)"
	check(t, scenario(t, "details.yaml", "details-viewer.yaml"), []try{
		{page, details, "GET /details/0", "200", "allow: matches\n  " + rule},
		{page, details, "GET /details/0?full=1", "200", rule},
		{page, details, "GET /details/", "200", rule},
		{page, details, "GET /ping", "403", "nearest " + rule + "\n    paths wants /details/*; the request has /ping"},
		{page, details, "GET /details", "403", "paths wants /details/*; the request has /details"},
		{page, details, "GET /details/../ping", "403", "the request has /ping"},
		{page, details, "POST /details/0", "403", "methods wants GET; the request has POST"},
		{reviews, details, "GET /details/0", "403", "principals wants cluster.local/ns/bookinfo/sa/productpage; the request has spiffe://cluster.local/ns/bookinfo/sa/reviews"},
	})
}

// TestTeamsScenario: a service is open to its own team's curl, closed to
// another's.
func TestTeamsScenario(t *testing.T) {
	t.Parallel()
	check(t, scenario(t, "teams.yaml"), []try{
		{"deploy/curl.team-a", "svc/httpbin.team-a:8000", "GET /get", "200", "AuthorizationPolicy team-a/httpbin rule 0 (teams.yaml:"},
		{"deploy/curl.team-b", "svc/httpbin.team-a:8000", "GET /get", "403", "namespaces wants team-a; the request has spiffe://cluster.local/ns/team-b/sa/curl"},
	})
}

// TestPhotosScenario: each of three tiers is open to the one before it.
func TestPhotosScenario(t *testing.T) {
	t.Parallel()
	const frontend, backend, datastore = "deploy/frontend.photos", "deploy/backend.photos", "deploy/datastore.photos"
	const toBackend, toDatastore = "svc/backend.photos:80", "svc/datastore.photos:27017"
	check(t, scenario(t, "photos.yaml"), []try{
		{frontend, toBackend, "GET /photos/7", "200", "AuthorizationPolicy photos/backend rule 0"},
		{frontend, toBackend, "DELETE /photos/7", "403", "methods wants GET, POST; the request has DELETE"},
		{backend, toDatastore, "", "open", "AuthorizationPolicy photos/datastore rule 0"},
		{frontend, toDatastore, "", "closed", "serviceAccounts wants backend; the request has spiffe://cluster.local/ns/photos/sa/frontend"},
		{datastore, toBackend, "GET /photos/7", "403", "serviceAccounts wants frontend"},
		{backend, "svc/frontend.photos:80", "GET /", "403", "AuthorizationPolicy photos/nothing"},
	})
}

// TestPlaintextScenario: a DestinationRule that turns mTLS off keeps clients
// from a STRICT server: their own sidecars answer 503.
func TestPlaintextScenario(t *testing.T) {
	t.Parallel()
	check(t, scenario(t, "plaintext.yaml"), []try{
		{"deploy/client.shop", "svc/cart.shop:80", "GET /", "503", "plaintext: the DestinationRule says DISABLE\n  DestinationRule shop/cart (plaintext.yaml:"},
		{"deploy/client.shop", "svc/cart.shop:80", "GET /", "503", "port 8080 (HTTP) is STRICT: no filter chain takes it, the connection is reset"},
	})
}

// TestTokensScenario: JWT on top of mTLS: the caller's program must be the right
// one, and act for the right people.
func TestTokensScenario(t *testing.T) {
	t.Parallel()
	s := scenario(t, "tokens.yaml")
	const web, batch, cart = "deploy/web.shop", "deploy/batch.shop", "svc/cart.shop:80"
	bearer := func(claims map[string]any, wrong string) func(*policy.HTTP) {
		return func(h *policy.HTTP) {
			all := map[string]any{"iss": "https://login.example.com", "sub": "ann", "aud": "shop"}
			for name, value := range claims {
				all[name] = value
			}
			h.Tokens = []policy.Token{{In: "header", Name: "authorization", Prefix: "Bearer ", Valid: wrong == "", Why: wrong, Claims: all}}
		}
	}
	staff := map[string]any{"groups": []any{"dev", "staff"}}
	check(t, s, []try{
		{web, cart, "GET /cart", "403", "requestPrincipals wants https://login.example.com/*; the request has no verified token"},
	})
	check(t, s, []try{
		{web, cart, "GET /cart", "200", "request principal https://login.example.com/ann"},
		{web, cart, "DELETE /cart", "403", "methods wants GET, POST; the request has DELETE"},
		{batch, cart, "GET /cart", "403", "principals wants cluster.local/ns/shop/sa/web; the request has spiffe://cluster.local/ns/shop/sa/batch"},
	}, bearer(nil, ""))
	check(t, s, []try{
		{web, cart, "DELETE /cart", "200", "AuthorizationPolicy shop/cart rule 1"},
		{batch, cart, "DELETE /cart", "403", "principals wants cluster.local/ns/shop/sa/web"},
	}, bearer(staff, ""))
	check(t, s, []try{{web, cart, "GET /cart", "401", "RequestAuthentication shop/people"}}, bearer(staff, "expired"))
	check(t, s, []try{{web, cart, "GET /cart", "401", "RequestAuthentication shop/people"}}, bearer(staff, "signature"))
	check(t, s, []try{{web, cart, "GET /cart", "401", ""}}, bearer(map[string]any{"iss": "https://elsewhere.example"}, ""))
	check(t, s, []try{{web, cart, "GET /cart", "403", ""}}, bearer(map[string]any{"aud": "bank"}, ""))
}
