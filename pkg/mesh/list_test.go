package mesh_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestListPlaces: the objects of a List know their places, and a long List is
// not read again for each of them.
func TestListPlaces(t *testing.T) {
	t.Parallel()
	const n = 2000
	var text strings.Builder
	text.WriteString("apiVersion: v1\nkind: List\nitems:\n")
	for i := range n {
		fmt.Fprintf(&text, "- apiVersion: security.istio.io/v1\n  kind: AuthorizationPolicy\n  metadata: {name: p%d, namespace: shop}\n  spec:\n    rules: [{}]\n", i)
	}
	stream, err := manifest.Read("list.yaml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		t.Fatal(err)
	}
	policies := s.AuthorizationPolicies("shop")
	if len(policies) != n {
		t.Fatalf("%d policies, want %d", len(policies), n)
	}
	for _, p := range policies {
		var i int
		if _, err := fmt.Sscanf(p.Name, "p%d", &i); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("list.yaml:%d:3", 5*i+4); p.Location.String() != want {
			t.Errorf("%s is at %s, want %s", p.Name, p.Location, want)
		}
		if want := fmt.Sprintf("list.yaml:%d:13", 5*i+8); p.Locate("spec", "rules", "0").String() != want {
			t.Errorf("the rule of %s is at %s, want %s", p.Name, p.Locate("spec", "rules", "0"), want)
		}
	}
	// Reading the text for each object takes minutes.
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}
