package authentication_test

import (
	"context"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/authentication"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// TestDiscovery is RA-19 and V-RA-2: where the keys of an issuer come from, and
// an authority that is nearly in the right namespace.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	tokens := func(rule string) string {
		return "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: r, namespace: shop}\nspec: {jwtRules: [{" + rule + "}]}\n"
	}
	secret := func(namespace string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: cacerts, namespace: " + namespace + "}\n"
	}
	for name, tt := range map[string]struct{ text, code, severity string }{
		"an address":                   {tokens("issuer: 'https://a.example'"), "", ""},
		"a name with an address":       {tokens("issuer: a, jwksUri: 'https://a.example/keys'"), "", ""},
		"a name with keys":             {tokens("issuer: a, jwks: '{}'"), "", ""},
		"a name":                       {tokens("issuer: a"), "MSH0224", "error"},
		"a host":                       {tokens("issuer: a.example"), "MSH0224", "error"},
		"an empty issuer":              {tokens("issuer: '', jwksUri: 'https://a.example/keys'"), "MSH0224", "error"},
		"no issuer":                    {tokens("jwksUri: 'https://a.example/keys'"), "", ""},
		"an authority nearly in place": {secret("istio-systm"), "MSH0222", "warning"},
	} {
		s, err := manifest.Read("mesh.yaml", []byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		findings, err := analyze.Analyze(context.Background(), authentication.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{Only: []string{"MSH0224", "MSH0222"}})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range findings {
			if f.Severity.String() == tt.severity && f.Code == tt.code {
				found = true
			}
		}
		if found != (tt.code != "") || tt.code == "" && len(findings) > 0 {
			t.Errorf("%s: found %+v, expected %q", name, findings, tt.code)
		}
	}
}
