package inject_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshctl/meshctl/pkg/inject"
)

var update = flag.Bool("update", false, "write the goldens anew")

// TestGolden shows what the embedded profile makes of the examples. The same
// templates are held to real Istio's output by make conformance.
func TestGolden(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, example string
		options       []option
	}{
		{"shop", "shop.yaml", nil},
		{"shop-native-cni", "shop.yaml", []option{native, values("pilot.cni.enabled=true")}},
		{"shop-tproxy", "shop.yaml", []option{meshConfig("defaultConfig: {interceptionMode: TPROXY, proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}}\n")}},
		{"shop-secret-identity", "shop.yaml", []option{identity(inject.SecretIdentity)}},
		{"kinds", "kinds.yaml", nil},
		{"kinds-native", "kinds.yaml", []option{native}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "examples", tt.example))
			if err != nil {
				t.Fatal(err)
			}
			got := canonical(t, defaults(t, tt.options...).Document, text)
			golden := filepath.Join("testdata", "golden", tt.name+".yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("(-want +got):\n%s", diff(want, got))
			}
		})
	}
}
