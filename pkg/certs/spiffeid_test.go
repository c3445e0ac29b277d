package certs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/certs"
)

// TestIdentities: what is a SPIFFE ID, and what each that is none lacks
// (CA-1..CA-3).
func TestIdentities(t *testing.T) {
	t.Parallel()
	long := "spiffe://td/" + strings.Repeat("a", 2048-len("spiffe://td/"))
	for _, tt := range []struct{ text, wrong string }{
		{"spiffe://cluster.local/ns/shop/sa/web", ""},
		{"spiffe://td", ""},
		{"spiffe://my_td-1.x/A.b-C_d", ""},
		{long, ""},
		{long + "a", "2049 bytes"},
		{"spiffe://" + strings.Repeat("a", 255) + "/x", ""},
		{"spiffe://" + strings.Repeat("a", 256) + "/x", "256 bytes"},
		{"", "begin with spiffe://"},
		{"SPIFFE://td/x", "begin with spiffe://"},
		{"https://td/x", "begin with spiffe://"},
		{"spiffe:///x", "trust domain is empty"},
		{"spiffe://TD.example/x", `did you mean "td.example"`},
		{"spiffe://td./x", "label on both sides"},
		{"spiffe://a..b/x", "label on both sides"},
		{"spiffe://user@td/x", "'@' is not allowed"},
		{"spiffe://td:80/x", "':' is not allowed"},
		{"spiffe://td?a", "'?' is not allowed"},
		{"spiffe://td/", "segment of the path is empty"},
		{"spiffe://td/a//b", "segment of the path is empty"},
		{"spiffe://td/a/", "segment of the path is empty"},
		{"spiffe://td/a/../b", `".." is no segment`},
		{"spiffe://td/.", `"." is no segment`},
		{"spiffe://td/a%20b", "'%' is not allowed"},
		{"spiffe://td/a?b", "'?' is not allowed"},
		{"spiffe://td/a#b", "'#' is not allowed"},
		{"spiffe://td/ä", "'ä' is not allowed"},
	} {
		id, err := certs.ParseID(tt.text)
		switch {
		case tt.wrong == "" && (err != nil || id.String() != tt.text):
			t.Errorf("%q: %q, %v", tt.text, id, err)
		case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong) || !id.IsZero()):
			t.Errorf("%q: %v, want %q", tt.text, err, tt.wrong)
		}
	}
}

// TestWorkloadIdentities: Istio's form has five parts, two of which are fixed
// (CA-5); an account with a colon has none (CA-3).
func TestWorkloadIdentities(t *testing.T) {
	t.Parallel()
	id, err := certs.WorkloadID("cluster.local", "shop", "web")
	if err != nil || id.String() != "spiffe://cluster.local/ns/shop/sa/web" || id.URL().String() != id.String() {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := certs.WorkloadID("cluster.local", "shop", "a:b"); err == nil || err.Error() != `service account shop/a:b: segment "a:b": ':' is not allowed; only letters, digits, dot, dash and underscore are` {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"spiffe://td/ns/shop/sa/web":   "shop web true",
		"spiffe://td/ns/shop/sa/web/x": "  false",
		"spiffe://td/ns/shop/xx/web":   "  false",
		"spiffe://td/nx/shop/sa/web":   "  false",
		"spiffe://td":                  "  false",
	} {
		id, err := certs.ParseID(text)
		namespace, account, ok := id.Workload()
		if got := fmt.Sprintf("%s %s %v", namespace, account, ok); err != nil || got != want || id.TrustDomain() != "td" {
			t.Errorf("%s: %q, want %q; %v", text, got, want, err)
		}
	}
}

// FuzzParseID: what is read is written the same, and fits its grammar.
func FuzzParseID(f *testing.F) {
	f.Add("spiffe://cluster.local/ns/shop/sa/web")
	f.Add("spiffe://a..b//%")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := certs.ParseID(text)
		if err != nil {
			if !id.IsZero() {
				t.Errorf("%q: an error and %q", text, id)
			}
			return
		}
		if id.String() != text || id.URL().String() != text {
			t.Errorf("%q: %q, %q", text, id, id.URL())
		}
	})
}
