package envoy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
)

// TestShown: what is secret of the keys of token rules is not shown, what is public
// is; the configuration itself stays, and one that is read so guesses nothing.
func TestShown(t *testing.T) {
	t.Parallel()
	const rest = `"},{"kty":"EC","crv":"P-256","kid":"pub","x":"eHg","y":"eXk","d":"cHJpdmF0ZQ"}]}`
	c := configOf(t, buildMesh(t, strings.Replace(staticMesh, `"k":"c2VjcmV0"}]}`, `"\u006b":"c2VjcmV0`+rest, 1), grpcProvider), "shop/web-v1")
	before := configText(t, c)
	shown := configText(t, c.Shown())
	for _, secret := range []string{"c2VjcmV0", "cHJpdmF0ZQ"} {
		if !strings.Contains(before, secret) || strings.Contains(shown, secret) {
			t.Errorf("%s is shown, or was not there", secret)
		}
	}
	if strings.Count(shown, envoy.NotShown) < 2 || !strings.Contains(shown, "eXk") {
		t.Error("public parts are gone, or nothing stands for the others")
	}
	if configText(t, c) != before {
		t.Error("the configuration has changed")
	}
	if c.Hides() || !c.Shown().Hides() || configText(t, c.Shown().Shown()) != shown {
		t.Error("what is shown is not told from what is not")
	}
	all, err := envoy.ParseConfig("shown.json", []byte(shown))
	if err != nil {
		t.Fatal(err)
	}
	const signed = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJiIn0.AAAA"
	curl := "spiffe://cluster.local/ns/shop/sa/curl"
	r := policy.Request{To: policy.Destination{Port: 8080}, From: policy.Client{Identity: &curl, ALPN: []string{"istio"}}, HTTP: &policy.HTTP{
		Method: "GET", Path: "/", Authority: "web", Tokens: []policy.Token{{In: "header", Name: "authorization", Prefix: "Bearer ", JWT: signed}},
	}, Custom: "allow"}
	if a := envoy.NewEnforcement(all[0], time.Now()).Evaluate(&r); a.Outcome != policy.Unknown || !strings.Contains(a.Reason, envoy.NotShown) {
		t.Errorf("%s: %s", a.Outcome, a.Reason)
	}
}

func configText(t *testing.T, c *envoy.Config) string {
	t.Helper()
	text, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
