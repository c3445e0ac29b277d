package mesh_test

import (
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestDurations: durations in Go's form are read as istiod reads them, wherever
// they stand; others are errors.
func TestDurations(t *testing.T) {
	t.Parallel()
	route := func(timeout string) ([]*manifest.Stream, error) {
		s, err := manifest.Read("a.yaml", []byte("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n  - timeout: "+timeout+"\n    route: [{destination: {host: a}}]\n"))
		return []*manifest.Stream{s}, err
	}
	for text, want := range map[string]time.Duration{"500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "0.25s": 250 * time.Millisecond, "1.5h": 90 * time.Minute, "3s": 3 * time.Second} {
		streams, err := route(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := mesh.Build(streams, mesh.Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.VirtualServices("default")[0].Spec.Http[0].Timeout.AsDuration(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"soon", "5", "[1s]"} {
		streams, err := route(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mesh.Build(streams, mesh.Options{}); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	config, err := mesh.ParseConfig([]byte("connectTimeout: 1500ms\n"))
	if err != nil || config.ConnectTimeout.AsDuration() != 1500*time.Millisecond {
		t.Error(config, err)
	}
}
