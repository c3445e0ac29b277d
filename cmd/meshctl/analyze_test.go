package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// TestAnalyzeStatus: the exit status is the same in every format, and 2 is for
// what cannot be answered.
func TestAnalyzeStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	head := "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: web, namespace: shop}\nspec:\n"
	files := map[string]string{
		"error": write("error.yaml", head+"  rules: [{to: [{operation: {methods: [get]}}]}]\n"),
		"info":  write("info.yaml", head+"  rules: [{from: [{source: {principals: ['*']}}]}]\n"),
		"none":  write("none.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n"),
	}
	cases := 0
	for _, f := range findingFormats() {
		for _, tt := range []struct {
			args []string
			want exitCode
		}{
			{[]string{files["error"]}, 1},
			{[]string{files["error"], "--fail-on", "none"}, 0},
			{[]string{files["info"]}, 0},
			{[]string{files["info"], "--fail-on", "warning"}, 0},
			{[]string{files["info"], "--fail-on", "info"}, 1},
			{[]string{files["none"], "--fail-on", "info"}, 0},
			{[]string{filepath.Join(dir, "nothing.yaml")}, 2},
			{[]string{files["error"], "--only", "MSH9999"}, 2},
		} {
			cases++
			streams, _, _, _ := genericiooptions.NewTestIOStreams()
			var out bytes.Buffer
			streams.Out = &out
			if got := execute(context.Background(), streams, "meshctl", append([]string{"analyze", "-o", f.name}, tt.args...)); got != tt.want {
				t.Errorf("-o %s %v: status %d, want %d", f.name, tt.args, got, tt.want)
			}
			if tt.want == 2 && out.Len() > 0 {
				t.Errorf("-o %s %v: something was printed", f.name, tt.args)
			}
		}
	}
	if cases != 8*8 {
		t.Errorf("%d cases", cases)
	}
}
